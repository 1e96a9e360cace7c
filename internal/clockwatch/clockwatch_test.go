package clockwatch

import (
	"errors"
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

// TestCompare: before the first reading, a clock that is ahead is one that was set forward then. One that is behind is not to be believed.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		reason         string
		ahead          time.Duration
		compared, even bool
	}{
		{"as it should be", 0, true, false},
		{"a little ahead, as clocks are", tolerance, true, false},
		{"a little behind", -tolerance, true, false},
		{"ahead", tolerance + time.Second, true, true},
		{"behind", -tolerance - time.Second, false, false},
	} {
		m := &machine{ran: time.Minute, ahead: c.ahead}
		w := New(m, m.uptime)
		if w.Compared(false) {
			t.Errorf("%s: it is compared already", c.reason)
		}
		compare(t, w, c.ahead)
		if got := w.Compared(true); got != c.compared || w.EvenSince().Equal(m.Now()) != c.even {
			t.Errorf("%s: compared: %t, even since %s", c.reason, got, w.EvenSince())
		}
		if !c.compared { // an earlier process may have noted something by it
			m.ahead = 0
			compare(t, w, 0)
		}
		if at := w.Read(); at.Leap != 0 || at.EvenSince.Equal(m.Now()) != (c.even || !c.compared) {
			t.Errorf("%s: %+v", c.reason, at)
		}
	}
}

// TestCompareAgain: a clock that is set has to be compared again, and so has every one after a while. What was noted while it was
// behind counts from when it is right.
func TestCompareAgain(t *testing.T) {
	m := &machine{}
	w := New(m, m.uptime)
	compare(t, w, 0)
	w.Read()
	for i, step := range []struct {
		reason           string
		passes, set      time.Duration
		ahead            time.Duration // as it is found
		again            bool
		behind, fromHere bool
	}{
		{"a moment later", time.Second, 0, 0, false, false, false},
		{"a while later", compareEvery, 0, 0, true, false, false},
		{"set back", time.Second, -time.Hour, -time.Hour, true, true, false},
		{"still so", time.Minute, 0, -time.Hour, true, true, false},
		{"set right", time.Minute, time.Hour, 0, true, false, true},
		{"it stood still with the machine", compareEvery, 0, -time.Hour, true, true, false},
		{"nearly right", time.Second, time.Hour - 8*time.Second, -8 * time.Second, true, true, false},
		{"set right after that", time.Second, 8 * time.Second, 0, true, false, true},
		{"set forward", time.Second, time.Hour, time.Hour, true, false, true},
		{"set right, which lets instants lie in the future", time.Second, -time.Hour, 0, true, false, false},
		{"set back by little", time.Second, -tolerance, -tolerance, false, false, false},
	} {
		m.ran, m.ahead = m.ran+step.passes, m.ahead+step.set
		if again := !w.Compared(true); again != step.again {
			t.Errorf("step %d, %s: to be compared again: %t", i, step.reason, again)
		}
		compare(t, w, step.ahead)
		if behind := !w.Compared(true); behind != step.behind {
			t.Errorf("step %d, %s: behind: %t", i, step.reason, behind)
		}
		if step.behind {
			continue // nobody reads it
		}
		if at := w.Read(); at.EvenSince.Equal(m.Now()) != step.fromHere {
			t.Errorf("step %d, %s: %+v", i, step.reason, at)
		}
	}
}

// TestCompareFails: nothing is known then, nor of one that is set meanwhile: it may be right by the answer, and has leapt.
func TestCompareFails(t *testing.T) {
	m, failure := &machine{}, errors.New("no answer")
	w := New(m, m.uptime)
	if _, err := w.Compare(func() (time.Duration, error) { return time.Hour, failure }); !errors.Is(err, failure) || w.Compared(false) {
		t.Errorf("%v, compared: %t", err, w.Compared(false))
	}
	_, err := w.Compare(func() (time.Duration, error) {
		m.ahead += time.Hour
		return 0, nil
	})
	if !errors.Is(err, ErrSetMeanwhile) || w.Compared(false) {
		t.Errorf("it was set while the other was asked: %v, compared: %t", err, w.Compared(false))
	}
	compare(t, w, time.Hour)
	if at := w.Read(); !at.EvenSince.Equal(m.Now()) {
		t.Errorf("it was set before it was compared: %+v", at)
	}
	m.ran += compareEvery
	if w.Compared(true) || !w.Compared(false) {
		t.Errorf("what was found a while ago: %t, %t", w.Compared(true), w.Compared(false))
	}
}

func compare(t *testing.T, w *Watch, ahead time.Duration) {
	t.Helper()
	if got, err := w.Compare(func() (time.Duration, error) { return ahead, nil }); err != nil || got != ahead {
		t.Fatalf("%s, %v", got, err)
	}
}
