package docs

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestLinesOfTheFirstPagesAreShort: who reads them as text, in a terminal or a review, sees whole lines. Tables, and commands,
// cannot be broken.
func TestLinesOfTheFirstPagesAreShort(t *testing.T) {
	const most = 120
	for _, page := range []string{"../README.md", "dkim.md"} {
		for line := range strings.Lines(string(read(t, page))) {
			line = strings.TrimSuffix(line, "\n")
			code := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "|")
			if n := utf8.RuneCountInString(line); n > most && !code {
				t.Errorf("%s: a line of %d letters: %s", page, n, line)
			}
		}
	}
}
