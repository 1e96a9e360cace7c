package zone

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A server that leaves the zone's NS records is asked for a while longer: resolvers that have the old ones cached go on
// asking it, and what they are told counts as long as it would from any other server. While a former server answers
// with authority its answers are like all others. When it gives none (silence, REFUSED, no authority) it is gone for
// now, and holds nothing up: resolvers that get no answer there ask another server. One lost packet does no harm, for a
// version is closed by several sweeps in a row; and it stays a target, so that what it says counts when it comes back.

const (
	// maxLead is the longest that a cache is believed to keep the records that lead to a server: RFC 8767 section 4
	// recommends seven days for the cap, and BIND has it (max-cache-ttl). Other resolvers stop earlier.
	maxLead = 7 * 24 * time.Hour
	// maxFormer is how many former servers are asked; of more, those that caches forget last.
	maxFormer = 32
)

// Known is a server that an earlier process has known.
type Known struct {
	Server
	// LeadTTL and FormerUntil as in ServerHealth.
	LeadTTL     time.Duration
	FormerUntil time.Time
}

// roster remembers which servers the zone has and has had. The caller holds a lock.
type roster struct {
	zone    string
	members map[netip.AddrPort]*rostered
}

// rostered is a server that the zone has or has had.
type rostered struct {
	Server
	// lead is the longest TTL of what leads to it that some cache may still go by; zero when none was seen.
	lead time.Duration
	// until is when the last cache will have forgotten it if it is named no more.
	until time.Time
	// named says that the newest whole look named it, configured that this process was told of it by the user: then it
	// may be asked wherever it is.
	named, configured bool
}

// recall takes in what an earlier process has known. When that looked last is not known: the servers may have been named
// until now.
func (r *roster) recall(cfg Config, now time.Time) {
	r.enter(cfg.Zone)
	for _, k := range cfg.Known {
		m := &rostered{Server: k.Server, lead: min(k.LeadTTL, maxLead), named: k.FormerUntil.IsZero()}
		m.until = earlier(k.FormerUntil, now.Add(maxLead+cfg.Delay))
		if m.named {
			m.until = now.Add(m.lead + cfg.Delay)
		}
		r.members[k.Addr] = m
	}
}

// enter begins anew for another zone.
func (r *roster) enter(zone string) {
	if r.zone != zone || r.members == nil {
		*r = roster{zone: zone, members: map[netip.AddrPort]*rostered{}}
	}
}

// call notes which servers a look has named, with the TTL of the records that did, zero where that is not known. It
// returns the others that are to be asked: former servers that some cache may still know, and where the look was not
// whole, those that were named before.
func (r *roster) call(cfg Config, named []Server, ttl time.Duration, whole bool, now time.Time) []rostered {
	r.enter(cfg.Zone)
	present := map[netip.AddrPort]bool{}
	for _, s := range named {
		present[s.Addr] = true
		m := r.members[s.Addr]
		if m == nil {
			m = &rostered{}
			r.members[s.Addr] = m
		}
		m.Server, m.configured = s, configured(cfg, s.Addr.Addr())
		m.name(min(ttl, maxLead), cfg.Delay, now)
	}
	var still, former []rostered
	for addr, m := range r.members {
		if m.named && !present[addr] && whole {
			m.leave(cfg.Delay, now)
		}
		switch {
		case present[addr]:
		case m.named:
			still = append(still, *m)
		case now.Before(m.until):
			former = append(former, *m)
		default:
			delete(r.members, addr)
		}
	}
	return append(still, r.bound(former)...)
}

// name notes that the server is named by records with a TTL.
func (m *rostered) name(ttl, lag time.Duration, now time.Time) {
	m.named = true
	if ttl == 0 {
		return
	}
	if ttl > m.lead || !now.Before(m.until) {
		m.lead = ttl
	}
	m.until = later(m.until, now.Add(ttl+lag))
}

// leave notes that the server is named no more. When since is not known: it may have been until now.
func (m *rostered) leave(lag time.Duration, now time.Time) {
	lead := m.lead
	if lead == 0 {
		lead = maxLead
	}
	m.until, m.named = later(m.until, now.Add(lead+lag)), false
}

// bound keeps of too many those that caches forget last.
func (r *roster) bound(former []rostered) []rostered {
	slices.SortFunc(former, func(a, b rostered) int { return cmp.Or(b.until.Compare(a.until), a.Addr.Compare(b.Addr)) })
	most := min(len(former), maxFormer)
	for _, m := range former[most:] {
		delete(r.members, m.Addr)
	}
	return former[:most]
}

// gone says that a former server gave no answer, which holds nothing up. That a fault of the operator kept it from being
// asked says nothing of it.
func (t target) gone(a Answer) bool {
	return t.isFormer() && !a.Reachable && a.Message != unforeseen
}

// lookFormer asks a former server whether it still serves the zone.
func (k *knowledge) lookFormer(ctx context.Context, cfg Config, t target) seen {
	out := seen{health: ServerHealth{Server: t.Server, LeadTTL: t.lead, FormerUntil: t.former}}
	questions := questionary{apex: []*dns.Msg{query(cfg.Zone, dns.TypeSOA)}}
	replies := []reply{{err: errors.New(t.problem)}}
	if t.problem == "" {
		s := sweepSession(k.opts, cfg.Zone, t.endpoint)
		defer s.close()
		replies = s.askAll(ctx, questions.all())
	}
	out.asked = observed(t, questions, replies)
	out.readSOA(cfg, replies[0])
	out.health.Message = "the zone does not name it any more, and it does not answer for the zone: it holds nothing up"
	if out.health.Reachable {
		out.health.Message = "the zone does not name it any more, and it still answers: what it shows counts until caches have forgotten that it was a server of the zone"
	}
	return out
}

// lead is the longest TTL of what leads to a server, as a health look shows it.
func (r *roster) lead(at netip.AddrPort) time.Duration {
	if m := r.members[at]; m != nil {
		return m.lead
	}
	return 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
