package glossary

import (
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestLine wants each word for what caches know of a key to be told in one short line, and a long section to give its
// first paragraph.
func TestLine(t *testing.T) {
	for _, word := range []v1alpha1.Visibility{v1alpha1.VisibilityHidden, v1alpha1.VisibilityRumoured, v1alpha1.VisibilityOmnipresent, v1alpha1.VisibilityUnretentive} {
		if line := Line(string(word)); line == "" || len(line) > 120 || strings.ContainsAny(line, "\n`[") {
			t.Errorf("%s: %q", word, line)
		}
	}
	if line := Line("Ready"); strings.Contains(line, "\n") || !strings.HasPrefix(line, "It sums up") || strings.Contains(line, "What to do") {
		t.Errorf("Ready: %q", line)
	}
	if line := Line("Nonsense"); line != "" {
		t.Errorf("a word that nobody uses: %q", line)
	}
}
