// Package clockwatch keeps the time that waits are counted by. Waits are counted between instants that are kept in the status of
// objects, so that a clock which is set forward, as one is that was wrong when the machine came up, would end them early:
// nothing in two readings of it tells a leap from time that has passed. How long the process has run tells, for nobody sets
// that clock. And an instant that is noted by a clock which is behind is too early for whoever reads it by a right one, so that the
// clock is compared with that of the API server, and the later one of both is what counts.
package clockwatch

import (
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// tolerance is by how much the clock may be set, all in all, or differ from the API server's, without a word. Every wait has a
// margin that is longer (spec.rollover.publishSafety, twice the TTL), and NTP sets a clock that is less than a fraction of a second
// off by letting it run faster, which this does not count.
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

// Watch is the clock of a process: that of its machine, or what Compare has made of it.
type Watch struct {
	// WithTicker is the clock of the machine. Timers and tickers are its own.
	clock.WithTicker
	uptime func() time.Duration
	// behind is what the clock of the machine shows too little, in nanoseconds.
	behind atomic.Int64

	mu sync.Mutex
	// compared says that the clock was compared with another one, and comparedLead is the reading of the machine's clock
	// less the uptime, as it was then.
	compared     bool
	comparedLead time.Duration
	// begun says that it was read, and lead is the reading less the uptime, when it was last found to differ.
	begun     bool
	lead      time.Duration
	evenSince time.Time
}

// New watches the clock of the machine. uptime says how long the process has run; nil takes the clock's own word for it, which is
// right for clocks that measure by the monotonic one (time.Since), as clock.RealClock does.
func New(c clock.WithTicker, uptime func() time.Duration) *Watch {
	if uptime == nil {
		started := c.Now()
		uptime = func() time.Duration { return c.Since(started) }
	}
	return &Watch{WithTicker: c, uptime: uptime}
}

// Now is the time.
func (w *Watch) Now() time.Time { return w.WithTicker.Now().Add(time.Duration(w.behind.Load())) }

// Since is how long ago t was.
func (w *Watch) Since(t time.Time) time.Duration { return w.Now().Sub(t) }

// Compared says whether the clock has been compared, and was not set since.
func (w *Watch) Compared() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.compared && (leadOf(w.both())-w.comparedLead).Abs() <= tolerance
}

// Compare asks by how much the clock of the machine is ahead of another one that earlier processes were near to, negative when it is
// behind. One that is behind is put forward by as much: what is noted by it must not seem older than it is. Before the first
// reading, two clocks that differ are no better than one that was set forward while no process ran: one of them is wrong, earlier
// processes may have noted instants by either, and what they noted may have been a moment before. Compare says whether they differ.
func (w *Watch) Compare(ask func() (ahead time.Duration, err error)) (differ bool, err error) {
	lead := leadOf(w.both()) // from before: one that is set while the other is asked has to be compared again
	ahead, err := ask()
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.compared, w.comparedLead = true, lead
	differ = ahead.Abs() > tolerance
	w.behind.Store(0)
	if differ && ahead < 0 {
		w.behind.Store(int64(-ahead))
	}
	if w.begun {
		return differ, nil
	}
	now, ran := w.both()
	now = now.Add(time.Duration(w.behind.Load()))
	w.begun, w.lead = true, leadOf(now, ran)
	if differ {
		w.evenSince = now.Round(0)
	}
	return differ, nil
}

// Read reads the clock. It may be called by several goroutines.
func (w *Watch) Read() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, ran := w.both()
	now = now.Add(time.Duration(w.behind.Load()))
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

// both reads the clock of the machine and the uptime at the same time: a process may stand still between the two for long.
func (w *Watch) both() (now time.Time, ran time.Duration) {
	for {
		before := w.uptime()
		now, ran = w.WithTicker.Now(), w.uptime()
		if ran-before < tolerance/2 {
			return now, ran
		}
	}
}

func leadOf(now time.Time, ran time.Duration) time.Duration {
	return time.Duration(now.UnixNano()) - ran
}
