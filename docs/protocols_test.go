package docs

import (
	"regexp"
	"strings"
	"testing"
)

var (
	noTLS   = regexp.MustCompile(`\bNoTLS, "([^"]+)"`)
	message = regexp.MustCompile("(?m)^\\| `([^`;]+)")
)

// TestPageOfProtocolsSaysWhatIsFalse: what a server says or does that makes ServersVerified False with reason
// NoTLS stands on the page under that heading, and not under the one of Unknown.
func TestPageOfProtocolsSaysWhatIsFalse(t *testing.T) {
	text := string(read(t, "protocols.md"))
	_, text, _ = strings.Cut(text, "\n## What False means\n")
	isFalse, isUnknown, ok := strings.Cut(text, "\n## What Unknown means\n")
	found := noTLS.FindAllStringSubmatch(sources(t, "../internal/probe"), -1)
	if !ok || len(found) < 8 {
		t.Fatalf("the headings are there: %t; the prober has the messages %v: does the test still read them?", ok, found)
	}
	for _, of := range found {
		said := strings.ReplaceAll(of[1], "STLS", "STARTTLS") // the page has one row for both
		if !listed(isFalse, said) {
			t.Errorf("protocols.md does not list %q under what False means", said)
		}
		if listed(isUnknown, said) {
			t.Errorf("protocols.md lists %q under what Unknown means: it is False", said)
		}
	}
}

// listed says whether a table has the message, or its beginning.
func listed(table, said string) bool {
	for _, row := range message.FindAllStringSubmatch(table, -1) {
		if strings.HasPrefix(said, row[1]) || strings.HasPrefix(row[1], said) {
			return true
		}
	}
	return false
}
