package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutantsAreUpToDate: the text that each mutant replaces stands once in its file.
func TestMutantsAreUpToDate(t *testing.T) {
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", m.file))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: its text stands in %s %d times", m.name, m.file, n)
		}
	}
}
