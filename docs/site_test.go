package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestSiteHasWhatTheIndexHas: mkdocs.yml leads to every page, once, under the headings and titles of the index and in its
// order, and to nothing else.
func TestSiteHasWhatTheIndexHas(t *testing.T) {
	var site struct {
		DocsDir string `json:"docs_dir"`
		Nav     []map[string]any
	}
	if err := yaml.Unmarshal(read(t, "../mkdocs.yml"), &site); err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, section := range site.Nav {
		for heading, within := range section {
			pages, ok := within.([]any)
			if !ok {
				got = append(got, heading+": "+within.(string))
				continue
			}
			got = append(got, "## "+heading)
			for _, page := range pages {
				for title, file := range page.(map[string]any) {
					got = append(got, title+": "+file.(string))
				}
			}
		}
	}
	want := []string{"Documentation: README.md"}
	for line := range strings.Lines(string(read(t, "README.md"))) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			want = append(want, "## "+strings.TrimSpace(heading))
		} else if found := inIndex.FindStringSubmatch(line); found != nil {
			want = append(want, found[1]+": "+found[2])
		}
	}
	if !slices.Equal(got, want) || site.DocsDir != "docs" {
		t.Errorf("mkdocs.yml has in %s\n%s\nand the index\n%s", site.DocsDir, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// inIndex is a page in the index: its title and its file.
var inIndex = regexp.MustCompile(`^- \[([^\]]+)\]\(([a-z-]+\.md)\): `)
