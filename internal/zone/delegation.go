package zone

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// Delegating is the part of Client that keeps the DS records of a zone in its parent: what to look at
// on both sides, and how to write and to tell. Methods behave as those of Client do.
type Delegating interface {
	// SweepDS asks every public server of this zone for the DS RRset of a zone delegated from it.
	SweepDS(child string, done func(DSSweep))
	// SweepKeys asks every public server of this zone for its DNSKEY, CDS and CDNSKEY RRsets, and for its
	// NS records.
	SweepKeys(done func(KeySweep))
	// SweepSignals looks for what name servers of the zone say of it under their own names (RFC 9615): those
	// that its parent names and that are not below it (delegation.Signallers). Without Options.NewResolver
	// none can be validated.
	SweepSignals(nameservers []string, done func([]delegation.Signal))
	// PublishDS replaces the DS RRset of a zone delegated from this one.
	PublishDS(DSChange, func(Result))
	// LookAtParent finds the parent of this zone, asks its servers for the DS RRset, and finds out whom
	// to tell of a change.
	LookAtParent(done func(ParentLook))
	// NotifyParent tells the parent of this zone that its CDS records have changed (RFC 9859).
	NotifyParent(NotifyTarget, func(Result))
}

// DSSweep is one round of asking every server of a parent zone for the DS RRset of a zone below.
type DSSweep struct {
	At time.Time
	// Answers of all servers but those that the user excepted.
	Answers []delegation.Parent
	// TTL of the RRset, the longest that a server gives; where there is none, that of the NS records of
	// the delegation, at most an hour: first records that are wrong should not stay for long.
	TTL time.Duration
}

// KeySweep is one round of asking every server of a zone what it asks its parent for.
type KeySweep struct {
	At time.Time
	// Answers of all servers but those that the user excepted.
	Answers []delegation.Child
}

// DSChange is what is wanted as the DS RRset of a zone: compare-and-swap of the whole of it.
type DSChange struct {
	// Child is the zone that the records are of, absolute and lower case.
	Child string
	// Expect is the RRset that the primary must still have; Want is the RRset afterwards.
	Expect, Want []*dns.DS
	// Nameservers, when there are any, are the names that the primary must still have in the NS records of
	// the delegation, absolute and in lower case.
	Nameservers []string
	// TTL of the RRset afterwards. The server may lower it: nothing rests on it here.
	TTL time.Duration
}

// ParentLook is what can be found out about a parent zone that is somebody else's.
type ParentLook struct {
	At time.Time
	// Zone is the apex of the parent; empty when it could not be found, and Problem says why.
	Zone, Problem string
	// Answers of its servers. Their state is Indeterminate where no trust anchor leads to the parent.
	Answers []delegation.Parent
	// Targets are whom to tell of a change of the zone's CDS records; TargetsProblem says why there are
	// none although there may be.
	Targets        []NotifyTarget
	TargetsProblem string
}

// NotifyTarget is where a parent wants to hear of changes.
type NotifyTarget struct {
	// Host and Port as the DSYNC record has them, Owner that record's name.
	Host  string
	Port  uint16
	Owner string
}

// SweepDS implements Delegating.
func (a *Actor) SweepDS(child string, done func(DSSweep)) {
	done = told(a, done)
	child = dns.CanonicalName(child)
	ok := a.aside(func(cfg Config) func() {
		made := a.know.sweepDS(a.ctx, cfg, child)
		return func() { done(made) }
	}, func(Config) { done(a.noDSSweep(unforeseen)) })
	if !ok {
		go done(a.noDSSweep(a.stopped().Message))
	}
}

// SweepKeys implements Delegating.
func (a *Actor) SweepKeys(done func(KeySweep)) {
	done = told(a, done)
	ok := a.aside(func(cfg Config) func() {
		made := a.know.sweepKeys(a.ctx, cfg)
		return func() { done(made) }
	}, func(Config) { done(a.noKeySweep(unforeseen)) })
	if !ok {
		go done(a.noKeySweep(a.stopped().Message))
	}
}

// SweepSignals implements Delegating.
func (a *Actor) SweepSignals(nameservers []string, done func([]delegation.Signal)) {
	done = told(a, done)
	ok := a.aside(func(cfg Config) func() {
		made := a.know.sweepSignals(a.ctx, cfg, nameservers)
		return func() { done(made) }
	}, func(Config) { done(nil) })
	if !ok {
		go done(nil)
	}
}

// LookAtParent implements Delegating.
func (a *Actor) LookAtParent(done func(ParentLook)) {
	done = told(a, done)
	ok := a.aside(func(cfg Config) func() {
		made := a.know.lookAtParent(a.ctx, cfg)
		return func() { done(made) }
	}, func(Config) { done(ParentLook{At: a.opts.Clock.Now(), Problem: unforeseen}) })
	if !ok {
		go done(ParentLook{At: a.opts.Clock.Now(), Problem: a.stopped().Message})
	}
}

// NotifyParent implements Delegating.
func (a *Actor) NotifyParent(to NotifyTarget, done func(Result)) {
	done = told(a, done)
	ok := a.aside(func(cfg Config) func() {
		r := notifyParent(a.ctx, a.opts, cfg, to)
		return func() { done(r) }
	}, func(cfg Config) { done(resultInDoubt(cfg, a.opts.Clock.Now())) })
	if !ok {
		go done(a.stopped())
	}
}

// PublishDS implements Delegating. Changes of DS records wait for the message that is in flight, as others do.
func (a *Actor) PublishDS(c DSChange, done func(Result)) {
	done = told(a, done)
	c.Child = dns.CanonicalName(c.Child)
	a.publishAlone(func(ctx context.Context, cfg Config) Result { return writeDS(ctx, a.opts, cfg, c) }, done)
}

// aside runs work beside the actor, which says how to report it; lost reports work that panicked. It says no after
// Close.
func (a *Actor) aside(work func(Config) (report func()), lost func(Config)) bool {
	return a.post(func(s *state) {
		cfg := *s.cfg
		a.beside(s, func() func(*state) {
			report := work(cfg)
			return func(*state) { report() }
		}, func(*state) { lost(cfg) })
	})
}

// noDSSweep is a sweep that nobody answered, and why.
func (a *Actor) noDSSweep(why string) DSSweep {
	return DSSweep{At: a.opts.Clock.Now(), Answers: []delegation.Parent{{Problem: why}}}
}

// noKeySweep is a sweep that nobody answered, and why.
func (a *Actor) noKeySweep(why string) KeySweep {
	return KeySweep{At: a.opts.Clock.Now(), Answers: []delegation.Child{{Problem: why}}}
}

// dsOf picks the DS records out of an RRset.
func dsOf(set []dns.RR) []*dns.DS {
	var out []*dns.DS
	for _, rr := range set {
		if ds, ok := rr.(*dns.DS); ok {
			out = append(out, ds)
		}
	}
	return out
}

// stateAndReason are those of an answer that does not validate.
func stateAndReason(err error) (dnssec.State, string) {
	if err == nil {
		return dnssec.Secure, ""
	}
	return stateOf(err), unsignedText(err)
}
