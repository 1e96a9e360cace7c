package zone

import (
	"context"
	"sync"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/guard"
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
	cfg        *Config
	closing    bool
	publishing publishing
	// soon are the sweeps that somebody waits for, later the others.
	soon, later sweeping
	// checks that were asked for and not begun.
	checks   []func(Health)
	checking bool
	// busy counts what runs beside the actor.
	busy int
}

// NewActor starts an actor for one zone; Close stops it.
func NewActor(cfg Config, opts Options) *Actor {
	opts = opts.withDefaults()
	a := &Actor{opts: opts, bell: make(chan struct{}, 1), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.know = newKnowledge(a.ctx, opts)
	s := &state{cfg: normalized(cfg), publishing: newPublishing()}
	a.know.roster.recall(*s.cfg, opts.Clock.Now())
	a.know.remembered.signer.Habit = cfg.Signer
	go a.run(s)
	return a
}

func normalized(cfg Config) *Config {
	cfg.Zone = dns.CanonicalName(cfg.Zone)
	return &cfg
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
			a.opts.Guard.Do(guard.Zone, func() { f(s) })
		}
		a.opts.Guard.Do(guard.Zone, func() { a.begin(s) })
	}
}

// begin starts what is waiting. What arrives while a message is in flight gathers for the next.
func (a *Actor) begin(s *state) {
	if s.closing {
		return
	}
	a.beginAlone(s)
	a.beginPublish(s)
	a.beginSweep(s, &s.soon)
	a.beginSweep(s, &s.later)
	a.beginCheck(s)
}

// beside runs work next to the actor; its result is dealt with on the actor's goroutine, and so is lost, in place
// of it, when the work panicked.
func (a *Actor) beside(s *state, work func() func(*state), lost func(*state)) {
	s.busy++
	go func() {
		after := lost
		a.opts.Guard.Do(guard.Zone, func() { after = work() })
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

func (a *Actor) stopped() Result {
	return Result{Class: Unreachable, Retryable: true, At: a.opts.Clock.Now(), Message: "the operator stops managing this zone; nothing was sent"}
}

// Addresses implements Client.
func (a *Actor) Addresses(host string, done func(Address)) {
	done = told(a, done)
	ok := a.post(func(s *state) {
		cfg := *s.cfg
		a.beside(s, func() func(*state) {
			found := a.know.addresses(a.ctx, cfg, host)
			return func(*state) { done(found) }
		}, func(*state) { done(Address{Message: unforeseen}) })
	})
	if !ok {
		go done(Address{Message: "the operator stops managing this zone"})
	}
}

// Check implements Client.
func (a *Actor) Check(done func(Health)) {
	done = told(a, done)
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
	waiting, cfg := s.checks, *s.cfg
	s.checks, s.checking = nil, true
	end := func(health Health) func(*state) {
		return func(s *state) {
			s.checking = false
			for _, done := range waiting {
				done(health)
			}
		}
	}
	a.beside(s, func() func(*state) {
		health, look := a.know.check(a.ctx, cfg)
		return func(s *state) {
			a.know.noteLook(look)
			end(health)(s)
		}
	}, func(s *state) { end(a.lostHealth(cfg))(s) })
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
	s.publishing.stop(a.stopped())
	s.soon.stop(a.emptySweep())
	s.later.stop(a.emptySweep())
	for _, done := range s.checks {
		done(a.noHealth())
	}
	s.checks = nil
}

var _ Client = (*Actor)(nil)
