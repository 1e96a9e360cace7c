package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Decide says what follows from the facts. It is the only place where anything is decided.
func Decide(f Facts) Decision {
	r := &run{f: f, now: f.Now}
	r.heedClock()
	r.heedLeap()
	for _, o := range r.f.Owners {
		r.owners = append(r.owners, r.openOwner(o))
	}
	r.keys = trackKeys(r.f, r.publishedPorts())
	r.forgetUnused()
	r.deferAuthorities()
	r.forgetFormer()
	r.account()
	r.retire()
	r.publish()
	r.deploy()
	r.judge()
	return r.conclude()
}

// run is one decision in the making.
type run struct {
	f      Facts
	now    time.Time
	owners []ownerRun
	keys   []tracked
	// parameters are the combinations that we answer for: those of the policy, and those that a
	// record of one of our keys has, be it of a set that has left the policy. Combinations of foreign
	// and additional records alone are not waited for, unless they set ours aside (see lacks).
	parameters map[tlsa.Parameters]bool

	deployed             []string
	early                map[string]bool
	waits                []Wait
	needSweep, needProbe bool
	// sets are how many sets of authorities' records that have left the policy stay for now, at the end of its list, and deferred says
	// why, by owner; leaving are those that go.
	sets     int
	deferred map[string]map[tlsa.Parameters]string
	leaving  []tlsa.Parameters
	unsafe   *Unsafe
}

// ownerRun is one owner in a decision.
type ownerRun struct {
	OwnerDecision
	facts Owner
	// removing says that our records are taken out of this owner.
	removing bool
	// last is the newest sweep; nil when there is none that counts.
	last *Sweep
	// primary is what the primary was last seen with; primaryKnown says whether that is known.
	primary      []tlsa.Record
	primaryTTL   time.Duration
	primaryKnown bool
	// ends are the names at which servers say that the records stand.
	ends []string
}

// split says that the servers do not agree on where the records stand.
func (o *ownerRun) split() bool { return len(o.ends) > 1 }

func (r *run) openOwner(o Owner) ownerRun {
	out := ownerRun{facts: o, last: o.Last}
	if n := len(o.Sweeps); n > 0 && (out.last == nil || out.last.End.Before(o.Sweeps[n-1].End)) {
		out.last = &o.Sweeps[n-1]
	}
	out.Name = o.Name
	out.removing = r.f.Policy.Removing || o.Removing
	o.Versions = r.plansAfterLeap(o.Versions)
	out.Versions = prune(r.afterLeap(fold(o, r.proof(out.removing))), r.f.Policy, r.now)
	out.primary, out.primaryTTL, out.primaryKnown = primaryAnswer(out.last)
	if out.ends = out.last.Ends(); len(out.ends) == 1 {
		out.End = out.ends[0]
	}
	return out
}

// proof is the policy by which an answer without records is believed. What leaves a zone whose parent proves that it has
// no DS record is believed gone without a signature: nothing there validates, and to wait for it would keep the object for
// ever. Senders take no notice of records there, and caches that still have the DS records have been waited for. A zone
// that is bogus, or of which nothing is known, may be made to look so by whoever forges the answer; and an alias into a
// zone without signatures says nothing of this one.
func (r *run) proof(removing bool) Policy {
	p := r.f.Policy
	if removing && r.f.DNSSEC.Unsigned && r.f.DNSSEC.State == dnssec.Insecure && !r.f.DNSSEC.KeysChanging {
		p.DNSSECRequired = false
	}
	return p
}

// primaryAnswer is what the primary shows; where it is not asked by itself, what all addresses that
// answered agree on.
func primaryAnswer(s *Sweep) ([]tlsa.Record, time.Duration, bool) {
	if s == nil {
		return nil, 0, false
	}
	if i := slices.IndexFunc(s.Answers, func(a Answer) bool { return a.Primary && a.Alias == "" }); i >= 0 {
		a := s.Answers[i]
		return a.stored(), a.TTL, a.Reachable
	}
	var first *Answer
	for i := range s.Answers {
		a := &s.Answers[i]
		if !a.Reachable || a.Alias != "" {
			continue
		}
		if first != nil && (!slices.Equal(first.Records, a.Records) || first.TTL != a.TTL) {
			return nil, 0, false
		}
		first = a
	}
	if first == nil {
		return nil, 0, false
	}
	return first.Records, first.TTL, true
}

// fresh says whether the newest sweep of an owner is young enough to act on. One of the future was
// made before the clock was set back, and says nothing of how old it is.
func (r *run) fresh(o *ownerRun) bool {
	return o.last != nil && !o.last.End.After(r.now) && r.now.Sub(o.last.End) <= r.f.Policy.SweepFreshness
}

// wait notes something that is waited for.
func (r *run) wait(code WaitCode, subject, message string, until time.Time) {
	r.waits = append(r.waits, Wait{Code: code, Subject: subject, Message: message, Until: until})
}

// conclude gathers the decision.
func (r *run) conclude() Decision {
	d := Decision{Unsafe: r.unsafe, NeedSweep: r.needSweep, NeedProbe: r.needProbe, Published: len(r.owners) > 0}
	for i := range r.owners {
		o := &r.owners[i]
		d.Owners = append(d.Owners, o.OwnerDecision)
		d.Published = d.Published && (o.facts.Removing || r.published(o))
	}
	for i := range r.keys {
		t := &r.keys[i]
		t.Visibility = r.visibility(t)
		d.Keys = append(d.Keys, t.KeyState)
	}
	d.Deploy = slices.Sorted(slices.Values(r.deployed))
	d.UntrustAt, d.Untrusted = r.untrust()
	r.settle(&d)
	return d
}

// publishedPorts are the ports whose owners some cache may hold records of: what endpoints present
// elsewhere matters to no sender.
func (r *run) publishedPorts() []int32 {
	var out []int32
	for i := range r.owners {
		if r.owners[i].everPublished() {
			out = append(out, r.owners[i].facts.Port)
		}
	}
	return out
}

// everPublished says whether some cache may hold records of the owner, or the next update makes it so.
func (o *ownerRun) everPublished() bool {
	return slices.ContainsFunc(o.Versions, func(v Version) bool { return v.Unknown || len(v.Records) > 0 })
}

// published says whether a record of a deployed key stands at an owner.
func (r *run) published(o *ownerRun) bool {
	ours := func(records []tlsa.Record) bool {
		return slices.ContainsFunc(r.keys, func(t tracked) bool {
			return t.Deployed && t.standsAt(o.Name) && slices.ContainsFunc(t.Records, func(k tlsa.Record) bool { return slices.Contains(records, k) })
		})
	}
	if o.last != nil && anyReachable(*o.last) {
		return slices.ContainsFunc(o.last.Answers, func(a Answer) bool { return a.Reachable && ours(a.Records) })
	}
	return slices.ContainsFunc(o.Versions, func(v Version) bool { return v.Open && !v.Planned && ours(v.Records) })
}

// untrust says when no cache holds any record of ours any more.
func (r *run) untrust() (time.Time, bool) {
	p := r.f.Policy
	if !p.Removing {
		return time.Time{}, false
	}
	var at time.Time
	for i := range r.owners {
		o := &r.owners[i]
		if o.facts.HandedOver {
			continue
		}
		if o.Write || len(o.Versions) == 0 && !r.fresh(o) {
			return time.Time{}, false
		}
		for _, v := range o.Versions {
			if !v.holdsAny(o.facts.Leaving()) {
				continue
			}
			if v.Open {
				return time.Time{}, false
			}
			at = later(at, v.LastSeen.Add(p.soak(v)))
		}
	}
	return at, !r.now.Before(at)
}

// short is enough of a key's digest for a person to know it by.
func short(spki string) string { return spki[:min(16, len(spki))] }
