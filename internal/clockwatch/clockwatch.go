// Package clockwatch notices that the clock of the machine was set while the process ran. Waits are counted between
// instants that are kept in the status of objects, so that a clock which is set forward, as one is that was wrong when the
// machine came up, would end them early: nothing in two readings of it tells a leap from time that has passed. How long
// the process has run tells, for nobody sets that clock.
package clockwatch

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// tolerance is by how much the clock may be set, all in all, without a word. Every wait has a margin that is longer
// (spec.rollover.publishSafety, twice the TTL), and NTP sets a clock that is less than a fraction of a second off by
// letting it run faster, which this does not count.
const tolerance = 10 * time.Second

// Reading is what the clock shows.
type Reading struct {
	Now time.Time
	// EvenSince is since when the clock has run without being set forward; zero when that never happened in this process.
	// What was noted before is from another clock: it happened before EvenSince, and nobody knows how long.
	EvenSince time.Time
	// Leap is by how much the clock was found to have been set forward by this reading; zero by all others.
	Leap time.Duration
}

// Watch reads the clock.
type Watch struct {
	clock  clock.PassiveClock
	uptime func() time.Duration

	mu    sync.Mutex
	begun bool
	// lead is the reading of the clock less the uptime, when it was last found to differ.
	lead      time.Duration
	evenSince time.Time
}

// New watches a clock. uptime says how long the process has run; nil takes the clock's own word for it, which is right for
// clocks that measure by the monotonic one (time.Since), as clock.RealClock does.
func New(c clock.PassiveClock, uptime func() time.Duration) *Watch {
	if uptime == nil {
		started := c.Now()
		uptime = func() time.Duration { return c.Since(started) }
	}
	return &Watch{clock: c, uptime: uptime}
}

// Begun says whether the clock has been read.
func (w *Watch) Begun() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begun
}

// Begin is for before the first reading, and says by how much the clock is ahead of one that earlier processes were near to. A clock
// that was set forward while none ran, or that of another machine, shows that time has passed which has not: what was noted before may
// have been a moment before. It says whether that is so; after the first reading it does nothing.
func (w *Watch) Begin(ahead time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return false
	}
	now, ran := w.both()
	w.begun, w.lead = true, time.Duration(now.UnixNano())-ran
	if ahead <= tolerance {
		return false
	}
	w.evenSince = now.Round(0)
	return true
}

// Read reads the clock. It may be called by several goroutines.
func (w *Watch) Read() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ran := w.both()
	lead := time.Duration(now.UnixNano()) - ran
	leap := lead - w.lead
	switch {
	case !w.begun:
		w.begun, w.lead, leap = true, lead, 0
	case leap > tolerance:
		w.lead, w.evenSince = lead, now.Round(0)
	case leap < -tolerance:
		w.lead, leap = lead, 0 // set back: instants that were noted lie in the future now, which is noticed by them
	default:
		leap = 0
	}
	return Reading{Now: now, EvenSince: w.evenSince, Leap: leap}
}

// both reads the clock and the uptime at the same time: a process may stand still between the two for long.
func (w *Watch) both() (now time.Time, ran time.Duration) {
	for {
		before := w.uptime()
		now, ran = w.clock.Now(), w.uptime()
		if ran-before < tolerance/2 {
			return now, ran
		}
	}
}
