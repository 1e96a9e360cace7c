package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about what senders report (RFC 8460). That they fail while every probe is content means that they meet
// something the probes do not. Then the records of a key that is taken for gone stay for a while: that is
// all a report leads to. Whoever can have one sent can keep records where they are, within bounds, and nothing else: no
// record is added or taken out for it, no key waits for it, and the records of a key that was given up go all the same.

// hold says whether reports keep the records of a key that could go now, and notes it.
func (r *run) hold(t *tracked) bool {
	if r.f.FailureReported.IsZero() || !r.mayHold(t) {
		return false
	}
	until := r.f.FailureReported.Add(r.f.Policy.ReportQuiet)
	if most := t.RemovableAt.Add(r.f.Policy.MaxReportHold); most.Before(until) {
		until = most
	}
	if !r.now.Before(until) {
		return false
	}
	t.held, t.HeldUntil = true, until
	r.wait(WaitReports, t.ID, "senders report failures of DANE, so the records of key "+short(t.SPKI)+" stay for a while", until)
	return true
}

// mayHold says whether the records of a key that is gone may stay without being in the way of anything. Those of a
// compromised key may not stay; those of other parameter sets than all keys have, and the policy wants, would keep a new
// key from being deployed, or a set from being published.
func (r *run) mayHold(t *tracked) bool {
	p := r.f.Policy
	if p.Removing || t.compromised(p) {
		return false
	}
	if slices.ContainsFunc(p.Parameters, func(s tlsa.Parameters) bool { return !hasSet(t.Records, s) }) {
		return false
	}
	return !slices.ContainsFunc(t.Records, func(k tlsa.Record) bool {
		return slices.ContainsFunc(r.keys, func(o tracked) bool { return o.stage != "" && !hasSet(o.Records, k.Parameters) })
	})
}

// crowded says that some owner would have more records than are written.
func (r *run) crowded() bool {
	return slices.ContainsFunc(r.owners, func(o ownerRun) bool { return len(o.Records) > MaxRecords })
}

// letGo ends the holds, and says whether there were any: what they keep must not be in the way of new records.
func (r *run) letGo() bool {
	if !slices.ContainsFunc(r.keys, func(t tracked) bool { return t.held }) {
		return false
	}
	for i := range r.keys {
		if t := &r.keys[i]; t.held {
			t.held, t.HeldUntil, t.gone, t.Leaving = false, time.Time{}, true, true
		}
	}
	r.forgetGone()
	r.waits = slices.DeleteFunc(r.waits, func(w Wait) bool { return w.Code == WaitReports })
	return true
}

// makeRoom gives up what stays for endpoints that are not known, if there is room then: unused keys, sets that have left the policy,
// or both.
func (r *run) makeRoom() {
	unused := func() { r.keys = slices.DeleteFunc(slices.Clone(r.keys), func(t tracked) bool { return r.mayGo(&t) }) }
	for _, give := range []func(){unused, r.undefer, func() { unused(); r.undefer() }} {
		before := *r
		give()
		if len(r.keys) == len(before.keys) && r.sets == before.sets {
			continue
		}
		if r.compose(); !r.crowded() {
			return
		}
		*r = before
		r.compose()
	}
}

// mayGo says whether an unused key stays for endpoints alone.
func (r *run) mayGo(t *tracked) bool {
	return t.unused() && r.f.KeysComplete && !r.f.Policy.Suspended
}

// undefer has the sets go that have left the policy.
func (r *run) undefer() {
	if !r.f.KeysComplete {
		return
	}
	wanted := len(r.f.Policy.Parameters) - r.sets
	r.leaving = slices.Concat(r.leaving, r.f.Policy.Parameters[wanted:])
	r.f.Policy.Parameters, r.deferred, r.sets = r.f.Policy.Parameters[:wanted], nil, 0
}
