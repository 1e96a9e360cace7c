package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	logKey   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\S.* \\|$")
	camel    = regexp.MustCompile(`^[a-z][a-zA-Z]*$`)
	aLogLine = regexp.MustCompile(`"([a-zA-Z]+)":`)
)

// ofLibrary are keys in the example line that the library writes.
var ofLibrary = map[string]bool{"level": true, "msg": true}

// TestLogKeysAreOfOneList: whatever the operator logs has keys that stand in logs.md, as constants in lower camel case,
// each with a value; and logs.md has no others.
func TestLogKeysAreOfOneList(t *testing.T) {
	page := string(read(t, "logs.md"))
	listed, last := map[string]bool{}, ""
	for _, found := range logKey.FindAllStringSubmatch(page, -1) {
		if found[1] <= last || !camel.MatchString(found[1]) {
			t.Errorf("logs.md: the key %s is out of order, or not in lower camel case", found[1])
		}
		last = found[1]
		listed[last] = true
	}
	l := &logReader{used: map[string]bool{}}
	for _, folder := range []string{"../controllers", "../internal", "../cmd"} {
		l.readFolder(t, folder)
	}
	if l.calls < 30 {
		t.Errorf("%d calls were found: does the test still know what logs?", l.calls)
	}
	for _, problem := range l.problems {
		t.Error(problem)
	}
	for key := range l.used {
		if !listed[key] {
			t.Errorf("%q is logged, and logs.md does not tell of it", key)
		}
		delete(listed, key)
	}
	for key := range listed {
		t.Errorf("logs.md tells of %q, which is never logged", key)
	}
	for _, found := range aLogLine.FindAllStringSubmatch(page, -1) {
		if !l.used[found[1]] && !ofLibrary[found[1]] {
			t.Errorf("the line in logs.md has the key %q, which is never logged", found[1])
		}
	}
}

// TestLogReaderFinds: what is not as it should be is found, so that the test above is worth something.
func TestLogReaderFinds(t *testing.T) {
	for call, want := range map[string]string{
		`log.Info("text", "host", h)`:                               "",
		`log.V(1).Info("text", "host", h, "zone", z)`:               "",
		`l.Error(err, "text", append(about(e), "zone", z)...)`:      "",
		`http.Error(w, err.Error(), 500)`:                           "",
		`g.Do(guard.Zone, f, words...)`:                             "",
		`g.Do(guard.Zone, f, "Zone", z)`:                            `"Zone" is not in lower camel case`,
		`log.Info("text", "host")`:                                  "a key without a value",
		`l.Error(err, "text", "host")`:                              "a key without a value",
		`log.WithValues("the-zone", z).Info("text")`:                `"the-zone" is not in lower camel case`,
		`log.Info("text", key, z)`:                                  "a key is no constant",
		`log.Info("text", other...)`:                                "whose keys are not known",
		`l.Error(err, "text", append(about(e), "zone", z, "x")...)`: "a key without a value",
		`log.Info("text", aServer, z)`:                              "",
	} {
		l := &logReader{used: map[string]bool{}}
		source := "package p\nconst aServer = \"server\"\nfunc about(e any) []any { return []any{\"object\", e} }\n" +
			"func f(words ...any) {\n" + call + "\n}\n"
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		l.set = token.NewFileSet()
		l.readPackage([]*ast.File{file})
		got := strings.Join(l.problems, "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}

// logReader reads what is logged. It goes by names, as a reader of the code does.
type logReader struct {
	set      *token.FileSet
	used     map[string]bool
	problems []string
	calls    int
	// constants of the package that is read, and functions that give keys and values.
	constants map[string]string
	givers    map[string]bool
	// known are the variables of the function that is read which hold keys and values.
	known map[string]bool
}

func (l *logReader) readFolder(t *testing.T, folder string) {
	t.Helper()
	l.set = token.NewFileSet()
	packages := map[string][]*ast.File{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(l.set, path, nil, parser.SkipObjectResolution)
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
		return err
	})
	if err != nil || len(packages) == 0 {
		t.Fatalf("read %s: %d packages, %v", folder, len(packages), err)
	}
	for _, files := range packages {
		l.readPackage(files)
	}
}

func (l *logReader) readPackage(files []*ast.File) {
	l.constants, l.givers = map[string]string{}, map[string]bool{}
	for _, file := range files {
		for _, d := range file.Decls {
			l.declares(d)
		}
	}
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				l.readFunction(f)
			}
		}
	}
}

func (l *logReader) declares(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if r := d.Type.Results; d.Recv == nil && r != nil && len(r.List) == 1 && isAnys(r.List[0].Type) {
			l.givers[d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			value, ok := spec.(*ast.ValueSpec)
			for i := 0; ok && d.Tok == token.CONST && i < len(value.Values); i++ {
				if text, constant := literal(value.Values[i]); constant {
					l.constants[value.Names[i].Name] = text
				}
			}
		}
	}
}

func (l *logReader) readFunction(f *ast.FuncDecl) {
	l.known = map[string]bool{}
	for _, p := range f.Type.Params.List {
		if rest, ok := p.Type.(*ast.Ellipsis); isAnys(p.Type) || ok && isAny(rest.Elt) {
			for _, name := range p.Names {
				l.known[name.Name] = true // its callers are read
			}
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, value := range n.Rhs {
				if name, ok := n.Lhs[i].(*ast.Ident); ok && l.gives(value) {
					l.known[name.Name] = true
				}
			}
		case *ast.CompositeLit:
			// Others than those of keys begin with something else, or are read once too often.
			if _, text := first(n.Elts); isAnys(n.Type) && text {
				l.pairs(n, n.Elts, false)
			}
		case *ast.CallExpr:
			l.readCall(f.Name.Name, n)
		}
		return true
	})
}

// readCall reads a call that logs.
func (l *logReader) readCall(within string, c *ast.CallExpr) {
	method, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	skip := -1
	switch name := method.Sel.Name; {
	case name == "WithValues", name == "With" && strings.HasSuffix(writtenAs(method.X), "Guard"):
		skip = 0
	case name == "Info":
		skip = 1
	case name == "Error" && len(c.Args) >= 2 && writtenAs(method.X) != "http", name == "Do" && len(c.Args) >= 2 && strings.HasPrefix(writtenAs(c.Args[0]), "guard."):
		skip = 2
	case name == "try" && len(c.Args) == 4:
		l.calls++
		l.pairs(c, c.Args[:2], false)
		return
	}
	if skip < 0 || len(c.Args) < skip || within == "try" {
		return
	}
	l.calls++
	l.pairs(c, c.Args[skip:], c.Ellipsis.IsValid())
}

// pairs reads keys with their values; where spread is true, the last of them are many.
func (l *logReader) pairs(at ast.Node, list []ast.Expr, spread bool) {
	if spread {
		last := list[len(list)-1]
		if !l.gives(last) {
			l.problem(at, "something is logged whose keys are not known")
		}
		if more, ok := last.(*ast.CallExpr); ok && writtenAs(more.Fun) == "append" {
			l.pairs(more, more.Args[1:], more.Ellipsis.IsValid())
		}
		list = list[:len(list)-1]
	}
	if len(list)%2 != 0 {
		l.problem(at, "a key without a value is logged")
		list = list[:len(list)-1]
	}
	for i := 0; i < len(list); i += 2 {
		key, ok := literal(list[i])
		if name, is := list[i].(*ast.Ident); is && !ok {
			key, ok = l.constants[name.Name]
		}
		switch {
		case !ok:
			l.problem(at, "a key is no constant")
		case !camel.MatchString(key):
			l.problem(at, "the key "+strconv.Quote(key)+" is not in lower camel case")
		default:
			l.used[key] = true
		}
	}
}

// gives says whether an expression is a list of keys and values that is read where it is made.
func (l *logReader) gives(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return l.known[e.Name]
	case *ast.CompositeLit:
		_, text := first(e.Elts)
		return isAnys(e.Type) && text
	case *ast.CallExpr:
		if writtenAs(e.Fun) == "append" {
			return l.gives(e.Args[0])
		}
		return l.givers[writtenAs(e.Fun)]
	}
	return false
}

func (l *logReader) problem(at ast.Node, what string) {
	l.problems = append(l.problems, l.set.Position(at.Pos()).String()+": "+what)
}

// writtenAs is a name as it stands there: x or x.y; for a longer expression its end.
func writtenAs(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return writtenAs(e.X) + "." + e.Sel.Name
	}
	return ""
}

func first(list []ast.Expr) (string, bool) {
	if len(list) == 0 {
		return "", false
	}
	return literal(list[0])
}

func literal(e ast.Expr) (string, bool) {
	text, ok := e.(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(text.Value)
	return value, err == nil
}

func isAny(e ast.Expr) bool { return writtenAs(e) == "any" }

func isAnys(e ast.Expr) bool {
	list, ok := e.(*ast.ArrayType)
	return ok && list.Len == nil && isAny(list.Elt)
}
