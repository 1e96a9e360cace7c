// Package conformance is for tests that compare what the program decides with cases of other implementations. It
// finds the cases, which are not part of the repository, and keeps the figures in docs/conformance.md in step
// with what the tests find. Tests alone import it.
package conformance

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Folder is the environment variable that names the folder of the cases. Without it they are looked for beside
// the repository; "none" says that there are none.
const Folder = "DANE_TEST_CORPORA"

// update makes the page say what is found. "make conformance" sets it.
var update = flag.Bool("update", false, "write the figures into docs/conformance.md")

// Row is one line of a table of figures.
type Row struct {
	Corpus, Part  string
	Cases, Agreed int
	// Reason for the cases that differ or are left out.
	Reason string
}

func (r Row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s |", r.Corpus, r.Part, r.Cases, r.Agreed, r.Cases-r.Agreed, r.Reason)
}

// Dir is the folder of the cases. Where it is missing the test is skipped; with CI=true it fails instead, unless
// the variable says that there are none.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(Folder)
	if dir == "none" {
		t.Skipf("%s=none: NOTHING IS COMPARED", Folder)
	}
	if dir == "" {
		dir = filepath.Join(root(t), "../shared/corpora")
	}
	_, err := os.Stat(dir)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true":
		t.Skipf("there is no folder %s: NOTHING IS COMPARED; name it in %s", dir, Folder)
	default:
		t.Fatalf("the cases cannot be read: %v; name their folder in %s, or say none there", err, Folder)
	}
	return dir
}

// Read is a file of the cases. Where the folder is, the file has to be in it.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Dir(t), name))
	if err != nil {
		t.Fatalf("the folder of the cases is there, and a file cannot be read: %v", err)
	}
	return text
}

// Published checks that at least so many cases were compared, and that the page of figures has exactly these
// rows for a corpus. The page alone does not tell: it could follow a corpus that was cut short.
func Published(t testing.TB, corpus string, atLeast int, rows []Row) {
	t.Helper()
	compared := 0
	var lines []string
	for _, r := range rows {
		compared += r.Cases
		lines = append(lines, r.String())
		t.Log(r)
	}
	if compared < atLeast {
		t.Errorf("%d cases of %s were compared: there are %d at the least", compared, corpus, atLeast)
	}
	Lines(t, "| "+corpus+" |", lines)
}

// Lines checks that the lines of the page that begin with prefix are these, or writes them where the first of
// those stood.
func Lines(t testing.TB, prefix string, want []string) {
	t.Helper()
	page := filepath.Join(root(t), "docs/conformance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text = []byte(replaceLines(string(text), prefix, want))
		if err := os.WriteFile(page, text, 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	var have []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, prefix) {
			have = append(have, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("docs/conformance.md is out of date (make conformance): it has\n%s\nand should have\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func replaceLines(page, prefix string, want []string) string {
	var out strings.Builder
	written := false
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, prefix) {
			out.WriteString(line)
			continue
		}
		if written {
			continue
		}
		written = true
		for _, w := range want {
			out.WriteString(w + "\n")
		}
	}
	return out.String()
}

// root is the folder of the repository.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "docs/conformance.md")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no folder above has docs/conformance.md")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}
