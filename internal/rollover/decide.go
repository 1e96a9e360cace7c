package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Decide says what follows from the facts. It is the only place where anything is decided.
func Decide(f Facts) Decision {
	r := &run{f: f, now: f.Now}
	for _, o := range f.Owners {
		r.owners = append(r.owners, r.openOwner(o))
	}
	r.keys = trackKeys(f)
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
	// record of one of our keys has. Combinations of foreign and additional records alone are not
	// waited for.
	parameters map[tlsa.Parameters]bool

	deployed             []string
	early                map[string]bool
	waits                []Wait
	warnings             []string
	needSweep, needProbe bool
	unsafe               *Unsafe
}

// ownerRun is one owner in a decision.
type ownerRun struct {
	OwnerDecision
	facts Owner
	// last is the newest sweep; nil when there is none that counts.
	last *Sweep
	// primary is what the primary was last seen with; primaryKnown says whether that is known.
	primary      []tlsa.Record
	primaryTTL   time.Duration
	primaryKnown bool
}

func (r *run) openOwner(o Owner) ownerRun {
	out := ownerRun{facts: o, last: o.Last}
	if n := len(o.Sweeps); n > 0 && (out.last == nil || out.last.End.Before(o.Sweeps[n-1].End)) {
		out.last = &o.Sweeps[n-1]
	}
	out.Name = o.Name
	out.Versions = prune(fold(o, r.f.Policy), r.f.Policy, r.now)
	out.primary, out.primaryTTL, out.primaryKnown = primaryAnswer(out.last)
	return out
}

// primaryAnswer is what the primary shows; where it is not asked by itself, what all addresses that
// answered agree on.
func primaryAnswer(s *Sweep) ([]tlsa.Record, time.Duration, bool) {
	if s == nil {
		return nil, 0, false
	}
	if i := slices.IndexFunc(s.Answers, func(a Answer) bool { return a.Primary }); i >= 0 {
		a := s.Answers[i]
		return a.Records, a.TTL, a.Reachable
	}
	var first *Answer
	for i := range s.Answers {
		a := &s.Answers[i]
		if !a.Reachable {
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

// account collects the combinations that we answer for.
func (r *run) account() {
	r.parameters = map[tlsa.Parameters]bool{}
	for _, p := range r.f.Policy.Parameters {
		r.parameters[p] = true
	}
	for _, t := range r.keys {
		for _, record := range t.Records {
			r.parameters[record.Parameters] = true
		}
	}
}

func (r *run) accounted(p tlsa.Parameters) bool { return r.parameters[p] }

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
		o.Warnings = append(o.Warnings, r.warnings...)
		d.Owners = append(d.Owners, o.OwnerDecision)
		d.Published = d.Published && r.published(o)
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

// published says whether a record of a deployed key stands at an owner.
func (r *run) published(o *ownerRun) bool {
	ours := func(records []tlsa.Record) bool {
		return slices.ContainsFunc(r.keys, func(t tracked) bool {
			return t.Deployed && slices.ContainsFunc(t.Records, func(k tlsa.Record) bool { return slices.Contains(records, k) })
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
		if o.Write || len(o.Versions) == 0 && !r.fresh(o) {
			return time.Time{}, false
		}
		for _, v := range o.Versions {
			if !slices.ContainsFunc(v.Records, func(k tlsa.Record) bool { return slices.Contains(o.facts.Written, k) }) {
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
