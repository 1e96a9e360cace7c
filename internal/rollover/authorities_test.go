package rollover

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

var p212 = tlsa.Parameters{Usage: 2, Selector: 1, MatchingType: 2}

// leavesAuthority is a host with records of its authority in some sets, which leave the spec for others while its first endpoint
// cannot be reached.
func leavesAuthority(t *testing.T, before, after []tlsa.Parameters) *scene {
	s := withSets(t, before...)
	s.endpoint("192.0.2.2", 25, s.keys[0])
	s.settle()
	s.endpoints[0].down = "connection refused"
	s.now = s.now.Add(time.Hour)
	s.wants(after...)
	s.settle()
	return s
}

// former is a key of before: the record of its authority alone matches it.
var former = Key{SPKI: digest("former"), Records: of(p211, "a")}

// TestAuthoritySetStaysForEndpoints: a set of authorities' records that leaves the spec goes when every endpoint is known, and none
// needs it.
func TestAuthoritySetStaysForEndpoints(t *testing.T) {
	both, alone := append(of(p311, "a"), of(p211, "a")...), of(p311, "a")
	elsewhere := of(p311, "x")
	stranger := Key{SPKI: digest("x"), Records: append(of(p211, "a"), elsewhere...)}
	for _, row := range []struct {
		reason string
		do     func(s *scene)
		want   []tlsa.Record
	}{
		{"an endpoint that cannot be reached may come back with a former key", func(s *scene) {
			s.warned(s.settle(), "parameter set 2 1 1 stays", "connection refused")
		}, both},
		{"it has come back with such a key", func(s *scene) {
			s.endpoints[0].down, s.endpoints[0].key = "", former
			s.warned(s.settle(), "parameter set 2 1 1 stays", "192.0.2.1 port 25 presents key "+short(former.SPKI))
		}, both},
		{"what was known of the endpoints is too old", func(s *scene) {
			s.endpoints[0].down = ""
			s.look()
			s.round.End = s.now.Add(-s.policy.SweepFreshness - time.Second)
			if d := s.decide(); !d.NeedProbe || !slices.ContainsFunc(d.Waits, func(w Wait) bool { return w.Code == WaitEndpoints }) {
				s.Errorf("nobody asks for the probe that ends it: %+v", d.Waits)
			}
		}, both},
		{"nothing is known of them yet", func(s *scene) {
			s.look()
			s.round, s.rounds = nil, nil
			if d := s.decide(); !d.NeedProbe {
				s.Errorf("nobody asks for the probe that ends it")
			}
		}, both},
		{"all are known again, and present nothing else", func(s *scene) { s.endpoints[0].down = ""; s.settle() }, alone},
		{"all are known, and an object could not be read", func(s *scene) { s.endpoints[0].down, s.unread = "", true; s.settle() }, both},
		{"the user vouches for the endpoints", func(s *scene) { s.policy.ProbeDisabled = true; s.settle() }, alone},
		{"a new key has a record of it meanwhile: its issuer is that of the key in use", func(s *scene) {
			s.hold("b", StageRequested)
			s.settle()
			if d := s.work(); !hasSet(d.Keys[1].Records, p211) {
				s.Errorf("key b has no record of the set: %+v", d.Keys)
			}
		}, append(of(p311, "a", "b"), of(p211, "a")...)},
		{"its certificate has another authority, as it turns out: it has the record of that one, and waits for it", func(s *scene) {
			s.authorities = map[string]string{digest("b"): digest("other")}
			s.hold("b", StageRequested)
			s.settle()
			s.hold("b", StageIssued)
			s.settle()
			s.held(s.work(), "b", WaitCaches)
		}, append(of(p311, "a", "b"), of(p211, "a", "other")...)},
		{"the certificate in use is made anew with the same key", func(s *scene) {
			s.keys[0].Serial = "again"
			s.settle()
		}, both},
		{"a key of another Certificate has none, and must not wait for the endpoint", func(s *scene) {
			s.hold("b", StageRequested)
			s.keys[1].Certificate = "other"
			s.settle()
		}, of(p311, "a", "b")},
		{"a key that nothing goes on with waits for nothing", func(s *scene) {
			s.wants(p311, p211)
			s.hold("b", StageRequested)
			s.keys[1].Certificate, s.keys[1].Records = "other", of(p311, "b")
			s.settle()
			s.drop("b")
			s.wants(p311)
			s.settle()
		}, append(of(p311, "a", "b"), of(p211, "a")...)},
		{"such a key has to wait for the first look at the endpoints all the same", func(s *scene) {
			s.hold("b", StageRequested)
			s.keys[1].Certificate = "other"
			s.look()
			s.round, s.rounds = nil, nil
			if d := s.decide(); !d.NeedProbe {
				s.Errorf("nobody asks for the probe that ends it")
			}
		}, both},
		{"a certificate has none, and must not wait for the endpoint", func(s *scene) {
			s.rootless = map[string]bool{digest("b"): true}
			s.hold("b", StageIssued)
			s.settle()
		}, of(p311, "a", "b")},
		{"nor does it while something cannot be read, which may have one", func(s *scene) {
			s.unread = true
			s.hold("b", StageRequested)
			s.keys[1].Certificate = "other"
			s.settle()
		}, append(of(p311, "a", "b"), of(p211, "a")...)},
		{"the key in use cannot be read", func(s *scene) {
			s.unread = true
			s.drop("a")
			s.hold("b", StageRequested)
			s.settle()
		}, append(of(p311, "a", "b"), of(p211, "a")...)},
		{"the user lists the record: it stays whatever is known", func(s *scene) {
			s.policy.Additional = of(p211, "a")
			if d := s.settle(); len(d.Owners[0].Warnings) != 0 {
				s.Errorf("somebody is to mend something: %q", d.Owners[0].Warnings)
			}
		}, both},
		{"another cluster's endpoint of the authority has an additional record", func(s *scene) {
			s.policy.Additional = elsewhere
			s.endpoints[0].down, s.endpoints[0].key = "", stranger
			s.settle()
		}, append(of(p311, "a"), elsewhere...)},
		{"another cluster's endpoint has a foreign record", func(s *scene) {
			s.write(firstOwner, answerSet{append(slices.Clone(both), elsewhere...), s.policy.TTL})
			s.endpoints[0].down, s.endpoints[0].key = "", stranger
			s.settle()
		}, append(of(p311, "a"), elsewhere...)},
		{"the name is that of others too, who know of other keys", func(s *scene) {
			s.owners[0].peers = []Peer{{Host: "mx2.example.com", Port: 25, Round: s.round}}
			s.settle()
		}, alone},
		{"aliases lead to the name", func(s *scene) {
			s.through = func(w Sweep) Sweep {
				for i := range w.Answers {
					w.Answers[i].End = "tlsa.example.net."
				}
				return w
			}
			s.settle()
		}, alone},
		{"a set that the user has in its place comes first", func(s *scene) { // the simulator found that it stayed for ever
			s.endpoints[0].down = ""
			s.wants(p312)
			s.settle()
		}, of(p312, "a")},
	} {
		t.Run(row.reason, func(t *testing.T) {
			s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311})
			s.T = t
			s.showsExactly(both)
			row.do(s)
			s.showsExactly(row.want)
		})
	}
}

// TestAuthoritySetsOfOneAuthority: a set goes where another one matches all that it does, for every sender.
func TestAuthoritySetsOfOneAuthority(t *testing.T) {
	for _, row := range []struct {
		reason string
		before, after,
		want tlsa.Parameters
	}{
		{"SHA-256 is known to every sender", p212, p211, p211},
		{"SHA-512 is not", p211, p212, tlsa.Parameters{}},
	} {
		s := leavesAuthority(t, []tlsa.Parameters{p311, row.before}, []tlsa.Parameters{p311, row.after})
		want := append(of(p311, "a"), of(row.after, "a")...)
		if row.want != row.after {
			want = append(want, of(row.before, "a")...)
		}
		if have := s.servers[0].shows[firstOwner].records; !slices.Equal(have, tlsa.Normalize(want)) {
			t.Errorf("%s: the primary shows %v, want %v", row.reason, have, want)
		}
	}
}

// TestAuthoritySetIsSteady: as long as nothing is seen that is new, neither what is wanted nor what is said of it changes with
// the age of what was seen, nor is anything asked for all the time.
func TestAuthoritySetIsSteady(t *testing.T) {
	for _, row := range []struct {
		reason string
		edit   func(s *scene)
		probes bool
	}{
		{"an endpoint cannot be reached", func(*scene) {}, false},
		{"an endpoint presents a former key", func(s *scene) { s.endpoints[0].down, s.endpoints[0].key = "", former }, false},
		{"the user lists the record", func(s *scene) { s.endpoints[0].down, s.policy.Additional = "", of(p211, "a") }, false},
		{"suspended", func(s *scene) { s.endpoints[0].down, s.policy.Suspended = "", true }, false},
		{"the last update failed", func(s *scene) { s.endpoints[0].down, s.owners[0].heldBack = "", true }, false},
		{"no update arrives", func(s *scene) { s.endpoints[0].down, s.owners[0].loses = "", true }, true},
	} {
		s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311})
		row.edit(s)
		first := s.work().Owners[0]
		for i := range 60 {
			s.now = s.now.Add(10 * time.Second)
			round, rounds := s.round, s.rounds
			s.look()
			if i%10 > 0 { // the endpoints are looked at less often
				s.round, s.rounds = round, rounds
			}
			d := s.decide()
			if o := d.Owners[0]; !slices.Equal(o.Records, first.Records) || !slices.Equal(o.Warnings, first.Warnings) || o.InSync != first.InSync {
				t.Fatalf("%s: after %s %+v, at first %+v", row.reason, s.now.Sub(begin), o, first)
			}
			if d.NeedProbe && !row.probes {
				t.Fatalf("%s: a probe is asked for", row.reason)
			}
		}
	}
}

// TestAuthoritySetGoesWhereItIsCrowded: what is kept for endpoints that are not known leaves room for new records.
func TestAuthoritySetGoesWhereItIsCrowded(t *testing.T) {
	s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311})
	for i := range MaxRecords - 2 {
		s.policy.Additional = append(s.policy.Additional, recordsOfKey(digest(string(rune('k'+i))), []tlsa.Parameters{p311})...)
	}
	s.settle()
	s.showsExactly(of(p311, "a"), of(p211, "a"), s.policy.Additional)
	s.hold("b", StageRequested)
	s.settle()
	s.showsExactly(of(p311, "a", "b"), s.policy.Additional)
}

// TestAuthoritySetStaysWhereItMakesNoRoom: what would be too much all the same makes no set go, here or elsewhere.
func TestAuthoritySetStaysWhereItMakesNoRoom(t *testing.T) {
	s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311})
	both := append(of(p311, "a"), of(p211, "a")...)
	for i := range MaxRecords {
		both = append(both, recordsOfKey(digest(string(rune('k'+i))), []tlsa.Parameters{p311})...)
	}
	s.write(firstOwner, answerSet{tlsa.Normalize(both), s.policy.TTL})
	s.settle()
	s.showsExactly(both)
	if d := s.work(); d.Owners[0].Write || len(d.Owners[0].Own) != 2 {
		t.Errorf("%+v", d.Owners[0])
	}
}

// TestAuthoritySetIsNotPutAtAnotherPort: a set that stays at one port comes at no other.
func TestAuthoritySetIsNotPutAtAnotherPort(t *testing.T) {
	s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311})
	s.owner("_465._tcp.mx1.example.com.", 465)
	leaf := s.keys[0]
	leaf.Records = of(p311, "a") // its chain lacks the authority
	s.endpoint("192.0.2.1", 465, leaf)
	s.settle()
	s.showsExactly(of(p311, "a"), of(p211, "a"))
	if have := s.servers[0].shows["_465._tcp.mx1.example.com."].records; !slices.Equal(have, of(p311, "a")) {
		t.Errorf("port 465 has %v", have)
	}
}

// TestSHA512MatchesNotForAll: an endpoint that comes back with a former key of the authority keeps the set for senders that know no
// SHA-512, though 2 1 2 matches it.
func TestSHA512MatchesNotForAll(t *testing.T) {
	s := leavesAuthority(t, []tlsa.Parameters{p311, p211}, []tlsa.Parameters{p311, p212})
	s.endpoints[0].down, s.endpoints[0].key = "", Key{SPKI: former.SPKI, Records: append(of(p211, "a"), of(p212, "a")...)}
	s.settle()
	s.showsExactly(of(p311, "a"), of(p211, "a"), of(p212, "a"))
}

// withLeaving are the keys with what they have of sets of authorities that have left the policy: that of their certificate, or, before
// there is one, that of the Certificate's key in use.
func (s *scene) withLeaving() []Key {
	sets := leavingSets(s.states, s.policy)
	out := slices.Clone(s.keys)
	for i := range out {
		k := &out[i]
		from := slices.IndexFunc(s.keys, func(o Key) bool { return o.Certificate == k.Certificate && o.Stage == StageDeployed })
		switch {
		case s.rootless[k.SPKI]:
		case k.Serial != "":
			k.Leaving = recordsOfKey(s.authority(k.SPKI), sets)
		case from >= 0:
			k.Leaving = recordsOfKey(s.authority(s.keys[from].SPKI), sets)
		}
	}
	return out
}

// leavingSets are the sets of authorities' records that are remembered of keys, and have left the policy.
func leavingSets(states []KeyState, policy Policy) []tlsa.Parameters {
	var sets []tlsa.Parameters
	for _, state := range states {
		for _, r := range state.Records {
			if r.Usage == tlsa.UsageDANETA && !slices.Contains(policy.Parameters, r.Parameters) && !slices.Contains(sets, r.Parameters) {
				sets = append(sets, r.Parameters)
			}
		}
	}
	return sets
}

// authority is whose records of usage DANE-TA a key has: that of its name unless the scene says so.
func (s *scene) authority(spki string) string { return cmp.Or(s.authorities[spki], spki) }
