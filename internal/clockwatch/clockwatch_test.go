package clockwatch

import (
	"errors"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// machine has a clock that can be set, and one that cannot.
type machine struct {
	clock.WithTicker
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

// TestCompare: of two clocks that differ the later one counts, and before the first reading that is one that was set forward.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		reason       string
		ahead, shown time.Duration
		differ       bool
	}{
		{"as it should be", 0, 0, false},
		{"a little ahead, as clocks are", tolerance, 0, false},
		{"a little behind", -tolerance, 0, false},
		{"ahead", tolerance + time.Second, 0, true},
		{"behind", -time.Hour, time.Hour, true},
	} {
		m := &machine{ran: time.Minute, ahead: c.ahead}
		w := New(m, m.uptime)
		if w.Compared() {
			t.Errorf("%s: it is compared already", c.reason)
		}
		if differ := compare(t, w, c.ahead); differ != c.differ || !w.Compared() {
			t.Errorf("%s: %t, %t", c.reason, differ, w.Compared())
		}
		at, now := w.Read(), m.Now().Add(c.shown)
		if at.Leap != 0 || at.EvenSince.Equal(now) != c.differ || !at.Now.Equal(now) || !w.Now().Equal(now) || w.Since(now.Add(-time.Second)) != time.Second {
			t.Errorf("%s: %+v, %s; want %s", c.reason, at, w.Now(), now)
		}
	}
}

// TestCompareAgain: a clock that is set has to be compared again, and time leaps by no more than is known.
func TestCompareAgain(t *testing.T) {
	m := &machine{}
	w := New(m, m.uptime)
	compare(t, w, 0)
	w.Read()
	for i, step := range []struct {
		reason     string
		set, ahead time.Duration
		leap       time.Duration // of what is shown
		differ     bool
	}{
		{"set back", -time.Hour, -time.Hour, 0, true},
		{"set right", time.Hour, 0, 0, false},
		{"set forward", 2 * time.Hour, 2 * time.Hour, 2 * time.Hour, true},
		{"set right, which lets instants lie in the future", -2 * time.Hour, 0, 0, false},
		{"set forward, as the other clock was", time.Hour, 0, time.Hour, false},
		{"set back by little", -tolerance, -tolerance, 0, false},
	} {
		m.ran += time.Minute
		m.ahead += step.set
		if again := !w.Compared(); again != (step.set.Abs() > tolerance) {
			t.Errorf("step %d, %s: to be compared again: %t", i, step.reason, again)
		}
		if differ := compare(t, w, step.ahead); differ != step.differ {
			t.Errorf("step %d, %s: they differ: %t", i, step.reason, differ)
		}
		if at := w.Read(); at.Leap != step.leap || step.leap > 0 != at.EvenSince.Equal(at.Now) || !w.Compared() {
			t.Errorf("step %d, %s: %+v, want a leap of %s", i, step.reason, at, step.leap)
		}
	}
}

// TestCompareFails: nothing is known then, and one that is set meanwhile has to be compared again.
func TestCompareFails(t *testing.T) {
	m, failure := &machine{}, errors.New("no answer")
	w := New(m, m.uptime)
	if _, err := w.Compare(func() (time.Duration, error) { return time.Hour, failure }); !errors.Is(err, failure) || w.Compared() {
		t.Errorf("%v, compared: %t", err, w.Compared())
	}
	_, err := w.Compare(func() (time.Duration, error) {
		m.ahead -= time.Hour
		return 0, nil
	})
	if err != nil || w.Compared() {
		t.Errorf("it was set while the other was asked: %v, compared: %t", err, w.Compared())
	}
}

func compare(t *testing.T, w *Watch, ahead time.Duration) (differ bool) {
	t.Helper()
	differ, err := w.Compare(func() (time.Duration, error) { return ahead, nil })
	if err != nil {
		t.Fatal(err)
	}
	return differ
}
