package wire

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Moment says when the operator is ended at an effect.
type Moment string

// The moments.
const (
	// Never lets the effect be.
	Never Moment = ""
	// Before: it was sent, and nobody got it.
	Before Moment = "before"
	// After: it was carried out, and the operator never heard of it.
	After Moment = "after"
)

// Plan says what happens at the nth effect since the plan was made, counted from one.
type Plan func(n int) Moment

// At ends the operator at the nth effect and at no other.
func At(n int, m Moment) Plan {
	return func(i int) Moment {
		if i == n {
			return m
		}
		return Never
	}
}

// Twice ends the operator at the nth effect, and again at the one that comes so many later: that belongs to the next life.
func Twice(n, later int, first, second Moment) Plan {
	return func(i int) Moment {
		switch i {
		case n:
			return first
		case n + later:
			return second
		}
		return Never
	}
}

// Each ends the operator after each nth effect.
func Each(n int) Plan {
	return func(i int) Moment {
		if i%n == 0 {
			return After
		}
		return Never
	}
}

// Killed says at which effect the operator was ended.
type Killed struct {
	N      int
	Effect string
	Moment Moment
}

// Effects are what an operator does outside itself: updates in DNS and writes to the API server, one at
// a time, in the order in which proxies pass them on.
type Effects struct {
	// Kill ends the operator, and returns when it is gone; nil for one that no plan ends.
	Kill func() error
	// Deaths tells of each time that it was ended; whoever reads it starts the operator again.
	Deaths chan Killed

	// waiting counts those whose turn has not come.
	waiting atomic.Int64
	// life is another one after each death: what was sent before and comes through later is nobody's.
	life atomic.Int64

	mu    sync.Mutex
	plan  Plan
	by    func(effect string) Moment
	n     int
	names []string
}

// NewEffects counts effects and ends nothing until a plan is made.
func NewEffects(kill func() error) *Effects {
	return &Effects{Kill: kill, Deaths: make(chan Killed, 1)}
}

// Make makes another plan, or none (nil). It counts from the next effect.
func (e *Effects) Make(plan Plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan, e.by, e.n = plan, nil, 0
}

// MakeBy makes a plan that goes by what an effect is, in the words of Names. It is asked once for each effect, one after the
// other.
func (e *Effects) MakeBy(by func(effect string) Moment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan, e.by, e.n = nil, by, 0
}

// Count is how many effects there were since the last plan was made.
func (e *Effects) Count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// Names are all effects that there ever were, in words.
func (e *Effects) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.names)
}

// Waiting says whether an effect waits until another one is over.
func (e *Effects) Waiting() bool { return e.waiting.Load() > 0 }

// Do carries out an effect, unless whoever wants it is dead or is to die before it. It says whether the
// outcome is to be told.
func (e *Effects) Do(what string, effect func()) bool {
	life := e.life.Load()
	e.waiting.Add(1)
	e.mu.Lock()
	e.waiting.Add(-1)
	defer e.mu.Unlock()
	if life != e.life.Load() {
		return false
	}
	e.n++
	e.names = append(e.names, what)
	moment := Never
	switch {
	case e.plan != nil:
		moment = e.plan(e.n)
	case e.by != nil:
		moment = e.by(what)
	}
	if moment != Before {
		effect()
	}
	if moment == Never {
		return true
	}
	e.life.Add(1)
	if err := e.Kill(); err != nil {
		what += ": " + err.Error()
	}
	e.Deaths <- Killed{N: e.n, Effect: what, Moment: moment}
	return false
}
