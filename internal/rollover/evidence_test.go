package rollover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestDeadlineReached: a new key is handed out early only where the user has said so, and never a standby key.
func TestDeadlineReached(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		proceed bool
		stage   KeyStage
		left    time.Duration
		want    bool
	}{
		{"the user wants to proceed", true, StageRequested, time.Hour, true},
		{"the user wants to hold: senders ignore expiry (RFC 7671 section 5.1)", false, StageRequested, time.Hour, false},
		{"even after it has expired", false, StageIssued, -time.Hour, false},
		{"there is time left", true, StageRequested, 3 * time.Hour, false},
		{"a standby key has no certificate to hand out", true, StageStandby, time.Hour, false},
	} {
		r := &run{now: now, f: Facts{Policy: Policy{Proceed: c.proceed, DeadlineBefore: 2 * time.Hour}}}
		r.keys = []tracked{{KeyState: KeyState{Certificate: "crt", NotAfter: now.Add(c.left)}, stage: StageDeployed}}
		if got := r.deadlineReached(&tracked{KeyState: KeyState{Certificate: "crt"}, stage: c.stage}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestOnlyKeyStays: the records of an old key go only when another is there that servers may present.
func TestOnlyKeyStays(t *testing.T) {
	for _, c := range []struct {
		name  string
		other KeyState
		want  bool
	}{
		{"another key is deployed", KeyState{SPKI: "b", Role: roleCurrent}, true},
		{"the other one is not deployed yet", KeyState{SPKI: "b", Role: roleNext}, false},
		{"the other one is compromised, and about to go too", KeyState{SPKI: "lost", Role: roleCurrent}, false},
	} {
		old := tracked{KeyState: KeyState{SPKI: "a", Role: rolePrevious}}
		r := &run{f: Facts{KeysComplete: true, Policy: Policy{ProbeDisabled: true, Compromised: map[string]bool{"lost": true}}}}
		r.keys = []tracked{old, {KeyState: c.other}}
		if got := r.removalAllowed(&old); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestRoundsWithGaps: a round proves that nobody presents a key only when every endpoint of the port told what it
// presents; one that does not breaks the row.
func TestRoundsWithGaps(t *testing.T) {
	complete := ProbeRound{Complete: true, Presented: []Presented{{Port: 25, SPKI: "b"}}}
	gap := ProbeRound{Presented: []Presented{{Port: 25, SPKI: "b"}, {Port: 25, Unreachable: true}}}
	elsewhere := ProbeRound{Presented: []Presented{{Port: 25, SPKI: "b"}, {Port: 465, Unreachable: true}}}
	presented := ProbeRound{Complete: true, Presented: []Presented{{Port: 25, SPKI: "a"}}}
	for _, c := range []struct {
		name   string
		rounds []ProbeRound
		want   int
	}{
		{"two in a row", []ProbeRound{complete, complete}, 2},
		{"a gap counts for nothing", []ProbeRound{gap, gap}, 0},
		{"a gap breaks the row", []ProbeRound{complete, gap, complete}, 1},
		{"a gap at a port without records is none", []ProbeRound{complete, elsewhere}, 2},
		{"the key came back", []ProbeRound{complete, complete, presented}, 0},
	} {
		k := tracked{KeyState: KeyState{ID: "a", SPKI: "a"}}
		k.countRounds(Facts{Rounds: c.rounds, Policy: Policy{Sweeps: 3}}, []int32{25})
		if k.GoneRounds != c.want {
			t.Errorf("%s: %d rounds, want %d", c.name, k.GoneRounds, c.want)
		}
	}
}

// TestForgetUnused: a key that no object holds is forgotten only when it was never handed out, and every object
// could be read.
func TestForgetUnused(t *testing.T) {
	all := Facts{KeysComplete: true}
	for _, c := range []struct {
		name string
		f    Facts
		t    tracked
		want bool
	}{
		{"a request that was thrown away", all, tracked{}, true},
		{"an object that could not be read may hold it", Facts{}, tracked{}, false},
		{"some object holds it", all, tracked{stage: StageRequested}, false},
		{"servers have it", all, tracked{KeyState: KeyState{Deployed: true}}, false},
		{"nothing shall change now", Facts{KeysComplete: true, Policy: Policy{Suspended: true}}, tracked{}, false},
	} {
		r := &run{f: c.f, keys: []tracked{c.t}}
		if r.forgetUnused(); len(r.keys) == 0 != c.want {
			t.Errorf("%s: %v", c.name, r.keys)
		}
	}
}

// TestUnusedKeyStaysForEndpoints: a key that no object holds, and of which it is not remembered that servers have it, may be
// one that they have had for long: a status that was put back remembers less. The simulator found that its records went,
// though no endpoint could be reached.
func TestUnusedKeyStaysForEndpoints(t *testing.T) {
	for _, row := range []struct {
		reason string
		do     func(s *scene)
		want   []string
	}{
		{"an endpoint cannot be reached", func(s *scene) {
			d := s.settle()
			s.warned(d, "the records of key "+short(digest("b")), "stay until every endpoint is known: connection refused")
			if d.NeedProbe || slices.ContainsFunc(d.Waits, func(w Wait) bool { return w.Subject == digest("b") }) {
				s.Errorf("for a key that nothing goes on with it is probed without end: %+v", d.Waits)
			}
		}, []string{"a", "b"}},
		{"what was known of it is too old", func(s *scene) {
			s.endpoints[0].down = ""
			s.look()
			s.round.End = s.now.Add(-s.policy.SweepFreshness - time.Second)
			if d := s.decide(); !d.NeedProbe {
				s.Errorf("nobody asks for the probe that ends it")
			}
		}, []string{"a", "b"}},
		{"it presents another key again", func(s *scene) { s.endpoints[0].down = ""; s.settle() }, []string{"a"}},
		{"it presents that key", func(s *scene) { s.endpoints[0].down, s.endpoints[0].key = "", s.key("b", ""); s.settle() }, []string{"a", "b"}},
		{"the user vouches for it", func(s *scene) { s.policy.ProbeDisabled = true; s.settle() }, []string{"a"}},
		{"the key was given up", func(s *scene) { s.policy.Compromised = map[string]bool{digest("b"): true}; s.settle() }, []string{"a"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			s := withUnused(t)
			s.T = t
			s.shows(firstOwner, "a", "b")
			row.do(s)
			s.shows(firstOwner, row.want...)
		})
	}
}

// withUnused is a host with the record of key b, whose request was thrown away while the first endpoint cannot be reached.
func withUnused(t *testing.T) *scene {
	s := published(t)
	s.requests("b")
	s.endpoint("192.0.2.2", 25, s.keys[0])
	s.settle()
	s.endpoints[0].down = "connection refused"
	s.drop("b")
	s.settle()
	return s
}

// TestUnusedKeyHoldsNoSet: a set takes the place of another one although an unused key, which stays for an endpoint that cannot be reached,
// will never have a record of it: new keys have records of the new set alone. Nor are its records written anew.
func TestUnusedKeyHoldsNoSet(t *testing.T) {
	s := withUnused(t)
	s.wants(p312)
	s.hold("c", StageRequested)
	s.settle()
	s.showsExactly(of(p312, "a", "c"))
	s.wants(p311)
	s.settle()
	s.showsExactly(of(p311, "a", "c"))
}

// TestUnusedKeysAreInNobodysWay: where there is no room, what stays for an endpoint that cannot be reached goes.
func TestUnusedKeysAreInNobodysWay(t *testing.T) {
	s := published(t)
	s.endpoints[0].down = "connection refused"
	names := []string{"b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	for _, name := range names {
		s.hold(name, StageRequested)
		s.settle()
		s.drop(name)
	}
	s.settle()
	s.shows(firstOwner, append([]string{"a"}, names...)...)
	// What would be too much all the same makes nobody go.
	s.policy.Additional = nil
	for i := range MaxRecords {
		s.policy.Additional = append(s.policy.Additional, recordsOfKey(digest(string(rune('A'+i))), []tlsa.Parameters{p311})...)
	}
	s.settle()
	s.policy.Additional = nil
	s.settle()
	s.shows(firstOwner, append([]string{"a"}, names...)...)
	s.hold("m", StageRequested)
	s.settle()
	s.shows(firstOwner, "a", "m")
}

// TestNoEvidence: that a key is not in the newest round is no proof that nobody presents it.
func TestNoEvidence(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for rounds, want := range map[int]bool{0: false, 2: false, 3: true} {
		old := tracked{KeyState: KeyState{ID: "a", SPKI: "a", Role: rolePrevious, GoneSince: now.Add(-time.Hour), GoneRounds: rounds}}
		r := &run{now: now, f: Facts{KeysComplete: true, Policy: Policy{Sweeps: 3}, LastRound: &ProbeRound{End: now, Complete: true, Presented: []Presented{{Port: 25, SPKI: "b"}}}}}
		r.keys = []tracked{old, {KeyState: KeyState{SPKI: "b", Role: roleCurrent}}}
		if got := r.removable(&old); got != want {
			t.Errorf("%d rounds without it: %t", rounds, got)
		}
	}
}

// TestRecordsGoByFreshEvidence: a key whose records were due to go while the primary was away is looked for once more before
// they do. The simulator found that they went when it was back, an hour later, though no endpoint could be reached by then.
func TestRecordsGoByFreshEvidence(t *testing.T) {
	s := replaced(t, func(*Policy) {})
	primary, endpoint := s.servers[0], s.endpoints[0]
	primary.down = true
	d := s.at(s.now.Add(s.policy.RetireSafety))
	if !slices.ContainsFunc(d.Waits, func(w Wait) bool {
		return w.Code == WaitSweep && strings.Contains(w.Message, "stay until the primary has answered")
	}) {
		t.Errorf("nothing says that the records stay: %+v", d.Waits)
	}
	endpoint.down = "refused"
	s.settle()
	primary.down = false
	s.settle()
	s.shows(firstOwner, "a", "b")
	endpoint.down = ""
	s.settle()
	s.shows(firstOwner, "b")
}

// TestRemovalIsDecidedAgain: whether the records of an old key go is decided anew each time that an update is sent, by what is known of
// the endpoints by then. The simulator found records that went half an hour after the update which was lost, though an endpoint had
// gone back to the old key and could not be reached (seeds 10050 and 10465).
func TestRemovalIsDecidedAgain(t *testing.T) {
	for _, c := range []struct {
		reason string
		// fail is what happens to the update; repair ends it.
		fail, repair func(*remembered)
	}{
		{"the update is lost", func(o *remembered) { o.loses = true }, func(o *remembered) { o.loses = false }},
		{"the server refuses it", func(o *remembered) { o.refused = true }, func(o *remembered) { o.refused = false }},
		{"it is held back", func(o *remembered) { o.heldBack = true }, func(o *remembered) { o.heldBack = false }},
	} {
		s := replaced(t, func(*Policy) {})
		c.fail(s.owners[0])
		d := s.at(s.now.Add(s.policy.RetireSafety))
		if slices.ContainsFunc(d.Owners[0].Records, func(r tlsa.Record) bool { return keyOf(r) == digest("a") }) {
			t.Fatalf("%s: the records are not due: %+v", c.reason, d.Waits)
		}
		s.endpoints[0].key, s.endpoints[0].down = s.key("a", StageDeployed), "refused"
		s.settle()
		c.repair(s.owners[0])
		s.held(s.settle(), "c", WaitEndpoints, "refused", short(digest("a")))
		s.shows(firstOwner, "a", "b")
		s.endpoints[0].down = ""
		if d := s.settle(); !slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") && k.Role == roleCurrent }) {
			t.Errorf("%s: the key that is presented is %+v", c.reason, d.Keys)
		}
		s.shows(firstOwner, "a", "b")
	}
}

// TestRemovedIsNotPutBack: records that went as decided do not come back, whatever cannot be known any more when that is seen.
func TestRemovedIsNotPutBack(t *testing.T) {
	for reason, forget := range map[string]func(*scene){
		"an endpoint cannot be reached":              func(s *scene) { s.endpoints[0].down = "refused" },
		"a Secret cannot be read":                    func(s *scene) { s.unread = true },
		"a Secret cannot be read, of a key given up": func(s *scene) { s.unread, s.policy.Compromised = true, map[string]bool{digest("a"): true} },
		"the MailDomain is suspended":                func(s *scene) { s.policy.Suspended = true },
	} {
		s := replaced(t, func(*Policy) {})
		s.at(s.now.Add(s.policy.RetireSafety))
		s.shows(firstOwner, "b")
		forget(s)
		for range 10 {
			if d := s.at(s.now.Add(10 * time.Second)); d.Owners[0].Write {
				t.Errorf("%s: %v is written", reason, d.Owners[0].Records)
			}
		}
		s.endpoints[0].down, s.unread, s.policy.Suspended = "", false, false
		d := s.settle()
		s.shows(firstOwner, "b")
		if slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") }) {
			t.Errorf("%s: the key is still remembered: %+v", reason, d.Keys)
		}
	}
}

// TestBlipIsNoRemoval: that the primary shows no records of an old key for a moment, which nobody has decided to take out, leads to
// nothing while an endpoint that may present it cannot be reached.
func TestBlipIsNoRemoval(t *testing.T) {
	for reason, blip := range map[string]func(*scene){
		"a person takes its record out, and puts it back": func(s *scene) {
			s.write(firstOwner, answerSet{recordsOfKey(digest("b"), s.policy.Parameters), s.policy.TTL})
		},
		"the primary shows nothing, and no signature": func(s *scene) {
			s.servers[0].shows[firstOwner], s.servers[0].unsigned = answerSet{}, true
		},
		"a removal was decided on before, and lost; then the primary shows nothing, and no signature": func(s *scene) {
			s.endpoints[1].down, s.owners[0].loses = "", true
			s.endpoints[1].key = s.key("b", StageDeployed)
			s.settle()
			s.endpoints[1].down, s.owners[0].loses = "refused", false
			s.endpoints[1].key = s.key("a", StageDeployed)
			s.settle()
			s.servers[0].shows[firstOwner], s.servers[0].unsigned = answerSet{}, true
		},
	} {
		s := replaced(t, func(*Policy) {})
		e := s.endpoint("192.0.2.9", 25, s.key("a", StageDeployed))
		e.down = "refused"
		s.at(s.now.Add(s.policy.RetireSafety))
		s.settle()
		s.shows(firstOwner, "a", "b")
		was := s.servers[0].shows[firstOwner]
		blip(s)
		s.owners[0].heldBack = true
		s.at(s.now.Add(10 * time.Second))
		s.write(firstOwner, was)
		s.servers[0].unsigned, s.owners[0].heldBack = false, false
		s.settle()
		e.down = ""
		s.settle()
		if t.Failed() {
			t.Fatal(reason)
		}
		if s.shows(firstOwner, "a", "b"); t.Failed() {
			t.Fatal(reason)
		}
	}
}

// TestRemovalIsSteady: while records that may go cannot be taken out, at the only owner or at the second of two, nothing is written over
// and over, and what is told does not change. Probes come once a minute, later than what a removal may rest on.
func TestRemovalIsSteady(t *testing.T) {
	for reason, stop := range map[string]func(*scene){
		"its updates are held back":   func(s *scene) { s.owners[1].heldBack = true },
		"the zone is not secure":      func(s *scene) { s.dnssec.State = dnssec.Bogus },
		"the primary does not answer": func(s *scene) { s.servers[0].down = true },
	} {
		s := newScene(t)
		s.owner("_465._tcp.mx1.example.com.", 465)
		s.endpoint("192.0.2.1", 465, s.keys[0])
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.settle()
		s.replace()
		stop(s)
		s.now = s.now.Add(s.policy.RetireSafety)
		writes, turns, told := 0, 0, ""
		for range 90 {
			round, rounds, asked := s.round, s.rounds, s.needsProbe
			s.look()
			if !asked {
				s.round, s.rounds = round, rounds
			}
			d := s.decide()
			s.needsProbe = d.NeedProbe
			for _, o := range d.Owners {
				if o.Write {
					writes++
				}
			}
			now := ""
			for _, k := range d.Keys {
				now += k.Role + k.Visibility
			}
			if now += d.Waits[0].Message; now != told {
				turns, told = turns+1, now
			}
			s.now = s.now.Add(10 * time.Second)
		}
		if writes > 2 || turns > 6 {
			t.Errorf("%s: %d updates in a quarter of an hour, and %d times something else is told", reason, writes, turns)
		}
	}
}

// TestOldRoundIsNoEvidence: a probe round that is older than the sweep which an update rests on is made again.
func TestOldRoundIsNoEvidence(t *testing.T) {
	s := replaced(t, func(*Policy) {})
	s.now = s.now.Add(s.policy.RetireSafety)
	round := s.round
	s.look()
	s.round, s.rounds = round, nil
	if d := s.decide(); d.Owners[0].Write || !d.NeedProbe {
		t.Errorf("by a round of %s before, records go (%t), or none is asked for (%t)", s.policy.RetireSafety, d.Owners[0].Write, d.NeedProbe)
	}
	s.work()
	s.shows(firstOwner, "b")
}

// TestSharedRecordOutlivesItsKey: a record that another key has too, as that of an issuer, stays when one of them goes, and keeps nobody
// from being forgotten.
func TestSharedRecordOutlivesItsKey(t *testing.T) {
	s := replaced(t, func(p *Policy) { p.Additional = recordsOfKey(digest("a"), []tlsa.Parameters{p311}) })
	s.at(s.now.Add(s.policy.RetireSafety))
	d := s.settle()
	s.shows(firstOwner, "a", "b")
	if slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") }) {
		t.Errorf("the key is still remembered: %+v", d.Keys)
	}
}
