// Package docs checks that the documentation keeps up with the code.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestEveryConditionAndReasonHasASection fails when the troubleshooting page misses a condition type or
// a reason of the API.
func TestEveryConditionAndReasonHasASection(t *testing.T) {
	page, err := os.ReadFile("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		heading := ""
		switch name := spec.Names[0].Name; {
		case strings.HasPrefix(name, "Reason"):
			heading = "\n### " + value + "\n"
		case strings.HasPrefix(name, "Condition"):
			heading = "\n### Condition " + value + "\n"
		default:
			return true
		}
		found++
		if !strings.Contains(string(page), heading) {
			t.Errorf("troubleshooting.md has no section %q", strings.TrimSpace(heading))
		}
		return true
	})
	if found < 40 {
		t.Errorf("only %d constants were found: does the test still read the right file?", found)
	}
}
