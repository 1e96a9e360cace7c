// Package harness holds what the benchmark programs share: the servers of the tests without a test
// around them, an actor on such a server, and the bare limit to compare it with.
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// errFailed ends a run that called Fatal or FailNow.
var errFailed = errors.New("the benchmark failed; see above")

// tb stands in for a test: what starts the servers of the tests takes a testing.TB.
type tb struct {
	// TB is nil: what is not implemented here is not used, and panics if it is.
	testing.TB
	name string
	//nolint:containedctx // testing.TB gives its context out by a method
	ctx context.Context

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// Run runs a program's body as if it were a test: what it starts is ended afterwards, last first. The
// error says that it failed.
func Run(name string, body func(testing.TB)) error {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tb{name: name, ctx: ctx}
	t.inside(func() { body(t) })
	// As in a test, the context ends before the cleanups begin.
	cancel()
	for f := t.pop(); f != nil; f = t.pop() {
		t.inside(f)
	}
	if t.Failed() {
		return errFailed
	}
	return nil
}

// inside runs f on a goroutine of its own, which FailNow can end.
func (t *tb) inside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (t *tb) pop() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.cleanups)
	if n == 0 {
		return nil
	}
	f := t.cleanups[n-1]
	t.cleanups = slices.Delete(t.cleanups, n-1, n)
	return f
}

// The methods below are those of testing.TB.

func (t *tb) Helper() {}

func (t *tb) Name() string { return t.name }

func (t *tb) Context() context.Context { return t.ctx }

func (t *tb) Log(args ...any) { fmt.Fprintln(os.Stderr, args...) }

func (t *tb) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (t *tb) Error(args ...any) {
	t.Log(args...)
	t.Fail()
}

func (t *tb) Errorf(format string, args ...any) {
	t.Logf(format, args...)
	t.Fail()
}

func (t *tb) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

func (t *tb) Fatalf(format string, args ...any) {
	t.Logf(format, args...)
	t.FailNow()
}

func (t *tb) Fail() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
}

func (t *tb) FailNow() {
	t.Fail()
	runtime.Goexit()
}

func (t *tb) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *tb) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *tb) TempDir() string {
	dir, err := os.MkdirTemp("", t.name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
