package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// sweepRound is how many owners are swept together at most: results of a large zone come in as it goes, and
// a silent server holds up few of them.
const sweepRound = 1000

// sweeping are the sweeps that were asked for and not begun.
type sweeping struct {
	// waiting by owner; order is that of arrival.
	waiting map[string][]func(Sweep)
	order   []string
	// running says that a round is under way.
	running bool
}

func (q *sweeping) add(owner string, done func(Sweep)) {
	if q.waiting == nil {
		q.waiting = map[string][]func(Sweep){}
	}
	if _, known := q.waiting[owner]; !known {
		q.order = append(q.order, owner)
	}
	q.waiting[owner] = append(q.waiting[owner], done)
}

// take takes the owners of the next round out.
func (q *sweeping) take() (owners []string, waiting [][]func(Sweep)) {
	n := min(len(q.order), sweepRound)
	owners = slices.Clone(q.order[:n])
	q.order = slices.Clone(q.order[n:])
	for _, owner := range owners {
		waiting = append(waiting, q.waiting[owner])
		delete(q.waiting, owner)
	}
	return owners, waiting
}

// stop ends what is not begun.
func (q *sweeping) stop(s Sweep) {
	for _, waiting := range q.waiting {
		for _, done := range waiting {
			done(s)
		}
	}
	q.waiting, q.order = nil, nil
}

// Sweep implements Client.
func (a *Actor) Sweep(owner string, done func(Sweep)) { a.sweep(owner, false, done) }

// SweepLater is Sweep for what nobody waits for: with a ceiling, everything else goes first. An owner that
// is waited for as well is swept once, soon.
func (a *Actor) SweepLater(owner string, done func(Sweep)) { a.sweep(owner, true, done) }

func (a *Actor) sweep(owner string, later bool, done func(Sweep)) {
	done = told(a, done)
	owner = dns.CanonicalName(owner)
	ok := a.post(func(s *state) {
		if _, soon := s.soon.waiting[owner]; later && !soon {
			s.later.add(owner, done)
			return
		}
		s.soon.add(owner, done)
	})
	if !ok {
		go done(a.emptySweep())
	}
}

// emptySweep is what a sweep ends with that was never made: nobody answered.
func (a *Actor) emptySweep() Sweep {
	now := a.opts.Clock.Now()
	return Sweep{Start: now, End: now, Answers: []Answer{{Message: "the operator stops managing this zone"}}}
}

// beginSweep begins a round of one of the queues of sweeps. What is waited for is swept beside what is not.
func (a *Actor) beginSweep(s *state, q *sweeping) {
	if q.running || len(q.order) == 0 {
		return
	}
	owners, waiting := q.take()
	q.running = true
	cfg, later := *s.cfg, q == &s.later
	end := func(of func(owner string) Sweep) {
		q.running = false
		for i, owner := range owners {
			for _, done := range waiting[i] {
				done(of(owner))
			}
		}
	}
	a.beside(s, func() func(*state) {
		made := a.know.sweep(a.ctx, cfg, later, owners)
		return func(*state) { end(func(owner string) Sweep { return made[owner] }) }
	}, func(*state) { end(func(string) Sweep { return a.lostSweep() }) })
}
