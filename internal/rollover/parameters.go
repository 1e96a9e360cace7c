package rollover

import (
	"fmt"
	"slices"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file is about parameter sets that come and go while keys roll. A sender may know one set alone
// (RFC 7671 section 8), and one that knows SHA-512 sets the SHA-256 records of the same usage and
// selector aside (section 9): a set must be there for every key that may be presented, or not at all.

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

// formerRecords are what a key has in the parameter sets that have left the policy, as remembered: caches
// may hold them, and it still matches them. Those that come from the certificate are good for that
// certificate alone. Those that were foreseen, before there was one, are what the key was or will be handed to servers by:
// to drop them would leave other keys' records of the set without one for this key.
func formerRecords(before KeyState, k Key) []tlsa.Record {
	var out []tlsa.Record
	for _, record := range before.Records {
		ofKey := record.Usage == tlsa.UsageDANEEE && record.Selector == tlsa.SelectorSPKI
		sameCertificate := before.Serial == "" || k.Serial == before.Serial
		if !hasSet(k.Records, record.Parameters) && (ofKey || sameCertificate) {
			out = append(out, record)
		}
	}
	return out
}

// forgetFormer drops the records of sets outside the policy that no cache can hold any more.
func (r *run) forgetFormer() {
	cached := map[tlsa.Record]bool{}
	for i := range r.owners {
		for _, v := range r.owners[i].Versions {
			for _, record := range v.Records {
				cached[record] = true
			}
		}
	}
	for i := range r.keys {
		t := &r.keys[i]
		if t.stage != "" {
			t.Records = slices.DeleteFunc(t.Records, func(k tlsa.Record) bool {
				return !slices.Contains(r.f.Policy.Parameters, k.Parameters) && !cached[k]
			})
		}
	}
}

// lastWitness says whether a key whose records go is the last by which a combination is known for ours,
// while caches may hold it. Its records outside the policy are then remembered, and not published.
func (r *run) lastWitness(t *tracked) []tlsa.Record {
	return slices.DeleteFunc(slices.Clone(t.Records), func(k tlsa.Record) bool {
		return slices.Contains(r.f.Policy.Parameters, k.Parameters) ||
			slices.ContainsFunc(r.keys, func(o tracked) bool { return o.Role != rolePrevious && hasSet(o.Records, k.Parameters) }) ||
			!slices.ContainsFunc(r.owners, func(o ownerRun) bool {
				return slices.ContainsFunc(o.Versions, func(v Version) bool { return slices.Contains(v.Records, k) })
			})
	})
}

// hasSet says whether there is a record of a parameter set.
func hasSet(records []tlsa.Record, p tlsa.Parameters) bool {
	return slices.ContainsFunc(records, func(k tlsa.Record) bool { return k.Parameters == p })
}

// weaker is the set whose records a sender sets aside when it finds a SHA-512 record (RFC 7671 section 9).
func weaker(p tlsa.Parameters) (tlsa.Parameters, bool) {
	if p.MatchingType != tlsa.MatchingSHA512 {
		return p, false
	}
	p.MatchingType = tlsa.MatchingSHA256
	return p, true
}

// publishedSets are the parameter sets that stand at an owner: those of the policy that are ready, and
// those that have left it while a key that may be presented has records of no other.
func (r *run) publishedSets(o *ownerRun) map[tlsa.Parameters]bool {
	sets := map[tlsa.Parameters]bool{}
	wanted := len(r.f.Policy.Parameters) - r.sets
	for _, p := range r.f.Policy.Parameters[:wanted] {
		// One that stands already stays: leaving it out would help nobody.
		if why := r.notReady(o, p); why == "" || r.stands(o, p) {
			sets[p] = true
		} else {
			o.Warnings = append(o.Warnings, fmt.Sprintf("parameter set %s is not published at %s yet: %s", p, o.Name, why))
		}
	}
	for _, p := range r.f.Policy.Parameters[wanted:] {
		if why := r.deferred[o.Name][p]; why != "" {
			sets[p] = true
			o.Warnings = append(o.Warnings, fmt.Sprintf("parameter set %s stays at %s, since an endpoint may present a former key of the same authority: %s", p, o.Name, why))
		}
	}
	var stay []tlsa.Parameters
	for i := range r.keys {
		t := &r.keys[i]
		if !t.mayBePresented() || slices.ContainsFunc(t.Records, func(k tlsa.Record) bool { return sets[k.Parameters] }) {
			continue
		}
		for _, k := range t.Records {
			if r.stands(o, k.Parameters) {
				stay = append(stay, k.Parameters)
			}
		}
	}
	for _, p := range stay {
		sets[p] = true
	}
	r.keepShield(o, sets)
	return sets
}

// keepShield keeps a SHA-512 set that has left the policy while others have records of it at the owner:
// for those alone senders would set our SHA-256 records aside. That a chain here matches one of them is no help:
// the next key does not.
func (r *run) keepShield(o *ownerRun, sets map[tlsa.Parameters]bool) {
	others := r.strangers(o)
	for i := range r.keys {
		for _, k := range r.keys[i].Records {
			w, strong := weaker(k.Parameters)
			if strong && sets[w] && !sets[k.Parameters] && hasSet(others, k.Parameters) && slices.Contains(o.primary, k) {
				sets[k.Parameters] = true
				o.Warnings = append(o.Warnings, fmt.Sprintf("parameter set %s stays at %s: foreign or additional records of it stand there, and senders would set the %s records aside for those (RFC 7671 section 9); remove them together", k.Parameters, o.Name, w))
			}
		}
	}
}

// elsewhere are the records of keys that live elsewhere: additional ones, and foreign ones at the owner
// unless those are to go. What a chain here matches does not live elsewhere.
func (r *run) elsewhere(o *ownerRun) []tlsa.Record {
	return slices.DeleteFunc(r.strangers(o), r.presents)
}

// strangers are additional records, and foreign ones at the owner unless those are to go, but for those of
// our keys.
func (r *run) strangers(o *ownerRun) []tlsa.Record {
	out := slices.Clone(r.f.Policy.Additional)
	if !r.f.Policy.RemoveForeign {
		out = append(out, o.primary...)
	}
	return slices.DeleteFunc(tlsa.Normalize(out), func(k tlsa.Record) bool {
		if slices.ContainsFunc(r.keys, func(t tracked) bool { return k.Data == t.SPKI || slices.Contains(t.Records, k) }) {
			return true
		}
		return slices.Contains(o.facts.Written, k) && !slices.Contains(r.f.Policy.Additional, k)
	})
}

// stands says whether the primary shows a record of ours in a parameter set.
func (r *run) stands(o *ownerRun, p tlsa.Parameters) bool {
	return slices.ContainsFunc(o.primary, func(k tlsa.Record) bool { return k.Parameters == p && r.isOfOurKey(o, k) })
}

// remains says whether the primary shows an additional record of a parameter set already, or a foreign one
// that is kept and that a chain here matches: another of the set then takes nothing away from us.
func (r *run) remains(o *ownerRun, p tlsa.Parameters) bool {
	return slices.ContainsFunc(o.primary, func(k tlsa.Record) bool {
		foreign := !r.f.Policy.RemoveForeign && !slices.Contains(o.facts.Written, k) && r.presents(k)
		return k.Parameters == p && (foreign || slices.Contains(r.f.Policy.Additional, k))
	})
}

// relies says whether a chain here matches a record of a set at the primary, whoever wrote it, or may match one, where an endpoint is not known.
func (r *run) relies(o *ownerRun, p tlsa.Parameters) bool {
	unknown := !r.f.Policy.ProbeDisabled && (r.f.LastRound == nil || !r.f.LastRound.knows(o.facts.Port))
	return slices.ContainsFunc(o.primary, func(k tlsa.Record) bool {
		return k.Parameters == p && (r.presents(k) || unknown && !slices.Contains(r.f.Policy.Additional, k))
	})
}

// presents says whether a chain that an endpoint presents matches a record.
func (r *run) presents(k tlsa.Record) bool {
	return r.f.LastRound != nil && slices.ContainsFunc(r.f.LastRound.Presented, func(p Presented) bool {
		return p.Matches != nil && p.Matches(k)
	})
}

// mayBePresented says whether a key was handed to servers and is not proved to be gone. One of which no
// record is known can be of no help here.
func (t *tracked) mayBePresented() bool { return t.Deployed && !t.gone && len(t.Records) > 0 }

// notReady says why a parameter set must not be added yet; empty when it may.
func (r *run) notReady(o *ownerRun, p tlsa.Parameters) string {
	for i := range r.keys {
		if t := &r.keys[i]; t.mayBePresented() && !hasSet(t.Records, p) {
			return "key " + short(t.SPKI) + ", which may still be presented, has no record of it"
		}
	}
	if why := r.unmatched(o, p); why != "" {
		return why
	}
	w, strong := weaker(p)
	if !strong {
		return ""
	}
	if others := r.elsewhere(o); count(others, w) > count(others, p) {
		return fmt.Sprintf("senders would set foreign or additional %s records aside for it (RFC 7671 section 9): put the %s records of those keys into additionalRecords, or remove them", w, p)
	}
	return ""
}

// unmatched says which endpoint presents a chain that senders accept by the records which stand there, and
// that has no record of a set: a chain that is not known here, as when the status was lost. One that could not be probed may
// present the key of any record that stands there.
func (r *run) unmatched(o *ownerRun, p tlsa.Parameters) string {
	if len(o.primary) == 0 || r.f.Policy.ProbeDisabled {
		return ""
	}
	if r.f.LastRound == nil {
		r.needProbe = true
		return "its endpoints have to be probed first"
	}
	for _, e := range r.f.LastRound.Presented {
		if e.Port == o.facts.Port && e.Matches != nil && slices.ContainsFunc(o.primary, e.Matches) && !r.hasRecordFor(o, e, p) {
			return fmt.Sprintf("%s port %d presents key %s, which has no record of it", e.Address, e.Port, short(e.SPKI))
		}
	}
	unknown := func(k tlsa.Record) bool { return !r.isOfOurKey(o, k) && !slices.Contains(r.f.Policy.Additional, k) }
	if !r.f.LastRound.knows(o.facts.Port) && slices.ContainsFunc(o.primary, unknown) {
		r.needProbe = true
		return "not every endpoint could be probed, and there are records of keys that are not known here: one of these may be presented"
	}
	return ""
}

// hasRecordFor says whether a record of a set, of some key or at the primary, matches a presented chain.
func (r *run) hasRecordFor(o *ownerRun, e Presented, p tlsa.Parameters) bool {
	matches := func(k tlsa.Record) bool { return k.Parameters == p && e.Matches(k) }
	return slices.ContainsFunc(o.primary, matches) || slices.ContainsFunc(r.keys, func(t tracked) bool {
		return slices.ContainsFunc(t.Records, matches)
	})
}

func count(records []tlsa.Record, p tlsa.Parameters) int {
	n := 0
	for _, k := range records {
		if k.Parameters == p {
			n++
		}
	}
	return n
}

// ownRecords are the records at an owner that we answer for.
func (r *run) ownRecords(o *ownerRun) []tlsa.Record {
	sets := r.publishedSets(o)
	var own []tlsa.Record
	for i := range r.keys {
		t := &r.keys[i]
		if !t.wanted(r.f.Policy) || !t.standsAt(o.Name) || t.Leaving && r.outAt(t, o) {
			continue
		}
		for _, k := range t.Records {
			if sets[k.Parameters] && (!r.mayGo(t) || slices.Contains(o.primary, k)) { // an unused key's are not put there anew
				own = append(own, k)
			}
		}
	}
	own = append(own, r.additionalRecords(o, sets)...)
	return tlsa.Normalize(slices.DeleteFunc(own, tlsa.IsEmptyDigest))
}

// additionalRecords are those of the policy's additional records that take nothing away from ours at an
// owner where these sets stand. Before the endpoints were probed that is not known of new ones.
func (r *run) additionalRecords(o *ownerRun, sets map[tlsa.Parameters]bool) []tlsa.Record {
	var out []tlsa.Record
	unprobed := r.f.LastRound == nil && !r.f.Policy.ProbeDisabled && len(o.primary) > 0
	for _, k := range r.f.Policy.Additional {
		w, strong := weaker(k.Parameters)
		switch {
		case unprobed && !slices.Contains(o.primary, k):
			r.needProbe = true
		case strong && (sets[w] || r.relies(o, w)) && !sets[k.Parameters] && !r.remains(o, k.Parameters):
			o.Warnings = append(o.Warnings, fmt.Sprintf("additional record %s is not published at %s: senders would set the %s records aside for it (RFC 7671 section 9); add %s to parameters", k.Short(), o.Name, w, k.Parameters))
		default:
			out = append(out, k)
		}
	}
	return out
}
