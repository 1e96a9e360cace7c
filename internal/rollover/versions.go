package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// fold brings the versions of an owner up to date with the sweeps made since the last decision. Where what the
// newest sweep showed is not remembered, the memory is lost, or was put back from earlier: that sweep counts again.
func fold(o Owner, p Policy) []Version {
	versions := slices.Clone(o.Versions)
	if o.Refused {
		versions = slices.DeleteFunc(versions, func(v Version) bool { return v.Planned })
	}
	known, sweeps := o.Known, o.Sweeps
	if len(sweeps) == 0 && o.Last != nil && !remembers(versions, *o.Last) {
		sweeps = []Sweep{*o.Last}
	}
	for _, s := range sweeps {
		if !anyReachable(s) {
			versions = restartSoak(versions, s, p)
			continue
		}
		if !known {
			known = true
			versions = append(versions, unknownHistory(o, s)...)
		}
		versions = foldSweep(o.Name, versions, s, p)
	}
	return versions
}

// remembers says whether all that a sweep showed is among the versions that are served.
func remembers(versions []Version, s Sweep) bool {
	return !slices.ContainsFunc(s.Answers, func(a Answer) bool {
		return a.Reachable && !a.Ignored && a.Alias == "" && !slices.ContainsFunc(versions, func(v Version) bool { return v.Open && v.shownBy(a) })
	})
}

// shownBy says whether an answer is of this version.
func (v Version) shownBy(a Answer) bool {
	return !v.Unknown && v.TTL == a.CacheTTL && slices.Equal(v.Records, a.Records)
}

// anyReachable says whether some address answered. One that tells of an alias alone says nothing of
// the records.
func anyReachable(s Sweep) bool {
	return slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.Reachable && a.Alias == "" })
}

// unknownHistory stands for what may have been in DNS before the operator first looked (trap 27).
// An owner that is empty and was never managed has none.
func unknownHistory(o Owner, s Sweep) []Version {
	nonEmpty := slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.Reachable && !a.Ignored && len(a.Records) > 0 })
	if !nonEmpty && !o.StatusLost {
		return nil
	}
	return []Version{{Owner: o.Name, Unknown: true, FirstSeen: s.End, LastSeen: s.End}}
}

// restartSoak is for a moment at which no address could be reached at all: a resolver that serves
// stale data (RFC 8767) may have handed out what it should have forgotten, so the wait begins again.
func restartSoak(versions []Version, s Sweep, p Policy) []Version {
	for i := range versions {
		v := &versions[i]
		if !v.Open && p.counts(*v) && s.End.Before(v.LastSeen.Add(p.soak(*v))) && s.End.After(v.LastSeen) {
			v.LastSeen = s.End
		}
		if v.Open {
			v.AbsentSince, v.AbsentSweeps = time.Time{}, 0
		}
	}
	return versions
}

// foldSweep notes what one sweep saw, and what it did not see.
func foldSweep(owner string, versions []Version, s Sweep, p Policy) []Version {
	seen, carriedOut := map[int]bool{}, map[int]bool{}
	hidden := !slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.Primary })
	for _, a := range s.Answers {
		// What the user excepted may show what it likes; he has been told what that means. An alias is
		// part of the answers at its end.
		if !a.Reachable || a.Ignored || a.Alias != "" {
			continue
		}
		i := slices.IndexFunc(versions, func(v Version) bool { return v.shownBy(a) })
		if i < 0 {
			versions = append(versions, Version{Owner: owner, Records: a.Records, TTL: a.CacheTTL, FirstSeen: s.End})
			i = len(versions) - 1
		}
		v := &versions[i]
		v.Open, v.Planned, v.AbsentSince, v.AbsentSweeps = true, false, time.Time{}, 0
		v.LastSeen = later(v.LastSeen, s.End)
		seen[i] = true
		if a.Primary || hidden {
			carriedOut[i] = true
		}
	}
	closeUnseen(versions, seen, carriedOut, s, p)
	return withoutPlans(versions, carriedOut, s, p)
}

// closeUnseen notes what a sweep did not see of what may be served.
func closeUnseen(versions []Version, seen, carriedOut map[int]bool, s Sweep, p Policy) {
	complete, newest := provesAbsence(s, p), time.Time{}
	for i := range carriedOut {
		newest = later(newest, versions[i].FirstSeen)
	}
	for i := range versions {
		if versions[i].Open && !seen[i] && !s.Start.Before(versions[i].awaitedUntil(p, newest)) {
			noteAbsence(&versions[i], s, p, complete)
		}
	}
}

// lateUpdate is how long after it was sent an update may still be carried out of which the primary shows nothing: a signer
// that stands between what is stored and what is served works in batches.
const lateUpdate = 5 * time.Minute

// awaitedUntil is the first instant at which a sweep that does not show a version says that it is not served. newest is when what
// the primary shows came about: what was asked for before that comes no more.
func (v Version) awaitedUntil(p Policy, newest time.Time) time.Time {
	if v.Planned && !newest.After(v.FirstSeen) {
		return v.FirstSeen.Add(max(p.Delay, lateUpdate))
	}
	return v.FirstSeen
}

// withoutPlans drops the plans that a sweep shows to be carried out: what is served is noted beside them. The TTL of a denial is
// the zone's, and where each key has an owner of its own, that of the record stays as it was.
func withoutPlans(versions []Version, carriedOut map[int]bool, s Sweep, p Policy) []Version {
	var done []Version
	for i := range carriedOut {
		done = append(done, versions[i])
	}
	return slices.DeleteFunc(versions, func(v Version) bool {
		return v.Planned && !s.Start.Before(v.FirstSeen) && slices.ContainsFunc(done, func(o Version) bool {
			return (o.TTL == v.TTL || len(v.Records) == 0 || p.NamedKeys) && slices.Equal(o.Records, v.Records)
		})
	})
}

// provesAbsence says whether a sweep shows that no server serves what it did not show: every
// address answered, and every answer validates where that is required.
func provesAbsence(s Sweep, p Policy) bool {
	return !slices.ContainsFunc(s.Answers, func(a Answer) bool {
		return !a.Ignored && (!a.Reachable || p.DNSSECRequired && !a.Signed)
	})
}

// noteAbsence closes a version after enough sweeps in a row without it. What counts is the end of
// the first: a server that was asked late in it may have switched just before.
func noteAbsence(v *Version, s Sweep, p Policy, complete bool) {
	if !complete {
		v.AbsentSince, v.AbsentSweeps = time.Time{}, 0
		return
	}
	if v.AbsentSweeps == 0 {
		v.AbsentSince = s.End
	}
	v.AbsentSweeps++
	if v.AbsentSweeps >= max(p.Sweeps, 1) {
		v.Open = false
		v.LastSeen = later(v.LastSeen, v.AbsentSince.Add(p.Delay))
	}
}

// prune drops the versions that no decision can rest on any more.
func prune(versions []Version, p Policy, now time.Time) []Version {
	return slices.DeleteFunc(versions, func(v Version) bool {
		return !v.Open && !now.Before(v.LastSeen.Add(p.soak(v)))
	})
}

// ttl is how long a cache is believed to keep a version.
func (p Policy) ttl(v Version) time.Duration { return max(v.TTL, p.TTLFloor) }

// soak is how long after a version was last served a key that it lacks has to wait:
// max(2 ttl, ttl + publishSafety) (RFC 7671 section 8.1).
func (p Policy) soak(v Version) time.Duration {
	if v.Unknown {
		return p.UnknownHistory
	}
	return max(2*p.ttl(v), p.ttl(v)+p.PublishSafety)
}

// cachedUntil is when the last cache has forgotten a closed version.
func (p Policy) cachedUntil(v Version) time.Time { return v.LastSeen.Add(p.ttl(v)) }

// mayBeCached says whether some cache may hold a version.
func (p Policy) mayBeCached(v Version, now time.Time) bool {
	return v.Open || now.Before(p.cachedUntil(v))
}

// holdsAny says whether a version has one of the records.
func (v Version) holdsAny(records []tlsa.Record) bool {
	return slices.ContainsFunc(v.Records, func(k tlsa.Record) bool { return slices.Contains(records, k) })
}

// lacks says whether v belongs to P(k): it is not empty, and for some combination that we account
// for it holds no association of the key. A version with nothing of the key at all lacks it too. A
// SHA-512 of whomever counts where it sets records of ours aside (RFC 7671 section 9).
func lacks(v Version, records []tlsa.Record, accounted func(tlsa.Parameters) bool) bool {
	if v.Unknown {
		return true
	}
	if len(v.Records) == 0 {
		return false
	}
	if !v.holdsAny(records) {
		return true
	}
	for _, r := range v.Records {
		w, strong := weaker(r.Parameters)
		setsOursAside := strong && accounted(w) && hasSet(v.Records, w)
		if !accounted(r.Parameters) && !setsOursAside {
			continue
		}
		has := slices.ContainsFunc(records, func(k tlsa.Record) bool {
			return k.Parameters == r.Parameters && slices.Contains(v.Records, k)
		})
		if !has {
			return true
		}
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
