// Command mutants breaks the product in the ways that list.go names, each in a copy of the repository, and
// says whether the simulator notices, or else the test that is named there. One that nothing notices is a
// hole in the tests; the command fails then.
//
//	go -C test run ./sim/mutants -histories 60
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	histories := flag.Int("histories", 60, "how many histories each mutant runs")
	only := flag.String("run", "", "try the mutants alone whose name has this in it")
	root := flag.String("root", "..", "the repository")
	flag.Parse()
	survivors, err := tryAll(*root, *only, *histories)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if survivors > 0 {
		os.Exit(1)
	}
}

func tryAll(root, only string, histories int) (survivors int, err error) {
	dir, err := os.MkdirTemp("", "dane-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := copyTo(root, dir); err != nil {
		return 0, err
	}
	tried := 0
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		tried++
		killer, err := m.try(dir, histories)
		if err != nil {
			return 0, fmt.Errorf("mutant %q: %w", m.name, err)
		}
		if killer == "" {
			survivors++
			killer = "SURVIVED: " + m.why
		}
		fmt.Printf("%-36s %s\n", m.name, killer)
	}
	fmt.Printf("%d mutants, %d killed, %d survived\n", tried, tried-survivors, survivors)
	return survivors, nil
}

// copyTo copies what git knows of, and what is new and not ignored.
func copyTo(root, dir string) error {
	list := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the repository's files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// try breaks the copy, says what has noticed, and mends it again.
func (m mutant) try(dir string, histories int) (killer string, err error) {
	path := filepath.Join(dir, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("its text stands in %s %d times, not once: bring list.go up to date", m.file, n)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(m.old), []byte(m.new), 1), 0o644); err != nil {
		return "", err
	}
	defer func() {
		if mended := os.WriteFile(path, text, 0o644); err == nil {
			err = mended
		}
	}()
	return m.judge(dir, histories)
}

func (m mutant) judge(dir string, histories int) (string, error) {
	sim := filepath.Join(dir, "bin", "sim")
	if out, err := command(filepath.Join(dir, "test"), "go", "build", "-o", sim, "./sim"); err != nil {
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	out, err := command(dir, sim, "-histories", fmt.Sprint(histories), "-failures", "1", "-shrink=false")
	if err != nil {
		return "killed by the simulator: " + firstFailure(out), nil //nolint:nilerr // that it fails is what is wanted
	}
	if m.test == nil {
		return "", nil
	}
	if out, err := command(dir, "go", append([]string{"test", "-count=1"}, m.test...)...); err != nil {
		if strings.Contains(out, "no tests to run") || strings.Contains(out, "build failed") {
			return "", fmt.Errorf("its test cannot be run: %s", out)
		}
		return "killed by " + strings.Join(m.test, " "), nil
	}
	return "", nil
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

func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "FAILED") {
			const longest = 160
			line = strings.TrimSpace(line)
			return line[:min(len(line), longest)]
		}
	}
	return "it hangs or panics"
}
