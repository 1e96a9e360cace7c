package controllers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/guard"
)

// senderQuestions is how many questions are on the way at once to find out what senders do: half of the turns of a
// validator (internal/dnssec), so that the other half is for the zones.
const senderQuestions = 16

// asker puts the questions of one look. Each has a time of its own: a name whose servers are silent takes none from
// others, and a question that is not answered by then has failed, as it has for a sender.
type asker struct {
	resolver senderview.Resolver
	// limit is how long one question may take, from when it has one of the places.
	limit  time.Duration
	places chan struct{}
	// missed says that a question was not asked, for too many were on the way, or that its answer was given up.
	missed atomic.Bool
	guard  *guard.Guard
}

// Lookup implements senderview.Resolver.
func (a *asker) Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result {
	select {
	case a.places <- struct{}{}:
		defer func() { <-a.places }()
	case <-ctx.Done():
		return dnssec.Result{Name: name, Type: qtype, Final: name, State: dnssec.Indeterminate}
	}
	limited, cancel := context.WithTimeout(ctx, a.limit)
	defer cancel()
	r := dnssec.Result{Name: name, Type: qtype, Final: name, State: dnssec.Indeterminate, Cause: &dnssec.Error{Reason: dnssec.Unreachable, Subject: name, Detail: unforeseen}}
	if !a.guard.Do(guard.Senders, func() { r = a.resolver.Lookup(limited, name, qtype) }, "name", name) {
		a.missed.Store(true)
	}
	if r.Cause != nil && r.Cause.Reason == dnssec.Busy {
		a.missed.Store(true)
	}
	return r
}

// askerOf puts the questions of a job from its trust anchors down.
func (w *senderWatch) askerOf(job senderJob) *asker {
	return &asker{resolver: w.newResolver(job.anchors), limit: w.patience, places: w.places, guard: w.guard}
}
