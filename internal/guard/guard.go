// Package guard keeps what was not foreseen with one zone or host from ending the operator for all others: a
// panic in what handles it is logged, counted, and told to whoever started it, who then knows nothing and waits.
//
// It is for tasks that can be given up as a whole and leave nothing but their result behind. It is not for
// what the operator cannot go on without.
package guard

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/go-logr/logr"
)

// Part names what a panic is counted under: a word of a fixed list, so that no server can add a series.
type Part string

// The parts of the operator that run tasks.
const (
	// Zone talks to name servers.
	Zone Part = "zone"
	// Probe connects to mail servers.
	Probe Part = "probe"
	// Senders finds out what senders do.
	Senders Part = "senders"
	// Watch finds out whom a changed object concerns.
	Watch Part = "watch"
	// Metrics answers scrapes.
	Metrics Part = "metrics"
)

// Parts are all of them.
func Parts() []Part { return []Part{Zone, Probe, Senders, Watch, Metrics} }

// Guard runs tasks. It is safe for use by many goroutines. A nil *Guard lets a panic through, as tests and the
// simulator want it, which look for faults of the operator.
type Guard struct {
	log   logr.Logger
	count func(Part)
	seen  *places
}

// places are those in the code that have panicked.
type places struct {
	mu   sync.Mutex
	seen map[string]bool
}

// New makes a Guard that logs, and counts with count; nil counts nothing.
func New(log logr.Logger, count func(Part)) *Guard {
	if count == nil {
		count = func(Part) {}
	}
	return &Guard{log: log, count: count, seen: &places{seen: map[string]bool{}}}
}

// With makes a Guard that logs these keys and values too. Of a nil one it makes a nil one.
func (g *Guard) With(about ...any) *Guard {
	if g == nil {
		return nil
	}
	return &Guard{log: g.log.WithValues(about...), count: g.count, seen: g.seen}
}

// Silent makes a Guard that tells nobody.
func Silent() *Guard { return New(logr.Discard(), nil) }

// Do runs a task and says whether it came to its end: false after a panic. What it is about (keys and values, as
// of a logger) goes into the log.
func (g *Guard) Do(part Part, task func(), about ...any) (ended bool) {
	if g == nil {
		task()
		return true
	}
	defer func() {
		if problem := recover(); problem != nil {
			ended = false
			g.report(part, problem, about)
		}
	}()
	task()
	return true
}

// longestText is how much of what a panic says is logged, in octets.
const longestText = 1000

// report logs with the stack the first time that a place in the code panics. A server that has found such a place is
// asked again and again, and would fill the log with the same.
func (g *Guard) report(part Part, problem any, about []any) {
	g.count(part)
	where := place()
	text := fmt.Sprint(problem)
	err := fmt.Errorf("panic: %s", text[:min(len(text), longestText)])
	about = append([]any{"part", part, "at", where}, about...)
	if g.seen.first(where) {
		g.log.Error(err, "a fault of the operator: a task was given up, nothing was concluded from it, and others go on; please report it", append(about, "stack", string(debug.Stack()))...)
		return
	}
	g.log.V(1).Info("a task was given up at a place that has failed before", append(about, "error", err.Error())...)
}

// first says whether a place has not panicked before, and notes that it has.
func (p *places) first(where string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[where] {
		return false
	}
	p.seen[where] = true
	return true
}

// place is where in the code the panic began that is being recovered from.
func place() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for panicked := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}
