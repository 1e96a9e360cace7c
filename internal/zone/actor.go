package zone

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/miekg/dns"
)

// Actor implements Client for one zone. One goroutine, run, owns all state and calls every done;
// what talks to servers runs beside it and comes back with its results.
type Actor struct {
	opts Options
	know *knowledge

	// mail is what the goroutine has to do; calls only append to it and so never block.
	mu     sync.Mutex
	mail   []func(*state)
	closed bool
	bell   chan struct{}
	done   chan struct{}
	// ctx ends when a Close has run out of patience.
	ctx    context.Context
	cancel context.CancelFunc
}

// state belongs to the actor's goroutine alone.
type state struct {
	cfg     Config
	closing bool
	// queue holds changes by owner, order the owners by first arrival.
	queue      map[string]queued
	order      []string
	publishing bool
	// sweeps that were asked for and not begun, by owner.
	sweeps   map[string][]func(Sweep)
	sweeping bool
	// checks that were asked for and not begun.
	checks   []func(Health)
	checking bool
	// busy counts what runs beside the actor.
	busy int
}

type queued struct {
	change Change
	done   []func(Result)
}

// NewActor starts an actor for one zone; Close stops it.
func NewActor(cfg Config, opts Options) *Actor {
	opts = opts.withDefaults()
	a := &Actor{opts: opts, know: newKnowledge(opts), bell: make(chan struct{}, 1), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	go a.run(&state{cfg: normalized(cfg), queue: map[string]queued{}, sweeps: map[string][]func(Sweep){}})
	return a
}

func normalized(cfg Config) Config {
	cfg.Zone = dns.CanonicalName(cfg.Zone)
	return cfg
}

// post hands work to the goroutine; it says no after Close.
func (a *Actor) post(f func(*state)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.mail = append(a.mail, f)
	a.ring()
	return true
}

func (a *Actor) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// report is post for work under way, which may come back after Close.
func (a *Actor) report(f func(*state)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mail = append(a.mail, f)
	a.ring()
}

func (a *Actor) run(s *state) {
	defer close(a.done)
	for !s.closing || s.busy > 0 {
		<-a.bell
		a.mu.Lock()
		mail := a.mail
		a.mail = nil
		a.mu.Unlock()
		for _, f := range mail {
			f(s)
		}
		a.begin(s)
	}
}

// begin starts what is waiting. What arrives while a message is in flight gathers for the next.
func (a *Actor) begin(s *state) {
	if s.closing {
		return
	}
	a.beginPublish(s)
	a.beginSweep(s)
	a.beginCheck(s)
}

// beside runs work next to the actor; its result is dealt with on the actor's goroutine.
func (a *Actor) beside(s *state, work func() func(*state)) {
	s.busy++
	go func() {
		after := work()
		a.report(func(s *state) {
			s.busy--
			after(s)
		})
	}()
}

// Configure implements Client.
func (a *Actor) Configure(cfg Config) {
	a.post(func(s *state) { s.cfg = normalized(cfg) })
}

// Publish implements Client. A change that is still queued is replaced by a later one for the same
// owner: if they are equal both get the result of the one message, else the earlier ends with
// Conflict, as it would have done after the later.
func (a *Actor) Publish(c Change, done func(Result)) {
	c.Owner = dns.CanonicalName(c.Owner)
	c.Expect, c.Want = tlsa.Normalize(c.Expect), tlsa.Normalize(c.Want)
	if !a.post(func(s *state) { a.enqueue(s, c, done) }) {
		go done(a.stopped())
	}
}

func (a *Actor) enqueue(s *state, c Change, done func(Result)) {
	q, waiting := s.queue[c.Owner]
	switch {
	case !waiting:
		s.order = append(s.order, c.Owner)
	case !sameChange(q.change, c):
		for _, earlier := range q.done {
			earlier(Result{Class: Conflict, Retryable: true, At: a.opts.Clock.Now(),
				Message: fmt.Sprintf("a later change of %s took the place of this one before it was sent", c.Owner)})
		}
		q.done = nil
	}
	s.queue[c.Owner] = queued{change: c, done: append(q.done, done)}
}

func sameChange(a, b Change) bool {
	return a.TTL == b.TTL && slices.Equal(a.Expect, b.Expect) && slices.Equal(a.Want, b.Want)
}

func (a *Actor) stopped() Result {
	return Result{Class: Unreachable, Retryable: true, At: a.opts.Clock.Now(), Message: "the operator stops managing this zone; nothing was sent"}
}

func (a *Actor) beginPublish(s *state) {
	if s.publishing || len(s.order) == 0 {
		return
	}
	n := min(len(s.order), BatchSize)
	batch := make([]queued, n)
	changes := make([]Change, n)
	for i, owner := range s.order[:n] {
		batch[i] = s.queue[owner]
		changes[i] = batch[i].change
		delete(s.queue, owner)
	}
	s.order = slices.Clone(s.order[n:])
	s.publishing = true
	cfg := s.cfg
	a.beside(s, func() func(*state) {
		results := commit(a.ctx, a.opts, cfg, changes)
		return func(s *state) {
			s.publishing = false
			for i, q := range batch {
				for _, done := range q.done {
					done(results[i])
				}
			}
		}
	})
}

// Sweep implements Client.
func (a *Actor) Sweep(owner string, done func(Sweep)) {
	owner = dns.CanonicalName(owner)
	if !a.post(func(s *state) { s.sweeps[owner] = append(s.sweeps[owner], done) }) {
		go done(a.emptySweep())
	}
}

// emptySweep is what a sweep ends with that was never made: nobody answered.
func (a *Actor) emptySweep() Sweep {
	now := a.opts.Clock.Now()
	return Sweep{Start: now, End: now, Answers: []Answer{{Message: "the operator stops managing this zone"}}}
}

func (a *Actor) beginSweep(s *state) {
	if s.sweeping || len(s.sweeps) == 0 {
		return
	}
	waiting, cfg := s.sweeps, s.cfg
	s.sweeps, s.sweeping = map[string][]func(Sweep){}, true
	owners := slices.Sorted(maps.Keys(waiting))
	a.beside(s, func() func(*state) {
		made := a.know.sweep(a.ctx, cfg, owners)
		return func(s *state) {
			s.sweeping = false
			for _, owner := range owners {
				for _, done := range waiting[owner] {
					done(made[owner])
				}
			}
		}
	})
}

// Addresses implements Client.
func (a *Actor) Addresses(host string, done func(Address)) {
	ok := a.post(func(s *state) {
		cfg := s.cfg
		a.beside(s, func() func(*state) {
			found := a.know.addresses(a.ctx, cfg, host)
			return func(*state) { done(found) }
		})
	})
	if !ok {
		go done(Address{Message: "the operator stops managing this zone"})
	}
}

// Check implements Client.
func (a *Actor) Check(done func(Health)) {
	if !a.post(func(s *state) { s.checks = append(s.checks, done) }) {
		go done(a.noHealth())
	}
}

func (a *Actor) noHealth() Health {
	return Health{At: a.opts.Clock.Now(), PrimaryAccepts: a.stopped()}
}

func (a *Actor) beginCheck(s *state) {
	if s.checking || len(s.checks) == 0 {
		return
	}
	waiting, cfg := s.checks, s.cfg
	s.checks, s.checking = nil, true
	a.beside(s, func() func(*state) {
		health := a.know.check(a.ctx, cfg)
		return func(s *state) {
			s.checking = false
			for _, done := range waiting {
				done(health)
			}
		}
	})
}

// Close implements Client.
func (a *Actor) Close(ctx context.Context) {
	// Nothing may get between: what is posted after shut would never be answered.
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		a.mail = append(a.mail, a.shut)
		a.ring()
	}
	a.mu.Unlock()
	select {
	case <-a.done:
	case <-ctx.Done():
		a.cancel()
		<-a.done
	}
	a.cancel()
}

// shut ends what is queued.
func (a *Actor) shut(s *state) {
	s.closing = true
	for _, owner := range s.order {
		for _, done := range s.queue[owner].done {
			done(a.stopped())
		}
	}
	for _, waiting := range s.sweeps {
		for _, done := range waiting {
			done(a.emptySweep())
		}
	}
	for _, done := range s.checks {
		done(a.noHealth())
	}
	s.queue, s.order, s.sweeps, s.checks = map[string]queued{}, nil, map[string][]func(Sweep){}, nil
}

var _ Client = (*Actor)(nil)
