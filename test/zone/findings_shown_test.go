package zone_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// excused are the findings that no test here has real servers give, and why. docs/conformance.md tells of them.
var excused = map[health.Code]string{}

// onTheWay is the file of the rows that have what stands before a server do what no server does.
const onTheWay = "findings_wire_test.go"

// TestEveryFindingIsShown: each code that the API knows is wanted by some row of the tests of this package, which look at real
// name servers and want exactly the findings that they name, or is excused; and docs/conformance.md says which are excused, and
// which are made on the way to a server alone.
func TestEveryFindingIsShown(t *testing.T) {
	shown := codesWanted(t)
	var excuses, altered []string
	for _, code := range health.Codes() {
		files, reason := shown[code], excused[code]
		switch {
		case len(files) == 0 && reason == "":
			t.Errorf("%s has no row before real servers, and no excuse", code)
		case len(files) > 0 && reason != "":
			t.Errorf("%s is excused, and %v want it", code, files)
		case reason != "":
			excuses = append(excuses, fmt.Sprintf("`%s` (%s)", code, reason))
		case slices.Equal(files, []string{onTheWay}):
			altered = append(altered, fmt.Sprintf("`%s`", code))
		}
	}
	for code := range excused {
		if code.Severity() == "" {
			t.Errorf("there is no code %s to be excused", code)
		}
	}
	text, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), " ")
	for _, sentence := range []string{
		"Made on the way to a server alone are " + orNone(altered) + ".",
		"Not shown before real servers are " + orNone(excuses) + ".",
	} {
		if !strings.Contains(page, sentence) {
			t.Errorf("docs/conformance.md does not say: %s", sentence)
		}
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// codesWanted are the codes that the tests of this package name in what they want, and the files that do: as health.Code, or in a
// text that holds nothing but codes, each with @ and the name of a server or without.
func codesWanted(t *testing.T) map[health.Code][]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[health.Code][]string{}
	for _, file := range files {
		if file == "findings_shown_test.go" {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			for _, code := range codesOf(n) {
				if !slices.Contains(out[code], file) {
					out[code] = append(out[code], file)
				}
			}
			unlike, ok := n.(*ast.BinaryExpr)
			return !ok || unlike.Op != token.NEQ
		})
	}
	return out
}

// codesOf are the codes that an expression is made of, if it is of nothing else.
func codesOf(n ast.Node) []health.Code {
	var words []string
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if of, ok := n.X.(*ast.Ident); ok && of.Name == "health" {
			words = []string{n.Sel.Name}
		}
	case *ast.BasicLit:
		if n.Kind == token.STRING {
			text, _ := strconv.Unquote(n.Value) // the parser has read it
			words = strings.Fields(text)
		}
	}
	var out []health.Code
	for _, word := range words {
		name, _, _ := strings.Cut(word, "@")
		if health.Code(name).Severity() == "" {
			return nil
		}
		out = append(out, health.Code(name))
	}
	return out
}
