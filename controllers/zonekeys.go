package controllers

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// keyMemory is what is remembered of a zone's keys from one look to the next, and by way of status from
// one process to the next.
type keyMemory struct {
	// of is the DNSZone whose status it began with.
	of       types.UID
	keys, ds []string
	// changedAt is when any of these last changed, or those of a zone above; zero when no cache can hold the old ones any
	// more.
	changedAt time.Time
	// over is when a change in flight has been waited for; zero when there is none, or that is not known.
	over time.Time
	// dsTTL is how long caches keep the DS records seen last. keep is how long they keep the DS records before the
	// change in flight, or the sets above, or what a sweep has met; zero when that is a change of the keys alone that a look has found.
	dsTTL, keep time.Duration
	// above are the DNSKEY and DS sets of the zones on the way to this one, as they were seen last.
	above []dnssec.Passed
	// blank says that nothing is known of what was before: neither status nor a look of this process has told of the
	// zone's keys or DS records. Presumed says that the change in flight is one that was not seen for that.
	blank, presumed bool
	// recalled says that the change in flight is one that status tells of, and not of what.
	recalled bool
	// floor is the shortest time that a cache is believed to keep them.
	floor time.Duration
}

// recall takes over what status says, once a process. A zone that was found Insecure was looked at.
func (m *keyMemory) recall(z *v1alpha1.DNSZone) {
	if m.of != z.UID {
		d := z.Status.DNSSEC
		*m = keyMemory{of: z.UID, keys: d.Keys, ds: d.DS, above: passedOf(d.Above), changedAt: timeOf(d.KeysChangedAt), recalled: d.KeysChangedAt != nil}
		m.blank = len(d.Keys) == 0 && len(d.DS) == 0 && !m.recalled && d.State != v1alpha1.DNSSECStateInsecure
	}
	m.floor = z.Spec.Propagation.TTLFloor.Or(5 * time.Minute)
}

// meet notes that a sweep has met other keys or DS records than the newest look, which caches keep for a time: a change as one that
// a look finds. The server that showed them may have nothing to say at the look that follows.
func (m *keyMemory) meet(keep time.Duration, now time.Time) {
	m.changedAt, m.keep, m.presumed = now, max(m.keep, keep), false
}

// even has a change in flight count from when the clock began to run evenly: it was noted before, and nobody knows how long.
func (m *keyMemory) even(since time.Time) {
	if !m.changedAt.IsZero() && since.After(m.changedAt) {
		m.changedAt = since
	}
}

// note compares a look with what is remembered, and has it say whether a change is in flight.
func (m *keyMemory) note(d *zone.ZoneDNSSEC, now time.Time) {
	seen := m.fill(d) || d.Unsigned
	m.noteDS(d)
	changed := m.noteAbove(d) || differ(m.keys, d.Keys) || differ(m.ds, d.DS)
	if d.KeysChangedAt.After(m.changedAt) {
		m.changedAt = d.KeysChangedAt
	}
	turned := m.turn(d, changed, now)
	wait := max(d.KeyTTL, m.keep, m.floor)
	if !turned && seen && !m.recalled && now.Sub(m.changedAt) >= wait {
		m.changedAt, m.keep = time.Time{}, 0
	}
	m.over = m.end(seen, wait)
	m.keys, m.ds, m.dsTTL = d.Keys, d.DS, d.DSTTL
	m.blank = m.blank && len(d.DS) == 0 && !d.Unsigned
	d.KeysChangedAt = m.changedAt
	d.KeysChanging = d.KeysChanging || !m.changedAt.IsZero()
}

// fill has what a look could not find out be what was seen last, so that the next one is compared with that. It says
// whether any server gave keys.
func (m *keyMemory) fill(d *zone.ZoneDNSSEC) bool {
	if d.DSUnknown {
		d.DS, d.DSTTL = m.ds, m.dsTTL
	}
	seen := len(d.Keys) > 0
	if !seen {
		d.Keys = m.keys
	}
	return seen
}

// turn begins a change, or ends one that was presumed alone; it says whether it did.
func (m *keyMemory) turn(d *zone.ZoneDNSSEC, changed bool, now time.Time) bool {
	switch {
	case m.lost(d):
		m.changedAt, m.keep, m.presumed = now, max(m.keep, lostDSTTL), !changed
	case changed:
		m.changedAt, m.presumed = now, false
	case m.presumed && len(d.DS) > 0:
		// Whoever has older DS records in a cache has no reason to wait for any more: there are some.
		m.changedAt, m.keep, m.presumed = d.KeysChangedAt, 0, false
	default:
		return false
	}
	return true
}

// end is when a change in flight has been waited for, where a look has shown how long that is.
func (m *keyMemory) end(seen bool, wait time.Duration) time.Time {
	if !seen || m.recalled || m.changedAt.IsZero() {
		return time.Time{}
	}
	return m.changedAt.Add(wait)
}

// lostDSTTL is how long caches are believed to keep DS records that are gone and whose TTL this process has not seen:
// twice what the root and most registries give them.
const lostDSTTL = 48 * time.Hour

// lost says whether a look finds no DS records where nothing is known of what was before: there may have been some that
// caches have yet, as when a DNSZone is made anew.
func (m *keyMemory) lost(d *zone.ZoneDNSSEC) bool { return m.blank && d.Unsigned && len(d.DS) == 0 }

// noteDS notes how long caches keep the DS records that a change has replaced: for the TTL that they had, which may be
// much longer than that of the keys. Where this process has not seen them, they had the TTL of those that are
// there now, or, where they are gone, lostDSTTL; and a change that status tells of counts as theirs, or as one of the
// zones above.
func (m *keyMemory) noteDS(d *zone.ZoneDNSSEC) {
	found := m.recalled && !d.DSUnknown
	if (found || len(m.ds) > 0) && len(d.DS) == 0 && m.dsTTL == 0 {
		m.dsTTL = lostDSTTL
	}
	if found || differ(m.ds, d.DS) {
		m.keep = max(m.keep, m.dsTTL, d.DSTTL)
	}
	if found {
		m.keep = max(m.keep, longest(m.above), longest(d.Above))
		m.recalled = false
	}
}

// noteAbove compares the zones on the way with those that were seen last, and says whether the keys or DS records of one
// have changed: caches may have the old ones for as long as their TTL was, and those that were there for the new one's.
// Where a look has not come by them, those seen last stay.
func (m *keyMemory) noteAbove(d *zone.ZoneDNSSEC) bool {
	if len(d.Above) == 0 {
		d.Above = m.above
	}
	changed := m.above != nil && !samePassed(m.above, d.Above)
	if changed {
		m.keep = max(m.keep, longest(apart(m.above, d.Above)), longest(apart(d.Above, m.above)))
	}
	m.above = d.Above
	return changed
}

// differ says whether something that was known has changed.
func differ(was, is []string) bool { return len(was) > 0 && !slices.Equal(was, is) }

// samePassed says whether two ways to a zone go by the same sets. Their TTLs may differ.
func samePassed(a, b []dnssec.Passed) bool { return len(apart(a, b)) == 0 && len(apart(b, a)) == 0 }

// apart are the sets that the one way has and the other does not.
func apart(one, other []dnssec.Passed) []dnssec.Passed {
	return slices.DeleteFunc(slices.Clone(one), func(p dnssec.Passed) bool {
		return slices.ContainsFunc(other, func(q dnssec.Passed) bool {
			return p.Zone == q.Zone && p.Type == q.Type && p.Digest == q.Digest
		})
	})
}

// longest is the longest TTL of some sets.
func longest(of []dnssec.Passed) time.Duration {
	var out time.Duration
	for _, p := range of {
		out = max(out, p.TTL)
	}
	return out
}

// statusPassed and passedOf write and read the sets as status holds them. What cannot be read was never written here.
func statusPassed(of []dnssec.Passed) []string {
	var out []string
	for _, p := range of {
		out = append(out, p.String())
	}
	return out
}

func passedOf(texts []string) []dnssec.Passed {
	var out []dnssec.Passed
	for _, text := range texts {
		if p, err := dnssec.ParsePassed(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}
