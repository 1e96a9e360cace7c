// Package clockwatch notices that the clock of the machine was set while the process ran, or is not that of others. Waits are
// counted between instants that are kept in the status of objects, so that a clock which is set forward, as one is that was wrong
// when the machine came up, would end them early: nothing in two readings of it tells a leap from time that has passed. How long
// the process has run tells, for nobody sets that clock. And what is noted by a clock that is behind seems older than it is to the
// next process, on another machine or after the clock was set right, so that it is compared with another one now and then.
package clockwatch

import (
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// tolerance is by how much the clock may differ from another one without a word, and be set since. With the defaults every
	// wait has a margin that is longer than both, and than what an answer of the other one takes
	// (spec.rollover.publishSafety, twice the TTL). NTP sets a clock that is less than a fraction of a second off by letting
	// it run faster, which this does not count.
	tolerance = 10 * time.Second
	// compareEvery is how long a comparison counts. A machine that stood still as a whole, and whose clock did, is not known by
	// anything else.
	compareEvery = 10 * time.Minute
)

// ErrSetMeanwhile says that a comparison is worth nothing.
var ErrSetMeanwhile = errors.New("the clock was set while it was compared")

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

	mu sync.Mutex
	// compared says that the clock is not behind another one, as it was when the reading less the uptime was comparedLead, and
	// the uptime comparedAt. behind says that it was by the last comparison.
	compared                 bool
	comparedLead, comparedAt time.Duration
	behind                   bool
	begun                    bool
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

// Compared says whether the clock is known not to be behind: it was compared, and was not set since. With fresh, that was not long ago.
func (w *Watch) Compared(fresh bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ran := w.both()
	steady := w.compared && (leadOf(now, ran)-w.comparedLead).Abs() <= tolerance
	return steady && (!fresh || ran-w.comparedAt < compareEvery)
}

// Compare asks by how much the clock is ahead of another one that earlier processes were near to, negative when it is behind, which
// is said by Compared from then on. A clock that is ahead before the first reading is no better than one that was set forward while no
// process ran, and one that was behind is no better than one that was set forward when it is right: what was noted before may have
// been a moment before.
func (w *Watch) Compare(ask func() (ahead time.Duration, err error)) (ahead time.Duration, err error) {
	lead := leadOf(w.both())
	ahead, err = ask()
	if err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ran := w.both()
	if (leadOf(now, ran) - lead).Abs() > tolerance {
		return 0, ErrSetMeanwhile
	}
	allowed := tolerance
	if w.behind { // the other one tells whole seconds, which are not to decide it now one way and now the other
		allowed /= 2
	}
	w.compared, w.comparedLead, w.comparedAt = ahead >= -allowed, lead, ran
	if !w.compared {
		w.behind = true
		return ahead, nil
	}
	if !w.begun && ahead > tolerance || w.behind {
		w.evenSince = now.Round(0)
	}
	if !w.begun {
		w.begun, w.lead = true, lead
	}
	w.behind = false
	return ahead, nil
}

// EvenSince is that of the last reading or comparison.
func (w *Watch) EvenSince() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.evenSince
}

// Uptime says how long the process has run.
func (w *Watch) Uptime() time.Duration { return w.uptime() }

// Read reads the clock. It may be called by several goroutines.
func (w *Watch) Read() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ran := w.both()
	lead := leadOf(now, ran)
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

func leadOf(now time.Time, ran time.Duration) time.Duration {
	return time.Duration(now.UnixNano()) - ran
}
