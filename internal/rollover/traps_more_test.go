package rollover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

const submission = "_587._tcp.mx1.example.com."

// changingTraps are about more than one name, key or parameter set.
var changingTraps = []trap{
	{"15 a host joins or leaves the MX set", func(t *testing.T) {
		// A host that joins has records as soon as its endpoints match them, whether or not an MX names it.
		s := newScene(t)
		s.settle()
		s.shows(firstOwner, "a")
		// One that leaves: the records go first; its TLS and its key are let go when no cache has them.
		s.now = s.now.Add(72 * time.Hour)
		s.policy.Removing = true
		s.work()
		s.shows(firstOwner)
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.hold("b", StageRequested)
		if d := s.at(gone.Add(soak - time.Second)); d.Untrusted || slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("the host may go while caches have its records: %+v", d)
		}
		if d := s.at(gone.Add(soak)); !d.Untrusted || !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("the host is held for ever: until %s, waits %+v", d.UntrustAt, d.Waits)
		}
	}},
	{"16 one key stands at several ports, and one of them is late", func(t *testing.T) {
		s := newScene(t)
		s.owner(submission, 587)
		s.endpoint("192.0.2.1", 587, s.keys[0])
		s.settle()
		s.hold("b", StageRequested)
		s.work()
		// The second owner follows an hour later on one server.
		s.servers[1].shows[submission] = answerSet{tlsaOf(s.policy.Parameters, "a"), time.Hour}
		s.now = s.now.Add(10 * time.Second)
		s.settle()
		s.held(s.at(s.now.Add(time.Hour)), "b", WaitPropagation, submission)
		s.servers[1].shows[submission] = s.servers[0].shows[submission]
		caught := s.now.Add(10 * time.Second)
		s.now = caught
		s.settle()
		s.heldUntil("b", caught.Add(soak))
	}},
	{"16 a port is added while a key rolls", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageRequested)
		s.settle()
		s.owner(submission, 587)
		s.endpoint("192.0.2.1", 587, s.keys[0])
		d := s.settle()
		s.shows(submission, "a", "b") // both from the first answer on: it adds no wait
		if d.Unsafe != nil {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
	}},
	// 17, several hosts behind one certificate, is a matter of the gate over all decisions: see
	// controllers, TestGateWaitsForEveryHost.
	{"18 a parameter set is added with the next key alone", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageRequested)
		s.settle()
		s.now = s.now.Add(9 * time.Hour)
		s.policy.Parameters = []tlsa.Parameters{p311, p312}
		s.hold("a", StageDeployed)
		s.hold("b", StageRequested)
		s.endpoints[0].key = s.keys[0]
		s.settle()
		s.shows(firstOwner, "a", "b") // of either set, every key
		half := Version{Records: tlsa.Normalize(append(tlsaOf([]tlsa.Parameters{p311}, "a"), tlsaOf([]tlsa.Parameters{p312}, "b")...))}
		all := func(tlsa.Parameters) bool { return true }
		if !lacks(half, tlsaOf(s.policy.Parameters, "a"), all) || !lacks(half, tlsaOf(s.policy.Parameters, "b"), all) {
			t.Error("a set that has one combination for each key alone is taken for good")
		}
		// What has the new set for both keys makes nobody wait; the earlier ones have what they need.
		if d := s.work(); !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("it waits: %+v", d.Waits)
		}
	}},
	{"19 the issuer changes and nobody says so", func(t *testing.T) {
		s := newScene(t)
		s.policy.Strategy, s.policy.Parameters = Stage, []tlsa.Parameters{p211}
		chain := func(serial, issuer string, stage KeyStage) Key {
			return Key{ID: digest("a") + "/" + serial, SPKI: digest("a"), Serial: serial, Certificate: "mx1", Stage: stage, Records: tlsaOf(s.policy.Parameters, issuer)}
		}
		s.keys = []Key{chain("1", "r", StageDeployed)}
		s.endpoints[0].key = s.keys[0]
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.keys = append(s.keys, chain("2", "e", StageIssued)) // the same key by another issuer
		s.work()
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.shows(firstOwner, "r", "e")
		id := s.keys[1].ID
		if d := s.at(gone.Add(soak - time.Second)); slices.Contains(d.Deploy, id) {
			t.Error("a chain of the new issuer is served before its record is known")
		}
		if d := s.at(gone.Add(soak)); !slices.Contains(d.Deploy, id) {
			t.Errorf("it waits: %+v", d.Waits)
		}
	}},
	{"23 the answer grows too large", func(t *testing.T) {
		s := published(t)
		for i, n := range []int{WarnRecords, WarnRecords + 1, MaxRecords, MaxRecords + 1} {
			s.policy.Additional = nil
			for j := range n - 1 { // and that of the key
				s.policy.Additional = append(s.policy.Additional, tlsaOf(s.policy.Parameters, string(rune('A'+j)))...)
			}
			d := s.settle()
			warned := slices.ContainsFunc(d.Owners[0].Warnings, func(w string) bool { return strings.Contains(w, "more than 6") })
			if warned != (i > 0) {
				t.Errorf("with %d records warned is %t", n, warned)
			}
			written := len(s.servers[0].shows[firstOwner].records) == n
			if written != (n <= MaxRecords) {
				t.Errorf("%d records written: %t", n, written)
			}
			if !written {
				s.held(d, "b", WaitTooManyRecords, "more than 12")
			}
		}
	}},
}

// endingTraps are about old keys: when they go, and what if they are wanted back.
var endingTraps = []trap{
	{"21 a key comes back after its records went", func(t *testing.T) {
		s := rolled(t)
		s.now = s.now.Add(72 * time.Hour)
		s.settle()
		s.shows(firstOwner, "b")
		gone := s.requests("a")
		s.heldUntil("a", gone.Add(soak))
	}},
	{"22 a key is compromised", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageStandby)
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.settle()
		s.policy.Compromised = map[string]bool{digest("a"): true}
		s.hold("b", StageRequested)
		d := s.work()
		if !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("the standby key waits: %+v", d.Waits)
		}
		s.shows(firstOwner, "a", "b") // as long as an endpoint presents it
		s.deploys("b", "a")
		s.settle()
		s.shows(firstOwner, "b") // and no longer: retireSafety is for routine
		// It is never used again.
		s.hold("a", StageRequested)
		s.settle()
		s.held(s.at(s.now.Add(72*time.Hour)), "a", WaitCompromised)
		s.shows(firstOwner, "b")
	}},
	{"22 a key is compromised, and no other is known to caches", func(t *testing.T) {
		s := published(t)
		s.policy.Compromised = map[string]bool{digest("a"): true}
		s.hold("b", StageRequested)
		s.settle()
		s.held(s.work(), "b", WaitCaches)
		// The outage is taken by the word of the user alone.
		s.policy.Proceed, s.policy.DeadlineBefore = true, time.Hour
		for i := range s.keys {
			s.keys[i].Serial, s.keys[i].NotAfter = "1", s.now
		}
		d := s.work()
		if !slices.Contains(d.Deploy, digest("b")) || d.Unsafe == nil || d.Unsafe.Reason != UnsafeDeadline || d.Unsafe.Until.IsZero() {
			t.Errorf("deploy %v, unsafe %+v", d.Deploy, d.Unsafe)
		}
	}},
	{"25 an endpoint never loads the new certificate", func(t *testing.T) {
		s := published(t)
		s.endpoint("192.0.2.2", 25, s.keys[0])
		s.hold("b", StageRequested)
		s.settle()
		s.now = s.now.Add(9 * time.Hour)
		s.settle()
		s.deploys("b", "a")
		s.endpoints[1].key = s.key("a", "")
		s.settle()
		s.at(s.now.Add(90 * 24 * time.Hour))
		s.settle()
		s.shows(firstOwner, "a", "b")
		s.endpoints[1].key = s.endpoints[0].key
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.at(gone.Add(24*time.Hour - time.Second))
		s.shows(firstOwner, "a", "b")
		s.at(gone.Add(24 * time.Hour))
		s.shows(firstOwner, "b")
	}},
	{"26 an endpoint tarpits, greylists or hides STARTTLS from us", func(t *testing.T) {
		s := newScene(t)
		s.endpoints[0].down = "192.0.2.1 port 25: the server does not offer STARTTLS"
		d := s.settle()
		s.shows(firstOwner)
		s.held(d, "b", WaitServers, "does not offer STARTTLS")
		s = rolled(t)
		s.endpoints[0].down = "192.0.2.1 port 25: no connection in time"
		d = s.at(s.now.Add(30 * 24 * time.Hour))
		s.shows(firstOwner, "a", "b") // what is not known to be gone stays
		s.held(d, "a", WaitEndpoints, "no connection in time")
	}},
	{"a zone that senders cannot validate any more keeps its records, and gets no new ones", func(t *testing.T) {
		for _, state := range []dnssec.State{dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate} {
			s := rolled(t)
			s.dnssec = DNSSEC{State: state, Message: "the parent is to blame"}
			s.hold("c", StageRequested)
			s.at(s.now.Add(72 * time.Hour))
			d := s.settle()
			s.shows(firstOwner, "a", "b")
			s.held(d, "c", WaitDNSSEC, "the parent is to blame")
			s.dnssec = DNSSEC{State: dnssec.Secure}
			s.settle()
			s.shows(firstOwner, "b", "c")
		}
	}},
	{"a host leaves a zone that senders cannot validate any more", func(t *testing.T) {
		// To wait for a zone that may never be signed again would keep the object for ever. The key is let go as
		// late as in any other zone.
		for _, state := range []dnssec.State{dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate} {
			s := newScene(t)
			s.settle()
			s.dnssec = DNSSEC{State: state, Message: "the parent is to blame"}
			s.now = s.now.Add(72 * time.Hour)
			s.policy.Removing = true
			s.work()
			s.shows(firstOwner)
			gone := s.now.Add(10 * time.Second)
			s.now = gone
			s.settle()
			if d := s.at(gone.Add(soak - time.Second)); d.Untrusted {
				t.Errorf("%s: the host may go while caches have its records: %+v", state, d)
			}
			if d := s.at(gone.Add(soak)); !d.Untrusted {
				t.Errorf("%s: the host is held for ever: until %s, waits %+v", state, d.UntrustAt, d.Waits)
			}
		}
	}},
	{"a host leaves a zone without signatures", func(t *testing.T) {
		for _, c := range []struct {
			why  string
			zone DNSSEC
			goes bool
		}{
			{"the parent proves that there are none to wait for", DNSSEC{State: dnssec.Insecure, Unsigned: true}, true},
			{"caches may still have the DS records, and believe what is signed", DNSSEC{State: dnssec.Insecure, Unsigned: true, KeysChanging: true}, false},
			{"it is another zone on the way that is insecure", DNSSEC{State: dnssec.Insecure}, false},
			{"another zone on the way is bogus", DNSSEC{State: dnssec.Bogus, Unsigned: true}, false},
			{"whoever forges the answer can make the zone look bogus", DNSSEC{State: dnssec.Bogus}, false},
			{"and can keep us from knowing", DNSSEC{State: dnssec.Indeterminate}, false},
		} {
			s := newScene(t)
			s.settle()
			s.dnssec = c.zone
			s.now = s.now.Add(72 * time.Hour)
			s.policy.Removing = true
			for _, server := range s.servers {
				server.unsigned = true
			}
			s.work()
			s.shows(firstOwner)
			gone := s.now.Add(10 * time.Second)
			s.now = gone
			s.settle()
			if d := s.at(gone.Add(soak - time.Second)); d.Untrusted {
				t.Errorf("%s: the host may go while caches have its records: %+v", c.why, d)
			}
			if d := s.at(gone.Add(soak)); d.Untrusted != c.goes {
				t.Errorf("%s: the host may go: %t, want %t; until %s, waits %+v", c.why, d.Untrusted, c.goes, d.UntrustAt, d.Waits)
			}
		}
	}},
	{"an input that cannot be read removes nothing", func(t *testing.T) {
		s := rolled(t)
		s.unread = true
		s.at(s.now.Add(72 * time.Hour))
		d := s.settle()
		s.shows(firstOwner, "a", "b")
		s.held(d, "a", WaitUnread)
		s.unread = false
		s.settle()
		s.shows(firstOwner, "b")
	}},
}

// rolled is a host just after its rollover from a to b: a is Previous.
func rolled(t *testing.T) *scene {
	s := published(t)
	s.hold("b", StageRequested)
	s.settle()
	s.now = s.now.Add(9 * time.Hour)
	if d := s.settle(); !slices.Contains(d.Deploy, digest("b")) {
		t.Fatalf("b waits: %+v", d.Waits)
	}
	s.deploys("b", "a")
	s.settle()
	s.shows(firstOwner, "a", "b")
	return s
}

// TestSilenceIsNotAbsence: a secondary that we cannot reach may give senders the old records all the while. It
// comes back with the new ones, and caches that it filled last are waited for from then on.
func TestSilenceIsNotAbsence(t *testing.T) {
	for _, reason := range []string{"away", "unsigned"} {
		s := published(t)
		last := s.servers[2]
		last.stuck, last.down, last.unsigned = true, reason == "away", reason == "unsigned"
		s.hold("b", StageRequested)
		s.settle()
		s.at(s.now.Add(48 * time.Hour))
		last.stuck, last.down, last.unsigned = false, false, false
		last.shows[firstOwner] = s.servers[0].shows[firstOwner]
		if d := s.settle(); slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("%s: the key is deployed as soon as the secondary is back", reason)
		} else {
			s.held(d, "b", WaitCaches)
		}
	}
}
