package rollover

import (
	"slices"
	"time"
)

// retire decides for each Previous key whether its records may go now, and drops those that may.
// It returns the keys that stay, and what the others wait for.
func (r *run) retire() {
	kept := r.keys[:0:0]
	for _, t := range r.keys {
		t.HeldUntil = time.Time{}
		// A Secret that holds a named key to be used next has come back: the signer may be given it, so that its record stays.
		if t.Role != rolePrevious || r.f.Policy.NamedKeys && t.stage != "" {
			t.RemovableAt = time.Time{}
			kept = append(kept, t)
			continue
		}
		r.heedRevocation(&t)
		if r.removable(&t) && !r.hold(&t) && !r.revoke(&t) {
			t.gone, t.Records = true, r.lastWitness(&t)
		}
		if !t.gone || len(t.Records) > 0 {
			kept = append(kept, t)
		}
	}
	r.keys = kept
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
	case !r.canBeTakenOut(t):
		r.needSweep = true
		return false
	case p.ProbeDisabled:
		return true
	case r.f.LastRound == nil || !r.allKnown(*r.f.LastRound):
		r.needProbe = true
		r.waitForEndpoints(t)
		return false
	}
	return true
}

// canBeTakenOut says whether the records of a key can go in this very decision. While the primary is away they cannot, and when it
// is back the evidence by which the key was taken for gone is as old as that.
func (r *run) canBeTakenOut(t *tracked) bool {
	for i := range r.owners {
		o := &r.owners[i]
		if !t.standsAt(o.Name) || o.facts.HandedOver || o.primaryKnown && r.fresh(o) {
			continue
		}
		r.wait(WaitSweep, t.ID, "the records of key "+short(t.SPKI)+" stay until the primary has answered for "+o.Name, time.Time{})
		return false
	}
	return true
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
