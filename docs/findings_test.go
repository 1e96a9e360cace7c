package docs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// TestFindingsNamesEveryCode fails when the page misses a code, tells another severity of it, says nothing
// that one could do, or has a section of one that is no more.
func TestFindingsNamesEveryCode(t *testing.T) {
	have, want := sectionsOf(t, "findings.md"), map[string]bool{}
	for _, code := range health.Codes() {
		want[string(code)] = true
		text, ok := have[string(code)]
		switch {
		case !ok:
			t.Errorf("findings.md has no section %q", code)
		case !strings.HasPrefix(strings.TrimSpace(text), string(code.Severity())+". "):
			t.Errorf("section %q of findings.md does not begin with the severity %s", code, code.Severity())
		case !strings.Contains(text, "\nWhat to do: "):
			t.Errorf("section %q of findings.md does not say what to do", code)
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(have)) {
		if !want[heading] {
			t.Errorf("section %q of findings.md is stale: there is no such code", heading)
		}
	}
}
