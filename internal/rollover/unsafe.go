package rollover

import (
	"slices"
	"time"
)

// judge says whether some chain that may be presented does not match some answer that may be
// cached, and for how long.
func (r *run) judge() {
	for i := range r.keys {
		t := &r.keys[i]
		early := r.early[t.ID]
		if t.Role != roleCurrent && !early {
			continue
		}
		until, open, danger := r.dangerUntil(t)
		if !danger {
			continue
		}
		r.announce(t, early, until, open)
	}
}

// dangerUntil says whether a cache may hold a version that a served key does not match, until when,
// and whether that version is still served.
func (r *run) dangerUntil(t *tracked) (until time.Time, open, danger bool) {
	for i := range r.owners {
		for _, v := range r.owners[i].Versions {
			if v.Unknown || !r.lacks(v, t) || !r.f.Policy.mayBeCached(v, r.now) {
				continue
			}
			danger = true
			open = open || v.Open
			until = later(until, r.f.Policy.cachedUntil(v))
		}
	}
	if open {
		until = time.Time{}
	}
	return until, open, danger
}

// announce puts a danger into the decision. What an earlier decision announced keeps its reason.
func (r *run) announce(t *tracked, early bool, until time.Time, open bool) {
	reason := r.dangerReason(t, early)
	since := r.now
	if before := r.f.Unsafe; before != nil {
		reason, since = before.Reason, before.Since
	}
	if r.unsafe != nil {
		if open || r.unsafe.Until.IsZero() {
			r.unsafe.Until = time.Time{}
		} else {
			r.unsafe.Until = later(r.unsafe.Until, until)
		}
		return
	}
	r.unsafe = &Unsafe{Reason: reason, Message: dangerMessages[reason] + " (key " + short(t.SPKI) + ")", Since: since, Until: until}
}

var dangerMessages = map[UnsafeReason]string{
	UnsafeGateBypassed: "a certificate request was approved past the gate: senders whose cached TLSA records lack the new key fail",
	UnsafeDeadline:     "the certificate was about to expire and the new key was deployed early: senders whose cached TLSA records lack it fail",
	UnsafeFollowed:     "strategy Follow does not hold a new key back: senders whose cached TLSA records lack it fail",
	UnsafeServed:       "a key is served that some TLSA records in DNS or in caches do not match: senders that hold those fail",
}

// dangerReason says how it came to this. A host that is seen for the first time has passed no gate:
// what it serves was there before.
func (r *run) dangerReason(t *tracked, early bool) UnsafeReason {
	wasServed := len(r.f.States) == 0 || t.before != nil && t.before.Role == roleCurrent
	switch {
	case early || r.f.Policy.Proceed && t.before != nil && r.deadlineReached(t):
		return UnsafeDeadline
	case r.f.Policy.Strategy == Follow:
		return UnsafeFollowed
	case r.f.Policy.Strategy == Gate && t.stage == StageDeployed && !wasServed:
		return UnsafeGateBypassed
	default:
		return UnsafeServed
	}
}

// settle sorts the waits, the most telling first, and finds the next instant worth waking at.
func (r *run) settle(d *Decision) {
	p := r.f.Policy
	if !p.NamedKeys && !d.Published && !p.Removing && !r.holds(StageRequested, StageIssued, StageDeployed) {
		r.wait(WaitCertificate, r.f.Host, "no certificate has been issued yet", time.Time{})
	}
	if p.Removing && !d.UntrustAt.IsZero() && !d.Untrusted {
		r.wait(WaitCaches, r.f.Host, "the records are removed; caches may still hold them", d.UntrustAt)
	}
	slices.SortStableFunc(r.waits, func(a, b Wait) int { return waitRank(a.Code) - waitRank(b.Code) })
	d.Waits = r.waits
	for _, w := range r.waits {
		d.wakeAt(r.now, w.Until, w.Message)
	}
	if r.unsafe != nil {
		d.wakeAt(r.now, r.unsafe.Until, "senders may fail until then")
	}
	if d.NextAction == "" && len(r.waits) > 0 {
		d.NextAction = r.waits[0].Message
	}
}

// wakeAt keeps the earliest instant that is still to come, and what happens then.
func (d *Decision) wakeAt(now, at time.Time, action string) {
	if at.After(now) && (d.Next.IsZero() || at.Before(d.Next)) {
		d.Next, d.NextAction = at, action
	}
}

// waitOrder lists what is most telling first.
var waitOrder = []WaitCode{
	WaitSuspended, WaitNamed, WaitClock, WaitTooManyRecords, WaitForeign, WaitUnread, WaitCompromised, WaitCertificate, WaitDNSSEC, WaitServers, WaitUpdate,
	WaitPropagation, WaitKeysChanging, WaitSignatures, WaitCaches, WaitSweep, WaitEndpoints, WaitRetire, WaitReports, WaitDeployment,
}

func waitRank(code WaitCode) int { return slices.Index(waitOrder, code) }
