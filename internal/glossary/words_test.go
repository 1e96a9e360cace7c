package glossary

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

// explained are the types of the API and of the plugin whose constants people read, with what headings of words.md have
// before them.
var explained = map[string]string{
	"KeyRole": "Role ", "Strategy": "Strategy ", "SenderVerdict": "Verdict ", "FindingSeverity": "Severity ", "MailRecordState": "Record ",
	"DKIMState": "DKIM ", "TroubleKind": "Trouble ", "MailRecord": "Part ",
	// of internal/dnssec/senderview, internal/sendercheck and internal/plugin
	"Verdict": "Verdict ", "Presented": "Certificate ", "Grade": "Grade ", "health": "State ", "Part": "Part ",
	// told of on another page
	"Visibility": "", "DNSSECState": "",
}

// ofSpec are the types whose constants people write: kubectl explain and docs/api.md tell what each does in its field.
var ofSpec = []string{
	"MXPolicy", "TLSReportMailServers", "ReportIngest", "MTASTSMode", "SPFAll", "DMARCPolicy", "DMARCAlignment", "DKIMAlgorithm",
	"DKIMRetired", "DNSSECPolicy", "DeletionPolicy", "Protocol", "ProbeMode", "ProxyProtocol", "ForeignRecordsPolicy", "UpdateProtocol",
	"NameserverDiscovery", "GrantFrom", "StandbyKeyMode", "DeadlineAction", "TSIGAlgorithm",
}

// more are words of words.md that no constant stands for.
var more = []string{
	"Verdict Unknown", "Verdict some may fail", "Endpoint matches", "Endpoint does not match", "Endpoint not known",
	"Server in sync", "Server out of sync", "Server answers", "Server does not answer",
	"Mark -", "Mark x", "Mark *", "Mark ?",
	"Word deployable", "Word deployableAt", "Word removable", "Word removableAt",
}

// TestEveryConstantIsExplained: each constant of the API that people read, and each reason of an event, has a section; and
// words.md has no section of what is no more.
func TestEveryConstantIsExplained(t *testing.T) {
	known, wanted := map[string]bool{}, map[string]bool{}
	for _, e := range Entries() {
		for _, word := range e.Words() {
			known[word] = true
			for _, p := range prefixes {
				if strings.HasPrefix(e.Heading, p.prefix) {
					known[p.prefix+word] = true
				}
			}
		}
	}
	want := func(heading string) {
		wanted[heading] = true
		if !known[heading] {
			t.Errorf("no page has a section %q: add it to docs/words.md", heading)
		}
	}
	constants := constantsOf(t, "../../api/v1alpha1", "../dnssec/senderview", "../sendercheck", "../plugin")
	for _, c := range constants {
		prefix, ok := explained[c.kind]
		switch {
		case c.kind == "" && strings.HasPrefix(c.name, "Reason") && !strings.Contains(c.value, "."):
			want(c.value)
		case c.kind == "" && strings.HasPrefix(c.name, "Condition"):
			want("Condition " + c.value)
		case ok:
			want(prefix + c.value)
		case c.kind != "" && c.ofAPI && !slices.Contains(ofSpec, c.kind):
			t.Errorf("nobody has said whether people read constants of type %s, as %s: add it to explained, or to ofSpec", c.kind, c.name)
		}
	}
	for _, kind := range append(slices.Collect(maps.Keys(explained)), ofSpec...) {
		if !slices.ContainsFunc(constants, func(c constant) bool { return c.kind == kind }) {
			t.Errorf("there is no constant of type %s any more", kind)
		}
	}
	for _, reason := range eventReasons(t, constants) {
		want("Event " + reason)
	}
	for _, heading := range append(columns(t), more...) {
		want(heading)
	}
	if len(wanted) < 140 {
		t.Errorf("only %d words were found: does the test still read the right files?", len(wanted))
	}
	for _, heading := range slices.Sorted(maps.Keys(known)) {
		prefixed := slices.ContainsFunc(prefixes, func(p struct{ prefix, group string }) bool { return strings.HasPrefix(heading, p.prefix) })
		if prefixed && !wanted[heading] {
			t.Errorf("the section %q is stale: nothing says so any more", heading)
		}
	}
}

// printColumn is a column that kubectl prints of an object.
var printColumn = regexp.MustCompile(`(?m)^// \+kubebuilder:printcolumn:name="([^"]+)"`)

// columns are the headings of the tables that people read: those of the plugin, and those of kubectl get.
func columns(t *testing.T) []string {
	t.Helper()
	var out []string
	add := func(name string) {
		for word := range strings.SplitSeq(name, ", ") {
			out = append(out, "Column "+word)
		}
	}
	for _, file := range parse(t, "../plugin") {
		ast.Inspect(file, func(n ast.Node) bool {
			for _, list := range headingsIn(n) {
				for _, e := range list.Elts {
					name, err := strconv.Unquote(e.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					add(name)
				}
			}
			return true
		})
	}
	ofPlugin := len(out)
	files, err := filepath.Glob("../../api/v1alpha1/*_types.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range printColumn.FindAllStringSubmatch(string(text), -1) {
			add(found[1])
		}
	}
	if ofPlugin < 50 || len(out)-ofPlugin < 18 {
		t.Errorf("only %d and %d columns were found: does the test still read the right files?", ofPlugin, len(out)-ofPlugin)
	}
	return out
}

// headingsIn are the lists of headings that stand in a call of table or part, or are given to a variable of that name.
func headingsIn(n ast.Node) []*ast.CompositeLit {
	var in []ast.Node
	switch n := n.(type) {
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "table" || f.Name == "part") && len(n.Args) > 1 {
			in = append(in, n.Args[1])
		}
	case *ast.AssignStmt:
		if to, ok := n.Lhs[0].(*ast.Ident); ok && to.Name == "headings" {
			in = append(in, n.Rhs[0])
		}
	}
	var out []*ast.CompositeLit
	for _, node := range in {
		ast.Inspect(node, func(n ast.Node) bool {
			if list, ok := n.(*ast.CompositeLit); ok {
				out = append(out, list)
			}
			return true
		})
	}
	return out
}

// constant is one that is a text.
type constant struct {
	name, kind, value string
	ofAPI             bool
}

// constantsOf are those of folders. kind is the type that they are declared with; empty where there is none.
func constantsOf(t *testing.T, folders ...string) []constant {
	t.Helper()
	var out []constant
	for i, folder := range folders {
		for _, file := range parse(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || len(spec.Values) != 1 {
					return true
				}
				literal, ok := spec.Values[0].(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				c := constant{name: spec.Names[0].Name, value: value, ofAPI: i == 0}
				if kind, ok := spec.Type.(*ast.Ident); ok {
					c.kind = kind.Name
				}
				out = append(out, c)
				return true
			})
		}
	}
	return out
}

// parse reads the program files of a folder.
func parse(t *testing.T, folder string) []*ast.File {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files: %v", folder, len(files), err)
	}
	var out []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// stems are how reasons of events begin that end with a constant, with the type of that.
var stems = map[string]string{"KeyIs": "KeyRole", "SenderView": "SenderVerdict", "MailRecord": "MailRecordState"}

// eventReasons are those of the events that the operator makes. Those that are reasons of conditions are left out.
func eventReasons(t *testing.T, constants []constant) []string {
	t.Helper()
	var out []string
	for _, file := range parse(t, "../../controllers") {
		var cases []ast.Expr // those of the innermost case
		var look func(ast.Node) bool
		look = func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name != "event" // it hands on what it is given
			case *ast.CaseClause:
				before := cases
				cases = n.List
				for _, s := range n.Body {
					ast.Inspect(s, look)
				}
				cases = before
				return false
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "event" || f.Sel.Name == "Eventf") && len(n.Args) > 4 {
					out = append(out, reasonsOf(t, n.Args[3], cases, constants)...)
				}
			}
			return true
		}
		ast.Inspect(file, look)
	}
	if len(out) < 15 {
		t.Errorf("only %d reasons of events were found: %v", len(out), out)
	}
	return out
}

// reasonsOf are those that an expression may come to: a literal, the reason of a condition, or a stem with a constant, where
// the case around it may say which.
func reasonsOf(t *testing.T, reason ast.Expr, cases []ast.Expr, constants []constant) []string {
	t.Helper()
	switch e := reason.(type) {
	case *ast.BasicLit:
		return []string{strings.Trim(e.Value, `"`)}
	case *ast.SelectorExpr:
		if e.Sel.Name == "Reason" {
			return nil
		}
	case *ast.BinaryExpr:
		stem, ok := e.X.(*ast.BasicLit)
		if !ok || stems[strings.Trim(stem.Value, `"`)] == "" {
			break
		}
		var named []string
		for _, c := range cases {
			if s, ok := c.(*ast.SelectorExpr); ok {
				named = append(named, s.Sel.Name)
			}
		}
		var out []string
		for _, c := range constants {
			if text := strings.Trim(stem.Value, `"`); c.kind == stems[text] && (len(named) == 0 || slices.Contains(named, c.name)) {
				out = append(out, text+c.value)
			}
		}
		return out
	}
	t.Errorf("the reason of an event is neither a literal, the reason of a condition, nor a stem that the test knows: %#v", reason)
	return nil
}
