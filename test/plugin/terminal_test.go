package plugin

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// program is kubectl-dane as make build makes it.
var program = sync.OnceValues(func() (string, error) {
	root, err := kube.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cluster.Dir, "kubectl-dane")
	build := exec.Command("go", "build", "-C", root, "-o", path, "./cmd/kubectl-dane")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kubectl-dane: %w\n%s", err, out)
	}
	return path, nil
})

// started is the program at work.
type started struct {
	*testing.T
	cmd *exec.Cmd
	// ended is closed when all that it printed is read.
	ended chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
}

// command is the program with more in its environment.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	must(t, err)
	cmd := exec.Command(path, args...) //nolint:gosec // just built
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// atTerminal starts the program at a terminal of its own.
func atTerminal(t *testing.T, env []string, args ...string) *started {
	t.Helper()
	s := &started{T: t, cmd: command(t, env, args...), ended: make(chan struct{})}
	terminal, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 50, Cols: 160})
	must(t, err)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended by itself
		<-s.ended
		_ = terminal.Close()
	})
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(s, terminal) // it ends with an error when nobody has the other side open
	}()
	return s
}

// Write implements io.Writer.
func (s *started) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

// printed is what stands there, with the ends of lines as the program wrote them.
func (s *started) printed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.text.String(), "\r\n", "\n")
}

// waits until the program has printed a text.
func (s *started) waits(text string) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(s.printed(), text) {
			return
		}
	}
	s.Fatalf("%v never prints %q:\n%q", s.cmd.Args, text, s.printed())
}

// finish waits for the end and gives all that was printed.
func (s *started) finish() string {
	s.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.Fatalf("%v does not end:\n%q", s.cmd.Args, s.printed())
	}
	_ = s.cmd.Wait() // what it printed tells
	return s.printed()
}

var (
	colours = regexp.MustCompile("\x1b\\[[0-9;]*m")
	bars    = regexp.MustCompile("(?m)^[█░]{20} .*\n")
	ages    = regexp.MustCompile(`\d+[smhd]\d*[smhd]?( ago)?|20\d\d-\S+ \S+Z`)
)

// TestColoursAndBarsAtATerminal: the program prints them there, and nowhere else unless it is told to; the letters are
// the same.
func TestColoursAndBarsAtATerminal(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	md := settled(t, namespace, strings.Repeat("0a", 32))
	now := time.Now()
	begun, end := metav1.NewTime(now.Add(-time.Hour)), metav1.NewTime(now.Add(time.Hour))
	md.Status.MailServers[0].Keys = append(md.Status.MailServers[0].Keys, v1alpha1.KeyStatus{
		SPKISHA256: strings.Repeat("0b", 32), Certificate: "mx1", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityRumoured, Since: &begun, DeployableAt: &end,
	})
	must(t, cluster.Client.Status().Update(t.Context(), md))
	args := []string{"--kubeconfig", cluster.Kubeconfig, "--namespace", namespace, "status", "example"}
	piped := func(env []string, more ...string) string {
		out, err := command(t, env, append(args, more...)...).CombinedOutput()
		must(t, err)
		return string(out)
	}
	plain := piped(nil)
	for _, c := range []struct {
		reason, printed string
		colours, bars   bool
	}{
		{"a pipe", plain, false, false},
		{"a terminal", atTerminal(t, nil, args...).finish(), true, true},
		{"a terminal, and NO_COLOR", atTerminal(t, []string{"NO_COLOR=1"}, args...).finish(), false, true},
		{"a terminal that knows only lines", atTerminal(t, []string{"TERM=dumb"}, args...).finish(), false, false},
		{"a terminal, never", atTerminal(t, nil, append(args, "--color=never")...).finish(), false, true},
		{"a pipe, always", piped([]string{"NO_COLOR=1"}, "--color", "always"), true, true},
		{"a terminal, an object", atTerminal(t, nil, append(args, "-o", "yaml")...).finish(), false, false},
	} {
		bare := colours.ReplaceAllString(c.printed, "")
		if colours.MatchString(c.printed) != c.colours || bars.MatchString(bare) != c.bars {
			t.Errorf("%s: %q", c.reason, c.printed)
		}
		letters := bars.ReplaceAllString(bare, "")
		same := ages.ReplaceAllString(letters, "") == ages.ReplaceAllString(plain, "")
		if object := strings.HasPrefix(letters, "apiVersion"); !object && !same {
			t.Errorf("%s: the letters are\n%s\nand in a pipe\n%s", c.reason, letters, plain)
		}
	}
}

// TestExplanationsFillTheTerminal: lines are as wide as the terminal, and in a pipe no wider than 80 letters.
func TestExplanationsFillTheTerminal(t *testing.T) {
	widest := func(text string) int {
		most := 0
		for line := range strings.Lines(colours.ReplaceAllString(text, "")) {
			most = max(most, len(strings.TrimRight(line, "\n")))
		}
		return most
	}
	piped, err := command(t, nil, "explain", "GateBypassed").CombinedOutput()
	must(t, err)
	shown := atTerminal(t, nil, "explain", "GateBypassed").finish()
	if in, at := widest(string(piped)), widest(shown); in > 80 || at <= 80 || at > 160 {
		t.Errorf("the widest line in a pipe has %d letters:\n%s\nand at a terminal of 160 %d:\n%s", in, piped, at, shown)
	}
}

// nobody is an address that takes connections and datagrams and never answers.
func nobody(t *testing.T) string {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1")).String()
	l, err := net.Listen("tcp", addr)
	must(t, err)
	silent, err := net.ListenPacket("udp", addr)
	must(t, err)
	t.Cleanup(func() { _ = l.Close(); _ = silent.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return addr
}

// TestProgressAtATerminal: each command that may have to wait says for what when a second is over, and takes that away at
// its end; in a pipe none of them does.
func TestProgressAtATerminal(t *testing.T) {
	silent := nobody(t)
	file := filepath.Join(t.TempDir(), "md.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, mailDomain, "default"), 0o600))
	server := []string{"--server", "http://" + silent, "--kubeconfig", os.DevNull, "--namespace", "default"}
	const waiting = "waiting for the API server"
	for _, c := range []struct {
		says string
		args []string
	}{
		{"looking whether example.com can be validated from here", []string{"check", "example.com", "--resolvers", silent}},
		{"looking, 1 of ", append([]string{"doctor"}, server...)},
		{waiting, append([]string{"plan", "-f", file}, server...)},
		{waiting, append([]string{"zone", "example.com"}, server...)},
		{waiting, append([]string{"rollover", "mx1.example.com"}, server...)},
		{waiting, append([]string{"status"}, server...)},
		{waiting, append([]string{"records", "example.com"}, server...)},
		{waiting, append([]string{"reports", "example.com"}, server...)},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			var out bytes.Buffer
			pipe := command(t, nil, c.args...)
			pipe.Stdout, pipe.Stderr = &out, &out
			must(t, pipe.Start())
			s := atTerminal(t, nil, c.args...)
			s.waits("\r\x1b[K" + c.says)
			s.waits(" … 2s") // by now the other one has waited for more than a second too
			for _, cmd := range []*exec.Cmd{pipe, s.cmd} {
				must(t, cmd.Process.Signal(os.Interrupt))
			}
			_ = pipe.Wait() // interrupted
			if text := out.String(); text == "" || strings.ContainsAny(text, "…\x1b") {
				t.Errorf("in a pipe: %q", text)
			}
			printed := s.finish()
			if at := strings.LastIndex(printed, "…"); !strings.Contains(printed[at:], "\r\x1b[K") {
				t.Errorf("at the end the line still stands there: %q", printed)
			}
		})
	}
}
