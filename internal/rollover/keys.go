package rollover

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// The roles of a key; the API documents them.
const (
	roleNext     = "Next"
	roleCurrent  = "Current"
	rolePrevious = "Previous"
)

// The visibilities of a key's records; the API documents them.
const (
	hidden      = "Hidden"
	rumoured    = "Rumoured"
	omnipresent = "Omnipresent"
	unretentive = "Unretentive"
)

// tracked is a key with what the rule knows of it.
type tracked struct {
	KeyState
	// stage the cluster's objects hold it at; empty when none holds it.
	stage KeyStage
	// before is its state of the previous decision; nil for a new key.
	before *KeyState
	// presented says that an endpoint presented it in the newest round.
	presented bool
	// gone says that its records may go: it is remembered for what caches may hold of it alone.
	gone bool
	// held says that they may but for reports of senders.
	held bool
	// leaving as in Key.
	leaving []tlsa.Record
}

// trackKeys joins the keys that objects hold with those that are remembered.
// ports are those where records stand.
func trackKeys(f Facts, ports []int32) []tracked {
	var out []tracked
	for _, k := range f.Keys {
		before := slices.IndexFunc(f.States, func(s KeyState) bool { return s.isOf(k) })
		out = append(out, track(f, before, &k, ports))
	}
	for i, s := range f.States {
		held := slices.ContainsFunc(f.Keys, s.isOf)
		if !held && !slices.ContainsFunc(out, func(t tracked) bool { return t.ID == s.ID }) {
			out = append(out, track(f, i, nil, ports))
		}
	}
	slices.SortFunc(out, func(a, b tracked) int {
		return cmp.Or(slices.Index(roles, a.Role)-slices.Index(roles, b.Role), strings.Compare(a.ID, b.ID))
	})
	return out
}

var roles = []string{roleCurrent, roleNext, rolePrevious}

// isOf says whether a state is that of a key. A key gets another name when a parameter set that depends
// on its certificate comes or goes; the serial number then tells.
func (s KeyState) isOf(k Key) bool {
	return s.ID == k.ID || s.SPKI == k.SPKI && s.Serial != "" && s.Serial == k.Serial
}

// track gives one key its role, and counts the probe rounds without it. before is the index of its state,
// below 0 for none.
func track(f Facts, before int, held *Key, ports []int32) tracked {
	t := tracked{}
	if before >= 0 {
		state := f.States[before]
		t.KeyState, t.before = state, &state
	}
	if held != nil {
		t.restore()
		t.Records = tlsa.Normalize(append(formerRecords(t.KeyState, *held), held.Records...))
		t.ID, t.SPKI, t.Certificate, t.Owner, t.stage = held.ID, held.SPKI, held.Certificate, held.Owner, held.Stage
		t.leaving = held.Leaving
		if held.Serial != "" {
			t.Serial, t.NotAfter = held.Serial, held.NotAfter
		}
	}
	t.presented = f.LastRound != nil && t.isIn(*f.LastRound)
	t.Deployed = t.Deployed || t.stage == StageDeployed || t.presented
	role := roleNext
	switch {
	case t.stage == StageDeployed || t.presented:
		role = roleCurrent
	case t.Deployed:
		role = rolePrevious
	}
	if role != t.Role {
		t.Role, t.Since = role, f.Now
	}
	t.countRounds(f, ports)
	return t
}

// isIn says whether an endpoint presented the key in a round. A key that is named by its certificate
// too is presented by that certificate alone.
func (t *tracked) isIn(r ProbeRound) bool {
	return slices.ContainsFunc(r.Presented, func(p Presented) bool {
		return !p.Unreachable && p.SPKI == t.SPKI && (t.ID == t.SPKI || p.Serial == t.Serial)
	})
}

// countRounds counts the complete probe rounds in a row in which no endpoint presented a key that
// no object holds any more. An endpoint that could not be reached breaks the row.
func (t *tracked) countRounds(f Facts, ports []int32) {
	if t.stage == StageDeployed {
		t.GoneSince, t.GoneRounds = time.Time{}, 0
		return
	}
	for _, r := range f.Rounds {
		known := r.knowsAll(ports)
		switch {
		case t.isIn(r):
			t.GoneSince, t.GoneRounds = time.Time{}, 0
		case !known && t.GoneRounds < f.Policy.Sweeps:
			t.GoneSince, t.GoneRounds = time.Time{}, 0
		case known:
			if t.GoneRounds == 0 {
				t.GoneSince = r.End
			}
			t.GoneRounds = min(t.GoneRounds+1, max(f.Policy.Sweeps, 1))
		}
	}
}

// forgetUnused forgets the keys that no object holds, and that were not handed to servers as far as is remembered: their
// records can go. What is remembered may be of earlier, as when a status was put back: where records stand, every endpoint
// has to be known first.
func (r *run) forgetUnused() {
	r.keys = slices.DeleteFunc(slices.Clone(r.keys), func(t tracked) bool {
		if !r.mayGo(&t) {
			return false
		}
		if r.f.Policy.ProbeDisabled || r.f.Policy.Removing || t.compromised(r.f.Policy) || !r.mayStand(&t) || r.freshlyKnown() {
			return true
		}
		// One that cannot be reached is probed as often as ever.
		r.needProbe = r.needProbe || r.f.LastRound == nil || r.allKnown(*r.f.LastRound)
		return false
	})
}

// lingers says why the records of an unused key stay.
func (r *run) lingers(t *tracked) string {
	message := "the records of key " + short(t.SPKI) + ", which nothing holds any more, stay until every endpoint is known"
	if last := r.f.LastRound; last != nil && !r.allKnown(*last) {
		message += ": " + firstProblem(*last, r.publishedPorts()...)
	}
	return message
}

// unused says that no object holds a key, and that it was never handed to a server as far as is remembered.
func (t *tracked) unused() bool { return t.stage == "" && !t.Deployed }

// mayStand says whether a record that an unused key alone has may be in DNS, or in a cache.
func (r *run) mayStand(t *tracked) bool {
	own := slices.DeleteFunc(slices.Clone(t.Records), func(k tlsa.Record) bool {
		return slices.ContainsFunc(r.keys, func(o tracked) bool { return !o.unused() && slices.Contains(o.Records, k) })
	})
	return slices.ContainsFunc(r.owners, func(o ownerRun) bool {
		return t.standsAt(o.Name) && slices.ContainsFunc(o.Versions, func(v Version) bool { return v.holdsAny(own) })
	})
}

// freshlyKnown says whether a fresh round of probes knows all that is presented where records stand.
func (r *run) freshlyKnown() bool {
	round := r.f.LastRound
	return round != nil && r.now.Sub(round.End) <= r.f.Policy.SweepFreshness && r.allKnown(*round)
}

// compromised says whether the user has given a key up.
func (t *tracked) compromised(p Policy) bool { return p.Compromised[t.SPKI] }

// wanted says whether the records of a key belong into DNS. Those of a compromised key that was
// never served do not.
func (t *tracked) wanted(p Policy) bool { return !t.gone && (t.Deployed || !t.compromised(p)) }

// visibility says what caches may know of a key's records.
func (r *run) visibility(t *tracked) string {
	contains, without := r.cachedWith(t)
	switch {
	case !contains:
		return hidden
	case !t.wanted(r.f.Policy) || r.f.Policy.Removing && !r.f.Policy.stays(): // the host as a whole
		return unretentive
	case without || !r.shownByAll(t):
		return rumoured
	default:
		return omnipresent
	}
}

// shownByAll says whether every server has shown a key's records, and none of them denies them by now. What a server
// shows beside them, and whether it answers at all, takes away nothing that caches have.
func (r *run) shownByAll(t *tracked) bool {
	known := t.before != nil && t.before.Visibility == omnipresent
	return !slices.ContainsFunc(r.owners, func(o ownerRun) bool {
		denied := slices.ContainsFunc(o.Versions, func(v Version) bool { return v.Open && !v.Unknown && len(v.Records) == 0 })
		return t.standsAt(o.Name) && !o.InSync && (!known || denied)
	})
}

// cachedWith says whether some cache may hold a version with records of a key, and whether some may
// hold one that lacks them.
func (r *run) cachedWith(t *tracked) (contains, without bool) {
	for i := range r.owners {
		for _, v := range r.owners[i].Versions {
			if v.Unknown || !r.f.Policy.counts(v) || !r.f.Policy.mayBeCached(v, r.now) {
				continue
			}
			contains = contains || t.standsAt(v.Owner) && v.holdsAny(t.Records)
			without = without || r.lacks(v, t)
		}
	}
	return contains, without
}
