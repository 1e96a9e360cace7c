package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// retire decides for each Previous key whether its records may go now, and notes what the others wait for. Such a key is
// remembered until its records are seen to be gone: an update that is lost, or held back, is decided on again by what is
// known of the endpoints by then. Where one was carried out they are not put back, whatever is known then.
func (r *run) retire() {
	for i := range r.keys {
		t := &r.keys[i]
		t.HeldUntil = time.Time{}
		// A Secret that holds a named key to be used next has come back: the signer may be given it, so that its record stays.
		if t.Role != rolePrevious || r.f.Policy.NamedKeys && t.stage != "" {
			t.RemovableAt, t.Leaving = time.Time{}, false
			continue
		}
		r.heedRevocation(t)
		t.gone = r.removable(t) && !r.hold(t) && !r.revoke(t)
		t.Leaving = t.Leaving || t.gone
		r.needProbe = r.needProbe || t.gone && !r.f.Policy.ProbeDisabled && !r.takenOut(t)
		r.waitForPrimary(t)
	}
	r.forgetGone()
}

// forgetGone forgets the keys whose records may go, and are seen to have gone. What makes one the last witness is remembered.
func (r *run) forgetGone() {
	kept := make([]tracked, 0, len(r.keys))
	for _, t := range r.keys {
		if t.gone && r.takenOut(&t) {
			t.Records = r.lastWitness(&t)
		}
		if !t.gone || len(t.Records) > 0 {
			kept = append(kept, t)
		}
	}
	r.keys = kept
}

// takenOut says whether it is proved that the records of a key have gone, wherever they stood, but for those that stay for other
// reasons: the primary shows none, and it or a public server says so with a signature where answers have one.
func (r *run) takenOut(t *tracked) bool {
	return !slices.ContainsFunc(r.owners, func(o ownerRun) bool {
		if !t.standsAt(o.Name) || o.facts.HandedOver {
			return false
		}
		proved := func(a Answer) bool {
			signed := a.Signed || !r.proof(o.removing).DNSSECRequired
			return a.Reachable && !a.Ignored && a.Alias == "" && signed && !r.hasOwn(t, &o, a.Records)
		}
		return !r.outAt(t, &o) || !slices.ContainsFunc(o.last.Answers, proved)
	})
}

// outAt says whether the primary was just seen without the records of a key at an owner.
func (r *run) outAt(t *tracked, o *ownerRun) bool {
	return o.primaryKnown && r.fresh(o) && !r.hasOwn(t, o, o.primary)
}

// hasOwn says whether there are records of a key that do not stay at an owner for other reasons.
func (r *run) hasOwn(t *tracked, o *ownerRun, records []tlsa.Record) bool {
	return slices.ContainsFunc(records, func(k tlsa.Record) bool {
		return slices.Contains(t.Records, k) && !r.staysWithout(t, o, k)
	})
}

// staysWithout says whether a record of a key belongs to an owner although the key is gone.
func (r *run) staysWithout(t *tracked, o *ownerRun, k tlsa.Record) bool {
	return slices.Contains(r.f.Policy.Additional, k) || slices.Contains(o.facts.Shared, k) || slices.ContainsFunc(r.keys, func(other tracked) bool {
		return other.ID != t.ID && !other.gone && other.standsAt(o.Name) && slices.Contains(other.Records, k)
	})
}

// removable says whether the records of a Previous key may go now.
func (r *run) removable(t *tracked) bool {
	p := r.f.Policy
	if !t.RevokedSince.IsZero() { // nobody has needed its own record since then
		return r.removalAllowed(t)
	}
	gone := t.GoneSince
	if p.ProbeDisabled {
		gone = r.replaced(t)
	} else if t.GoneRounds < max(p.Sweeps, 1) {
		t.RemovableAt = time.Time{}
		r.needProbe = true
		r.waitForEndpoints(t)
		return false
	}
	safety := max(2*r.longestTTL(), p.RetireSafety)
	if t.compromised(p) && !p.ProbeDisabled {
		safety = 0
	}
	t.RemovableAt = gone.Add(safety)
	if r.now.Before(t.RemovableAt) {
		if !p.NamedKeys || !p.Removing { // the records of all named keys go at once with what asked for them
			r.wait(WaitRetire, t.ID, r.stays(t), t.RemovableAt)
		}
		return false
	}
	return r.removalAllowed(t)
}

// stays says why the records of a key stay that is in use no more.
func (r *run) stays(t *tracked) string {
	if r.f.Policy.NamedKeys {
		return "the record of key " + short(t.SPKI) + ", with which no mail is to be signed any more, stays for the mail that is still under way"
	}
	return "the records of key " + short(t.SPKI) + ", which no endpoint presents any more, stay for a while"
}

// removalAllowed is the last look before records go: everything could be read, nothing presents the
// key, another key is there, and the evidence is fresh.
func (r *run) removalAllowed(t *tracked) bool {
	p := r.f.Policy
	switch {
	case p.Suspended:
		r.wait(WaitSuspended, t.ID, "suspended: the records of key "+short(t.SPKI)+" stay", time.Time{})
		return false
	case !r.f.KeysComplete:
		r.wait(WaitUnread, t.ID, "a Certificate, request or Secret could not be read: the records of key "+short(t.SPKI)+" stay", time.Time{})
		return false
	case !r.anotherIsDeployed():
		r.wait(WaitCertificate, t.ID, "no other key is deployed: the records of key "+short(t.SPKI)+" stay", time.Time{})
		return false
	case p.ProbeDisabled, t.Leaving && r.takenOut(t):
		return true
	case !r.freshlyKnown():
		r.needProbe = true
		r.waitForEndpoints(t)
		return false
	}
	return true
}

// waitForPrimary says what keeps records that may go where they are.
func (r *run) waitForPrimary(t *tracked) {
	if !t.gone {
		return
	}
	for i := range r.owners {
		if o := &r.owners[i]; t.standsAt(o.Name) && !o.facts.HandedOver && (!o.primaryKnown || !r.fresh(o)) {
			r.needSweep = true
			r.wait(WaitSweep, t.ID, "the records of key "+short(t.SPKI)+" stay until the primary has answered for "+o.Name, time.Time{})
			return
		}
	}
}

// anotherIsDeployed says whether a key is deployed that the user has not given up.
func (r *run) anotherIsDeployed() bool {
	return slices.ContainsFunc(r.keys, func(o tracked) bool { return o.Role == roleCurrent && !o.compromised(r.f.Policy) })
}

// waitForEndpoints says that it is not known yet that nothing presents a key any more.
func (r *run) waitForEndpoints(t *tracked) {
	message := "it is not proved yet that no endpoint presents key " + short(t.SPKI) + " any more"
	if last := r.f.LastRound; last != nil && !r.allKnown(*last) {
		message = "an endpoint could not be reached, so the records of key " + short(t.SPKI) + " stay: " + firstProblem(*last, r.publishedPorts()...)
	}
	r.wait(WaitEndpoints, t.ID, message, time.Time{})
}

// allKnown says whether a round knows all that is presented where records stand.
func (r *run) allKnown(round ProbeRound) bool { return round.knowsAll(r.publishedPorts()) }

func (r ProbeRound) knowsAll(ports []int32) bool {
	return !slices.ContainsFunc(ports, func(port int32) bool { return !r.knows(port) })
}

// firstProblem says what keeps a round from knowing one of the ports.
func firstProblem(round ProbeRound, ports ...int32) string {
	for _, p := range round.Presented {
		if p.Unreachable && (p.Port == 0 || slices.Contains(ports, p.Port)) {
			return p.Message
		}
	}
	return "no endpoint is known"
}

// longestTTL is the longest TTL that matters for the host.
func (r *run) longestTTL() time.Duration {
	longest := max(r.f.Policy.TTL, r.f.Policy.TTLFloor)
	for i := range r.owners {
		for _, v := range r.owners[i].Versions {
			if len(v.Records) > 0 {
				longest = max(longest, v.TTL)
			}
		}
	}
	return longest
}
