package walk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is one thing that a page wants its reader to do.
type step struct {
	// command is a line to type, or else block is to be saved; language stands behind the fence of a block.
	command, block, language string
}

// steps are those of a page, in its order: its fenced blocks, of which those of language sh are lines to type, and the
// indented lines that are no comments.
func steps(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	var out []step
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if language, ok := strings.CutPrefix(line, "```"); ok {
			block := ""
			for i++; i < len(lines) && lines[i] != "```"; i++ {
				block += lines[i] + "\n"
			}
			if language != "sh" {
				out = append(out, step{block: block, language: language})
				continue
			}
			for command := range strings.Lines(block) {
				out = append(out, step{command: strings.TrimSpace(command)})
			}
			continue
		}
		command, ok := strings.CutPrefix(line, "    ")
		if !ok || strings.HasPrefix(command, "#") {
			continue
		}
		for strings.HasSuffix(command, "\\") && i+1 < len(lines) {
			i++
			command = strings.TrimSuffix(command, "\\") + strings.TrimSpace(lines[i])
		}
		out = append(out, step{command: command})
	}
	if len(out) < 3 {
		t.Fatalf("%s has %d steps: does the test still find them?", page, len(out))
	}
	return out
}

// TestSteps reads the marks of a page.
func TestSteps(t *testing.T) {
	got := steps(t, filepath.Join("test", "walk", "testdata", "page.md"))
	want := []step{
		{command: "first"}, {command: "second --with this"}, {block: "a: b\n\nc: d\n", language: "yaml"},
		{block: "    not a command\n"}, {command: "in a block"}, {command: "and another"}, {command: "last   # said"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d steps, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("step %d is %q, want %q", i, got[i], want[i])
		}
	}
}
