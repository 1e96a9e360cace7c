package kube

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fakeGo stands in for the go command: it notes every call, finds no download, and "builds" what -o
// names, unless FAKE_GO_FAILS is set.
const fakeGo = `#!/usr/bin/env bash
echo "$*" >>"$FAKE_GO_CALLS"
case $1 in
list) echo v1.99.3 ;;
env) [[ $2 == GOOS ]] && echo anos || echo anarch ;;
install) exit 1 ;;
build)
	[[ -z ${FAKE_GO_FAILS:-} ]] || { echo "the compiler is unhappy" >&2; exit 1; }
	sleep 0.5
	while [[ $1 != -o ]]; do shift; done
	echo built >"$2"
	chmod +x "$2"
	;;
esac
`

// script runs hack/envtest.sh with fakeGo.
type script struct {
	t                *testing.T
	root, dir, calls string
	env              []string
}

func newScript(t *testing.T) *script {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(fakeGo), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, root: root, dir: filepath.Join(t.TempDir(), "cache"), calls: filepath.Join(bin, "calls")}
	s.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBE_ASSETS_DIR="+s.dir, "FAKE_GO_CALLS="+s.calls)
	return s
}

func (s *script) run(args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.root, "hack", "envtest.sh"), args...)
	cmd.Env = s.env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	return string(out), errs.String(), err
}

// builds counts the calls of go build that ended in the given package.
func (s *script) builds(pkg string) int {
	s.t.Helper()
	text, err := os.ReadFile(s.calls)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for call := range strings.Lines(string(text)) {
		if strings.HasPrefix(call, "build ") && strings.HasSuffix(call, " "+pkg+"\n") {
			n++
		}
	}
	return n
}

// TestEnvtestBuildsOnce: two at once and one after them share one build, each prints the folder and
// nothing else, and no lock stays behind.
func TestEnvtestBuildsOnce(t *testing.T) {
	s := newScript(t)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if out, errs, err := s.run(); err != nil || out != s.dir+"\n" {
				t.Errorf("printed %q, want the folder: %v\n%s", out, err, errs)
			}
		})
	}
	group.Wait()
	if out, errs, err := s.run(); err != nil || out != s.dir+"\n" || errs != "" {
		t.Errorf("with everything there it printed %q and said %q: %v", out, errs, err)
	}
	if n := s.builds("k8s.io/kubernetes/cmd/kube-apiserver"); n != 1 {
		t.Errorf("kube-apiserver was built %d times", n)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, want the two programs alone: %v", entries, err)
	}
}

// TestEnvtestTakesOverADeadLock: a run that was killed does not stop the next one.
func TestEnvtestTakesOverADeadLock(t *testing.T) {
	s := newScript(t)
	dead := exec.CommandContext(t.Context(), "true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(s.dir, ".lock")
	if err := os.MkdirAll(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(dead.Process.Pid)
	if err := os.WriteFile(filepath.Join(lock, "pid"), []byte(pid), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, err := s.run(); err != nil || out != s.dir+"\n" {
		t.Errorf("printed %q: %v\n%s", out, err, errs)
	}
}

// TestEnvtestFails: a build that fails shows why, leaves nothing half done, and the next try works.
func TestEnvtestFails(t *testing.T) {
	rows := []struct {
		reason string
		args   []string
	}{
		{"kube-apiserver and etcd", nil},
		{"cert-manager", []string{"cert-manager"}},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			s := newScript(t)
			s.env = append(s.env, "FAKE_GO_FAILS=1")
			out, errs, err := s.run(row.args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || out != "" || !strings.Contains(errs, "the compiler is unhappy") {
				t.Errorf("want a failure that shows the compiler's words; printed %q, %v:\n%s", out, err, errs)
			}
			entries, err := os.ReadDir(s.dir)
			if err != nil || len(entries) != 0 {
				t.Errorf("the folder holds %v, want nothing: %v", entries, err)
			}
			s.env = append(s.env, "FAKE_GO_FAILS=")
			out, errs, err = s.run(row.args...)
			if err != nil || !strings.HasPrefix(out, s.dir) {
				t.Errorf("printed %q: %v\n%s", out, err, errs)
			}
		})
	}
}

func TestEnvtestUnknownArgument(t *testing.T) {
	s := newScript(t)
	if _, errs, err := s.run("kubelet"); err == nil || !strings.Contains(errs, "want no argument, cert-manager, pebble, kubectl or kustomize; got: kubelet") {
		t.Errorf("an unknown argument gave %v and said %q", err, errs)
	}
}
