package dnssec

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

// corpora is where independent test data lies beside the repository. It is not part of it.
const corpora = "../../../shared/corpora"

// conformancePage is where the figures are published.
const conformancePage = "../../docs/conformance.md"

// update makes the page say what is found here. "make conformance" sets it.
var update = flag.Bool("update", false, "write the figures into "+conformancePage)

// row is one line of the table of figures.
type row struct {
	corpus, part  string
	cases, agreed int
	// reason for the cases that differ or are left out.
	reason string
}

func (r row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s |", r.corpus, r.part, r.cases, r.agreed, r.cases-r.agreed, r.reason)
}

// readCorpus reads a file of a corpus. Without the folder of the corpora, as in a fresh clone, it says so
// plainly and returns nothing. Where the folder is, the corpus has to be in it.
func readCorpus(t testing.TB, name string) []byte {
	t.Helper()
	if _, err := os.Stat(corpora); errors.Is(err, fs.ErrNotExist) {
		t.Logf("there is no folder %s: NOTHING IS COMPARED with the corpus %s", corpora, name)
		return nil
	}
	text, err := os.ReadFile(filepath.Join(corpora, name))
	if err != nil {
		t.Fatalf("the folder of the corpora is there, and a corpus cannot be read: %v", err)
	}
	return text
}

// writeRows puts rows in place of those that the page has for a corpus.
func writeRows(page, corpus string, rows []row) string {
	var out strings.Builder
	written := false
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| "+corpus+" |") {
			out.WriteString(line)
			continue
		}
		if written {
			continue
		}
		written = true
		for _, r := range rows {
			out.WriteString(r.String() + "\n")
		}
	}
	return out.String()
}

// published checks that the page of figures has exactly these rows for a corpus.
func published(t *testing.T, corpus string, rows []row) {
	t.Helper()
	page, err := os.ReadFile(conformancePage)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		page = []byte(writeRows(string(page), corpus, rows))
		if err := os.WriteFile(conformancePage, page, 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	var want, have []string
	for _, r := range rows {
		want = append(want, r.String())
		t.Log(r)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| "+corpus+" |") {
			have = append(have, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("%s is out of date for %s: it has\n%s\nand should have\n%s", conformancePage, corpus, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}
