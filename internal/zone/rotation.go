package zone

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

const (
	// checkedOwners are looked at in one look, others in the next.
	checkedOwners = 3
	// ownerFor is how long an owner that was swept counts as one that is looked after.
	ownerFor = 3 * time.Hour
	// soonest is of how many owners it is kept when their signatures run out: those of which they do first. Each is
	// looked at again after keptFor.
	soonest = 8
	keptFor = time.Hour
)

// rotation has the TLSA owners of a zone looked at in turn, and keeps what was found at one of them until it is looked
// at again, or nobody looks after it any more.
type rotation struct {
	// owners are those that were swept. Turns are the same ones, that first whose turn is next.
	owners map[string]*rotated
	turns  []string
	// waiting is how many of them no look has covered yet.
	waiting int
	// kept is what was found at owners: at those where something is wrong, and where signatures run out first.
	kept []keptOwner
}

// rotated is an owner in a rotation.
type rotated struct {
	swept  time.Time
	looked bool
}

// keptOwner is what was found at an owner at a time.
type keptOwner struct {
	owner    string
	at       time.Time
	findings []health.Finding
	// expire is when the first signature runs out that a server showed there, first the earliest of them.
	expire map[netip.AddrPort]time.Time
	first  time.Time
}

// swept notes owners that are looked after.
func (r *rotation) swept(owners []string, now time.Time) {
	if r.owners == nil {
		r.owners = map[string]*rotated{}
	}
	for _, owner := range owners {
		if o := r.owners[owner]; o != nil {
			o.swept = now
			continue
		}
		r.owners[owner] = &rotated{swept: now}
		r.turns = append(r.turns, owner)
		r.waiting++
	}
}

// next are the owners below the zone that a look covers: one of which something is kept, so that what was mended, or
// signed again, is soon known to be, and else those whose turn it is.
func (r *rotation) next(zone string, now time.Time) []string {
	var out []string
	r.kept = slices.DeleteFunc(r.kept, func(k keptOwner) bool { return !r.cares(k.owner, now) })
	if again := r.again(now); again != "" {
		out = append(out, again)
	}
	for range len(r.turns) {
		if len(out) == checkedOwners {
			break
		}
		owner := r.turns[0]
		r.turns = r.turns[1:]
		if !r.cares(owner, now) || owner == zone || !dns.IsSubDomain(zone, owner) {
			r.forget(owner)
			continue
		}
		r.turns = append(r.turns, owner)
		if !slices.Contains(out, owner) {
			out = append(out, owner)
		}
	}
	return out
}

// again is the owner to be looked at out of its turn: of those where something is wrong, or that are well and were
// looked at long ago, the one that waits for longest. Empty when there is none.
func (r *rotation) again(now time.Time) string {
	due := slices.DeleteFunc(slices.Clone(r.kept), func(k keptOwner) bool { return len(k.findings) == 0 && now.Sub(k.at) < keptFor })
	if len(due) == 0 {
		return ""
	}
	return slices.MinFunc(due, func(a, b keptOwner) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.owner, b.owner))
	}).owner
}

// cares says whether an owner is looked after.
func (r *rotation) cares(owner string, now time.Time) bool {
	o := r.owners[owner]
	return o != nil && now.Sub(o.swept) < ownerFor
}

func (r *rotation) forget(owner string) {
	if !r.owners[owner].looked {
		r.waiting--
	}
	delete(r.owners, owner)
}

// note keeps what a look has found at its owners.
func (r *rotation) note(looked []keptOwner) {
	for _, k := range looked {
		if o := r.owners[k.owner]; o != nil && !o.looked {
			o.looked = true
			r.waiting--
		}
		r.kept = slices.DeleteFunc(r.kept, func(old keptOwner) bool { return old.owner == k.owner })
	}
	var wrong, well []keptOwner
	for _, k := range append(r.kept, looked...) {
		switch {
		case len(k.findings) > 0:
			wrong = append(wrong, k)
		case !k.first.IsZero():
			well = append(well, k)
		}
	}
	// A report holds no more findings than that, and the worst of them.
	slices.SortFunc(wrong, func(a, b keptOwner) int {
		return cmp.Or(health.Compare(a.findings[0], b.findings[0]), strings.Compare(a.owner, b.owner))
	})
	slices.SortFunc(well, func(a, b keptOwner) int {
		return cmp.Or(a.first.Compare(b.first), strings.Compare(a.owner, b.owner))
	})
	r.kept = append(wrong[:min(len(wrong), health.MaxFindings)], well[:min(len(well), soonest)]...)
}

// complete adds to the report of a look what is kept of owners, those of this look among them, as far as it is about
// servers that the zone has yet.
func (r *rotation) complete(report *health.Report, servers []seen) {
	labels := map[string]bool{"": true}
	for _, s := range servers {
		labels[s.asked.Label] = true
	}
	found := [][]health.Finding{report.Findings}
	for _, k := range r.kept {
		found = append(found, slices.DeleteFunc(slices.Clone(k.findings), func(f health.Finding) bool { return !labels[f.Server] }))
		for i, s := range servers {
			report.Expire[i] = sooner(report.Expire[i], k.expire[s.health.Addr])
		}
	}
	report.Findings = health.Join(found...)
	for i, s := range servers {
		if !s.asked.Ignored && !s.asked.Hidden {
			report.SignaturesExpire = sooner(report.SignaturesExpire, report.Expire[i])
		}
	}
}

// sooner is the earlier of two times, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// toldOf says whether the server answered any question about one of the owners of a look.
func (s seen) toldOf(owner int) bool {
	return owner < len(s.asked.Hosts) && slices.ContainsFunc(s.asked.Hosts[owner], func(r health.Reply) bool { return r.Msg != nil })
}

// keptOwners are what a report tells of owners. Those about which nobody answered were not looked at.
func keptOwners(owners []string, report health.Report, servers []seen, now time.Time) []keptOwner {
	var out []keptOwner
	for i, of := range report.Owners {
		if !slices.ContainsFunc(servers, func(s seen) bool { return s.toldOf(i) }) {
			continue
		}
		k := keptOwner{owner: owners[i], at: now, findings: of.Findings, expire: map[netip.AddrPort]time.Time{}}
		for j, s := range servers {
			if at := of.Expire[j]; !at.IsZero() {
				k.expire[s.health.Addr] = at
				k.first = sooner(k.first, at)
			}
		}
		out = append(out, k)
	}
	return out
}
