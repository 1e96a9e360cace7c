package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// deploy decides which keys may be handed to servers now.
func (r *run) deploy() {
	r.early = map[string]bool{}
	for i := range r.keys {
		t := &r.keys[i]
		t.DeployableAt = time.Time{}
		switch {
		case t.stage == StageDeployed:
			r.deployed = append(r.deployed, t.ID)
		case t.stage != "":
			r.deployNext(t)
		}
	}
}

// deployNext decides for one key that is not handed to servers yet.
func (r *run) deployNext(t *tracked) {
	at, known := r.deployableAt(t)
	if known && at.After(r.now) {
		t.DeployableAt = at
	}
	code, message, until := r.deployBlocked(t, at, known)
	switch {
	case code == WaitNone:
		r.deployed = append(r.deployed, t.ID)
	case code != WaitSuspended && code != WaitCompromised && r.deadlineReached(t):
		r.deployed = append(r.deployed, t.ID)
		r.early[t.ID] = true
	case t.stage != StageStandby:
		r.wait(code, t.ID, message, until)
	case code == WaitCaches:
		r.wait(code, t.ID, "the standby key "+short(t.SPKI)+" becomes known to every cache", until)
	}
}

// deployableAt is T(k) of the rule: the maximum over P(k) of last(v) + max(2 ttl, ttl + publishSafety),
// over every owner of the host (trap 16). It is not known while a version of P(k) is still served.
func (r *run) deployableAt(t *tracked) (time.Time, bool) {
	var at time.Time
	for i := range r.owners {
		for _, v := range r.owners[i].Versions {
			if !r.lacks(v, t) {
				continue
			}
			if v.Open {
				return time.Time{}, false
			}
			at = later(at, v.LastSeen.Add(r.f.Policy.soak(v)))
		}
	}
	return at, true
}

// deployBlocked says what a key waits for, the most telling first.
func (r *run) deployBlocked(t *tracked, at time.Time, known bool) (WaitCode, string, time.Time) {
	p, key := r.f.Policy, "key "+short(t.SPKI)
	var none time.Time
	switch {
	case p.Suspended:
		return WaitSuspended, "suspended: " + key + " is not deployed", none
	case t.compromised(p):
		return WaitCompromised, key + " is listed in compromisedKeys and is never deployed", none
	}
	if o := r.unseenOwner(); o != nil {
		if known && r.now.Before(at) && r.hasGrownOld(o) {
			return WaitCaches, key + " waits until no cache holds records without it", at
		}
		r.needSweep = true
		return WaitSweep, named(key+" waits until every name server has answered for "+o.Name, o.Behind), none
	}
	if r.nothingPublished() {
		return WaitNone, "", none
	}
	if code, message := r.unpublished(t, key); code != WaitNone {
		return code, message, none
	}
	switch {
	case !known:
		return WaitPropagation, key + " waits until no name server serves older records", none
	case r.now.Before(at):
		return WaitCaches, key + " waits until no cache holds records without it", at
	}
	code, message := r.unproved(key)
	return code, message, none
}

// hasGrownOld says whether an owner's newest sweep was complete and is too old to act on: while a key
// waits for caches, a fresh one brings nothing nearer.
func (r *run) hasGrownOld(o *ownerRun) bool {
	return o.last != nil && !o.last.End.After(r.now) && allReachable(*o.last)
}

// unproved says what of DNSSEC holds a key back.
func (r *run) unproved(key string) (WaitCode, string) {
	p := r.f.Policy
	switch {
	case p.DNSSECRequired && r.f.DNSSEC.State != dnssec.Secure:
		return WaitDNSSEC, key + " waits until the zone is Secure: " + r.f.DNSSEC.Message
	case p.DNSSECRequired && r.f.DNSSEC.KeysChanging:
		return WaitKeysChanging, key + " waits until the change of DNSKEY or DS records, of the zone or of one above it, is over"
	case r.signaturesTooShort():
		return WaitSignatures, key + " waits until the zone's signatures are renewed: they run out too soon"
	}
	return WaitNone, ""
}

// unseenOwner is an owner that no fresh and complete sweep has looked at; nil when there is none.
func (r *run) unseenOwner() *ownerRun {
	for i := range r.owners {
		o := &r.owners[i]
		if !r.fresh(o) || !allReachable(*o.last) {
			return o
		}
	}
	return nil
}

func allReachable(s Sweep) bool {
	return anyReachable(s) && !slices.ContainsFunc(s.Answers, func(a Answer) bool { return !a.Ignored && !a.Reachable })
}

// nothingPublished says that no cache can hold a record of any owner: a new key harms nobody.
func (r *run) nothingPublished() bool {
	if r.f.Policy.NamedKeys {
		return false
	}
	for i := range r.owners {
		if slices.ContainsFunc(r.owners[i].Versions, func(v Version) bool { return v.Unknown || len(v.Records) > 0 }) {
			return false
		}
	}
	return true
}

// unpublished says whether a key's records are missing somewhere. While an owner's records are taken
// out, nothing is published there any more and the versions alone decide.
func (r *run) unpublished(t *tracked, key string) (WaitCode, string) {
	for i := range r.owners {
		o := &r.owners[i]
		switch {
		case !t.standsAt(o.Name):
		case o.removing || !r.f.Policy.NamedKeys && !o.everPublished():
			// Nobody has a record of it that a key could not match.
		case r.taken(o):
			return WaitForeign, key + " waits: " + takenText(o)
		case o.split():
			return WaitPropagation, splitText(o, key+" waits until")
		case o.Write || r.changeWanted(o):
			return WaitUpdate, key + " waits until its records are written to " + o.Name
		case !o.InSync:
			r.needSweep = true
			return WaitPropagation, named(key+" waits until every name server shows the records of "+o.Name, o.Behind)
		}
	}
	return WaitNone, ""
}

// signaturesTooShort says whether a signature runs out too soon after a deployment.
func (r *run) signaturesTooShort() bool {
	if !r.f.Policy.DNSSECRequired {
		return false
	}
	for i := range r.owners {
		for _, a := range r.owners[i].last.Answers {
			if a.Ignored || a.SignatureExpires.IsZero() {
				continue
			}
			if a.SignatureExpires.Sub(r.now) < r.signatureLife(a) {
				return true
			}
		}
	}
	return false
}

// longSignatures is the life that signatures must have left where the zone signs for four days or longer.
const longSignatures = 24 * time.Hour

// signatureLife is how long the signatures of an answer must still be valid for a key to be
// deployed: a day, or a quarter of the time that the zone signs for where that is less, and twice the
// TTL in any case.
func (r *run) signatureLife(a Answer) time.Duration {
	return max(2*max(a.CacheTTL, r.longestTTL()), min(longSignatures, a.SignatureValidity/4))
}

// deadlineReached says whether the certificate that a key succeeds is about to expire, and the user
// has chosen to proceed all the same.
func (r *run) deadlineReached(t *tracked) bool {
	p := r.f.Policy
	if !p.Proceed || t.stage == StageStandby {
		return false
	}
	return slices.ContainsFunc(r.keys, func(o tracked) bool {
		return o.stage == StageDeployed && o.Certificate == t.Certificate && !o.NotAfter.IsZero() &&
			!r.now.Before(o.NotAfter.Add(-p.DeadlineBefore))
	})
}
