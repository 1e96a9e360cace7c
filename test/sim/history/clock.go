package history

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/utils/clock"
)

// begin is when every history begins.
var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// event is something that happens at an instant; of several at one instant the one that was planned first
// comes first.
type event struct {
	at  time.Time
	seq uint64
	run func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *eventQueue) Push(x any) { *q = append(*q, x.(event)) }

// Pop implements heap.Interface.
func (q *eventQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return last
}

// timeline is the clock of a history, what is still to happen, and what has happened.
type timeline struct {
	now    time.Time
	queue  eventQueue
	seq    uint64
	random *rand.Rand
	// pass, where it is set, lets time pass until the next event or an instant.
	pass func(time.Time)
	// record says that lines are kept.
	record bool
	lines  []string
}

// after plans something.
func (t *timeline) after(d time.Duration, run func()) {
	t.seq++
	heap.Push(&t.queue, event{t.now.Add(max(d, 0)), t.seq, run})
}

// step lets the next event happen; it says no when there is none until an instant.
func (t *timeline) step(until time.Time) bool {
	if t.pass != nil {
		t.pass(until)
	}
	if len(t.queue) == 0 || t.queue[0].at.After(until) {
		t.now = until
		return false
	}
	e := heap.Pop(&t.queue).(event)
	t.now = e.at
	e.run()
	return true
}

// say writes a line of the timeline.
func (t *timeline) say(who, format string, args ...any) {
	if t.record {
		t.lines = append(t.lines, fmt.Sprintf("%12s  %-9s %s", t.now.Sub(begin).Round(time.Millisecond), who, fmt.Sprintf(format, args...)))
	}
}

// between draws a length of time.
func (t *timeline) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(t.random.Int64N(int64(most-least)))
}

// chance is true so many times in a hundred.
func (t *timeline) chance(percent int) bool { return t.random.IntN(100) < percent }

func pick[T any](t *timeline, from ...T) T { return from[t.random.IntN(len(from))] }

// operatorClock is the clock of one operator process. The reconcilers read it and set no timers; the zone actors do,
// in a bubble, where the real clock is a fake. Without one, what sets a timer ends the history with a panic.
type operatorClock struct {
	clock.WithTicker // nil without a bubble
	of               *timeline
	// ahead is how far it is from the true time.
	ahead time.Duration
}

// Now implements clock.PassiveClock.
func (c *operatorClock) Now() time.Time { return c.trueTime().Add(c.ahead) }

// trueTime is what the clock would show if nobody had set it.
func (c *operatorClock) trueTime() time.Time {
	if c.WithTicker != nil {
		return bubbleNow()
	}
	return c.of.now
}

// Since implements clock.PassiveClock.
func (c *operatorClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
