package rollover

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file leads keys with owners of their own through histories: mail is signed all the time, and whoever checks it has
// any answer that a cache may have kept.

var pNamed = tlsa.Parameters{Usage: 255, Selector: 255, MatchingType: 255}

const (
	namedTTL     = 10 * time.Minute
	deniedTTL    = 20 * time.Minute
	keptRetired  = 3 * time.Hour
	namedEvery   = 6 * time.Hour
	namedTick    = 20 * time.Second
	namedHorizon = 4 * 24 * time.Hour
)

// namedWorld is a primary with a secondary that lags, and an operator that rotates keys.
type namedWorld struct {
	*testing.T
	random *rand.Rand
	now    time.Time
	policy Policy
	// stored is what the operator has in status, kept per owner.
	states   []KeyState
	versions map[string][]Version
	written  map[string][]tlsa.Record
	// sweeps were made since the last decision; a restart loses them.
	sweeps map[string][]Sweep
	last   map[string]*Sweep
	// signer is the key that signs, next the one to come; since says when the signer took its key.
	signer, next string
	since        time.Time
	made         int
	// primary and secondary are what these show, by owner: the data of the one record, or nothing. Writes of the primary
	// reach the secondary at the instant noted.
	primary, secondary map[string]string
	lag                map[string]time.Time
	// shown says when an answer was last given: by owner and data.
	shown map[string]map[string]time.Time
	// signed says until when signatures of a key have to verify.
	signed    map[string]time.Time
	rotations int
	// revoked counts the records that were replaced by one that revokes the key.
	revoked  int
	failures []string
}

func newNamedWorld(t *testing.T, seed uint64) *namedWorld {
	w := &namedWorld{T: t, random: rand.New(rand.NewPCG(seed, 7)), now: begin, versions: map[string][]Version{}, written: map[string][]tlsa.Record{},
		sweeps: map[string][]Sweep{}, last: map[string]*Sweep{}, primary: map[string]string{}, secondary: map[string]string{}, lag: map[string]time.Time{},
		shown: map[string]map[string]time.Time{}, signed: map[string]time.Time{}}
	w.policy = Policy{
		Strategy: Stage, Parameters: []tlsa.Parameters{pNamed}, TTL: namedTTL, RetireSafety: keptRetired, Sweeps: 2, SweepFreshness: time.Minute,
		ProbeDisabled: true, NamedKeys: true,
	}
	return w
}

func ownerOf(key string) string { return key + "._domainkey.example.com." }

func recordOf(key string) tlsa.Record { return tlsa.Record{Parameters: pNamed, Data: digest(key)} }

// sweep asks both servers for every owner.
func (w *namedWorld) sweep(owners []string) {
	for _, owner := range owners {
		s := Sweep{Start: w.now, End: w.now}
		for i, shows := range []map[string]string{w.primary, w.secondary} {
			a := Answer{Name: fmt.Sprint(i), Address: fmt.Sprint(i), Primary: i == 0, Reachable: true, Signed: true, TTL: namedTTL, CacheTTL: deniedTTL}
			if data := shows[owner]; data != "" {
				a.Records, a.CacheTTL = []tlsa.Record{{Parameters: pNamed, Data: data}}, namedTTL
			}
			s.Answers = append(s.Answers, a)
		}
		if w.random.IntN(20) == 0 {
			s.Answers[1] = Answer{Name: "1", Address: "1", Message: "down"}
		}
		w.sweeps[owner], w.last[owner] = append(w.sweeps[owner], s), &s
	}
}

func (w *namedWorld) owners() []string {
	var out []string
	for _, key := range []string{w.signer, w.next} {
		if key != "" {
			out = append(out, ownerOf(key))
		}
	}
	for owner := range w.versions {
		out = append(out, owner)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// decide stores what the rule says, and then acts, unless the operator is killed in between.
func (w *namedWorld) decide(owners []string) {
	f := Facts{Now: w.now, Host: "rsa", Policy: w.policy, KeysComplete: true, States: w.states, DNSSEC: DNSSEC{State: dnssec.Secure}}
	for key, stage := range map[string]KeyStage{w.signer: StageDeployed, w.next: StageRequested} {
		if key != "" {
			f.Keys = append(f.Keys, Key{ID: key, SPKI: key, Owner: ownerOf(key), Stage: stage, Records: []tlsa.Record{recordOf(key)}})
		}
	}
	slices.SortFunc(f.Keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	for _, owner := range owners {
		f.Owners = append(f.Owners, Owner{Name: owner, Versions: w.versions[owner], Known: len(w.versions[owner]) > 0, Sweeps: w.sweeps[owner],
			Last: w.last[owner], Written: w.written[owner]})
	}
	d := Decide(f)
	w.states = d.Keys
	for _, o := range d.Owners {
		w.versions[o.Name], w.written[o.Name], w.sweeps[o.Name] = o.Versions, tlsa.Normalize(append(w.written[o.Name], o.Own...)), nil
		unused := !slices.ContainsFunc(o.Versions, func(v Version) bool { return len(v.Records) > 0 })
		if key, _, _ := strings.Cut(o.Name, "."); unused && key != w.signer && key != w.next {
			delete(w.versions, o.Name)
		}
	}
	if w.random.IntN(10) == 0 { // killed after it has stored
		w.sweeps, w.last = map[string][]Sweep{}, map[string]*Sweep{}
		return
	}
	w.act(d)
}

func (w *namedWorld) act(d Decision) {
	for _, o := range d.Owners {
		if o.Write {
			w.write(o.Name, o.Records)
			w.lag[o.Name] = w.now.Add(time.Duration(w.random.IntN(600)) * time.Second)
			w.last[o.Name] = nil
		}
	}
	if w.next != "" && slices.Contains(d.Deploy, w.next) {
		w.signer, w.next, w.since = w.next, "", w.now
		w.rotations++
	}
	if w.next == "" && (w.signer == "" || w.now.Sub(w.since) >= namedEvery) {
		w.made++
		w.next = fmt.Sprintf("k%d", w.made)
	}
}

// write has the primary show records at an owner, of which there is one at the most.
func (w *namedWorld) write(owner string, records []tlsa.Record) {
	w.primary[owner] = ""
	if len(records) > 1 {
		w.Fatalf("%d records at %s", len(records), owner)
	}
	for _, k := range records {
		w.primary[owner] = k.Data
		if k == revocation[0] {
			w.revoked++
		}
	}
}

// mail signs, and checks all that is under way with every answer that a cache may have.
func (w *namedWorld) mail() {
	for owner, at := range w.lag {
		if !w.now.Before(at) {
			w.secondary[owner] = w.primary[owner]
			delete(w.lag, owner)
		}
	}
	for i := 1; i <= w.made; i++ { // whoever asks may ask for any name at any time
		owner := ownerOf(fmt.Sprintf("k%d", i))
		if w.shown[owner] == nil {
			w.shown[owner] = map[string]time.Time{}
		}
		w.shown[owner][w.primary[owner]], w.shown[owner][w.secondary[owner]] = w.now, w.now
	}
	if w.signer != "" {
		w.signed[w.signer] = w.now.Add(keptRetired - 2*namedTick)
	}
	for key, until := range w.signed {
		for data, at := range w.shown[ownerOf(key)] {
			kept := namedTTL
			if data == "" {
				kept = deniedTTL
			}
			if data != recordOf(key).Data && w.now.Before(until) && !w.now.After(at.Add(kept)) {
				w.failures = append(w.failures, fmt.Sprintf("%s: a cache has no record of %s, but %q", w.now.Sub(begin), key, data))
			}
		}
	}
}

func (w *namedWorld) run() {
	for w.now.Before(begin.Add(namedHorizon)) {
		w.mail()
		owners := w.owners()
		if w.random.IntN(3) > 0 {
			w.sweep(owners)
		}
		w.decide(owners)
		w.now = w.now.Add(namedTick)
	}
}

// TestNamedKeysVerifyAlways: whatever a cache has, each signature verifies while it has to, keys rotate, and what is not
// needed any more is gone, be the record of an old key removed at once or replaced for a while by one that revokes it.
func TestNamedKeysVerifyAlways(t *testing.T) {
	for _, kept := range []time.Duration{0, keptRevoked} {
		for seed := range uint64(4) {
			w := newNamedWorld(t, seed)
			if kept > 0 {
				w.policy.Revoked, w.policy.KeepRevoked = revocation, kept
			}
			w.run()
			if len(w.failures) > 0 || w.rotations < 8 || (w.revoked >= 6) != (kept > 0) {
				t.Errorf("kept for %s, seed %d: %d rotations, %d revoked, %d failures: %v", kept, seed, w.rotations, w.revoked, len(w.failures), w.failures[:min(3, len(w.failures))])
			}
			standing := 0
			for _, data := range w.primary {
				if data != "" {
					standing++
				}
			}
			if standing > 3 || len(w.states) > 3 || len(w.versions) > 3 {
				t.Errorf("kept for %s, seed %d: %d records stand, %d keys and %d owners are remembered", kept, seed, standing, len(w.states), len(w.versions))
			}
		}
	}
}

// TestNamedKeysRevokedEarly: revoked half an hour before it may be, a key fails mail under way. The history above can fail.
func TestNamedKeysRevokedEarly(t *testing.T) {
	w := newNamedWorld(t, 1)
	w.policy.Revoked, w.policy.KeepRevoked, w.policy.RetireSafety = revocation, keptRevoked, keptRetired-30*time.Minute
	w.run()
	if !slices.ContainsFunc(w.failures, func(f string) bool { return strings.Contains(f, revocation[0].Data) }) {
		t.Errorf("%d failures, and none by a record that revokes: %v", len(w.failures), w.failures[:min(3, len(w.failures))])
	}
}

// TestNamedKeysAreNotTLSA: by the rule for TLSA, where a denial harms nobody, mail fails. The history above can fail.
func TestNamedKeysAreNotTLSA(t *testing.T) {
	w := newNamedWorld(t, 1)
	w.policy.NamedKeys = false
	w.run()
	if len(w.failures) == 0 {
		t.Error("nothing has failed")
	}
}

// namedScene is one key that waits at an owner of its own, by its settled look.
func namedScene(answers ...Answer) Facts {
	s := Sweep{Start: begin, End: begin, Answers: answers}
	return Facts{
		Now: begin, Host: "rsa", KeysComplete: true, DNSSEC: DNSSEC{State: dnssec.Secure},
		Policy: Policy{Strategy: Stage, Parameters: []tlsa.Parameters{pNamed}, TTL: namedTTL, SweepFreshness: time.Minute, ProbeDisabled: true, NamedKeys: true},
		Keys:   []Key{{ID: "k", SPKI: "k", Owner: ownerOf("k"), Stage: StageRequested, Records: []tlsa.Record{recordOf("k")}}},
		Owners: []Owner{{Name: ownerOf("k"), Sweeps: []Sweep{s}, Last: &s}},
	}
}

// TestNamedOwners: what stands at the owner of a key, and what becomes of it.
func TestNamedOwners(t *testing.T) {
	foreign := recordOf("other")
	answer := func(change func(*Answer)) Answer {
		a := Answer{Name: "ns1", Address: "ns1", Primary: true, Reachable: true, Signed: true, TTL: namedTTL, CacheTTL: deniedTTL}
		change(&a)
		return a
	}
	for _, c := range []struct {
		reason string
		answer Answer
		adopt  bool
		wait   WaitCode
		writes []tlsa.Record
		expect []tlsa.Record
	}{
		{"a first record needs nobody who presents the key", answer(func(*Answer) {}), false, WaitUpdate, []tlsa.Record{recordOf("k")}, nil},
		{"a record of somebody else stays, and ours is not put beside it", answer(func(a *Answer) { a.Records = []tlsa.Record{foreign} }), false, WaitForeign, nil, nil},
		{"it is replaced where that is asked for", answer(func(a *Answer) { a.Records = []tlsa.Record{foreign} }), true, WaitUpdate, []tlsa.Record{recordOf("k")}, []tlsa.Record{foreign}},
		{"what a wildcard makes is nobody's record at the name", answer(func(a *Answer) { a.Records, a.Synthesized = []tlsa.Record{foreign}, true }), false, WaitUpdate, []tlsa.Record{recordOf("k")}, nil},
	} {
		f := namedScene(c.answer)
		f.Policy.RemoveForeign = c.adopt
		d := Decide(f)
		o := d.Owners[0]
		if o.Write != (c.writes != nil) || o.Write && (!slices.Equal(o.Records, c.writes) || !slices.Equal(o.Expect, c.expect)) {
			t.Errorf("%s: write %t of %v for %v", c.reason, o.Write, o.Records, o.Expect)
		}
		if len(d.Deploy) > 0 || !slices.ContainsFunc(d.Waits, func(w Wait) bool { return w.Code == c.wait }) {
			t.Errorf("%s: deployed %v, waits %+v", c.reason, d.Deploy, d.Waits)
		}
	}
}

// TestNamedDenialIsWaitedFor: a denial is waited for as long as caches keep it, to the second.
func TestNamedDenialIsWaitedFor(t *testing.T) {
	a := Answer{Name: "ns1", Address: "ns1", Primary: true, Reachable: true, Signed: true, TTL: namedTTL, CacheTTL: deniedTTL}
	f := namedScene(a)
	f.Policy.Sweeps = 1
	d := Decide(f)
	shows := a
	shows.Records, shows.CacheTTL = []tlsa.Record{recordOf("k")}, namedTTL
	at := func(offset time.Duration) Decision {
		s := Sweep{Start: begin.Add(offset), End: begin.Add(offset), Answers: []Answer{shows}}
		f.Now, f.States = s.End, d.Keys
		f.Owners = []Owner{{Name: ownerOf("k"), Known: true, Versions: d.Owners[0].Versions, Written: d.Owners[0].Own, Sweeps: []Sweep{s}, Last: &s}}
		d = Decide(f)
		return d
	}
	seen := time.Minute
	at(seen)
	if d := at(seen + 2*deniedTTL - time.Second); len(d.Deploy) > 0 {
		t.Error("the key is handed over while a cache may hold the denial")
	}
	if d := at(seen + 2*deniedTTL); !slices.Equal(d.Deploy, []string{"k"}) {
		t.Errorf("the key is not handed over: %+v", d.Waits)
	}
	if d.Keys[0].Owner != ownerOf("k") {
		t.Errorf("the owner of the key is not remembered: %+v", d.Keys[0])
	}
}

// TestNamedSecondRecord: a record of somebody else beside ours keeps a key from being handed over, and ours can be removed.
func TestNamedSecondRecord(t *testing.T) {
	both := tlsa.Normalize([]tlsa.Record{recordOf("k"), recordOf("other")})
	f := namedScene(Answer{Name: "ns1", Address: "ns1", Primary: true, Reachable: true, Signed: true, TTL: namedTTL, CacheTTL: namedTTL, Records: both})
	f.Owners[0].Written = []tlsa.Record{recordOf("k")}
	if d := Decide(f); len(d.Deploy) > 0 || d.Waits[0].Code != WaitForeign {
		t.Errorf("deployed %v, waits %+v", d.Deploy, d.Waits)
	}
	f.Keys = nil
	d := Decide(f)
	if o := d.Owners[0]; !o.Write || !slices.Equal(o.Records, []tlsa.Record{recordOf("other")}) {
		t.Errorf("what is ours is not removed, or more than that: %+v", o)
	}
}

// TestNamedKeyThatIsLost: a signer whose key was lost goes on with what it has loaded. The record stays until the signer has
// another, and for RetireSafety from then on.
func TestNamedKeyThatIsLost(t *testing.T) {
	f := namedScene()
	f.Owners = nil
	f.Policy.RetireSafety = keptRetired
	lost := KeyState{ID: "k", SPKI: "k", Owner: ownerOf("k"), Role: rolePrevious, Since: begin.Add(-9 * time.Hour), Deployed: true, Records: []tlsa.Record{recordOf("k")}}
	next := Key{ID: "n", SPKI: "n", Owner: ownerOf("n"), Stage: StageDeployed, Records: []tlsa.Record{recordOf("n")}}
	f.Keys, f.States = []Key{next}, []KeyState{lost}
	d := Decide(f)
	if at := d.Keys[len(d.Keys)-1].RemovableAt; len(d.Keys) != 2 || !at.Equal(begin.Add(keptRetired)) {
		t.Errorf("%+v", d.Keys)
	}
	f.Keys, f.Now = nil, begin.Add(30*24*time.Hour)
	if d := Decide(f); len(d.Keys) != 1 {
		t.Errorf("with no other key the record goes: %+v", d.Keys)
	}
}
