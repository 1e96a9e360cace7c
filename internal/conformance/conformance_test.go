package conformance

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReplaceLines puts rows where the first of the old ones stood, and touches nothing else.
func TestReplaceLines(t *testing.T) {
	page := "a\n| X | old 1 |\nb\n| X | old 2 |\n| Y | stays |\n"
	if got, want := replaceLines(page, "| X |", []string{"| X | new |"}), "a\n| X | new |\nb\n| Y | stays |\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDir skips where there are no cases, and takes the folder that is named.
func TestDir(t *testing.T) {
	there := t.TempDir()
	for _, row := range []struct {
		reason, folder, ci string
		skipped            bool
	}{
		{"a folder is named", there, "true", false},
		{"there are none, as is said", "none", "true", true},
		{"a folder that is missing, on somebody's machine", filepath.Join(there, "missing"), "", true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Setenv(Folder, row.folder)
			t.Setenv("CI", row.ci)
			skipped := true
			t.Run("a comparison", func(t *testing.T) {
				defer func() { skipped = t.Skipped() }()
				if dir := Dir(t); dir != row.folder {
					t.Errorf("the folder is %s", dir)
				}
			})
			if skipped != row.skipped {
				t.Errorf("skipped: %t", skipped)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(root(t), "go.mod")); err != nil {
		t.Error(err)
	}
}
