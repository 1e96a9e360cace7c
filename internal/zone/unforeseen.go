package zone

import (
	"errors"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/guard"
)

// This file says what becomes of a task that panicked: whoever waits for it is told that nothing is known. Of an
// update it is not known whether it was carried out.

// unforeseen is what people are told.
const unforeseen = "given up for a fault of the operator, which its log describes: please report it; it is tried again"

var errUnforeseen = errors.New(unforeseen)

// What a task is about, as keys of log lines.
const (
	aServer = "server"
	anOwner = "owner"
)

// try runs f, and lost when f panicked. Kind and name say what f is about.
func (o Options) try(kind, name string, f, lost func()) {
	if !o.Guard.Do(guard.Zone, f, kind, name) {
		o.Guard.Do(guard.Zone, lost, kind, name)
	}
}

// told is done, called so that a panic in it ends neither the actor nor what others wait for.
func told[T any](a *Actor, done func(T)) func(T) {
	if a.opts.Guard == nil {
		return done
	}
	return func(v T) { a.opts.Guard.Do(guard.Zone, func() { done(v) }) }
}

// inDoubt is how a change ends that may have been carried out.
func inDoubt(zone string) outcome {
	return outcome{class: ServerFailure, retryable: true, ambiguous: true, message: "zone " + zone + ": " + unforeseen}
}

func resultInDoubt(cfg Config, now time.Time) Result {
	o := inDoubt(cfg.Zone)
	return Result{Class: o.class, Message: o.message, Retryable: o.retryable, At: now}
}

// lostSweep is a sweep that nobody answered.
func (a *Actor) lostSweep() Sweep {
	now := a.opts.Clock.Now()
	return Sweep{Start: now, End: now, Answers: []Answer{{Message: unforeseen}}}
}

// lostHealth says that nothing is known of a zone.
func (a *Actor) lostHealth(cfg Config) Health {
	return Health{
		At: a.opts.Clock.Now(), PrimaryAccepts: resultInDoubt(cfg, a.opts.Clock.Now()), Discovery: unforeseen,
		DNSSEC: ZoneDNSSEC{State: dnssec.Indeterminate, Message: unforeseen, DSUnknown: true},
	}
}

// loseAll ends what has no result yet of a message that was given up.
func (a *Actor) loseAll(batch []*queued) {
	for _, q := range batch {
		if q.result == nil {
			q.end(inDoubt(q.cfg.Zone), a.opts.Clock.Now())
		}
	}
}
