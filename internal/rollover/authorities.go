package rollover

import (
	"fmt"
	"slices"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about sets of authorities' records (usage DANE-TA) that have left the policy. An endpoint that cannot be reached
// may come back with a key of before: no record of such a key is left, but those of its authority match it. As long as that may
// be, the policy counts as if it had the set, for every key.

// deferAuthorities says which of these sets stay for now, and where, and which go. A set that a key has no record of goes: the key would
// wait for it. So does one at a name that aliases lead to: others, who know of other keys, may have their records there.
func (r *run) deferAuthorities() {
	if r.f.Policy.Removing {
		return
	}
	r.deferred = map[string]map[tlsa.Parameters]string{}
	for _, p := range r.formerAuthorities() {
		why := map[string]string{}
		for i := range r.owners {
			if o := &r.owners[i]; !o.removing && !o.facts.HandedOver && o.End == "" && len(o.facts.Peers) == 0 {
				if needed := r.needsAuthority(o, p); needed != "" {
					why[o.Name] = needed
				}
			}
		}
		if len(why) == 0 || r.f.KeysComplete && r.someKeyLacks(p) {
			r.leaving = append(r.leaving, p)
			continue
		}
		r.deferSet(p, why)
	}
}

// formerAuthorities are the sets of authorities' records that keys have and the policy has not.
func (r *run) formerAuthorities() []tlsa.Parameters {
	var out []tlsa.Parameters
	for i := range r.keys {
		for _, k := range slices.Concat(r.keys[i].Records, r.keys[i].leaving) {
			if k.Usage == tlsa.UsageDANETA && !slices.Contains(r.f.Policy.Parameters, k.Parameters) && !slices.Contains(out, k.Parameters) {
				out = append(out, k.Parameters)
			}
		}
	}
	slices.SortFunc(out, func(a, b tlsa.Parameters) int {
		return tlsa.Compare(tlsa.Record{Parameters: a}, tlsa.Record{Parameters: b})
	})
	return out
}

// deferSet has the policy count as if it had a set, at the owners where it is needed.
func (r *run) deferSet(p tlsa.Parameters, why map[string]string) {
	r.f.Policy.Parameters, r.sets = append(slices.Clone(r.f.Policy.Parameters), p), r.sets+1
	for name, text := range why {
		if r.deferred[name] == nil {
			r.deferred[name] = map[tlsa.Parameters]string{}
		}
		r.deferred[name][p] = text
	}
	for i := range r.keys {
		t := &r.keys[i]
		for _, k := range t.leaving {
			if k.Parameters == p {
				t.Records = slices.DeleteFunc(slices.Clone(t.Records), func(o tlsa.Record) bool { return o.Parameters == p })
				t.Records = tlsa.Normalize(append(t.Records, k))
			}
		}
	}
}

// someKeyLacks says whether a key that is to be handed to servers has no record of a set.
func (r *run) someKeyLacks(p tlsa.Parameters) bool {
	return slices.ContainsFunc(r.keys, func(t tracked) bool {
		return t.stage != "" && !t.Deployed && t.wanted(r.f.Policy) && !hasSet(t.Records, p) && !hasSet(t.leaving, p)
	})
}

// needsAuthority says why records of a set that stand at an owner may be needed there: what could not be read, an endpoint that
// is not known, or one that presents a chain which such a record matches, and nothing that stays; empty where they are not.
func (r *run) needsAuthority(o *ownerRun, p tlsa.Parameters) string {
	standing := r.standing(o)
	records := slices.DeleteFunc(slices.Clone(standing), func(k tlsa.Record) bool {
		return k.Parameters != p || !r.isOurs(o, k) || slices.Contains(r.f.Policy.Additional, k) || r.matchedByAnother(k, standing)
	})
	if len(records) == 0 {
		return ""
	}
	if !r.f.KeysComplete {
		return "a Certificate, request or Secret could not be read"
	}
	round := r.f.LastRound
	switch {
	case r.f.Policy.ProbeDisabled:
		return ""
	case round == nil:
		r.needProbe = true
		return "the endpoints of " + r.f.Host + " have to be probed"
	case !round.knows(o.facts.Port):
		return firstProblem(*round, o.facts.Port)
	}
	return r.matchedByAuthority(o, records, r.rest(o, p, standing))
}

// matchedByAuthority says which endpoint presents a key of which nothing is known here, and that one of the records matches, and none of
// the rest. What is known of is cared for where sets of any kind come and go.
func (r *run) matchedByAuthority(o *ownerRun, records, rest []tlsa.Record) string {
	for _, e := range r.f.LastRound.Presented {
		known := slices.ContainsFunc(r.keys, func(t tracked) bool { return t.SPKI == e.SPKI })
		if e.Port == o.facts.Port && e.Matches != nil && !known && slices.ContainsFunc(records, e.Matches) && !slices.ContainsFunc(rest, e.Matches) {
			return fmt.Sprintf("%s port %d presents key %s, which nothing else matches", e.Address, e.Port, short(e.SPKI))
		}
	}
	return ""
}

// standing are the records at an owner: what the primary shows, or, where it does not answer, may show.
func (r *run) standing(o *ownerRun) []tlsa.Record {
	if o.primaryKnown {
		return o.primary
	}
	var out []tlsa.Record
	for _, v := range o.Versions {
		if v.Open {
			out = append(out, v.Records...)
		}
	}
	return tlsa.Normalize(out)
}

// isOurs says whether a record at an owner is that of a key of ours, in a set that leaves too.
func (r *run) isOurs(o *ownerRun, k tlsa.Record) bool {
	return r.isOfOurKey(o, k) || slices.ContainsFunc(r.keys, func(t tracked) bool { return slices.Contains(t.leaving, k) })
}

// matchedByAnother says whether whatever the record of an authority matches is matched, for every sender, by another record of the
// same authority that stands there, in a set of the policy.
func (r *run) matchedByAnother(k tlsa.Record, standing []tlsa.Record) bool {
	return slices.ContainsFunc(r.keys, func(t tracked) bool {
		all := slices.Concat(t.Records, t.leaving)
		return slices.Contains(all, k) && slices.ContainsFunc(all, func(o tlsa.Record) bool {
			return o.Usage == k.Usage && (o.Selector == k.Selector || o.Selector == tlsa.SelectorSPKI) && knownAs(o, k.MatchingType) &&
				slices.Contains(r.f.Policy.Parameters, o.Parameters) && slices.Contains(standing, o)
		})
	})
}

// knownAs says whether every sender that knows a matching type knows a record: SHA-512 need not be known (RFC 6698 section 2.1.3).
func knownAs(k tlsa.Record, matchingType uint8) bool {
	return k.MatchingType == matchingType || k.MatchingType != tlsa.MatchingSHA512
}

// rest are the records that stand at an owner, stay without a set, and are known to every sender that knows the set: those of the
// policy, those of peers, and those that are not ours.
func (r *run) rest(o *ownerRun, p tlsa.Parameters, standing []tlsa.Record) []tlsa.Record {
	return slices.DeleteFunc(slices.Clone(standing), func(k tlsa.Record) bool {
		stays := slices.Contains(r.f.Policy.Parameters, k.Parameters) || slices.Contains(r.f.Policy.Additional, k) ||
			slices.Contains(o.facts.Shared, k) || !r.f.Policy.RemoveForeign && !r.isOurs(o, k) && !slices.Contains(o.facts.Written, k)
		return !stays || !knownAs(k, p.MatchingType)
	})
}

// authorityBlocked holds an update back that takes a set of authorities' records out, until the endpoints were probed just
// before. Where they are not known then, the set has no choice.
func (r *run) authorityBlocked(o *ownerRun) (WaitCode, string) {
	goes := slices.IndexFunc(o.primary, func(k tlsa.Record) bool {
		return slices.Contains(r.leaving, k.Parameters) && !slices.Contains(o.Records, k)
	})
	round := r.f.LastRound
	justSeen := round != nil && (!round.knows(o.facts.Port) || r.now.Sub(round.End) <= r.f.Policy.SweepFreshness)
	if goes < 0 || r.f.Policy.ProbeDisabled || justSeen {
		return WaitNone, ""
	}
	r.needProbe = true
	return WaitEndpoints, fmt.Sprintf("the endpoints of %s have to be probed before parameter set %s goes", r.f.Host, o.primary[goes].Parameters)
}
