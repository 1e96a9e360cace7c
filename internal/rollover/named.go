package rollover

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file has what is different for keys that have owners of their own, as those of DKIM have (Policy.NamedKeys). The
// rule is the same: a key is handed over once every answer that a cache may hold has its record, and the record goes once
// nobody needs it. But whoever checks a signature asks for that one owner, and fails without an answer. So
//
//   - a key is looked for at its own owner alone;
//   - a denial lacks the key as other records do (RFC 2308: it is cached, too), where a denial of TLSA records harms nobody;
//   - the first record needs nobody who presents the key: it comes first, always;
//   - an owner has one record (RFC 6376 section 3.6.2.2), so that beside one of somebody else none is written, and no key
//     handed over;
//   - before the record of an old key goes, another may say for a while that the key is revoked (RFC 6376 section 3.6.1).

// standsAt says whether the records of a key stand at an owner.
func (s KeyState) standsAt(owner string) bool { return s.Owner == "" || s.Owner == owner }

// lacks says whether an answer belongs to P(k) of a key.
func (r *run) lacks(v Version, t *tracked) bool {
	if !t.standsAt(v.Owner) {
		return false
	}
	return r.f.Policy.NamedKeys && len(v.Records) == 0 || lacks(v, t.Records, r.accounted)
}

// counts says whether a key may be missed in an answer: in a denial only where each key has an owner of its own.
func (p Policy) counts(v Version) bool { return p.NamedKeys || len(v.Records) > 0 }

// taken says that a record which is not ours, and is to stay, stands at the owner of a key.
func (r *run) taken(o *ownerRun) bool {
	return r.f.Policy.NamedKeys && !r.f.Policy.RemoveForeign && len(o.Foreign) > 0
}

func takenText(o *ownerRun) string {
	return "a record that the operator did not write stands at " + o.Name
}

// namedBlocked says what holds an update of the owner of a key back. What takes our record out needs nobody's leave.
func (r *run) namedBlocked(o *ownerRun) (WaitCode, string) {
	adds := slices.ContainsFunc(o.Own, func(k tlsa.Record) bool { return !slices.Contains(o.primary, k) })
	if adds && r.taken(o) {
		return WaitForeign, "nothing is written: " + takenText(o)
	}
	return WaitNone, ""
}

// stored are the records that stand at the name itself.
func (a Answer) stored() []tlsa.Record {
	if a.Synthesized {
		return nil
	}
	return a.Records
}

// replaced is when a key that is vouched to be gone was. A signer whose key was lost goes on with what it has loaded, until
// it gets another.
func (r *run) replaced(t *tracked) time.Time {
	at := t.Since
	for i := range r.keys {
		if o := &r.keys[i]; r.f.Policy.NamedKeys && o.Role == roleCurrent {
			at = later(at, o.Since)
		}
	}
	return at
}

// shows says whether an answer has these records and no others. What a wildcard makes stands nowhere.
func (a Answer) shows(records []tlsa.Record) bool {
	return slices.Equal(a.Records, records) || a.Synthesized && len(records) == 0
}

// revoke says whether the record of a key that may go is, or becomes, one that revokes it. Nobody verifies by the key any
// more, so that whatever stands there harms no mail; what this adds is that whoever tries is told so.
func (r *run) revoke(t *tracked) bool {
	p := r.f.Policy
	if !p.NamedKeys || len(p.Revoked) == 0 {
		return false
	}
	if t.RevokedSince.IsZero() {
		t.RevokedSince, t.Records, t.Leaving = r.now, p.Revoked, false
	}
	t.RemovableAt = t.RevokedSince.Add(p.KeepRevoked)
	if !r.now.Before(t.RemovableAt) {
		return false
	}
	r.wait(WaitRetire, t.ID, "key "+short(t.SPKI)+" is revoked; the record that says so stays for a while", t.RemovableAt)
	return true
}

// heedRevocation takes an old key for revoked whose record is one that revokes it, and nothing else. A status that was put back
// has forgotten that we wrote that, and what a person has revoked is not published again: there is no record of the key for
// mail under way to verify by, either way.
func (r *run) heedRevocation(t *tracked) {
	p := r.f.Policy
	if !p.NamedKeys || len(p.Revoked) == 0 || !t.RevokedSince.IsZero() || p.Suspended || !r.f.KeysComplete || !r.anotherIsDeployed() {
		return
	}
	for i := range r.owners {
		if o := &r.owners[i]; t.standsAt(o.Name) && o.primaryKnown && slices.Equal(o.primary, p.Revoked) {
			t.RevokedSince, t.Records = r.now, p.Revoked
		}
	}
}

// restore takes a revocation back: objects hold the key again, so that its own record belongs where the other stands.
func (t *tracked) restore() {
	if !t.RevokedSince.IsZero() {
		t.RevokedSince, t.Records = time.Time{}, nil
	}
}
