package dnssec

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// ExtendedErrors are the extended DNS errors of a message (RFC 8914), fit for messages to people:
// the text is the server's.
func ExtendedErrors(m *dns.Msg) []string {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	var out []string
	for _, o := range opt.Option {
		ede, ok := o.(*dns.EDNS0_EDE)
		if !ok || len(out) == maxExtended {
			continue
		}
		text := dns.ExtendedErrorCodeToString[ede.InfoCode]
		if text == "" {
			text = fmt.Sprintf("extended error %d", ede.InfoCode)
		}
		if ede.ExtraText != "" {
			text += ": " + CleanText(ede.ExtraText)
		}
		out = append(out, text)
	}
	return out
}

// maxExtended errors of a message are kept, of maxText characters each.
const (
	maxExtended = 4
	maxText     = 120
)

// CleanText makes text from the network fit for messages: printable ASCII, not long.
func CleanText(s string) string {
	out := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	if len(out) > maxText {
		out = out[:maxText] + "..."
	}
	return out
}
