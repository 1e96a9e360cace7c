package zone

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// parents are what the servers of the parent zone say of the delegation: those that the newest discovery
// went by, or, for a zone whose servers are listed, those that its delegation is found at. It has none where its trust
// anchors stand in for the DS set: nobody says that such a zone is delegated, or that what is delegated by its name is the
// same.
func (k *knowledge) parents(ctx context.Context, cfg Config, e entry) []health.Parent {
	if !cfg.Delegation && e.parent == "" && !isUnsigned(cfg.Zone, e.err) {
		return nil
	}
	now := k.opts.Clock.Now()
	if said, known := k.remembered.parentsOf(cfg.Zone, now); known {
		return said
	}
	above := k.above(ctx, cfg)
	above = above[:min(len(above), maxParents)]
	asked := make([]health.Parent, len(above))
	each(len(above), func(i int) {
		k.opts.try(aServer, above[i].String(), func() { asked[i] = k.parent(ctx, cfg, above[i]) }, func() {
			asked[i] = k.silentParent(cfg, above[i])
		})
	})
	// That there is no way to the parent is not tried at every look.
	if !cfg.Delegation || slices.ContainsFunc(asked, func(p health.Parent) bool { return p.DS.Msg != nil }) {
		k.remembered.keepParents(cfg.Zone, asked, now)
	}
	return asked
}

// above are the servers of the parent zone; none where they cannot be found.
func (k *knowledge) above(ctx context.Context, cfg Config) []netip.Addr {
	if !cfg.Delegation {
		return delegatedBy(ctx, k.opts, cfg)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found.zone != cfg.Zone {
		return nil
	}
	return slices.Clone(k.found.above)
}

// parentLimit is how long a look waits for the servers of the parent to be found: those that a resolver tells of may all be
// out of reach.
const parentLimit = 10 * time.Second

// delegatedBy finds the servers of the zone that delegates one, by way of the resolvers. Where nobody does that they know
// of there are none.
func delegatedBy(ctx context.Context, opts Options, cfg Config) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, parentLimit)
	defer cancel()
	f := newFinder(opts, cfg)
	if f.useResolvers() != nil {
		return nil
	}
	parent, servers, err := f.parent(ctx)
	if err != nil || f.askParent(ctx, parent, servers) != nil {
		return nil
	}
	return f.above
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

// parentsOf is what the servers of the parent said when that is not too long ago, and whether they were asked.
func (r *remembered) parentsOf(zone string, now time.Time) ([]health.Parent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parentZone != zone || now.Sub(r.parentsAt) >= parentEvery {
		return nil, false
	}
	return r.parents, true
}

// keepParents remembers what the servers of the parent said.
func (r *remembered) keepParents(zone string, asked []health.Parent, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parents, r.parentZone, r.parentsAt = asked, zone, now
}
