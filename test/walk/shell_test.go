package walk

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// limit is how long a command of a page may take; the pages themselves give up sooner.
const limit = 6 * time.Minute

// shell is one bash in which commands are typed, so that what one sets the next one has.
type shell struct {
	cmd  *exec.Cmd
	in   io.Writer
	said *bufio.Reader
	mark string
}

// newShell starts one in a folder. It ends with the test.
func newShell(t *testing.T, dir string, env ...string) *shell {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{cmd: exec.Command("bash", "--noprofile", "--norc"), said: bufio.NewReader(read), mark: "done:"}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = dir, append(os.Environ(), env...), write, write
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	done, err := child.Start(s.cmd)
	_ = write.Close() // the child has it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		<-done
		_ = read.Close()
	})
	return s
}

// kill ends the shell and what runs in it.
func (s *shell) kill() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

// run types a command and returns what it said. It is an error if the command, or one of a pipe, fails.
func (s *shell) run(command string) (string, error) {
	watch := time.AfterFunc(limit, s.kill)
	defer watch.Stop()
	// In braces it runs in the shell itself, and has nothing to read.
	if _, err := fmt.Fprintf(s.in, "set -o pipefail\n{ %s\n} </dev/null\nprintf '\\n%s%%d\\n' $?\n", command, s.mark); err != nil {
		return "", err
	}
	var all strings.Builder
	for {
		line, err := s.said.ReadString('\n')
		if err != nil {
			return all.String(), fmt.Errorf("%s: the shell ended, perhaps after %s: %w", command, limit, err)
		}
		code, ok := strings.CutPrefix(line, s.mark)
		if !ok {
			all.WriteString(line)
			continue
		}
		out := strings.TrimSuffix(all.String(), "\n") // the one before the mark
		if code != "0\n" {
			return out, fmt.Errorf("%s: exit code %s: %s", command, strings.TrimSpace(code), out)
		}
		return out, nil
	}
}

// TestShell: variables and folders stay, and failures are seen.
func TestShell(t *testing.T) {
	s := newShell(t, t.TempDir(), "GIVEN=from outside")
	for _, row := range []struct {
		command, want, reason string
		fails                 bool
	}{
		{"a=1; mkdir -p x", "", "nothing is said", false},
		{"cd x", "", "the folder is changed", false},
		{"echo $a $GIVEN ${PWD##*/}   # said", "1 from outside x\n", "what was set stays, and comments are none of it", false},
		{"printf 'no newline'", "no newline", "the mark is not part of it", false},
		{"cat", "", "nobody types", false},
		{"false", "", "a failure", true},
		{"false | true", "", "a failure in a pipe", true},
		{"echo two; echo lines >&2", "two\nlines\n", "it goes on afterwards, errors included", false},
	} {
		out, err := s.run(row.command)
		if out != row.want || (err != nil) != row.fails {
			t.Errorf("%s: %s said %q, %v; want %q, failure %t", row.reason, row.command, out, err, row.want, row.fails)
		}
	}
}
