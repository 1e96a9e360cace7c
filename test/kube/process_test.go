package kube

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell runs a shell script as a Process.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p := &Process{Name: "shell", LogFile: filepath.Join(t.TempDir(), "log"), path: "/bin/sh", args: []string{"-c", script}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// saysTimes waits until a word stands in the log so many times.
func saysTimes(t *testing.T, p *Process, word string, times int) {
	t.Helper()
	for deadline := time.Now().Add(stopTimeout); strings.Count(p.Tail(10), word) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say %q %d times; log: %s", word, times, p.Tail(10))
		}
	}
}

// TestProcessEnds: how a program ended is told once, to whoever ends it.
func TestProcessEnds(t *testing.T) {
	const ready = "echo ready; "
	rows := []struct {
		reason, script string
		kill, await    bool
		want           string
	}{
		{"one that ends when told", ready + "exec sleep 600", false, false, ""},
		{"one that tidies up first", "trap 'exit 0' TERM; " + ready + "while :; do sleep 0.1; done", false, false, ""},
		{"one that is killed", ready + "exec sleep 600", true, false, ""},
		{"one that fails to tidy up", "trap 'echo cannot; exit 3' TERM; " + ready + "while :; do sleep 0.1; done", false, false, "failed at its end: exit status 3; its log ends with:\nready\ncannot"},
		{"one that crashed", ready + "exit 4", false, true, "ended by itself: exit status 4"},
		{"one that crashed before it could be killed", ready + "exit 4", true, true, "ended by itself: exit status 4"},
		{"one that ended without a word", ready, false, true, "ended by itself: exit status 0"},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			p := shell(t, row.script)
			saysTimes(t, p, "ready", 1) // the shell sets its trap before it says so
			if row.await {
				<-p.Done()
			}
			end := p.Stop
			if row.kill {
				end = p.Kill
			}
			err := end()
			if (row.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("want %q, got %v", row.want, err)
			}
			if p.Running() {
				t.Error("it runs still")
			}
			if err := p.Stop(); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

// TestProcessRestarts: the log is kept over a restart, and one that runs is not started twice.
func TestProcessRestarts(t *testing.T) {
	p := shell(t, "echo started; exec sleep 600")
	if err := p.Start(); err == nil {
		t.Error("a program that runs was started again")
	}
	saysTimes(t, p, "started", 1) // killed before, it would have said nothing
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	saysTimes(t, p, "started", 2)
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}
