package guard

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
)

// lines are what was logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) guard(count func(Part)) *Guard {
	return New(funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, args)
	}, funcr.Options{Verbosity: 1}), count)
}

func panics(with any) { panic(with) }

func spoil(g *Guard) { g.seen = nil }

func divides(by int) int { return 1 / by }

// TestPanicsOfEveryKind wants each to be told, with where it began and what it is about, and counted.
func TestPanicsOfEveryKind(t *testing.T) {
	var empty []int
	for _, row := range []struct {
		reason string
		task   func()
		says   []string
	}{
		{"a text", func() { panics("too short") }, []string{"panic: too short", "guard.panics (guard_test.go:"}},
		{"an error", func() { panics(errors.New("no such key")) }, []string{"no such key", "guard.panics"}},
		{"nil", func() { panics(nil) }, []string{"panic called with nil"}},
		{"an index out of range", func() { empty[len(empty)]++ }, []string{"index out of range"}},
		{"a nil pointer", func() { spoil(nil) }, []string{"nil pointer"}},
		{"a division", func() { _ = divides(len(empty)) }, []string{"divide by zero", "guard.divides"}},
		{"a text without end", func() { panics(strings.Repeat("x", 1<<20)) }, []string{strings.Repeat("x", 900)}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			var l lines
			var counted []Part
			g := l.guard(func(p Part) { counted = append(counted, p) })
			if g.Do(Zone, row.task, "zone", "example.test.") {
				t.Error("it is said to have ended")
			}
			if len(counted) != 1 || counted[0] != Zone {
				t.Errorf("counted %v", counted)
			}
			if len(l.all) != 1 || len(l.all[0]) > 20000 {
				t.Fatalf("%d lines", len(l.all))
			}
			for _, word := range append(row.says, `"zone"="example.test."`, `"part"="zone"`, `"stack"=`) {
				if !strings.Contains(l.all[0], word) {
					t.Errorf("no %s in %s", word, l.all[0])
				}
			}
		})
	}
}

// TestStackIsLoggedOnce wants what fails over and over to fill no log, and every panic to be counted.
func TestStackIsLoggedOnce(t *testing.T) {
	var l lines
	counted := 0
	g := l.guard(func(Part) { counted++ })
	for range 3 {
		g.Do(Probe, func() { panics("again") })
	}
	// One that is told more shares what is known of the others.
	g.With("host", "mx1.example.test").Do(Probe, func() { _ = divides(0) })
	g.Do(Probe, func() { _ = divides(0) })
	stacks := 0
	for _, line := range l.all {
		if strings.Contains(line, `"stack"=`) {
			stacks++
		}
	}
	if len(l.all) != 5 || stacks != 2 || counted != 5 || !strings.Contains(l.all[3], `"host"="mx1.example.test"`) {
		t.Errorf("%d lines, %d stacks, %d counted: %q", len(l.all), stacks, counted, l.all)
	}
}

func TestWhatEndsIsNotTold(t *testing.T) {
	var l lines
	g, ran := l.guard(nil), false
	if !g.Do(Zone, func() { ran = true }) || !ran || len(l.all) > 0 {
		t.Errorf("ran %t, logged %q", ran, l.all)
	}
	// What a test that fails ends its goroutine with is no panic.
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Do(Zone, runtime.Goexit)
	}()
	if <-done; len(l.all) > 0 {
		t.Errorf("logged %q", l.all)
	}
}

// TestWithoutAGuard wants a panic to come through where nobody asked for a guard: a test is to fail by it.
func TestWithoutAGuard(t *testing.T) {
	var none *Guard
	defer func() {
		if recover() == nil {
			t.Error("the panic was kept")
		}
	}()
	if none.With("zone", "x") != nil || !none.Do(Zone, func() {}) {
		t.Error("it did not end")
	}
	none.Do(Zone, func() { panics("through") })
}

func TestNobodyCounts(t *testing.T) {
	if Silent().Do(Metrics, func() { panics("silent") }) {
		t.Error("it is said to have ended")
	}
}
