package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

var (
	p211 = tlsa.Parameters{Usage: 2, Selector: 1, MatchingType: 1}
	p301 = tlsa.Parameters{Usage: 3, Selector: 0, MatchingType: 1}
	p311 = tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}
	p312 = tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 2}
)

// of are the records of keys in one parameter set.
func of(p tlsa.Parameters, names ...string) []tlsa.Record {
	return tlsaOf([]tlsa.Parameters{p}, names...)
}

// withSets is published with these parameter sets.
func withSets(t *testing.T, params ...tlsa.Parameters) *scene {
	s := newScene(t)
	s.wants(params...)
	s.endpoints[0].key = s.keys[0]
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.shows(firstOwner, "a")
	return s
}

// halfCovered is a host whose next key b has no record of 2 1 1: its issuer is not in its chain.
func halfCovered(t *testing.T) *scene {
	s := withSets(t, p311, p211)
	s.hold("b", StageRequested)
	s.keys[1].Records = of(p311, "b")
	s.settle()
	s.showsExactly(of(p311, "a", "b"), of(p211, "a"))
	return s
}

// setTraps are about parameter sets that come and go (RFC 7671 sections 8 and 9).
var setTraps = []trap{
	{"18 a set that the next key lacks is removed while the key waits", func(t *testing.T) {
		s := halfCovered(t)
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation)
		// A sender that knows 2 1 1 alone may hold the older answer.
		s.wants(p311)
		s.work()
		s.showsExactly(of(p311, "a", "b"))
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		if d := s.settle(); d.Unsafe != nil {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
		s.heldUntil("b", gone.Add(soak))
	}},
	{"18 what was ours is known after a restart", func(t *testing.T) {
		s := halfCovered(t)
		s.wants(p311)
		s.work()
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.owners[0].last, s.owners[0].sweeps, s.round, s.rounds = nil, nil, nil, nil
		s.heldUntil("b", gone.Add(soak))
	}},
	{"18 a set that every key has is removed while a key waits: it waits no longer for that", func(t *testing.T) {
		s := withSets(t, p311, p312)
		gone := s.requests("b")
		s.now = s.now.Add(time.Hour)
		s.wants(p311)
		s.work()
		s.showsExactly(of(p311, "a", "b"))
		if d := s.settle(); d.Unsafe != nil || d.Keys[0].Visibility != omnipresent {
			t.Errorf("key a is %s, unsafe %+v", d.Keys[0].Visibility, d.Unsafe)
		}
		s.heldUntil("b", gone.Add(soak))
		if d := s.at(s.now.Add(9 * time.Hour)); len(d.Keys[0].Records) != 1 {
			t.Errorf("what no cache has any more is remembered: %v", d.Keys[0].Records)
		}
	}},
	{"18 a set is removed and added again at once", func(t *testing.T) {
		s := withSets(t, p311, p312)
		s.wants(p311)
		s.hold("b", StageRequested)
		s.work()
		s.showsExactly(of(p311, "a", "b"))
		s.now = s.now.Add(10 * time.Second)
		s.wants(p311, p312)
		s.work()
		s.showsExactly(of(p311, "a", "b"), of(p312, "a", "b"))
		// Until now ns2 has shown the answer of before.
		s.servers[2].shows[firstOwner] = answerSet{append(of(p311, "a"), of(p312, "a")...), time.Hour}
		s.now = s.now.Add(10 * time.Second)
		s.settle()
		s.servers[2].shows[firstOwner] = s.servers[0].shows[firstOwner]
		gone := s.now.Add(time.Second)
		s.now = gone
		s.settle()
		s.heldUntil("b", gone.Add(soak))
	}},
	{"18 a set is removed while an endpoint still presents the old key", func(t *testing.T) {
		s := withSets(t, p311, p312)
		s.hold("b", StageRequested)
		s.settle()
		s.at(s.now.Add(9 * time.Hour))
		s.settle()
		s.hold("b", StageDeployed)
		s.drop("a") // the endpoint has not loaded b yet
		s.wants(p311)
		s.settle()
		// 3 1 2 of the old key alone would make senders set 3 1 1 aside.
		s.showsExactly(of(p311, "a", "b"))
		s.endpoints[0].key = s.keys[0]
		if d := s.settle(); d.Unsafe != nil {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
	}},
	{"18 one set takes the place of another while an endpoint still presents a key without it", func(t *testing.T) {
		s := rolled(t)
		s.endpoint("192.0.2.9", 25, s.key("a", "")) // it never loaded b
		s.wants(p312)
		d := s.settle()
		s.showsExactly(of(p311, "a", "b"))
		s.warned(d, "parameter set 3 1 2", "key "+short(digest("a")))
		s.endpoints[1].key = s.endpoints[0].key
		s.settle()
		s.at(s.now.Add(25 * time.Hour))
		s.settle()
		s.showsExactly(of(p312, "b"))
		gone := s.requests("c")
		s.heldUntil("c", gone.Add(soak))
	}},
	{"18 with usage 2 beside usage 3, Stage goes from one to the other with both between", func(t *testing.T) {
		s := withSets(t, p311)
		s.policy.Strategy = Stage
		s.wants(p311, p211)
		s.settle()
		s.showsExactly(of(p311, "a"), of(p211, "a"))
		s.hold("b", StageIssued)
		s.work()
		s.showsExactly(of(p311, "a", "b"), of(p211, "a", "b"))
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.now = s.now.Add(time.Hour)
		s.wants(p211)
		s.work()
		s.showsExactly(of(p211, "a", "b"))
		s.heldUntil("b", gone.Add(soak)) // it had both all along
	}},
	{"18 the old key's records are the last to tell that a set was ours", func(t *testing.T) {
		s := halfCovered(t)
		s.at(s.now.Add(9 * time.Hour)) // only the answer that lacks 2 1 1 of b is left
		s.settle()
		s.policy.Proceed, s.policy.DeadlineBefore = true, time.Hour
		s.policy.Compromised = map[string]bool{digest("a"): true}
		s.keys[0].NotAfter = s.now
		s.wants(p311)
		s.keys[1].Records = of(p311, "b")
		s.work()
		s.deploys("b", "a") // past the deadline
		s.now = s.now.Add(10 * time.Second)
		d := s.settle()
		s.showsExactly(of(p311, "b")) // a is compromised: its records went at once
		if d.Unsafe == nil || d.Unsafe.Until.IsZero() {
			t.Fatalf("caches with 2 1 1 of the old key are forgotten: %+v", d.Unsafe)
		}
		if d = s.at(d.Unsafe.Until.Add(-time.Second)); d.Unsafe == nil {
			t.Error("it is over too early")
		}
		s.at(s.now.Add(4 * time.Hour))
		if d = s.settle(); d.Unsafe != nil || len(d.Keys) != 1 {
			t.Errorf("it never ends: %+v, keys %+v", d.Unsafe, d.Keys)
		}
	}},
}

// agilityTraps are about senders that set SHA-256 records aside where there are SHA-512 (RFC 7671 section 9).
var agilityTraps = []trap{
	{"a set of SHA-512 is not added while keys elsewhere have SHA-256 alone", func(t *testing.T) {
		for name, elsewhere := range map[string]func(*scene){
			"additional": func(s *scene) { s.policy.Additional = of(p311, "z") },
			"foreign":    func(s *scene) { s.write(firstOwner, answerSet{of(p311, "a", "z"), time.Hour}) },
		} {
			s := published(t)
			elsewhere(s)
			s.settle()
			s.wants(p311, p312)
			d := s.settle()
			s.showsExactly(of(p311, "a", "z"))
			s.warned(d, "parameter set 3 1 2", name, "section 9")
			s.policy.Additional = append(s.policy.Additional, of(p312, "z")...)
			s.settle()
			s.showsExactly(of(p311, "a", "z"), of(p312, "a", "z"))
		}
	}},
	{"a foreign record of a key that is served here holds no set up", func(t *testing.T) {
		s := newScene(t)
		s.write(firstOwner, answerSet{of(p311, "a"), time.Hour})
		s.wants(p312)
		s.settle()
		s.showsExactly(of(p311, "a"), of(p312, "a"))
	}},
	{"foreign records that are to go hold no set up", func(t *testing.T) {
		s := newScene(t)
		s.policy.RemoveForeign = true
		s.write(firstOwner, answerSet{of(p311, "z"), time.Hour})
		s.wants(p312)
		s.settle()
		s.settle()
		s.showsExactly(of(p312, "a"))
	}},
	{"a set of SHA-512 is not removed while keys elsewhere have it", func(t *testing.T) {
		s := withSets(t, p311, p312)
		s.policy.Additional = slices.Concat(of(p311, "z"), of(p312, "z"))
		s.settle()
		s.wants(p311)
		d := s.settle()
		s.showsExactly(of(p311, "a", "z"), of(p312, "a", "z"))
		s.warned(d, "parameter set 3 1 2 stays")
		s.policy.Additional = of(p311, "z")
		s.settle()
		s.showsExactly(of(p311, "a", "z"))
	}},
	{"a set of SHA-512 is not removed while a foreign record of it stands, be it of the key that is served still", func(t *testing.T) {
		s := withSets(t, p311, p312)
		s.hold("b", StageDeployed)
		s.settle()
		s.showsExactly(of(p311, "a", "b"), of(p312, "a", "b"))
		// Status is lost, and with it that the records of a were ours; the endpoint has not taken b yet.
		s.drop("a")
		s.states, s.owners[0].written = nil, slices.Concat(of(p311, "b"), of(p312, "b"))
		s.work()
		s.wants(p311)
		d := s.settle()
		s.showsExactly(of(p311, "a", "b"), of(p312, "a", "b"))
		s.warned(d, "parameter set 3 1 2 stays")
	}},
	{"a record of a key of ours goes with its set, also where it was forgotten who wrote it", func(t *testing.T) {
		s := withSets(t, p311)
		s.hold("b", StageStandby)
		s.settle()
		s.showsExactly(of(p311, "a", "b"))
		s.owners[0].written = of(p311, "a")
		s.wants(p312)
		for range 3 {
			s.now = s.now.Add(9 * time.Hour)
			s.settle()
		}
		s.showsExactly(of(p312, "a", "b"))
	}},
	{"nor does a set of issuers leave a record behind of which it was forgotten who wrote it", func(t *testing.T) {
		s := withSets(t, p311, p211)
		s.hold("b", StageDeployed)
		s.settle()
		s.showsExactly(of(p311, "a", "b"), of(p211, "a", "b"))
		s.owners[0].written = slices.Concat(of(p311, "a", "b"), of(p211, "a"))
		s.wants(p311)
		s.settle()
		s.showsExactly(of(p311, "a", "b"))
	}},
	{"an additional SHA-512 is not put beside SHA-256 alone", func(t *testing.T) {
		s := published(t)
		s.policy.Additional = slices.Concat(of(p312, "z"), of(p211, "z"))
		d := s.settle()
		s.showsExactly(of(p311, "a"), of(p211, "z")) // usage 2 takes nothing away from usage 3
		s.warned(d, "additional record 3 1 2", "section 9")
		s.warned(d, "2 1 1", "foreign or additional alone")
		s.wants(p311, p312)
		s.settle()
		s.showsExactly(of(p311, "a"), of(p312, "a", "z"), of(p211, "z"))
	}},
	{"a foreign SHA-512 that takes our SHA-256 away is said to be unsafe, and holds the next key", func(t *testing.T) {
		s := published(t)
		s.write(firstOwner, answerSet{slices.Concat(of(p311, "a"), of(p312, "a")), time.Hour})
		s.hold("b", StageRequested)
		d := s.settle()
		s.showsExactly(of(p311, "a", "b"), of(p312, "a"))
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation)
		if d.Unsafe == nil || d.Unsafe.Reason != UnsafeServed {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
		s.write(firstOwner, answerSet{of(p311, "a", "b"), time.Hour})
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.heldUntil("b", gone.Add(soak))
	}},
	{"a foreign record of another usage is reported, and holds nothing", func(t *testing.T) {
		s := published(t)
		s.write(firstOwner, answerSet{slices.Concat(of(p311, "a"), of(p211, "z")), time.Hour})
		d := s.settle()
		s.warned(d, "2 1 1", "foreign or additional alone")
		if d.Unsafe != nil {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(soak))
	}},
}
