package docs

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]*)\(`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]*)`")
	threat   = regexp.MustCompile(`(?m)^\| ([0-9]+) (?:to ([0-9]+) )?\|([^|]*)\|([^|]*)\|([^|]*)\|$`)
)

// testFuncs are the names of all tests and fuzz targets of the repository.
func testFuncs(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".." {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, found := range testFunc.FindAllStringSubmatch(string(read(t, path)), -1) {
				out[found[1]] = true
			}
		}
		return nil
	})
	if err != nil || len(out) < 200 {
		t.Fatalf("only %d tests were found: %v", len(out), err)
	}
	return out
}

// TestThreatsAreTried: each test that security.md names is there, and every threat that concerns what is built
// has one.
func TestThreatsAreTried(t *testing.T) {
	known, seen := testFuncs(t), map[int]bool{}
	page := string(read(t, "security.md"))
	for _, row := range threat.FindAllStringSubmatch(page, -1) {
		from, _ := strconv.Atoi(row[1])
		to, err := strconv.Atoi(row[2])
		if err != nil {
			to = from
		}
		for n := from; n <= to; n++ {
			seen[n] = true
		}
		tests := testName.FindAllString(row[5], -1)
		if len(tests) == 0 != strings.Contains(row[4], "not built") {
			t.Errorf("threat %d has the tests %v", from, tests)
		}
	}
	for n := 1; n <= 30; n++ {
		if !seen[n] {
			t.Errorf("security.md says nothing of threat %d", n)
		}
	}
	for _, name := range testName.FindAllStringSubmatch(page, -1) {
		if !known[name[1]] {
			t.Errorf("security.md: there is no test %s", name[1])
		}
	}
}

// TestEveryFuzzTargetIsTold: reliability.md names the fuzz targets that there are, and no others.
func TestEveryFuzzTargetIsTold(t *testing.T) {
	known := testFuncs(t)
	told := map[string]bool{}
	for _, name := range testName.FindAllStringSubmatch(string(read(t, "reliability.md")), -1) {
		told[name[1]] = true
		if !known[name[1]] {
			t.Errorf("reliability.md: there is no %s", name[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(name, "Fuzz") && !told[name] {
			t.Errorf("reliability.md does not tell of %s", name)
		}
	}
}
