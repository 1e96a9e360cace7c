package tlsrpt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is how many bytes a cleaned text has at most.
const MaxText = 512

// CleanText makes a text of a report fit to be stored and shown anywhere: what is not valid UTF-8, and what does not
// print (control characters, line ends, escapes of a terminal, marks that turn the direction of writing) becomes
// U+FFFD, and what is longer than MaxText is cut at a character and ends with "…".
func CleanText(s string) string {
	const more = "…"
	cut := len(s) > MaxText
	if cut {
		s = s[:MaxText]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if !cut && len(s) <= MaxText {
		return s
	}
	end := min(len(s), MaxText-len(more))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// hostName is a name of the DNS as it is compared: lower case, without a dot at the end.
func hostName(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(CleanText(s)), "."))
}
