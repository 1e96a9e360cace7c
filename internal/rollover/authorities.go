package rollover

import (
	"fmt"
	"slices"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about sets of authorities' records (usage DANE-TA) that have left the policy. An endpoint that cannot be reached
// may come back with a key of before: no record of such a key is left, but those of its authority match it.

// keepAuthorities keeps such a set as long as an endpoint is not known, or needs it. New keys have records of it meanwhile. It
// goes all the same where a key cannot have any, which would wait for that, and where there is no room.
func (r *run) keepAuthorities(o *ownerRun, sets map[tlsa.Parameters]bool) {
	o.leaving = nil
	for _, k := range r.leavingAuthorities(o, sets) {
		if sets[k.Parameters] {
			continue // kept for another key
		}
		why := r.needsAuthority(o, k, sets)
		if why == "" || r.crowdedOut || !r.foresee(o, k.Parameters) {
			o.leaving = append(o.leaving, k.Parameters)
			continue
		}
		sets[k.Parameters], r.keepsSet = true, true
		o.Warnings = append(o.Warnings, fmt.Sprintf("parameter set %s stays at %s, since an endpoint may present a former key of the same authority: %s", k.Parameters, o.Name, why))
	}
}

// leavingAuthorities are the records of authorities that stand at an owner, in none of the sets, and for no other reason.
func (r *run) leavingAuthorities(o *ownerRun, sets map[tlsa.Parameters]bool) []tlsa.Record {
	var out []tlsa.Record
	for i := range r.keys {
		t := &r.keys[i]
		if !t.wanted(r.f.Policy) || !t.standsAt(o.Name) {
			continue
		}
		for _, k := range t.Records {
			if k.Usage == tlsa.UsageDANETA && !sets[k.Parameters] && slices.Contains(o.primary, k) && !r.staysAnyway(o, k) && !matchedBy(t, k, sets) {
				out = append(out, k)
			}
		}
	}
	return out
}

// staysAnyway says whether a record stands at an owner for others, or since the user has listed it.
func (r *run) staysAnyway(o *ownerRun, k tlsa.Record) bool {
	return slices.Contains(r.f.Policy.Additional, k) || slices.Contains(o.facts.Shared, k)
}

// matchedBy says whether whatever the record of an authority matches is matched by another of its records, in one of the
// sets, for every sender: SHA-512 need not be known (RFC 6698 section 2.1.3).
func matchedBy(t *tracked, k tlsa.Record, sets map[tlsa.Parameters]bool) bool {
	return slices.ContainsFunc(t.Records, func(o tlsa.Record) bool {
		return sets[o.Parameters] && o.Usage == k.Usage && (o.Selector == k.Selector || o.Selector == tlsa.SelectorSPKI) &&
			(o.MatchingType == k.MatchingType || o.MatchingType == tlsa.MatchingSHA256)
	})
}

// foresee gives keys that wait for their certificate what the key in use has of a set: the same Certificate has the same issuer.
// It says whether all keys have records of the set then.
func (r *run) foresee(o *ownerRun, p tlsa.Parameters) bool {
	for i := range r.keys {
		t := &r.keys[i]
		if !t.wanted(r.f.Policy) || !t.standsAt(o.Name) || hasSet(t.Records, p) {
			continue
		}
		same := slices.IndexFunc(r.keys, func(k tracked) bool {
			return k.stage == StageDeployed && k.Certificate == t.Certificate && hasSet(k.Records, p)
		})
		if t.Serial != "" || same < 0 {
			return false
		}
		for _, k := range r.keys[same].Records {
			if k.Parameters == p {
				t.Records = tlsa.Normalize(append(slices.Clone(t.Records), k))
			}
		}
	}
	return true
}

// needsAuthority says why the record of an authority may be needed: what could not be read, an endpoint that is not known, or
// one that presents a chain which it matches, and nothing that stays.
func (r *run) needsAuthority(o *ownerRun, k tlsa.Record, sets map[tlsa.Parameters]bool) string {
	if !r.f.KeysComplete {
		return "a Certificate, request or Secret could not be read"
	}
	for _, peer := range r.withPeers(o) {
		switch {
		case peer.Vouched:
			continue
		case peer.Round == nil:
			r.needProbe = true
			return "the endpoints of " + peer.Host + " have to be probed"
		case !peer.Round.knows(peer.Port):
			return firstProblem(*peer.Round, peer.Port)
		}
		for _, e := range peer.Round.Presented {
			if e.Port == peer.Port && e.Matches != nil && e.Matches(k) && !r.matchedByRest(o, e, sets) {
				return fmt.Sprintf("%s port %d presents key %s, which nothing else matches", e.Address, e.Port, short(e.SPKI))
			}
		}
	}
	return ""
}

// matchedByRest says whether a chain is matched by a record that stays at an owner with these sets.
func (r *run) matchedByRest(o *ownerRun, e Presented, sets map[tlsa.Parameters]bool) bool {
	if slices.ContainsFunc(r.strangers(o), e.Matches) || slices.ContainsFunc(o.facts.Shared, e.Matches) {
		return true
	}
	return slices.ContainsFunc(r.keys, func(t tracked) bool {
		return t.wanted(r.f.Policy) && t.standsAt(o.Name) && slices.ContainsFunc(t.Records, func(k tlsa.Record) bool { return sets[k.Parameters] && e.Matches(k) })
	})
}

// authorityBlocked holds an update back that takes a set of authorities' records out, until the endpoints were probed just
// before. Where they are not known then, the set has no choice.
func (r *run) authorityBlocked(o *ownerRun) (WaitCode, string) {
	goes := slices.ContainsFunc(o.primary, func(k tlsa.Record) bool {
		return slices.Contains(o.leaving, k.Parameters) && !slices.Contains(o.Records, k)
	})
	round := r.f.LastRound
	justSeen := round != nil && (!round.knows(o.facts.Port) || r.now.Sub(round.End) <= r.f.Policy.SweepFreshness)
	if !goes || r.f.Policy.ProbeDisabled || justSeen {
		return WaitNone, ""
	}
	r.needProbe = true
	return WaitEndpoints, fmt.Sprintf("the endpoints of %s have to be probed before parameter set %s goes", r.f.Host, o.leaving[0])
}
