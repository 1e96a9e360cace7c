package rollover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// withSubmission is published with a second port, whose endpoint is returned.
func withSubmission(t *testing.T) (*scene, *presenter) {
	s := newScene(t)
	s.owner(submission, 587)
	e := s.endpoint("192.0.2.1", 587, s.keys[0])
	return s, e
}

// TestOwnersApart: what is wrong at one port is no matter of the others.
func TestOwnersApart(t *testing.T) {
	for _, c := range []trap{
		{"a port whose endpoint cannot be asked has no records, and holds no key", func(t *testing.T) {
			s, e := withSubmission(t)
			e.down = "port 587 is closed"
			s.settle()
			s.shows(firstOwner, "a")
			s.shows(submission)
			s.now = s.now.Add(72 * time.Hour)
			gone := s.requests("b")
			s.heldUntil("b", gone.Add(soak))
			s.deploys("b", "a")
			s.settle()
			s.at(s.now.Add(25 * time.Hour))
			s.shows(firstOwner, "b") // nor does it keep the old key's records elsewhere
		}},
		{"a port that has records and cannot be asked keeps them all", func(t *testing.T) {
			s, e := withSubmission(t)
			s.settle()
			s.now = s.now.Add(72 * time.Hour)
			s.hold("b", StageRequested)
			s.settle()
			s.at(s.now.Add(9 * time.Hour))
			s.deploys("b", "a")
			e.down = "port 587 is closed"
			s.settle()
			s.at(s.now.Add(25 * time.Hour))
			s.settle()
			s.shows(firstOwner, "a", "b")
		}},
		{"a port whose updates are refused for certain holds no key", func(t *testing.T) {
			s, _ := withSubmission(t)
			s.owners[1].refused, s.owners[1].heldBack = true, true
			s.settle()
			s.now = s.now.Add(72 * time.Hour)
			gone := s.requests("b")
			s.heldUntil("b", gone.Add(soak))
		}},
		{"an update that failed in doubt counts as carried out until the sweeps say that it was not", func(t *testing.T) {
			s := published(t)
			s.owners[0].refused = true // the rig writes nothing
			s.hold("b", StageRequested)
			s.work()
			s.owners[0].refused, s.owners[0].heldBack = false, true
			if !slices.ContainsFunc(s.owners[0].versions, func(v Version) bool { return v.Planned && v.Open }) {
				t.Errorf("the plan is forgotten: %+v", s.owners[0].versions)
			}
			standing := func(v Version) bool { return v.Open && len(v.Records) == 2 }
			s.settle()
			if !slices.ContainsFunc(s.owners[0].versions, standing) {
				t.Errorf("sweeps at once are believed, and a signer may be late: %+v", s.owners[0].versions)
			}
			s.now = s.now.Add(lateUpdate)
			s.settle()
			if slices.ContainsFunc(s.owners[0].versions, standing) {
				t.Errorf("it is believed for ever: %+v", s.owners[0].versions)
			}
		}},
		{"what was asked for before something that is served comes no more", func(t *testing.T) {
			s := published(t)
			s.owners[0].loses = true
			s.hold("b", StageRequested)
			s.work()
			s.owners[0].loses = false
			s.now = s.now.Add(10 * time.Second)
			s.drop("b")
			s.hold("c", StageRequested)
			s.settle()
			s.shows(firstOwner, "a", "c")
			if slices.ContainsFunc(s.owners[0].versions, func(v Version) bool { return v.Open && (v.Planned || slices.Contains(v.Records, of(p311, "b")[0])) }) {
				t.Errorf("it is awaited: %+v", s.owners[0].versions)
			}
		}},
		{"the TTL of a denial is the zone's: it is not awaited with that of records", func(t *testing.T) {
			s := published(t)
			s.owners[0].removing = true
			s.servers[0].shows[firstOwner] = answerSet{ttl: time.Minute}
			s.settle()
			s.policy.Removing = true
			s.write(firstOwner, answerSet{of(p311, "a"), s.policy.TTL})
			s.settle()
			s.shows(firstOwner)
			for _, n := range s.servers {
				n.shows[firstOwner] = answerSet{ttl: time.Minute}
			}
			s.settle()
			if slices.ContainsFunc(s.owners[0].versions, func(v Version) bool { return v.Planned }) {
				t.Errorf("it is awaited: %+v", s.owners[0].versions)
			}
		}},
		{"a signer shows a record when its key was thrown away: it is ours, and goes", func(t *testing.T) {
			for _, late := range []time.Duration{10 * time.Second, lateUpdate - time.Second} {
				s := published(t)
				asked := s.losesB()
				s.settle()
				s.shows(firstOwner, "a")
				s.now = asked.Add(late)
				s.write(firstOwner, answerSet{of(p311, "a", "b"), s.policy.TTL})
				s.settle()
				s.shows(firstOwner, "a")
			}
		}},
		{"a person takes a record out, which is put back by a signer that is late, when its key has gone", func(t *testing.T) {
			s := replaced(t, func(p *Policy) {
				p.TTL, p.TTLFloor, p.PublishSafety, p.RetireSafety, p.Delay, p.Sweeps = time.Second, 0, 0, 2*time.Minute, 0, 1
			})
			s.shows(firstOwner, "a", "b")
			s.write(firstOwner, answerSet{of(p311, "b"), s.policy.TTL})
			s.owners[0].loses = true
			s.work()
			asked := s.now
			s.owners[0].loses, s.owners[0].heldBack = false, true
			s.at(asked.Add(10 * time.Second))
			s.now = asked.Add(2 * time.Minute)
			s.settle()
			s.shows(firstOwner, "b")
			s.owners[0].heldBack = false
			s.now = asked.Add(lateUpdate - time.Second)
			s.write(firstOwner, answerSet{of(p311, "a", "b"), s.policy.TTL})
			s.settle()
			s.shows(firstOwner, "b")
		}},
		{"what stood before is planned again, and stays planned until it is seen", func(t *testing.T) {
			s := published(t)
			s.requests("b")
			s.drop("b")
			s.settle()
			s.shows(firstOwner, "a")
			s.owners[0].loses = true
			s.hold("b", StageRequested)
			s.work()
			s.owners[0].loses = false
			s.drop("b")
			s.settle()
			if !slices.ContainsFunc(s.owners[0].versions, func(v Version) bool { return v.Open && v.Planned && len(v.Records) == 2 }) {
				t.Errorf("the plan is forgotten: %+v", s.owners[0].versions)
			}
			s.write(firstOwner, answerSet{of(p311, "a", "b"), s.policy.TTL})
			s.settle()
			s.shows(firstOwner, "a")
			if slices.ContainsFunc(s.owners[0].versions, func(v Version) bool { return v.Planned }) {
				t.Errorf("what was seen is planned still: %+v", s.owners[0].versions)
			}
		}},
		{"a port that leaves the spec is taken out, and its caches hold the next key", func(t *testing.T) {
			s, _ := withSubmission(t)
			s.settle()
			s.now = s.now.Add(72 * time.Hour)
			s.hold("b", StageRequested)
			s.owners[1].removing = true
			s.work()
			s.shows(firstOwner, "a", "b")
			s.shows(submission)
			// On one server the removal is late.
			s.servers[1].shows[submission] = answerSet{tlsaOf(s.policy.Parameters, "a"), time.Hour}
			s.settle()
			s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation)
			s.servers[1].shows[submission] = answerSet{}
			gone := s.now.Add(10 * time.Second)
			s.now = gone
			s.settle()
			s.heldUntil("b", gone.Add(soak))
		}},
		{"a port that another MailDomain has taken over is not written, and its caches count", func(t *testing.T) {
			s, _ := withSubmission(t)
			s.settle()
			s.now = s.now.Add(72 * time.Hour)
			s.owners[1].removing, s.owners[1].handedOver = true, true
			s.hold("b", StageRequested)
			s.settle()
			s.shows(submission, "a")
			s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation)
			s.policy.Removing = true
			s.owners[0].handedOver = true
			if d := s.work(); !d.Untrusted {
				t.Error("it is held although others answer for it now")
			}
			s.shows(firstOwner, "a", "b")
		}},
		{"a server that the user excepted holds nothing up", func(t *testing.T) {
			s := published(t)
			s.servers[2].ignored, s.servers[2].stuck = true, true
			gone := s.requests("b")
			s.heldUntil("b", gone.Add(soak))
		}},
		{"foreign records are removed when endpoints were asked, and need them not", func(t *testing.T) {
			s := newScene(t)
			s.policy.RemoveForeign = true
			s.write(firstOwner, answerSet{tlsaOf(s.policy.Parameters, "z"), time.Hour})
			s.endpoints[0].key = s.key("z", "") // the key of before, which the record is for
			s.settle()
			s.shows(firstOwner, "a", "z")
			s.endpoints[0].down = "no connection in time"
			s.settle()
			s.shows(firstOwner, "a", "z")
			s.endpoints[0].down, s.endpoints[0].key = "", s.keys[0]
			s.settle()
			s.shows(firstOwner, "a")
		}},
		{"our own records alone go with the host", func(t *testing.T) {
			s := published(t)
			s.write(firstOwner, answerSet{tlsaOf(s.policy.Parameters, "a", "z"), time.Hour})
			s.settle()
			s.policy.Removing = true
			s.settle()
			s.shows(firstOwner, "z")
		}},
		{"a removed host keeps its records while MX records name it (trap 15)", func(t *testing.T) {
			s := published(t)
			s.drop("a")
			s.policy.Removing, s.policy.Named = true, "MX records of example.com name the host"
			s.settle()
			s.at(s.now.Add(72 * time.Hour))
			if d := s.settle(); !slices.ContainsFunc(d.Waits, func(w Wait) bool {
				return w.Code == WaitNamed && strings.Contains(w.Message, "stay: MX records of example.com")
			}) {
				t.Errorf("it waits for %v", d.Waits)
			}
			s.shows(firstOwner, "a")
			over := s.now.Add(time.Hour)
			s.policy.NamedUntil = over
			if d := s.work(); d.Keys[0].Visibility != omnipresent || !d.Owners[0].InSync || !d.Next.Equal(over) {
				t.Errorf("the records stand everywhere: the key is %s, in sync %t (%v), and it wakes at %s", d.Keys[0].Visibility, d.Owners[0].InSync, d.Owners[0].Behind, d.Next)
			}
			s.servers[2].shows[firstOwner] = answerSet{}
			if d := s.work(); d.Keys[0].Visibility != rumoured || len(d.Owners[0].Behind) != 1 {
				t.Errorf("one server has lost them: the key is %s, behind are %v", d.Keys[0].Visibility, d.Owners[0].Behind)
			}
			s.write(firstOwner, s.servers[0].shows[firstOwner])
			s.policy.Named = ""
			s.settle()
			s.shows(firstOwner)
		}},
		{"a parameter set comes when every key that may be presented has a record of it", func(t *testing.T) {
			s := rolled(t)
			s.endpoint("192.0.2.9", 25, s.key("a", "")) // it never loaded b
			s.policy.Parameters = append(slices.Clone(s.policy.Parameters), p312)
			s.hold("b", StageDeployed)
			s.endpoints[0].key = s.keys[0]
			s.settle()
			if have := s.servers[0].shows[firstOwner].records; slices.ContainsFunc(have, func(r tlsa.Record) bool { return r.Parameters == p312 }) {
				t.Errorf("the set is there although a key has no record of it: %v", have)
			}
			s.endpoints[1].key = s.keys[0]
			s.settle()
			s.at(s.now.Add(25 * time.Hour))
			s.settle()
			s.settle()
			s.shows(firstOwner, "b")
		}},
	} {
		t.Run(c.name, c.try)
	}
}

// losesB has the shortest times that there are, and an update with the record of key b that nobody hears of again; then the key is thrown
// away. It returns when the update was asked for.
func (s *scene) losesB() time.Time {
	s.policy.TTL, s.policy.TTLFloor, s.policy.PublishSafety, s.policy.Delay, s.policy.Sweeps = time.Second, 0, 0, 0, 1
	s.settle()
	s.owners[0].loses = true
	s.hold("b", StageRequested)
	s.work()
	asked := s.now
	s.owners[0].loses = false
	s.drop("b")
	return asked
}
