package clockwatch

import (
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// machine has a clock that can be set, and one that cannot.
type machine struct {
	clock.PassiveClock
	ran, ahead time.Duration
	// pauses are how long the process stands still at the next looks at how long it has run.
	pauses []time.Duration
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (m *machine) Now() time.Time { return begin.Add(m.ran + m.ahead) }

func (m *machine) uptime() time.Duration {
	if len(m.pauses) > 0 {
		m.ran += m.pauses[0]
		m.pauses = m.pauses[1:]
	}
	return m.ran
}

// TestRead sets a clock in every way.
func TestRead(t *testing.T) {
	type step struct {
		passes, set time.Duration
		pauses      []time.Duration
		leap        time.Duration
		even        bool // EvenSince is this reading's
	}
	for _, row := range []struct {
		reason string
		steps  []step
		ever   bool
	}{
		{"time passes, a minute or a month", []step{{passes: time.Minute}, {passes: 720 * time.Hour}}, false},
		{"set forward by an hour, told once", []step{{passes: time.Minute, set: time.Hour, leap: time.Hour, even: true}, {passes: time.Minute}}, true},
		{"set forward by little", []step{{set: tolerance}}, false},
		{"set forward by little again and again", []step{{set: 6 * time.Second}, {set: 6 * time.Second, leap: 12 * time.Second, even: true}}, true},
		{"set back", []step{{set: -time.Hour}, {passes: 2 * time.Hour}}, false},
		{"set back, and forward again: what was noted meanwhile is old by the new reading", []step{{set: -time.Hour}, {set: time.Hour, leap: time.Hour, even: true}}, true},
		{"forward twice", []step{{set: time.Hour, leap: time.Hour, even: true}, {passes: time.Minute, set: time.Minute, leap: time.Minute, even: true}}, true},
		{"the process stands still while it reads", []step{{pauses: []time.Duration{0, time.Hour}}, {passes: time.Second}}, false},
		{"and before", []step{{pauses: []time.Duration{time.Hour}}, {passes: time.Second}}, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := &machine{}
			w := New(m, m.uptime)
			if got := w.Read(); got.Leap != 0 || !got.EvenSince.IsZero() {
				t.Errorf("the first reading: %+v", got)
			}
			var even time.Time
			for i, s := range row.steps {
				m.ran, m.ahead, m.pauses = m.ran+s.passes, m.ahead+s.set, s.pauses
				got := w.Read()
				if s.even {
					even = got.Now
				}
				if got.Leap != s.leap || !got.EvenSince.Equal(even) || !got.Now.Equal(m.Now()) {
					t.Errorf("step %d: %+v, want a leap of %s and even since %s", i, got, s.leap, even)
				}
			}
			if row.ever == even.IsZero() {
				t.Error("the row says otherwise")
			}
		})
	}
}

// TestReadRealClock: by itself the clock of the process is measured with the one that nobody sets.
func TestReadRealClock(t *testing.T) {
	w := New(clock.RealClock{}, nil)
	for range 3 {
		if got := w.Read(); got.Leap != 0 || !got.EvenSince.IsZero() || time.Since(got.Now) > time.Minute {
			t.Errorf("a clock that nobody has set: %+v", got)
		}
	}
}

// TestBegin: a clock that is ahead when the process begins is one that was set forward then, and the first word counts.
func TestBegin(t *testing.T) {
	for _, c := range []struct {
		reason string
		ahead  time.Duration
		even   bool
	}{
		{"as it should be", 0, false},
		{"a little ahead, as clocks are", tolerance, false},
		{"ahead", tolerance + time.Second, true},
		{"behind", -time.Hour, false},
	} {
		m := &machine{ran: time.Minute, ahead: c.ahead}
		w := New(m, m.uptime)
		if w.Begun() {
			t.Errorf("%s: it has begun before it was read", c.reason)
		}
		if got := w.Begin(c.ahead); got != c.even {
			t.Errorf("%s: %t", c.reason, got)
		}
		at := w.Read()
		if !w.Begun() || at.Leap != 0 || at.EvenSince.Equal(m.Now()) != c.even || w.Begin(time.Hour) {
			t.Errorf("%s: %+v", c.reason, at)
		}
		m.ahead += time.Hour
		if at := w.Read(); at.Leap != time.Hour || !at.EvenSince.Equal(m.Now()) {
			t.Errorf("%s: set forward after that: %+v", c.reason, at)
		}
	}
}
