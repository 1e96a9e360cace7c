// Package delegation_test keeps the DS records of a child zone in step with the keys that real signers
// roll, and has a validating resolver say throughout whether the child can be reached.
package delegation_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	parentApex = "parent.test."
	childApex  = "child.parent.test."
	host       = "www.child.parent.test."
)

// rig is a parent and a child, each with a secondary, and what keeps the DS records of the child.
type rig struct {
	*testing.T
	parent, child                   *servers.Primary
	parentSecondary, childSecondary *servers.Secondary
	parentActor, childActor         *zone.Actor
	resolver                        *servers.Resolver

	mark   time.Time
	policy delegation.Policy
	// history of the DS records that were published, each as text.
	history []string
	last    delegation.Decision
	// counted is what the resolver answers while it is watched.
	counted *tally
}

// grants are the least that lets the operator's key write the DS records of the child.
var grants = map[servers.Make][]string{
	servers.BIND:     {"grant tlsa-key name child.parent.test. DS;"},
	servers.Knot:     {"update-type: [DS]", "update-owner: name", "update-owner-match: equal", "update-owner-name: [child]"},
	servers.PowerDNS: {`update:getQType() == pdns.DS and update:getQName() == newDN("child.parent.test.")`},
}

// forgetful has a resolver see a change soon, and serve many clients at once.
var forgetful = []string{"cache-max-ttl: 2", "cache-max-negative-ttl: 1", "val-bogus-ttl: 1", "prefetch: no", "incoming-num-tcp: 100"}

func newRig(t *testing.T, parent, child servers.Make, lifetime int) *rig {
	t.Helper()
	return newRigOf(t, parent, child, servers.Options{Rolling: &servers.Rolling{Lifetime: lifetime}})
}

// newRigOf is newRig with more said of the child and of how its signer rolls.
func newRigOf(t *testing.T, parent, child servers.Make, of servers.Options) *rig {
	t.Helper()
	r := &rig{T: t}
	r.parent = servers.StartPrimary(t, parent, servers.Options{
		Zone: parentApex, Grants: grants[parent], NegativeTTL: 1,
		Records: []string{"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1"},
	})
	r.parentSecondary = servers.StartNSDSecondary(t, r.parent, "")
	of.Zone, of.Records, of.Rolling.Parents = childApex, []string{"www A 192.0.2.1", "@ MX 10 www"}, []netip.AddrPort{r.parent.Addr}
	r.child = servers.StartPrimary(t, child, of)
	r.childSecondary = servers.StartBINDSecondary(t, r.child, "")
	r.parentActor = r.actor(r.parent, r.parentSecondary)
	r.childActor = r.actor(r.child, r.childSecondary)
	r.resolver = servers.StartUnbound(t, servers.ResolverOptions{
		Stubs: []servers.Stub{servers.StubOf(r.parent, r.parentSecondary), below(servers.StubOf(r.child, r.childSecondary))},
		Extra: forgetful,
	})
	return r
}

// actor is the operator's actor of a zone that it has a trust anchor of.
func (r *rig) actor(p *servers.Primary, s *servers.Secondary) *zone.Actor {
	r.Helper()
	return r.actorBelow(p, s, r.anchor(p.DS, p.Zone), zone.Options{})
}

func (r *rig) anchor(rdata, owner string) dnssec.Anchor {
	r.Helper()
	ds, err := dnssec.ParseDS(rdata, owner)
	if err != nil {
		r.Fatal(err)
	}
	return ds
}

// actorBelow is the operator's actor of a zone at or below a trust anchor.
func (r *rig) actorBelow(p *servers.Primary, s *servers.Secondary, anchor dnssec.Anchor, o zone.Options) *zone.Actor {
	r.Helper()
	a := zone.NewActor(zone.Config{
		Zone: p.Zone, Primary: p.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{p.Addr, s.Addr},
		TSIG:    &zone.TSIG{Name: p.TSIGName, Algorithm: p.TSIGAlgorithm, Secret: p.TSIGSecret},
		Anchors: []dnssec.Anchor{anchor},
	}, o)
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		a.Close(ctx)
	})
	return a
}

// look is what both sides say now.
func (r *rig) look() (delegation.Facts, time.Duration) {
	parents, children := make(chan zone.DSSweep, 1), make(chan zone.KeySweep, 1)
	r.parentActor.SweepDS(childApex, func(s zone.DSSweep) { parents <- s })
	r.childActor.SweepKeys(func(s zone.KeySweep) { children <- s })
	p, c := <-parents, <-children
	facts := delegation.Facts{Child: childApex, Now: time.Now(), Parents: p.Answers, Children: c.Answers, Mark: r.mark, Policy: r.policy}
	if signallers := delegation.Signallers(childApex, p.Answers); len(signallers) > 0 {
		signals := make(chan []delegation.Signal, 1)
		r.childActor.SweepSignals(signallers, func(s []delegation.Signal) { signals <- s })
		facts.Signals = <-signals
	}
	return facts, p.TTL
}

// step looks once, and does what is decided.
func (r *rig) step() delegation.Decision {
	r.Helper()
	facts, ttl := r.look()
	d := delegation.Decide(facts)
	r.mark = d.Mark
	if d.Reason != r.last.Reason || d.Server != r.last.Server {
		r.Logf("%s: %s", d.Reason, d.Message)
	}
	r.last = d
	if d.Action == delegation.Keep {
		return d
	}
	results := make(chan zone.Result, 1)
	change := zone.DSChange{Child: childApex, Expect: d.Expect, Want: d.Want, Nameservers: d.Nameservers, TTL: ttl}
	r.parentActor.PublishDS(change, func(result zone.Result) { results <- result })
	if got := <-results; got.Class != zone.Applied {
		r.Logf("publish DS: %s: %s", got.Class, got.Message)
		return d
	}
	r.history = append(r.history, text(d.Want))
	if r.counted != nil {
		r.counted.mark()
	}
	return d
}

func text(set []*dns.DS) string {
	var out []string
	for _, ds := range set {
		out = append(out, presentation(ds))
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func presentation(ds *dns.DS) string { return dnssec.PresentDS(ds) }

// keys are the tags of the key signing keys that the child shows.
func (r *rig) keys() []uint16 {
	m, err := servers.Ask(r.child.Addr, childApex, dns.TypeDNSKEY, false)
	if err != nil {
		return nil
	}
	var out []uint16
	for _, rr := range m.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Flags&dns.SEP != 0 {
			out = append(out, k.KeyTag())
		}
	}
	slices.Sort(out)
	return out
}

// poke has BIND look after its keys now: by itself it asks the parent's servers for DS records when the
// next event is due, which may be in an hour.
func (r *rig) poke() {
	if r.child.Make == servers.BIND {
		r.child.Control("loadkeys", childApex)
	}
}

// until works until the condition holds. The signers' clocks set the pace, and a busy machine slows them
// down: the limit is there to end a test that hangs.
func (r *rig) until(what string, limit time.Duration, condition func() bool) {
	r.Helper()
	deadline, poked := time.Now().Add(limit), time.Now()
	for !condition() {
		if time.Now().After(deadline) {
			r.Fatalf("waited in vain until %s; last: %s: %s; keys %v; DS history %v", what, r.last.Reason, r.last.Message, r.keys(), r.history)
		}
		if time.Since(poked) > 2*time.Second {
			r.poke()
			poked = time.Now()
		}
		r.step()
		time.Sleep(300 * time.Millisecond)
	}
}
