package rollover

import (
	"slices"
	"time"
)

// This file is about a clock that was set (trap 20). The rule counts time between instants that were noted, and a clock
// that was set between two of them has made that time longer or shorter than it was.

// heedClock looks for an instant that was noted earlier and lies in the future: the clock has been set
// back. What is seen meanwhile would be noted too early, so that nothing seen counts until the clock
// has caught up (trap 20). Status keeps whole seconds, rounded up.
func (r *run) heedClock() {
	const rounding = 2 * time.Second
	var noted time.Time
	for _, o := range r.f.Owners {
		for _, v := range o.Versions {
			noted = later(later(noted, v.FirstSeen), v.AbsentSince)
		}
	}
	for _, k := range r.f.States {
		noted = later(later(noted, k.Since), k.GoneSince)
	}
	if !noted.After(r.now.Add(rounding)) {
		return
	}
	r.f.Owners = slices.Clone(r.f.Owners)
	for i := range r.f.Owners {
		r.f.Owners[i].Sweeps, r.f.Owners[i].Last = nil, nil
	}
	r.f.Rounds, r.f.LastRound = nil, nil
	r.wait(WaitClock, r.f.Host, "the clock stands before an instant that was noted earlier, and nothing is written or deployed until it has caught up: correct the clock; if it was wrong when that was noted, remove status.mailServers", noted)
}

// heedLeap lets what was noted before the clock was set forward count from then on: waits that have begun begin again. The
// new instants are noted in their turn, so that another process, which has not seen the clock being set, goes on from them.
func (r *run) heedLeap() {
	if r.f.EvenSince.IsZero() {
		return
	}
	r.f.States = slices.Clone(r.f.States)
	for i := range r.f.States {
		k := &r.f.States[i]
		for _, at := range []*time.Time{&k.GoneSince, &k.RevokedSince} {
			if !at.IsZero() {
				*at = later(*at, r.f.EvenSince)
			}
		}
		if k.Role == rolePrevious { // where nobody probes, its records go so long after it was replaced
			k.Since = later(k.Since, r.f.EvenSince)
		}
	}
}

// afterLeap does the same for answers that caches may hold. The instant at which one was last served has the delay in it.
func (r *run) afterLeap(versions []Version) []Version {
	if r.f.EvenSince.IsZero() {
		return versions
	}
	for i := range versions {
		v := &versions[i]
		if !v.Open {
			v.LastSeen = later(v.LastSeen, r.f.EvenSince.Add(r.f.Policy.Delay))
		}
		if !v.AbsentSince.IsZero() {
			v.AbsentSince = later(v.AbsentSince, r.f.EvenSince)
		}
	}
	return versions
}

// plansAfterLeap does the same for updates of which it is not known whether they were carried out.
func (r *run) plansAfterLeap(versions []Version) []Version {
	if r.f.EvenSince.IsZero() {
		return versions
	}
	versions = slices.Clone(versions)
	for i := range versions {
		if v := &versions[i]; v.Planned && v.Open {
			v.FirstSeen = later(v.FirstSeen, r.f.EvenSince)
		}
	}
	return versions
}
