package mailrecord

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// maxString is how many octets fit into one character-string (RFC 1035 section 3.3.14).
const maxString = 255

// Texts are the texts of the TXT records of an answer: the strings of each are joined without anything between them, as
// all of these RFCs say. Records of other types are left out.
func Texts(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		var text strings.Builder
		for _, s := range txt.Txt {
			text.WriteString(octets(s))
		}
		out = append(out, text.String())
	}
	return out
}

// octets takes the escapes out of a string of the DNS library, which keeps them as in a zone file: \" and \\, and \DDD
// for an octet in decimal (RFC 1035 section 5.1).
func octets(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		if n, ok := decimal(s[i+1:]); ok {
			out.WriteByte(n)
			i += 3
			continue
		}
		i++
		out.WriteByte(s[i])
	}
	return out.String()
}

// decimal reads the three digits of an octet.
func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n <= 255
}

// Split cuts a text into strings of at most 255 octets. The empty text is one empty string: a TXT record has one at least.
func Split(text string) []string {
	out := []string{text[:min(len(text), maxString)]}
	for text = text[len(out[0]):]; text != ""; text = text[min(len(text), maxString):] {
		out = append(out, text[:min(len(text), maxString)])
	}
	return out
}

// Quote is the text as the data of a TXT record in a zone file: in quotes, in as many strings as it takes, with escapes
// for what does not print. It is safe to show, whoever wrote the text.
func Quote(text string) string {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
	for _, s := range Split(text) {
		rr.Txt = append(rr.Txt, strings.ReplaceAll(s, `\`, `\\`))
	}
	return strings.TrimPrefix(rr.String(), rr.Hdr.String())
}

// Unquote reads the data of a TXT record as it stands in a zone file, and joins its strings.
func Unquote(data string) (string, error) {
	rr, err := dns.NewRR(". 0 IN TXT " + data)
	if err != nil {
		return "", fmt.Errorf("%q is no data of a TXT record: %w", data, err)
	}
	texts := Texts([]dns.RR{rr})
	if len(texts) != 1 {
		return "", fmt.Errorf("%q is no data of a TXT record", data)
	}
	return texts[0], nil
}
