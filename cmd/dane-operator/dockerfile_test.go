package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var copied = regexp.MustCompile(`(?m)^COPY ([a-z]+) ([a-z]+)$`)

// TestDockerfileCopiesWhatIsCompiled: the folders that it copies are those that the operator is made of.
func TestDockerfileCopiesWhatIsCompiled(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.Dir}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	for dir := range strings.Lines(string(list)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(dir), root+string(filepath.Separator)); ok {
			top, _, _ := strings.Cut(own, string(filepath.Separator))
			needed[top] = true
		}
	}
	if !needed["cmd"] {
		t.Fatalf("the operator is made of the folders %v: does the test still read the list right?", needed)
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range copied.FindAllStringSubmatch(string(text), -1) {
		if found[1] != found[2] || !needed[found[1]] {
			t.Errorf("%s: nothing of it is compiled from there", found[0])
		}
		delete(needed, found[1])
	}
	for dir := range needed {
		t.Errorf("the folder %s is compiled, and not copied", dir)
	}
}
