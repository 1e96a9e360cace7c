package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// helped is a target in the list of "make help".
var helped = regexp.MustCompile(`(?m)^  ([a-z-]+) +(\S.*)$`)

// TestHelpOfMakeIsInGroups: every target that stands in the Makefile for people is listed once, in a group, in a line
// that a terminal has room for; what a newcomer begins with comes first; and none of them is taken for a file.
func TestHelpOfMakeIsInGroups(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "make", "-C", "..", "--no-print-directory", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, list)
	}
	text := string(list)
	groups := regexp.MustCompile(`(?m)^([A-Z].*)$`).FindAllString(text, -1)
	if len(groups) < 4 || groups[0] != "Start here" || !strings.HasPrefix(text, "\nStart here\n") {
		t.Errorf("the groups are %q", groups)
	}
	database, _ := exec.CommandContext(t.Context(), "make", "-C", "..", "-pnr", "help").Output() //nolint:errcheck // what it prints tells
	_, phony, _ := strings.Cut(string(database), "\n.PHONY:")
	phony, _, _ = strings.Cut(phony, "\n")
	seen := map[string]bool{}
	for _, found := range helped.FindAllStringSubmatch(text, -1) {
		name := found[1]
		if seen[name] {
			t.Errorf("%s is listed twice", name)
		}
		seen[name] = true
		if utf8.RuneCountInString(found[0]) > 120 {
			t.Errorf("the line of %s is too long: %s", name, found[0])
		}
		if !strings.Contains(phony+" ", " "+name+" ") {
			t.Errorf("%s is not .PHONY: a file of that name would keep it from being made", name)
		}
	}
	for _, found := range rule.FindAllStringSubmatch(string(read(t, "../Makefile")), -1) {
		if !seen[found[1]] {
			t.Errorf("make help does not tell of %s", found[1])
		}
	}
}

// TestReadmeSaysWhatTheDemoNeeds: who tries it first is told what has to be there, and which Go.
func TestReadmeSaysWhatTheDemoNeeds(t *testing.T) {
	_, needs, _ := strings.Cut(string(read(t, "../README.md")), "\nneeds ")
	needs, _, _ = strings.Cut(needs, "no cluster")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(read(t, "../go.mod")))
	if len(version) != 2 {
		t.Fatal("go.mod names no version of Go")
	}
	for _, want := range []string{"Go " + version[1] + ",", "bash", "GNU make", "network", "proxy for Go modules"} {
		if !strings.Contains(needs, want) {
			t.Errorf("README.md does not say that the demo needs %q: it says %q", want, needs)
		}
	}
}
