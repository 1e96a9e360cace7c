package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// judges say who is to notice a mutant.
type judges struct {
	histories  int
	sim, tests bool
}

// verdict says who has noticed; killer is empty when nobody has.
type verdict struct {
	killer string
	bySim  bool
}

// try builds the product with a mutant, and says who notices.
func (j judges) try(root, dir string, m mutant) (verdict, error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return verdict{}, err
	}
	if j.sim {
		killer, err := m.simulate(root, dir, overlay, j.histories)
		if err != nil || killer != "" {
			return verdict{killer, true}, err
		}
	}
	if !j.tests || m.test == nil {
		return verdict{}, nil
	}
	killer, err := m.named(root, overlay)
	return verdict{killer: killer}, err
}

// unbroken makes sure that nobody notices anything where nothing is broken: what fails anyway would kill each mutant.
func (j judges) unbroken(root, dir string, wanted []mutant) error {
	overlay := filepath.Join(dir, "unbroken.json")
	if err := os.WriteFile(overlay, []byte(`{}`), 0o600); err != nil {
		return err
	}
	done := map[string]bool{}
	for _, m := range wanted {
		if key := fmt.Sprint("sim ", m.wire, m.only); j.sim && !done[key] {
			done[key] = true
			if err := quiet(m.simulate(root, dir, overlay, j.histories)); err != nil {
				return fmt.Errorf("the simulator fails without any mutant: %w", err)
			}
		}
		if j.tests && m.test != nil && !done[m.test[0]] {
			done[m.test[0]] = true
			if err := quiet(mutant{test: m.test[:1]}.named(root, overlay)); err != nil {
				return fmt.Errorf("the tests of %s fail without any mutant: %w", m.test[0], err)
			}
		}
	}
	return nil
}

// quiet is an error where somebody has noticed something.
func quiet(killer string, err error) error {
	if err == nil && killer != "" {
		return errors.New(killer)
	}
	return err
}

// overlay writes the broken file, and what tells the compiler to read it.
func (m mutant) overlay(root, dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("its text stands in %s %d times, not once: bring the list up to date", m.file, n)
	}
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, bytes.Replace(text, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// simulate says how the simulator has noticed.
func (m mutant) simulate(root, dir, overlay string, histories int) (string, error) {
	sim := filepath.Join(dir, "sim")
	// Without what a debugger wants, linking takes half as long.
	if out, err := command(filepath.Join(root, "test"), "go", "build", "-overlay", overlay, "-ldflags=-s -w", "-o", sim, "./sim"); err != nil {
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	args := []string{"-histories", fmt.Sprint(histories), "-failures", "1", "-shrink=false"}
	if m.wire {
		args = append(args, "-wire", "all")
	}
	if m.only != "" {
		args = append(args, "-only", m.only)
	}
	out, err := command(root, sim, args...)
	if err == nil {
		return "", nil
	}
	return "killed by the simulator: " + shown(out, "FAILED", "it hangs or panics"), nil
}

// named says how the named test has noticed.
func (m mutant) named(root, overlay string) (string, error) {
	out, err := command(root, "go", slices.Concat([]string{"test", "-overlay", overlay, "-count=1", "-vet=off", "-ldflags=-s -w"}, m.test)...)
	if err == nil {
		if strings.Contains(out, "no tests to run") {
			return "", fmt.Errorf("its test does not exist: %s", out)
		}
		return "", nil
	}
	if strings.Contains(out, "build failed") {
		return "", fmt.Errorf("its test cannot be built: %s", out)
	}
	return "killed by " + shown(out, "    --- FAIL", shown(out, "--- FAIL", "a panic in "+strings.Join(m.test, " "))), nil
}

// longestTry is how long one try may take: a mutant that hangs is noticed too.
const longestTry = 15 * time.Minute

func command(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), longestTry)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return string(out), err
}

// shown is the first line that begins with something, or something else in its place.
func shown(out, prefix, otherwise string) string {
	const longest = 170
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, prefix) {
			line = strings.TrimSpace(line)
			return line[:min(len(line), longest)]
		}
	}
	return otherwise
}
