package docs

import (
	"regexp"
	"testing"
)

// indexed is a page in the index, with its line.
var indexed = regexp.MustCompile(`(?m)^- \[[^\]]+\]\(([a-z-]+\.md)\): \S.+$`)

// TestIndexListsEveryPage: README.md of this folder has a line for each page, and one only.
func TestIndexListsEveryPage(t *testing.T) {
	lines := map[string]int{}
	for _, found := range indexed.FindAllStringSubmatch(string(read(t, "README.md")), -1) {
		lines[found[1]]++
	}
	for _, page := range pages(t) {
		want := 1
		if page == "README.md" || page == "../README.md" || page == "../CONTRIBUTING.md" {
			want = 0
		}
		if lines[page] != want {
			t.Errorf("the index has %d lines for %s, want %d", lines[page], page, want)
		}
	}
}
