// Package docs checks that the documentation keeps up with the code.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants are the condition types and reasons of the API, by the heading of their section.
func constants(t *testing.T) map[string]*ast.ValueSpec {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.ValueSpec{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		switch name := spec.Names[0].Name; {
		case strings.HasPrefix(name, "Reason"):
			out[valueOf(t, spec)] = spec
		case strings.HasPrefix(name, "Condition"):
			out["Condition "+valueOf(t, spec)] = spec
		}
		return true
	})
	if len(out) < 40 {
		t.Fatalf("only %d constants were found: does the test still read the right file?", len(out))
	}
	return out
}

func valueOf(t *testing.T, spec *ast.ValueSpec) string {
	t.Helper()
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		t.Fatalf("%s is not a literal", spec.Names[0].Name)
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

var section = regexp.MustCompile(`(?m)^### (.+)\n((?s:.*?))(?:^#|\z)`)

// sections are those of the troubleshooting page, by heading.
func sections(t *testing.T) map[string]string {
	t.Helper()
	return sectionsOf(t, "troubleshooting.md")
}

// sectionsOf are those of a page, by heading. A heading that stands twice is an error.
func sectionsOf(t *testing.T, page string) map[string]string {
	t.Helper()
	text, out := string(read(t, page)), map[string]string{}
	for text != "" {
		at := section.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		heading := text[at[2]:at[3]]
		if _, twice := out[heading]; twice {
			t.Errorf("%s has two sections %q", page, heading)
		}
		out[heading] = text[at[4]:at[5]]
		text = text[at[5]:]
	}
	return out
}

// TestTroubleshootingNamesEveryReason fails when the page misses a condition type or a reason of the
// API, says of a reason nothing that one could do, or has a section of one that is no more.
func TestTroubleshootingNamesEveryReason(t *testing.T) {
	have, want := sections(t), constants(t)
	for _, heading := range slices.Sorted(maps.Keys(want)) {
		text, ok := have[heading]
		switch {
		case !ok:
			t.Errorf("troubleshooting.md has no section %q", heading)
		case strings.HasPrefix(want[heading].Names[0].Name, "Reason") && !strings.Contains(text, "\nWhat to do: "):
			t.Errorf("section %q of troubleshooting.md does not say what to do", heading)
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(have)) {
		if want[heading] == nil {
			t.Errorf("section %q of troubleshooting.md is stale: the API has no such condition or reason", heading)
		}
	}
}

// TestEveryReasonIsUsed: a reason that no code sets only misleads. The rule names those of RolloverSafe by
// their values.
func TestEveryReasonIsUsed(t *testing.T) {
	code := sources(t, "../controllers") + sources(t, "../internal/rollover")
	for heading, spec := range constants(t) {
		name := spec.Names[0].Name
		set := regexp.MustCompile(`\bv1alpha1\.` + name + `\b`).MatchString(code)
		if !set && !strings.Contains(code, strconv.Quote(heading)) {
			t.Errorf("nothing sets %s", name)
		}
	}
}

// sources are the program files of a folder.
func sources(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), dir, err)
	}
	var all strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			all.Write(read(t, file))
		}
	}
	return all.String()
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
