// Package judge holds the senders that decide in tests whether mail would have arrived: a real
// Postfix client behind a validating resolver, and one that remembers every answer which a cache may
// still hold and lets libssl match the served chain with all of them. Neither uses the operator's code
// for matching: a mistake there must not judge itself.
package judge

import (
	"fmt"
	"sync"
	"time"
)

// Class says how a check ended.
const (
	// ClassOK: the served certificate matches.
	ClassOK = "ok"
	// ClassMismatch: the sender would have deferred the mail, since the certificate does not match.
	ClassMismatch = "mismatch"
	// ClassNoDANE: the sender found no TLSA records.
	ClassNoDANE = "nodane"
	// ClassUnreachable: the sender could not look up, connect or start TLS.
	ClassUnreachable = "unreachable"
)

// Names are those of the judges.
var Names = []string{"postfix", "libssl"}

// Check is one verdict of one sender.
type Check struct {
	// At is when the check began, End when its verdict was there.
	At, End time.Time
	// Judge is one of Names.
	Judge string
	// Host is whom the mail is for.
	Host string
	// OK says that the sender would have delivered with DANE; Class says how it ended.
	OK    bool
	Class string
	// Detail is what the sender said.
	Detail string
}

// Log collects the checks of several judges. The zero value is ready, and safe for concurrent use.
type Log struct {
	mu     sync.Mutex
	checks []Check
}

func (l *Log) add(c Check) {
	c.OK, c.End = c.Class == ClassOK, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checks = append(l.checks, c)
}

// Checks are all checks in the order in which they ended.
func (l *Log) Checks() []Check {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Check(nil), l.checks...)
}

// Failed are the checks that are not OK.
func (l *Log) Failed() []Check {
	var failed []Check
	for _, c := range l.Checks() {
		if !c.OK {
			failed = append(failed, c)
		}
	}
	return failed
}

// Summary is one line: "N sender checks, M mismatches (postfix N/M, libssl N/M)".
func (l *Log) Summary() string {
	checks, mismatches := map[string]int{}, map[string]int{}
	for _, c := range l.Checks() {
		checks[c.Judge]++
		if c.Class == ClassMismatch {
			mismatches[c.Judge]++
		}
	}
	return fmt.Sprintf("%d sender checks, %d mismatches (postfix %d/%d, libssl %d/%d)",
		checks["postfix"]+checks["libssl"], mismatches["postfix"]+mismatches["libssl"],
		checks["postfix"], mismatches["postfix"], checks["libssl"], mismatches["libssl"])
}

// every calls f at once and then at every interval, never twice at the same time, until stop is called.
func every(interval time.Duration, f func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			f()
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(quit)
		<-done
	})
}
