package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

const keptRevoked = 5 * time.Hour

var revocation = []tlsa.Record{recordOf("revoked")}

// revokeScene is a key n in use, and an old one k that nobody needs any more from begin on. Both records stand.
func revokeScene() Facts {
	f := namedScene()
	f.Policy.RetireSafety, f.Policy.Revoked, f.Policy.KeepRevoked = keptRetired, revocation, keptRevoked
	f.Keys = []Key{{ID: "n", SPKI: "n", Owner: ownerOf("n"), Stage: StageDeployed, Records: []tlsa.Record{recordOf("n")}}}
	since := begin.Add(-keptRetired)
	f.States = []KeyState{
		{ID: "n", SPKI: "n", Owner: ownerOf("n"), Role: roleCurrent, Since: since, Deployed: true, Records: []tlsa.Record{recordOf("n")}},
		{ID: "k", SPKI: "k", Owner: ownerOf("k"), Role: rolePrevious, Since: since, Deployed: true, Records: []tlsa.Record{recordOf("k")}},
	}
	f.Owners = nil
	return stands(f, map[string]tlsa.Record{"k": recordOf("k"), "n": recordOf("n")})
}

// stands is the scene where a fresh sweep has shown these records, of keys by name, and all that may be ours is known.
func stands(f Facts, records map[string]tlsa.Record) Facts {
	before := f.Owners
	f.Owners = nil
	for _, key := range []string{"k", "m", "n"} {
		record, ok := records[key]
		if !ok {
			continue
		}
		s := Sweep{Start: f.Now, End: f.Now, Answers: []Answer{{Name: "ns1", Address: "ns1", Primary: true, Reachable: true, Signed: true, TTL: namedTTL, CacheTTL: namedTTL, Records: []tlsa.Record{record}}}}
		o := Owner{Name: ownerOf(key), Known: true, Sweeps: []Sweep{s}, Last: &s, Written: append([]tlsa.Record{recordOf(key)}, revocation...)}
		if i := slices.IndexFunc(before, func(b Owner) bool { return b.Name == o.Name }); i >= 0 {
			o.Versions = before[i].Versions
		}
		f.Owners = append(f.Owners, o)
	}
	return f
}

// after is the scene that follows a decision, at an instant.
func after(f Facts, d Decision, at time.Time, records map[string]tlsa.Record) Facts {
	f.Now, f.States = at, d.Keys
	for i := range f.Owners {
		f.Owners[i].Versions = d.Owners[i].Versions
	}
	return stands(f, records)
}

// gone is the scene after the record of one key was taken out as decided, where another one's stands.
func gone(f Facts, d Decision, key, other string) Facts {
	f = after(f, d, f.Now.Add(time.Minute), map[string]tlsa.Record{key: recordOf(key), other: recordOf(other)})
	for i := range f.Owners {
		if o := &f.Owners[i]; o.Name == ownerOf(key) {
			o.Sweeps[0].Answers[0].Records, o.Last.Answers[0].Records = nil, nil
		}
	}
	return f
}

func stateOf(d Decision, id string) *KeyState {
	if i := slices.IndexFunc(d.Keys, func(k KeyState) bool { return k.ID == id }); i >= 0 {
		return &d.Keys[i]
	}
	return nil
}

func ownerIn(d Decision, key string) OwnerDecision {
	return d.Owners[slices.IndexFunc(d.Owners, func(o OwnerDecision) bool { return o.Name == ownerOf(key) })]
}

// revoked is the scene after the record of k was replaced, and what was decided then.
func revoked(t *testing.T) (Facts, Decision) {
	t.Helper()
	f := revokeScene()
	d := Decide(f)
	o, k := ownerIn(d, "k"), stateOf(d, "k")
	if !o.Write || !slices.Equal(o.Records, revocation) || !slices.Equal(o.Expect, []tlsa.Record{recordOf("k")}) {
		t.Fatalf("write %t of %v for %v", o.Write, o.Records, o.Expect)
	}
	if k == nil || !k.RevokedSince.Equal(begin) || !k.RemovableAt.Equal(begin.Add(keptRevoked)) || k.Role != rolePrevious {
		t.Fatalf("the key is %+v", k)
	}
	return after(f, d, begin.Add(time.Minute), map[string]tlsa.Record{"k": revocation[0], "n": recordOf("n")}), d
}

// TestNamedKeyIsRevoked: the record of an old key is replaced once it could go, not before, and goes after KeepRevoked.
func TestNamedKeyIsRevoked(t *testing.T) {
	early := revokeScene()
	early.Policy.RetireSafety += time.Second
	if d := Decide(early); ownerIn(d, "k").Write || !stateOf(d, "k").RevokedSince.IsZero() {
		t.Errorf("it is revoked while mail may be under way: %+v", d)
	}

	f, _ := revoked(t)
	d := Decide(f)
	if ownerIn(d, "k").Write || stateOf(d, "k").Visibility == unretentive {
		t.Errorf("the record that revokes it is written twice: %+v", d.Owners)
	}
	f = after(f, d, begin.Add(keptRevoked), map[string]tlsa.Record{"k": revocation[0], "n": recordOf("n")})
	d = Decide(f)
	if o := ownerIn(d, "k"); !o.Write || len(o.Records) > 0 || !slices.Equal(o.Expect, revocation) || stateOf(d, "k") == nil {
		t.Errorf("it stays, or is forgotten before it is seen to be gone: %+v", o)
	}
	if d = Decide(gone(f, d, "k", "n")); stateOf(d, "k") != nil || ownerIn(d, "k").Write {
		t.Errorf("it has gone, and is remembered: %+v", d.Keys)
	}
}

// TestRevokedKeyInTheNextRotation: that another key took over since holds what is revoked no longer.
func TestRevokedKeyInTheNextRotation(t *testing.T) {
	f, d := revoked(t)
	f.Keys = append(f.Keys, Key{ID: "m", SPKI: "m", Owner: ownerOf("m"), Stage: StageDeployed, Records: []tlsa.Record{recordOf("m")}})
	f.Keys = f.Keys[1:]
	f = after(Facts{Policy: f.Policy, Keys: f.Keys, KeysComplete: true, DNSSEC: f.DNSSEC}, Decision{Keys: d.Keys}, begin.Add(keptRevoked-time.Minute),
		map[string]tlsa.Record{"k": revocation[0], "m": recordOf("m"), "n": recordOf("n")})
	d = Decide(f)
	if k := stateOf(d, "k"); k == nil || !k.RemovableAt.Equal(begin.Add(keptRevoked)) {
		t.Errorf("it is %+v", k)
	}
	f.Now = begin.Add(keptRevoked)
	f = stands(f, map[string]tlsa.Record{"k": revocation[0], "m": recordOf("m"), "n": recordOf("n")})
	if d = Decide(f); !ownerIn(d, "k").Write {
		t.Errorf("it stays: %+v", stateOf(d, "k"))
	}
	if d = Decide(gone(f, d, "k", "m")); stateOf(d, "k") != nil {
		t.Errorf("it has gone, and is remembered: %+v", stateOf(d, "k"))
	}
}

// TestRevocationIsGivenUp: with another policy the record goes at once.
func TestRevocationIsGivenUp(t *testing.T) {
	f, _ := revoked(t)
	f.Policy.Revoked = nil
	d := Decide(f)
	if o := ownerIn(d, "k"); !o.Write || len(o.Records) > 0 {
		t.Errorf("it stays: %+v", o)
	}
	if d = Decide(gone(f, d, "k", "n")); stateOf(d, "k") != nil {
		t.Errorf("it has gone, and is remembered: %+v", stateOf(d, "k"))
	}
}

// TestRevokedKeyInUseAgain: a signer that got the key back from a backup needs its record, and once more for as long as any.
func TestRevokedKeyInUseAgain(t *testing.T) {
	f, _ := revoked(t)
	f.Keys = []Key{{ID: "k", SPKI: "k", Owner: ownerOf("k"), Stage: StageDeployed, Records: []tlsa.Record{recordOf("k")}}}
	d := Decide(f)
	if o := ownerIn(d, "k"); !o.Write || !slices.Equal(o.Records, []tlsa.Record{recordOf("k")}) {
		t.Errorf("write %t of %v", o.Write, o.Records)
	}
	if k := stateOf(d, "k"); k.Role != roleCurrent || !k.RevokedSince.IsZero() || d.Unsafe == nil {
		t.Errorf("the key is %+v, and nothing is said of caches: %v", k, d.Unsafe)
	}
	f.Keys[0] = Key{ID: "n", SPKI: "n", Owner: ownerOf("n"), Stage: StageDeployed, Records: []tlsa.Record{recordOf("n")}}
	f = after(f, d, begin.Add(2*time.Minute), map[string]tlsa.Record{"k": recordOf("k"), "n": recordOf("n")})
	if d := Decide(f); ownerIn(d, "k").Write {
		t.Error("its record goes while mail may be under way")
	}
}

// TestRevokedByAPerson: somebody revokes the key in use. That is as foreign as any other record, also where an old key has been
// revoked by us: all revoked keys have the same record.
func TestRevokedByAPerson(t *testing.T) {
	for _, withOld := range []bool{false, true} {
		f, _ := revoked(t)
		if !withOld {
			f.States = slices.DeleteFunc(f.States, func(s KeyState) bool { return s.ID != "n" })
		}
		f = stands(f, map[string]tlsa.Record{"k": revocation[0], "n": revocation[0]})
		for i := range f.Owners {
			if f.Owners[i].Name == ownerOf("n") {
				f.Owners[i].Written = []tlsa.Record{recordOf("n")}
			}
		}
		if o := ownerIn(Decide(f), "n"); len(o.Foreign) != 1 || o.Write {
			t.Errorf("with an old key that is revoked (%t): foreign are %v, and it is written (%t)", withOld, o.Foreign, o.Write)
		}
	}
}

// TestUsedBeforeAndNext: a key that was in use before, and that a Secret which was put back holds to be used next, is not revoked.
func TestUsedBeforeAndNext(t *testing.T) {
	f := revokeScene()
	f.Keys = append(f.Keys, Key{ID: "k", SPKI: "k", Owner: ownerOf("k"), Stage: StageRequested, Records: []tlsa.Record{recordOf("k")}})
	d := Decide(f)
	if k := stateOf(d, "k"); k == nil || !k.RevokedSince.IsZero() || !slices.Equal(ownerIn(d, "k").Records, []tlsa.Record{recordOf("k")}) {
		t.Errorf("k is %+v, and at its owner %v", k, ownerIn(d, "k").Records)
	}
}

// TestRevokedAlready: an old key whose record is one that revokes it is revoked, whoever wrote that: a status that was put back has
// forgotten that it was us, and what a person has revoked is not published again. Where a Secret may hold the key it is not.
func TestRevokedAlready(t *testing.T) {
	for _, c := range []struct {
		reason string
		edit   func(*Facts)
		taken  bool
	}{
		{"while mail may be under way", func(*Facts) {}, true},
		{"old keys are removed at once", func(f *Facts) { f.Policy.Revoked = nil }, false},
		{"a Secret could not be read, and may hold it", func(f *Facts) { f.KeysComplete = false }, false},
		{"nothing is to change", func(f *Facts) { f.Policy.Suspended = true }, false},
		{"it is the only one there was", func(f *Facts) { f.Keys, f.States = nil, f.States[1:] }, false},
	} {
		f := revokeScene()
		f.Policy.RetireSafety += time.Hour
		c.edit(&f)
		shown := map[string]tlsa.Record{"k": revocation[0], "n": recordOf("n")}
		f = stands(f, shown)
		for i := range f.Owners {
			f.Owners[i].Written = f.Owners[i].Written[:1] // the key alone, by what is remembered
		}
		d := Decide(f)
		o, k := ownerIn(d, "k"), stateOf(d, "k")
		if o.Write || (len(o.Foreign) == 0) != c.taken || k == nil || k.RevokedSince.IsZero() == c.taken {
			t.Errorf("%s: foreign are %v, write %t of %v, the key is %+v", c.reason, o.Foreign, o.Write, o.Records, k)
			continue
		}
		if !c.taken {
			continue
		}
		if !k.RemovableAt.Equal(begin.Add(keptRevoked)) {
			t.Errorf("%s: it goes at %s", c.reason, k.RemovableAt)
		}
		d = Decide(after(f, d, begin.Add(keptRevoked), shown))
		if o := ownerIn(d, "k"); !o.Write || len(o.Records) > 0 {
			t.Errorf("%s: it stays: %+v", c.reason, o)
		}
	}
}

// TestNamedKeyStaysInWordsThatFit: no endpoint presents a key that mail is signed with. Where all records are taken out none stays,
// and nothing is said of one that does.
func TestNamedKeyStaysInWordsThatFit(t *testing.T) {
	f := revokeScene()
	f.Policy.RetireSafety += time.Hour
	d := Decide(f)
	if len(d.Waits) != 1 || d.Waits[0].Code != WaitRetire || d.Waits[0].Message != "the record of key k, with which no mail is to be signed any more, stays for the mail that is still under way" {
		t.Errorf("it waits for %+v", d.Waits)
	}
	f.Policy.Removing = true
	d = Decide(f)
	for _, w := range d.Waits {
		if w.Code == WaitRetire {
			t.Errorf("it says that a record stays that goes: %+v", w)
		}
	}
	if o := ownerIn(d, "k"); !o.Write || len(o.Records) > 0 {
		t.Errorf("the record does not go: %+v", o)
	}
}
