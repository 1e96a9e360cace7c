package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// trap is a way in which a rollover goes wrong, as operators and tools have met it. Each is a history
// that the rule must come through. Those that servers and probes fall into have their tests beside the
// code that asks servers and probes; here they end as what the rule is told.
type trap struct {
	name string
	try  func(t *testing.T)
}

func TestTraps(t *testing.T) {
	for _, list := range [][]trap{waitingTraps, publishingTraps, changingTraps, endingTraps, setTraps, agilityTraps, severalTraps} {
		for _, trap := range list {
			t.Run(trap.name, trap.try)
		}
	}
}

// soak is what a key waits for once no server shows an answer any more: twice the TTL, and the delay
// that the zone declares.
const soak = 2*time.Hour + 5*time.Minute

// waitingTraps are about when the clock starts and how long it runs.
var waitingTraps = []trap{
	{"01 the wait is counted from the primary's ack instead of the last secondary", func(t *testing.T) {
		s := published(t)
		s.servers[2].stuck = true
		s.hold("b", StageRequested)
		s.settle()
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "ns2")
		s.servers[2].shows[firstOwner] = s.servers[0].shows[firstOwner]
		caught := s.now.Add(time.Second)
		s.now = caught
		s.settle()
		s.heldUntil("b", caught.Add(soak))
	}},
	{"01 one green sweep is taken for proof", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageRequested)
		s.work()
		s.now = s.now.Add(10 * time.Second)
		s.work()
		first := s.now
		s.held(s.at(first.Add(soak)), "b", WaitPropagation) // the second
		if d := s.at(first.Add(soak + 10*time.Second)); !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("after the third it waits: %+v", d.Waits)
		}
	}},
	{"01 the safety that the user wants is left out", func(t *testing.T) {
		s := newScene(t)
		s.policy.TTL, s.policy.PublishSafety = 10*time.Minute, 3*time.Hour
		s.settle()
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(3*time.Hour+15*time.Minute))
	}},
	{"02 the lowest TTL of an alias chain is taken", func(t *testing.T) {
		s := newScene(t)
		for _, n := range s.servers {
			n.cacheTTL = 10 * time.Hour // of the CNAME; the record's own is an hour
		}
		s.settle()
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(20*time.Hour+5*time.Minute))
	}},
	{"03 the TTL was lowered a moment ago", func(t *testing.T) {
		s := newScene(t)
		s.policy.TTL = 24 * time.Hour
		s.settle()
		s.policy.TTL = 5 * time.Minute
		s.work()
		lowered := s.now.Add(10 * time.Second)
		s.now = lowered
		s.settle()
		s.now = s.now.Add(time.Hour)
		s.hold("b", StageRequested)
		s.settle()
		s.heldUntil("b", lowered.Add(48*time.Hour+5*time.Minute))
	}},
	{"04 the TTL is raised during the wait", func(t *testing.T) {
		s := published(t)
		gone := s.requests("b")
		s.policy.TTL = 24 * time.Hour
		s.servers[2].stuck = true
		s.settle()
		s.held(s.at(gone.Add(soak)), "b", WaitPropagation, "ns2", "TTL 3600 instead of 86400")
		s.servers[2].stuck = false
		s.servers[2].shows[firstOwner] = s.servers[0].shows[firstOwner]
		s.settle()
		// Every answer that caches may hold has the key: a longer TTL does not make it wait again.
		if d := s.work(); !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("it waits: %+v", d.Waits)
		}
		// For the key after it the higher TTL counts.
		s.deploys("b", "a")
		gone = s.requests("c")
		s.heldUntil("c", gone.Add(48*time.Hour+5*time.Minute))
	}},
	{"05 a server keeps or caps the TTL silently", func(t *testing.T) {
		s := published(t)
		capped := 10 * time.Minute
		s.servers[1].ttl = &capped
		s.hold("b", StageRequested)
		s.settle()
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "ns1", "TTL 600 instead of 3600")
	}},
	{"06 the TTL is zero", func(t *testing.T) {
		s := newScene(t)
		s.policy.PublishSafety, s.policy.UnknownHistory = 0, 0
		s.write(firstOwner, answerSet{recordsOfKey(digest("a"), s.policy.Parameters), 0})
		s.hold("b", StageRequested)
		s.work()
		s.shows(firstOwner, "a", "b")
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.heldUntil("b", gone.Add(2*s.policy.TTLFloor+s.policy.Delay))
	}},
	{"07 a resolver keeps short answers longer than it may", func(t *testing.T) {
		s := newScene(t)
		s.policy.TTL, s.policy.PublishSafety = time.Second, 0
		s.settle()
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(2*s.policy.TTLFloor+s.policy.Delay))
	}},
	{"20 the operator starts again, or the clock is set back", func(t *testing.T) {
		s := published(t)
		gone := s.requests("b")
		// A new process has what was stored, and neither sweeps nor probes.
		s.owners[0].last, s.round = nil, nil
		s.now = s.now.Add(time.Hour)
		s.held(s.decide(), "b", WaitSweep)
		// Set back, a sweep of the future is no sweep of now.
		s.now = gone.Add(soak)
		s.look()
		s.now = gone.Add(soak - 30*time.Minute)
		s.held(s.decide(), "b", WaitSweep)
		s.now = gone.Add(time.Hour)
		s.held(s.work(), "b", WaitCaches)
		s.heldUntil("b", gone.Add(soak))
	}},
}

// publishingTraps are about the first records, and about servers that do not show what was written.
var publishingTraps = []trap{
	{"08 a denial is cached when the first records come", func(t *testing.T) {
		s := newScene(t)
		for _, n := range s.servers {
			n.cacheTTL = 3 * time.Hour // the SOA's minimum
		}
		s.servers[2].stuck = true
		d := s.settle()
		s.shows(firstOwner, "a")
		// A sender that holds the denial delivers without DANE: no key waits for it, and nothing is
		// said of the records being known everywhere while a server denies them.
		if v := d.Keys[0].Visibility; v != rumoured {
			t.Errorf("the key is %s while a server denies its records", v)
		}
		if d.Unsafe != nil {
			t.Errorf("a denial is called unsafe: %+v", d.Unsafe)
		}
	}},
	{"09 the first records come before every endpoint has a certificate for them", func(t *testing.T) {
		s := newScene(t)
		late := s.endpoint("192.0.2.2", 25, s.key("z", ""))
		s.settle()
		s.shows(firstOwner)
		s.held(s.work(), "b", WaitServers, "192.0.2.2")
		late.key = s.keys[0]
		s.settle()
		s.shows(firstOwner, "a")
	}},
	{"10 a secondary is away before the first key is deployed", func(t *testing.T) {
		s := newScene(t)
		s.servers[2].down = true
		s.hold("a", StageIssued)
		d := s.settle()
		s.held(d, "a", WaitSweep, "ns2")
		if d.Waits[0].Code != WaitSweep {
			t.Errorf("what is told first is %+v", d.Waits[0])
		}
		s.servers[2].down = false
		if d := s.work(); !slices.Contains(d.Deploy, digest("a")) {
			t.Errorf("it waits: %+v", d.Waits)
		}
	}},
	{"10 a secondary lags, is away, or serves expired signatures", func(t *testing.T) {
		for name, fault := range map[string]func(*shower){
			"lags":    func(n *shower) { n.stuck = true },
			"away":    func(n *shower) { n.down = true },
			"expired": func(n *shower) { n.unsigned = true },
		} {
			s := published(t)
			fault(s.servers[2])
			s.hold("b", StageRequested)
			s.settle()
			d := s.at(s.now.Add(30 * 24 * time.Hour))
			if slices.Contains(d.Deploy, digest("b")) {
				t.Errorf("%s: the key is deployed", name)
			}
			if len(d.Owners[0].Behind) != 1 || d.Owners[0].Behind[0].Name != "ns2" {
				t.Errorf("%s: behind are %v", name, d.Owners[0].Behind)
			}
		}
	}},
	{"11 the records are visible before they are signed", func(t *testing.T) {
		s := published(t)
		for _, n := range s.servers {
			n.unsigned = true
		}
		s.hold("b", StageRequested)
		s.settle()
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "does not validate")
		for _, n := range s.servers {
			n.unsigned = false
		}
		// Without proof that the older answer is gone its time did not begin to run.
		signed := s.now.Add(10 * time.Second)
		s.now = signed
		s.settle()
		s.heldUntil("b", signed.Add(soak))
	}},
	{"12 a signature runs out during the wait", func(t *testing.T) {
		for _, row := range []struct {
			reason                 string
			ttl, age, left         time.Duration
			deployed               bool
			signatureLifeRemaining string
		}{
			{reason: "a zone that signs for weeks has a day left", ttl: time.Hour, age: 13 * 24 * time.Hour, left: 24 * time.Hour, deployed: true},
			{reason: "it has less", ttl: time.Hour, age: 13 * 24 * time.Hour, left: 24*time.Hour - time.Second},
			{reason: "a zone that signs for a day has a quarter left", ttl: time.Hour, age: 18 * time.Hour, left: 6 * time.Hour, deployed: true},
			{reason: "it has less than a quarter", ttl: time.Hour, age: 18*time.Hour + 4*time.Second, left: 6*time.Hour - 4*time.Second},
			{reason: "twice the TTL is needed in any case", ttl: 5 * time.Hour, age: 8 * time.Hour, left: 10 * time.Hour, deployed: true},
			{reason: "and less is not enough", ttl: 5 * time.Hour, age: 8 * time.Hour, left: 10*time.Hour - time.Second},
		} {
			s := newScene(t)
			s.policy.TTL = row.ttl
			s.settle()
			s.now = s.now.Add(72 * time.Hour)
			s.hold("b", StageRequested)
			s.settle()
			s.servers[2].signed, s.servers[2].expires = row.age, row.left
			d := s.at(s.now.Add(72 * time.Hour))
			if got := slices.Contains(d.Deploy, digest("b")); got != row.deployed {
				t.Errorf("%s: deployed is %t; waits: %+v", row.reason, got, d.Waits)
			}
			if !row.deployed {
				s.held(d, "b", WaitSignatures)
			}
		}
	}},
	{"13 the zone's own keys roll at the same time", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageRequested)
		s.settle()
		s.dnssec.KeysChanging = true
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitKeysChanging)
		s.dnssec = DNSSEC{State: dnssec.Bogus, Message: "the DS matches no key"}
		s.held(s.work(), "b", WaitDNSSEC, "the DS matches no key")
		// A lab without DNSSEC does not wait for it.
		s.policy.DNSSECRequired, s.dnssec = false, DNSSEC{State: dnssec.Indeterminate, KeysChanging: true}
		if d := s.work(); !slices.Contains(d.Deploy, digest("b")) {
			t.Errorf("where DNSSEC is ignored it holds the key: %+v", d.Waits)
		}
	}},
	{"14 a server that only the parent names serves old data", func(t *testing.T) {
		s := published(t)
		s.hold("b", StageRequested)
		s.settle()
		// It was not known before; the parent's NS set has it.
		old := s.server("parent-only")
		old.stuck = true
		old.shows[firstOwner] = answerSet{recordsOfKey(digest("a"), s.policy.Parameters), s.policy.TTL}
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "parent-only")
		old.shows[firstOwner] = s.servers[0].shows[firstOwner]
		caught := s.now.Add(time.Second)
		s.now = caught
		s.settle()
		s.heldUntil("b", caught.Add(soak))
	}},
	{"24 the internal view was edited, and the public one was not", func(t *testing.T) {
		s := published(t)
		for _, n := range s.servers[1:] {
			n.stuck = true
		}
		s.hold("b", StageRequested)
		s.settle()
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "ns1", "ns2", "shows other records")
	}},
	{"27 records stood there before the operator came", func(t *testing.T) {
		s := newScene(t)
		found := answerSet{recordsOfKey(digest("a"), s.policy.Parameters), time.Hour}
		s.write(firstOwner, found)
		s.hold("b", StageRequested)
		s.work()
		adopted := s.now
		s.settle()
		s.shows(firstOwner, "a", "b")
		s.heldUntil("b", adopted.Add(24*time.Hour))
	}},
	{"27 the status was lost", func(t *testing.T) {
		s := published(t)
		s.states, s.owners[0].versions, s.owners[0].written, s.lost = nil, nil, nil, true
		s.write(firstOwner, answerSet{}) // and so were the records, a moment ago
		s.hold("b", StageRequested)
		s.work()
		looked := s.now
		s.lost = false // a status is stored again
		s.settle()
		s.shows(firstOwner, "a", "b")
		s.heldUntil("b", looked.Add(24*time.Hour))
	}},
	{"28 records stand in a zone that is not signed yet", func(t *testing.T) {
		s := newScene(t)
		s.dnssec = DNSSEC{State: dnssec.Insecure, Message: "the zone is not signed"}
		s.write(firstOwner, answerSet{recordsOfKey(digest("z"), s.policy.Parameters), time.Hour})
		d := s.settle()
		s.shows(firstOwner, "z")
		s.held(d, "b", WaitDNSSEC, "the zone is not signed")
		// The DS would arm a record that nobody matches: that is said before it is there.
		if d.Unsafe == nil || d.Unsafe.Reason != UnsafeServed {
			t.Errorf("nothing is said of the record that nobody matches: %+v", d.Unsafe)
		}
	}},
}

// tlsaOf are the records of keys for some parameter sets.
func tlsaOf(params []tlsa.Parameters, names ...string) []tlsa.Record {
	var out []tlsa.Record
	for _, name := range names {
		out = append(out, recordsOfKey(digest(name), params)...)
	}
	return tlsa.Normalize(out)
}
