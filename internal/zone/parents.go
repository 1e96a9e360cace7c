package zone

import (
	"context"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// parents are what the servers of the parent zone say of the delegation: those that the newest discovery
// went by. Zones whose servers are listed have none here: their trust anchors stand in for the DS set.
func (k *knowledge) parents(ctx context.Context, cfg Config) []health.Parent {
	if !cfg.Delegation {
		return nil
	}
	k.mu.Lock()
	var above []netip.Addr
	if k.found.zone == cfg.Zone {
		above = slices.Clone(k.found.above)
	}
	k.mu.Unlock()
	now := k.opts.Clock.Now()
	if known := k.remembered.parentsOf(cfg.Zone, now); len(known) > 0 {
		return known
	}
	above = above[:min(len(above), maxParents)]
	asked := make([]health.Parent, len(above))
	each(len(above), func(i int) {
		k.opts.try(aServer, above[i].String(), func() { asked[i] = k.parent(ctx, cfg, above[i]) }, func() {
			asked[i] = k.silentParent(cfg, above[i])
		})
	})
	k.remembered.keepParents(cfg.Zone, asked, now)
	return asked
}

// parent asks one server of the parent zone for DS and NS of the zone.
func (k *knowledge) parent(ctx context.Context, cfg Config, addr netip.Addr) health.Parent {
	e := publicEndpoint(k.opts, cfg, addr)
	s := sweepSession(k.opts, cfg.Zone, e)
	defer s.close()
	questions := parentQuestions(cfg)
	return observedParent(e, questions, s.askAll(ctx, questions))
}

// silentParent is a server of the parent zone that could not be asked.
func (k *knowledge) silentParent(cfg Config, addr netip.Addr) health.Parent {
	return observedParent(publicEndpoint(k.opts, cfg, addr), parentQuestions(cfg), fill(nil, 2, errUnforeseen))
}

func parentQuestions(cfg Config) []*dns.Msg {
	return []*dns.Msg{query(cfg.Zone, dns.TypeDS), query(cfg.Zone, dns.TypeNS)}
}

func observedParent(e endpoint, questions []*dns.Msg, replies []reply) health.Parent {
	return health.Parent{Label: e.address, DS: observedReply(questions[0], replies[0]), NS: observedReply(questions[1], replies[1])}
}
