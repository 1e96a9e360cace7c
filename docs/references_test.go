package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the documents for people.
func pages(t *testing.T) []string {
	t.Helper()
	out, err := filepath.Glob("*.md")
	if err != nil || len(out) < 5 {
		t.Fatalf("%d pages: %v", len(out), err)
	}
	return append(out, "../README.md", "../CONTRIBUTING.md")
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	inline  = regexp.MustCompile("`([^`]+)`")
	block   = regexp.MustCompile(`(?m)^    (.+)$`)
	rule    = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	making  = regexp.MustCompile(`(?:^|[\s;&(])make ([a-z][a-z-]*)`)
	flag    = regexp.MustCompile(`(?:^|[\s"'=\[,])--([a-z][a-z0-9-]*)`)
)

// TestLinksResolve: every relative link leads to a file, and to a heading where it names one.
func TestLinksResolve(t *testing.T) {
	tried := 0
	for _, page := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(string(read(t, page)), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			tried++
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if matches, err := filepath.Glob(file); err != nil || len(matches) != 1 {
				t.Errorf("%s: the link %s leads nowhere", page, found[1])
			} else if anchor != "" && !slices.Contains(anchors(string(read(t, file))), anchor) {
				t.Errorf("%s: the link %s names a heading that is not there", page, found[1])
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d links were found: does the test still read the right files?", tried)
	}
}

// anchors are the headings of a page as links name them.
func anchors(page string) []string {
	var out []string
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(h[1]))
		out = append(out, kept)
	}
	return out
}

// code is what a page sets as code, one command or expression each.
func code(page string) []string {
	page = strings.ReplaceAll(page, "\\\n", " ") // a command may go on in the next line
	var out []string
	take := func(from *regexp.Regexp) {
		for _, found := range from.FindAllStringSubmatch(page, -1) {
			out = append(out, strings.Split(found[1], "\n")...)
		}
		page = from.ReplaceAllString(page, "")
	}
	take(fence)
	take(block)
	page = strings.Join(strings.Fields(page), " ") // what stands between backticks may be broken
	take(inline)
	return out
}

// TestMakeTargetsExist: every "make TARGET" that a page names is one of the Makefile.
func TestMakeTargetsExist(t *testing.T) {
	targets := map[string]bool{}
	for _, found := range rule.FindAllStringSubmatch(string(read(t, "../Makefile")), -1) {
		targets[found[1]] = true
	}
	tried := map[string]bool{}
	for _, page := range pages(t) {
		for _, snippet := range code(string(read(t, page))) {
			for _, found := range making.FindAllStringSubmatch(snippet, -1) {
				tried[found[1]] = true
				if !targets[found[1]] {
					t.Errorf("%s: the Makefile has no target %q, which %q wants", page, found[1], snippet)
				}
			}
		}
	}
	for _, want := range []string{"demo", "test", "run"} {
		if !tried[want] {
			t.Errorf("no page says make %s: does the test still find what they say?", want)
		}
	}
}

// others are programs whose flags are none of ours.
var others = []string{"kubectl", "helm", "docker", "kustomize", "go", "dig", "tsig-keygen", "kind", "apt-get", "acme.sh", "external-dns"}

// flagsIn are the flags that a help tells of.
func flagsIn(help string) map[string]bool {
	out := map[string]bool{}
	for _, found := range flag.FindAllStringSubmatch(help, -1) {
		out[found[1]] = true
	}
	return out
}

// reportsHelp are the words of "dane-operator reports" on its flags.
func reportsHelp(t *testing.T) string {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), "go", "run", "../cmd/dane-operator", "reports", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("ask for the flags of reports: %v\n%s", err, help)
	}
	return string(help)
}

// reportsRow is a flag of the receiver as tls-reports.md tells of it, with its default.
var reportsRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)[^`]*` \\| ([^|]*) \\|")

// TestPageOfReportsHasItsFlags: tls-reports.md has every flag of the receiver with its default, and no other.
func TestPageOfReportsHasItsFlags(t *testing.T) {
	rows := map[string]string{}
	for _, found := range reportsRow.FindAllStringSubmatch(string(read(t, "tls-reports.md")), -1) {
		rows[found[1]] = strings.Trim(strings.TrimSpace(found[2]), "`")
	}
	help := reportsHelp(t)
	for _, found := range flagLine.FindAllStringSubmatch(help, -1) {
		name, value := found[1], found[2]
		said, ok := rows[name]
		delete(rows, name)
		if name == "help" {
			continue
		}
		if said, _, _ = strings.Cut(said, "`"); !ok || value != "" && !sameDefault(said, value) && said+"0s" != value {
			t.Errorf("tls-reports.md says that --%s is %q by default, the receiver that it is %q", name, said, value)
		}
	}
	for name := range rows {
		t.Errorf("tls-reports.md tells of --%s, which the receiver does not have", name)
	}
}

// TestFlagsExist: every flag that a page or the Deployment gives to the operator is one of it.
func TestFlagsExist(t *testing.T) {
	ofOperator, ofReports := flagsIn(helpOf(t)), flagsIn(reportsHelp(t))
	if !ofOperator["kubeconfig"] || !ofOperator["workers"] || !ofReports["kubeconfig"] || !ofReports["retention"] || ofReports["workers"] {
		t.Fatalf("the help has the flags %v and %v: does the test still read it right?", ofOperator, ofReports)
	}
	tried := 0
	check := func(where, text string) {
		for _, found := range flag.FindAllStringSubmatch(text, -1) {
			tried++
			known := ofOperator
			if where == "tls-reports.md" || where == "config/reports/deployment.yaml" {
				known = ofReports
			}
			if !known[found[1]] {
				t.Errorf("%s: the operator has no flag --%s, which %q wants", where, found[1], text)
			}
		}
	}
	for _, page := range pages(t) {
		if page == "kubectl-dane.md" {
			continue // the flags are the plugin's: see TestPageOfPluginIsComplete
		}
		for _, snippet := range code(string(read(t, page))) {
			if words := strings.Fields(snippet); len(words) > 0 && !slices.Contains(others, words[0]) {
				check(page, snippet)
			}
		}
	}
	for _, file := range []string{"config/manager/manager.yaml", "config/reports/deployment.yaml"} {
		for line := range strings.Lines(string(read(t, "../"+file))) {
			check(file, strings.TrimSpace(line))
		}
	}
	if tried < 5 {
		t.Errorf("only %d flags were found: does the test still find them?", tried)
	}
}
