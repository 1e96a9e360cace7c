package history

import (
	"context"
	"net/netip"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// zoneClient stands for the zone actor of one operator process: it promises what zone.Client does, with
// answers that take their time. The parts for delegations and for other records are not implemented.
type zoneClient struct {
	zone.Delegating
	zone.Keeping
	op     *operator
	config zone.Config
	closed bool
}

var _ zone.Client = (*zoneClient)(nil)

// Configure implements zone.Client.
func (c *zoneClient) Configure(config zone.Config) { c.config = config }

// Close implements zone.Client.
func (c *zoneClient) Close(context.Context) { c.closed = true }

// giveUp is how long a server that does not answer is waited for.
const giveUp = 5 * time.Second

// Publish implements zone.Client. The message is under way whatever becomes of the process.
func (c *zoneClient) Publish(change zone.Change, done func(zone.Result)) {
	op := c.op
	unread := op.blindness(change.Owner)
	_ = op.effect("update "+answer{records: change.Want, ttl: change.TTL}.String(), func() error {
		op.after(op.between(time.Millisecond, 200*time.Millisecond), func() {
			wait, result := op.servers.update(change, unread)
			op.later(wait, func() {
				if result.Class == zone.Applied && !op.servers.shows(change) {
					result.Class, result.Message, result.Retryable = zone.NotStored, "the primary shows something else", true
				}
				op.say(op.name, "the update ends: %s", result.Class)
				result.At = op.clock.Now()
				done(result)
			})
		})
		return nil
	})
}

// update is what the primary makes of a change, and how long it is until the client knows.
func (n *nameservers) update(change zone.Change, unread blindness) (time.Duration, zone.Result) {
	h := n.h
	have := n.stored[change.Owner]
	failed := zone.Result{Class: zone.Unreachable, Message: "the primary did not answer", Retryable: true}
	switch {
	case h.now.Before(n.all[0].down):
		return giveUp, failed
	case h.now.Before(n.all[0].failing):
		return 10 * time.Millisecond, zone.Result{Class: zone.ServerFailure, Message: "the primary answered SERVFAIL", Retryable: true}
	case h.losingUpdates > 0:
		h.losingUpdates--
		return giveUp, failed
	case tlsa.Equal(have.records, change.Want) && have.ttl == change.TTL && n.shows(change):
		return 10 * time.Millisecond, zone.Result{Class: zone.Unchanged, Current: have.records, CurrentKnown: true}
	case !tlsa.Equal(have.records, change.Expect):
		return 10 * time.Millisecond, zone.Result{Class: zone.Conflict, Message: "the records are others", Current: have.records, CurrentKnown: true, Retryable: true}
	case h.now.Before(n.ignoring):
		return giveUp, zone.Result{Class: zone.NotStored, Message: "the primary said NOERROR and shows something else", Current: have.records, CurrentKnown: true, Retryable: true}
	}
	h.judgeUpdate(change, unread)
	h.updates++
	n.write(change.Owner, answer{records: change.Want, ttl: change.TTL})
	if h.losingReplies > 0 {
		h.losingReplies--
		return giveUp, failed
	}
	return min(n.all[0].lag+10*time.Millisecond, giveUp), zone.Result{Class: zone.Applied, Current: change.Want, CurrentKnown: true}
}

func (n *nameservers) shows(change zone.Change) bool {
	return tlsa.Equal(n.all[0].serves[change.Owner].records, change.Want)
}

// Sweep implements zone.Client.
func (c *zoneClient) Sweep(owner string, done func(zone.Sweep)) {
	op, start := c.op, c.op.clock.Now()
	op.later(op.between(5*time.Millisecond, time.Second), func() {
		op.sweeps++
		s := zone.Sweep{Start: start, End: op.clock.Now()}
		for _, each := range op.servers.all {
			s.Answers = append(s.Answers, op.servers.ask(each, owner, op.clock.Now()))
		}
		op.swept(owner, s)
		done(s)
	})
}

// SweepLater implements zone.Client.
func (c *zoneClient) SweepLater(owner string, done func(zone.Sweep)) { c.Sweep(owner, done) }

// ask is what a server says of an owner. Its signatures are good for more than a week.
func (n *nameservers) ask(s *server, owner string, now time.Time) zone.Answer {
	a := zone.Answer{Name: s.name, Address: s.addr, Primary: s == n.all[0]}
	switch {
	case n.h.now.Before(s.failing):
		a.Message = "it answers SERVFAIL"
		return a
	case n.h.now.Before(s.down) || n.h.now.Before(s.silent):
		a.Message = "no answer"
		return a
	}
	has := s.serves[owner]
	a.Reachable, a.Signed, a.Records = true, !n.h.now.Before(n.h.unsigned), has.records
	a.TTL, a.CacheTTL = has.ttl, has.ttl
	if len(has.records) == 0 {
		a.TTL, a.CacheTTL = time.Minute, time.Minute
	}
	a.SignatureExpires, a.SignatureValidity = now.Truncate(24*time.Hour).Add(10*24*time.Hour), 14*24*time.Hour
	return a
}

// Addresses implements zone.Client.
func (c *zoneClient) Addresses(host string, done func(zone.Address)) {
	a := zone.Address{Complete: true, Signed: !c.op.now.Before(c.op.unsigned)}
	for _, s := range c.op.servers.all {
		if s.public && (c.op.now.Before(s.down) || c.op.now.Before(s.failing)) {
			a.Complete, a.Message = false, s.name+" did not answer"
		}
	}
	if !a.Signed {
		a.Message = "the answers are not signed"
	}
	c.op.lookedUp(host, a.Complete && a.Signed)
	for _, r := range c.op.hostNamed(host).replicas {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(r.addr))
	}
	done(a)
}

// Check implements zone.Client.
func (c *zoneClient) Check(done func(zone.Health)) {
	op := c.op
	op.later(op.between(10*time.Millisecond, 2*time.Second), func() {
		health := zone.Health{At: op.clock.Now(), Serial: 1, PrimaryAccepts: zone.Result{Class: zone.Applied}}
		health.DNSSEC = zone.ZoneDNSSEC{State: dnssec.Secure, Keys: []string{"1"}, DS: []string{"1"}, KeyTTL: time.Minute}
		if op.now.Before(op.unsigned) {
			health.DNSSEC.State, health.DNSSEC.Message = dnssec.Bogus, "signatures are missing"
		}
		for _, s := range op.servers.all {
			up := !op.now.Before(s.down) && !op.now.Before(s.failing)
			if s == op.servers.all[0] && !up {
				health.PrimaryAccepts = zone.Result{Class: zone.Unreachable, Message: "no answer", Retryable: true}
			}
			if s.public {
				health.Servers = append(health.Servers, zone.ServerHealth{Server: zone.Server{Name: s.name, Addr: netip.MustParseAddrPort(s.addr)}, Serial: 1, Reachable: up})
			}
		}
		done(health)
	})
}
