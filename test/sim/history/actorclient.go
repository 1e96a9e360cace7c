package history

import (
	"context"
	"net/netip"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
)

// actorClient has the real zone actor do it all. The parts for delegations and for other records are not implemented.
type actorClient struct {
	zone.Delegating
	zone.Keeping
	op    *operator
	actor *zone.Actor
}

var _ zone.Client = (*actorClient)(nil)

func (op *operator) newZoneClient(config zone.Config) zone.Client {
	if op.wire == nil {
		return &zoneClient{op: op, config: config}
	}
	var ids atomic.Uint32
	actor := zone.NewActor(op.servers.told(config), zone.Options{
		Clock: op.clock, Dial: op.dial, Connections: zone.NewConnections(),
		Rand: func() uint16 { return uint16(ids.Add(1)) }, //nolint:gosec // it may begin anew
	})
	op.actors = append(op.actors, actor)
	return &actorClient{op: op, actor: actor}
}

// told completes a configuration with what a DNSZone of this world would say.
func (n *nameservers) told(config zone.Config) zone.Config {
	config.Primary, config.Static = n.all[0].addr, nil
	for _, s := range n.all {
		if s.public {
			config.Static = append(config.Static, netip.MustParseAddrPort(s.addr))
		}
	}
	config.Anchors = []*dns.DS{zoneKey.ToDS(dns.SHA256)}
	return config
}

// Configure implements zone.Client.
func (c *actorClient) Configure(config zone.Config) {
	c.op.call(func(func(func())) { c.actor.Configure(c.op.servers.told(config)) })
}

// Publish implements zone.Client.
func (c *actorClient) Publish(change zone.Change, done func(zone.Result)) {
	op := c.op
	op.asked[change.Owner] = op.blindness(change.Owner)
	_ = op.effect("update "+answer{records: change.Want, ttl: change.TTL}.String(), func() error {
		op.call(func(end func(func())) {
			c.actor.Publish(change, func(result zone.Result) {
				end(func() {
					op.say(op.name, "the update ends: %s %s", result.Class, result.Message)
					op.count("update ends: " + string(result.Class))
					done(result)
				})
			})
		})
		return nil
	})
}

// Sweep implements zone.Client.
func (c *actorClient) Sweep(owner string, done func(zone.Sweep)) { c.sweep(c.actor.Sweep, owner, done) }

// SweepLater implements zone.Client.
func (c *actorClient) SweepLater(owner string, done func(zone.Sweep)) {
	c.sweep(c.actor.SweepLater, owner, done)
}

func (c *actorClient) sweep(by func(string, func(zone.Sweep)), owner string, done func(zone.Sweep)) {
	op := c.op
	op.call(func(end func(func())) {
		by(owner, func(s zone.Sweep) {
			end(func() {
				op.sweeps++
				op.swept(owner, s)
				done(s)
			})
		})
	})
}

// Addresses implements zone.Client. A round of probes asks, beside the history.
func (c *actorClient) Addresses(host string, done func(zone.Address)) {
	c.actor.Addresses(host, func(a zone.Address) {
		c.op.lookedUp(host, a.Complete && a.Signed)
		done(a)
	})
}

// Check implements zone.Client.
func (c *actorClient) Check(done func(zone.Health)) {
	c.op.call(func(end func(func())) {
		c.actor.Check(func(health zone.Health) { end(func() { done(health) }) })
	})
}

// Close implements zone.Client.
func (c *actorClient) Close(ctx context.Context) { go c.actor.Close(ctx) }
