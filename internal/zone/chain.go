package zone

import (
	"context"
	"sync"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/guard"
)

// Resolver finds RRsets and validates them from trust anchors down. *dnssec.Validator implements it; it is
// used by many goroutines.
type Resolver interface {
	Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result
	// LookupDS finds the DS records of a zone as its parent has them now.
	LookupDS(ctx context.Context, zone string) dnssec.Result
	ZoneKeys(ctx context.Context, zone string) dnssec.ZoneState
}

const (
	// chainKeep is how long the DS records of a zone count at the most before they are looked up anew;
	// chainEarly before that, a lookup begins that nobody waits for. chainRetry is the least time from one
	// lookup to the next.
	chainKeep  = 15 * time.Minute
	chainEarly = 5 * time.Minute
	chainRetry = 30 * time.Second
	// chainBackOff is the most that lies between lookups that nobody answers, each of which has a turn for long that
	// others wait for: the time from one to the next doubles from chainRetry on.
	chainBackOff = 15 * time.Minute
	// chainLimit is how long a lookup may take, which asks for DS records and keys. The validator says how long of
	// that goes by with waiting for a turn.
	chainLimit = 2 * dnssec.MaxLookup
)

// entry is how a zone is entered: the DS records by which the keys of each of its servers are judged, or why
// there are none.
type entry struct {
	ds []*dns.DS
	// parent is the zone above that gives them, and ttl the longest that caches keep them, as it was signed; empty and
	// zero for trust anchors of the zone itself.
	parent string
	ttl    time.Duration
	// above are the DNSKEY and DS sets on the way to the zone; none where that was not come by.
	above []dnssec.Passed
	// err says why there are none: what proves that the zone is insecure, what is bogus on the way to it,
	// or who does not answer. Nil when there are some.
	err *dnssec.Error
}

// chain keeps how one zone is entered from trust anchors above it.
type chain struct {
	clock clock.PassiveClock
	guard *guard.Guard
	// ctx ends with the actor. No lookup ends with one of those who wait for it.
	ctx context.Context

	mu sync.Mutex
	// of is the zone and the anchors that the rest is about.
	of string
	// known was found at a time, is to be found anew early or at the latest at renew, and serves until ends
	// when that is not possible for want of answers.
	known                  *entry
	at, early, renew, ends time.Time
	// silent counts the lookups in a row that nobody answered.
	silent int
	flight *flight
}

// flight is a lookup under way, with what it is about. Got is there when it is done.
type flight struct {
	of   string
	done chan struct{}
	got  entry
}

// entry gives how the zone is entered. What is kept serves for its time; else all who ask wait for one and the
// same lookup.
func (c *chain) entry(ctx context.Context, cfg Config, r Resolver) entry {
	c.mu.Lock()
	if of := chainOf(cfg); of != c.of {
		c.of, c.known, c.flight, c.silent = of, nil, nil, 0
	}
	now := c.clock.Now()
	fresh := c.known != nil && now.Before(c.renew)
	if fresh && now.Before(c.early) {
		defer c.mu.Unlock()
		return *c.known
	}
	f := c.begin(cfg.Zone, r)
	if fresh {
		defer c.mu.Unlock()
		return *c.known
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.got
	case <-ctx.Done():
		return entry{err: interrupted(cfg.Zone)}
	}
}

func interrupted(zone string) *dnssec.Error {
	return &dnssec.Error{Reason: dnssec.Unreachable, Subject: zone + " DS", Detail: "the lookup was broken off"}
}

// chainOf names a zone and its anchors.
func chainOf(cfg Config) string {
	out := cfg.Zone
	for _, ds := range cfg.Anchors {
		out += "\n" + ds.Hdr.Name + " " + dnssec.PresentDS(ds)
	}
	return out
}

// begin starts a lookup where none is under way. The caller holds the lock.
func (c *chain) begin(zone string, r Resolver) *flight {
	if c.flight != nil {
		return c.flight
	}
	f := &flight{of: c.of, done: make(chan struct{})}
	c.flight = f
	go func() {
		limited, cancel := context.WithTimeout(c.ctx, chainLimit)
		defer cancel()
		e, ttl := entry{err: &dnssec.Error{Reason: dnssec.Unreachable, Subject: zone + " DS", Detail: unforeseen}}, time.Duration(0)
		c.guard.Do(guard.Zone, func() { e, ttl = enter(limited, zone, r) })
		c.land(f, e, ttl)
	}()
	return f
}

// land keeps what a lookup has found.
func (c *chain) land(f *flight, e entry, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if f.got = e; f.of != c.of {
		return
	}
	c.flight = nil
	f.got = steady(c.known, e)
	c.count(e)
	now := c.clock.Now()
	var keep time.Duration
	switch {
	case e.err == nil:
		c.ends = now.Add(ttl)
		keep = min(ttl, chainKeep)
	case e.err.State() == dnssec.Insecure:
		keep = max(min(ttl, chainKeep), 2*chainRetry)
	case unknown(e) && c.known != nil && c.known.err == nil && now.Before(c.ends):
		// Whom nobody contradicts is believed for as long as a resolver would.
		f.got = *c.known
		keep = min(c.ends.Sub(now), 2*c.pause())
	default:
		keep = 2 * c.pause()
	}
	known := f.got
	c.known, c.at, c.renew, c.early = &known, now, now.Add(keep), now.Add(c.ahead(e, keep))
}

// ahead is how long after a lookup the next begins that nobody waits for, when it counts for so long: after one that
// failed, as soon as may be.
func (c *chain) ahead(e entry, keep time.Duration) time.Duration {
	if e.err == nil || e.err.State() == dnssec.Insecure {
		return max(keep-chainEarly, keep/2)
	}
	return min(keep, c.pause())
}

// unknown says that nothing is known, for want of answers or of a turn to ask.
func unknown(e entry) bool {
	return e.err != nil && (e.err.Reason == dnssec.Unreachable || e.err.Reason == dnssec.Busy)
}

// count notes whether a lookup was answered. One that had no turn says nothing of the zone.
func (c *chain) count(e entry) {
	switch {
	case !unknown(e):
		c.silent = 0
	case e.err.Reason == dnssec.Unreachable:
		c.silent++
	}
}

// pause is the least time from the last lookup to the next.
func (c *chain) pause() time.Duration {
	pause := chainRetry
	for i := 1; i < c.silent && pause < chainBackOff; i++ {
		pause *= 2
	}
	return min(pause, chainBackOff)
}

// steady is what was found, in the words of before where the same fails in the same zone: of several servers that
// fail alike another one comes first the next time, which is no news.
func steady(before *entry, e entry) entry {
	if before == nil || before.err == nil || e.err == nil {
		return e
	}
	if b := before.err; b.Reason == e.err.Reason && b.Zone == e.err.Zone && b.Subject == e.err.Subject {
		e.err = b
	}
	return e
}

// forget has the next who asks wait for a new lookup, unless the last is only just done.
func (c *chain) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); now.Sub(c.at) >= c.pause() && now.Before(c.renew) {
		c.renew = now
	}
}
