package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// loses takes everything that was stored: what stands is foreign from then on.
func (s *scene) loses() {
	s.states, s.unsafe, s.lost = nil, nil, true
	s.round, s.rounds = nil, nil
	for _, o := range s.owners {
		o.versions, o.written, o.sweeps, o.last = nil, nil, nil, nil
	}
}

// TestLostWhileAtRest: the status is deleted while the operator runs and has nothing new to see. What stands
// in DNS was seen before, and is not forgotten: a new key waits until no cache holds it any more.
func TestLostWhileAtRest(t *testing.T) {
	s := published(t)
	s.settle()
	last := s.owners[0].last
	s.loses()
	s.owners[0].last = last
	d := s.decide()
	if !slices.ContainsFunc(d.Owners[0].Versions, func(v Version) bool { return v.Open && slices.Equal(v.Records, of(p311, "a")) }) {
		t.Errorf("what stands is not among the versions: %+v", d.Owners[0].Versions)
	}
	s.hold("b", StageRequested)
	s.held(s.settle(), "b", WaitCaches)
}

// TestPutBackWhileAtRest: an earlier status is put back while the operator runs and has nothing new to see.
func TestPutBackWhileAtRest(t *testing.T) {
	s := published(t)
	s.settle()
	before, states := slices.Clone(s.owners[0].versions), slices.Clone(s.states)
	s.hold("b", StageRequested)
	s.settle()
	s.owners[0].versions, s.owners[0].sweeps, s.states = before, nil, states
	d := s.decide()
	if !slices.ContainsFunc(d.Owners[0].Versions, func(v Version) bool { return v.Open && slices.Equal(v.Records, of(p311, "a", "b")) }) {
		t.Errorf("what stands is not among the versions: %+v", d.Owners[0].Versions)
	}
}

// TestSetsBesideWhatIsNotKnown: parameter sets change where the operator does not know all that stands there.
func TestSetsBesideWhatIsNotKnown(t *testing.T) {
	for _, c := range []trap{
		{"a set waits for an endpoint whose key the status no longer tells of", func(t *testing.T) {
			s := published(t)
			s.hold("b", StageDeployed)
			s.drop("a") // and its endpoint has not loaded b
			s.loses()
			s.wants(p312)
			s.policy.Additional = of(p312, "z")
			d := s.settle()
			s.showsExactly(of(p311, "a"))
			s.warned(d, "parameter set 3 1 2", "192.0.2.1 port 25 presents")
			s.endpoints[0].key = s.keys[0]
			s.settle()
			s.showsExactly(of(p311, "a"), of(p312, "b", "z"))
		}},
		{"additional records wait for a probe, and join a set that is left over", func(t *testing.T) {
			s := withSets(t, p311, p312)
			s.loses()
			s.wants(p311)
			s.policy.Additional = slices.Concat(of(p311, "z"), of(p312, "z"))
			s.look()
			s.round, s.rounds = nil, nil
			s.decide()
			s.showsExactly(of(p311, "a"), of(p312, "a"))
			s.settle()
			s.showsExactly(of(p311, "a", "z"), of(p312, "a", "z"))
		}},
		{"a record of our key by its digest is ours, though nothing is probed", func(t *testing.T) {
			s := newScene(t)
			s.policy.ProbeDisabled, s.endpoints = true, nil
			s.write(firstOwner, answerSet{of(p311, "a"), time.Hour})
			s.wants(p312)
			s.settle()
			s.showsExactly(of(p311, "a"), of(p312, "a"))
		}},
		{"a set that stands stays, though a key has no record of it", func(t *testing.T) {
			s := halfCovered(t)
			s.keys[1].Stage = StageDeployed // past the gate
			d := s.settle()
			s.showsExactly(of(p311, "a", "b"), of(p211, "a"))
			if d.Unsafe == nil {
				t.Error("nothing is said of senders that know 2 1 1 alone")
			}
		}},
		{"a foreign record of the new set does not let it in", func(t *testing.T) {
			s := withSets(t, p312)
			s.hold("b", StageRequested)
			s.settle()
			s.at(s.now.Add(9 * time.Hour))
			s.hold("b", StageDeployed)
			s.drop("a") // its endpoint has not loaded b
			s.settle()
			s.write(firstOwner, answerSet{slices.Concat(of(p312, "a", "b"), of(p311, "z")), time.Hour})
			s.wants(p311)
			s.settle()
			s.showsExactly(of(p312, "a", "b"), of(p311, "z"))
		}},
	} {
		t.Run(c.name, c.try)
	}
}

// TestFormerRecords: what a key has in sets that have left the policy.
func TestFormerRecords(t *testing.T) {
	before := KeyState{Serial: "1", Records: slices.Concat(of(p311, "a"), of(p312, "a"), of(p301, "a1"), of(p211, "i"))}
	for _, row := range []struct {
		reason string
		key    Key
		want   []tlsa.Record
	}{
		{"the same certificate matches all of it", Key{Serial: "1", Records: of(p311, "a")}, slices.Concat(of(p312, "a"), of(p301, "a1"), of(p211, "i"))},
		{"a renewed one what comes from the key", Key{Serial: "2", Records: of(p311, "a")}, of(p312, "a")},
		{"one that is not issued yet too", Key{Records: of(p311, "a")}, of(p312, "a")},
		{"what is wanted is taken from the key", Key{Serial: "1", Records: slices.Concat(of(p311, "b"), of(p312, "b"), of(p301, "b"))}, of(p211, "i")},
	} {
		if have := formerRecords(before, row.key); !slices.Equal(have, row.want) {
			t.Errorf("%s: %v, want %v", row.reason, have, row.want)
		}
	}
	foreseen := KeyState{Records: slices.Concat(of(p312, "a"), of(p211, "i"))}
	for _, key := range []Key{{Records: of(p311, "a")}, {Serial: "1", Records: of(p311, "a")}} {
		if have := formerRecords(foreseen, key); !slices.Equal(have, foreseen.Records) {
			t.Errorf("what was foreseen before there was a certificate, with serial number %q now: %v, want %v", key.Serial, have, foreseen.Records)
		}
	}
}

// TestSetLeavesWhileAKeyIsDeployed: a parameter set leaves the policy between the moment at which a key is handed to
// servers and the next decision. The key that may still be presented keeps records of it, and so does the new one.
func TestSetLeavesWhileAKeyIsDeployed(t *testing.T) {
	p := labPolicy()
	p.Parameters, p.Sweeps = []tlsa.Parameters{p312, p211}, 1
	w := newWorld(p, []time.Duration{0}, 1, true)
	work := func(times int) {
		for range times {
			w.sweep()
			w.probe(false)
			w.step(lives)
			w.advance(5 * time.Second)
		}
	}
	work(30)
	before := w.secret
	w.renew()
	w.sweep()
	w.probe(false)
	w.step(lives)
	if w.secret == before || w.endpoints[0] != before {
		t.Fatalf("the key was not handed over: %s in the Secret, %s presented", w.secret, w.endpoints[0])
	}
	w.policy.Parameters = []tlsa.Parameters{p311}
	work(10)
	w.load(0)
	w.mustBeSafe(t)
	work(30)
	w.mustBeSafe(t)
}

// TestSetWaitsForWhatCannotBeProbed: the status is lost while the key before is still presented by an endpoint that cannot be
// reached, and a parameter set is new in the spec: nobody here could make a record of that key for it, so that the set waits.
func TestSetWaitsForWhatCannotBeProbed(t *testing.T) {
	p := labPolicy()
	p.TTL, p.PublishSafety, p.RetireSafety, p.Sweeps = time.Second, 0, 0, 1
	w := newWorld(p, []time.Duration{0}, 1, false)
	w.renew()
	for range 30 {
		w.sweep()
		w.probe(false)
		w.step(lives)
		w.advance(5 * time.Second)
	}
	if w.endpoints[0] == w.secret {
		t.Fatalf("key %s is presented already", w.secret)
	}
	w.policy.Parameters = []tlsa.Parameters{p311, p211}
	w.forgetAll()
	w.sweep()
	w.probe(true)
	w.step(lives)
	w.advance(time.Second)
	w.mustBeSafe(t)
	w.load(0)
	for range 30 {
		w.sweep()
		w.probe(false)
		w.step(lives)
		w.advance(5 * time.Second)
	}
	w.mustBeSafe(t)
	if served := w.servers[0].serves[ownerAt(25)].records; !hasSet(served, p211) {
		t.Errorf("once every endpoint could be probed there still is no 2 1 1 record: %v", served)
	}
}

// TestAdditionalDigestWaitsForWhatCannotBeProbed: the status is lost, the spec has another parameter set and additional records by now, and
// an endpoint cannot be reached: a SHA-512 of a key that lives elsewhere would make senders ignore the record that the endpoint may
// rely on. Random histories of the rule found that it was published.
func TestAdditionalDigestWaitsForWhatCannotBeProbed(t *testing.T) {
	s := published(t)
	s.endpoint("192.0.2.2", 25, s.keys[0])
	s.settle()
	s.wants(p312)
	s.policy.Additional = append(of(p211, "x"), of(p312, "x")...)
	s.states, s.lost = nil, true
	s.owners[0].versions, s.owners[0].written = nil, nil
	s.endpoints[0].down, s.endpoints[1].down = "connection refused", "connection refused"
	s.warned(s.settle(), "additional record 3 1 2", "not published")
	s.showsExactly(of(p311, "a"), of(p211, "x"))
	s.endpoints[0].down, s.endpoints[1].down = "", ""
	s.settle()
	s.settle()
	s.showsExactly(of(p312, "a", "x"), of(p211, "x"), of(p311, "a"))
}

// TestStateOfKey: which key a state is remembered of.
func TestStateOfKey(t *testing.T) {
	state := KeyState{ID: "a", SPKI: "a", Serial: "1"}
	for _, row := range []struct {
		reason string
		key    Key
		want   bool
	}{
		{"its name", Key{ID: "a", SPKI: "a"}, true},
		{"its certificate, by the longer name", Key{ID: "a/1", SPKI: "a", Serial: "1"}, true},
		{"another certificate of its key", Key{ID: "a/2", SPKI: "a", Serial: "2"}, false},
		{"another key with that serial number", Key{ID: "b/1", SPKI: "b", Serial: "1"}, false},
	} {
		if have := state.isOf(row.key); have != row.want {
			t.Errorf("%s: %t", row.reason, have)
		}
	}
}

// TestLacksByDigestAgility: a SHA-512 of whomever counts where records of ours stand beside it.
func TestLacksByDigestAgility(t *testing.T) {
	ours := func(p tlsa.Parameters) bool { return p == p311 || p == p211 }
	key := slices.Concat(of(p311, "a"), of(p211, "a"))
	if !lacks(Version{Records: tlsa.Normalize(slices.Concat(of(p311, "a"), of(p312, "z")))}, key, ours) {
		t.Error("3 1 1 beside a foreign 3 1 2 is taken for good")
	}
	if lacks(Version{Records: tlsa.Normalize(slices.Concat(of(p211, "a"), of(p312, "z")))}, key, ours) {
		t.Error("a foreign 3 1 2 takes nothing away from 2 1 1")
	}
}
