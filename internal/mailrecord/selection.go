package mailrecord

import (
	"fmt"
	"strings"
)

// Selection is the record among the TXT records at a name.
type Selection struct {
	// Text is the record; empty unless there is exactly one.
	Text string
	// Found are all that begin as the record does, and Foreign are the others, which are somebody else's to keep.
	Found, Foreign []string
	// Problems has one when there are several: then readers go by none of them.
	Problems Problems
}

// several says what readers do with more than one record, and where that is said.
var several = map[Kind]struct{ rule, effect string }{
	KindTLSRPT: {"RFC 8460 section 3", "senders take the domain for one without TLS-RPT"},
	KindMTASTS: {"RFC 8461 section 3.1", "senders take the domain for one without MTA-STS"},
	KindSPF:    {"RFC 7208 section 4.5", "receivers take that for a permanent error (permerror)"},
	KindDMARC:  {"RFC 9989 section 4.10", "receivers discard all of them"},
	KindDKIM:   {"RFC 6376 section 3.6.2.2", "what receivers do is undefined"},
}

// Select finds the record of a kind among the texts of the TXT records at a name.
func Select(kind Kind, texts []string) Selection {
	var out Selection
	for _, text := range texts {
		if begins(kind, text) {
			out.Found = append(out.Found, text)
		} else {
			out.Foreign = append(out.Foreign, text)
		}
	}
	if len(out.Found) == 1 {
		out.Text = out.Found[0]
	}
	if len(out.Found) > 1 {
		c := &collector{kind: kind}
		c.at("", several[kind].rule).fatal(Several, fmt.Sprintf("there are %d of them at one name, and %s", len(out.Found), several[kind].effect),
			"leave one, and take the others away")
		out.Problems = c.found
	}
	return out
}

// begins says whether a text claims to be a record of the kind.
func begins(kind Kind, text string) bool {
	switch kind {
	case KindTLSRPT:
		return version(text, "v="+tlsrptVersion)
	case KindMTASTS:
		return version(text, "v="+stsVersion)
	case KindSPF:
		return len(text) >= len(spfVersion) && strings.EqualFold(text[:len(spfVersion)], spfVersion) &&
			(len(text) == len(spfVersion) || text[len(spfVersion)] == ' ')
	case KindDMARC:
		name, rest, ok := strings.Cut(text, "=")
		return ok && strings.EqualFold(trim(name), "v") && version(strings.TrimLeft(rest, " \t"), dmarcVersion)
	case KindDKIM:
		return isKey(text)
	}
	return false
}

// version says whether a text is a version, or begins with one and a semicolon. White space before the semicolon is in
// the grammar of RFC 8461, and not in its text (errata 6285): it is taken, and told of.
func version(text, want string) bool {
	rest, ok := strings.CutPrefix(text, want)
	rest = strings.TrimLeft(rest, " \t")
	return ok && (rest == "" || rest[0] == ';')
}

// trim takes white space (WSP, RFC 5234) off both ends.
func trim(text string) string { return strings.Trim(text, " \t") }
