package rollover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// aliasEnd is where the alias of these scenes leads.
const aliasEnd = "_25._tcp.mx.example.net."

// link is what a server of the alias's zone says.
func link(name, leads string) Answer {
	return Answer{Name: name, Address: name, Reachable: true, Signed: true, Alias: leads}
}

// lostLink is what a server says that leads where nobody can follow.
func lostLink(name string) Answer {
	return Answer{Name: name, Address: name, Alias: "x.", End: "x.", Message: "leads to x., which is in no zone"}
}

// aliased lets the first owner be an alias with a TTL: what the servers of the scene say, they say of the
// alias's end.
func (s *scene) aliased(ttl time.Duration, links ...Answer) {
	s.through = func(sweep Sweep) Sweep {
		for i := range sweep.Answers {
			a := &sweep.Answers[i]
			a.End, a.AliasTTL, a.CacheTTL = aliasEnd, ttl, max(a.CacheTTL, ttl)
		}
		sweep.Answers = append(sweep.Answers, links...)
		return sweep
	}
}

// aliasPublished is published by way of an alias that two servers tell of.
func aliasPublished(t *testing.T, ttl time.Duration) *scene {
	s := newScene(t)
	s.aliased(ttl, link("up1", aliasEnd), link("up2", aliasEnd))
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.shows(firstOwner, "a")
	return s
}

// ofElsewhere is what a server says of another end, where the records of some keys stand.
func (s *scene) ofElsewhere(keys ...string) Answer {
	a := Answer{Name: "else", Address: "else", Reachable: true, Signed: true, End: "_25._tcp.mx.example.org.", TTL: time.Hour, CacheTTL: time.Hour}
	for _, k := range keys {
		a.Records = append(a.Records, recordsOfKey(digest(k), s.policy.Parameters)...)
	}
	a.SignatureExpires, a.SignatureValidity = s.now.Add(100*24*time.Hour), 14*24*time.Hour
	return a
}

// TestAliases: a sender goes by way of the alias, and so does the rule.
func TestAliases(t *testing.T) {
	for _, trap := range slices.Concat(aliasWaits, aliasWrites) {
		t.Run(trap.name, trap.try)
	}
}

var aliasWaits = []trap{
	{"an alias is no denial", func(t *testing.T) {
		if s := aliasPublished(t, time.Hour); len(s.owners[0].versions) != 1 {
			t.Errorf("%+v", s.owners[0].versions)
		}
	}},
	{"02 the TTL of the TLSA records is taken where that of the alias is longer", func(t *testing.T) {
		s := aliasPublished(t, 4*time.Hour)
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(8*time.Hour+5*time.Minute))
	}},
	{"02 the TTL of the alias is taken where that of the TLSA records is longer", func(t *testing.T) {
		s := aliasPublished(t, time.Minute)
		gone := s.requests("b")
		s.heldUntil("b", gone.Add(soak))
	}},
	{"02 what is about to be written may be cached as long as the alias", func(t *testing.T) {
		s := aliasPublished(t, 4*time.Hour)
		s.hold("b", StageRequested)
		d := s.work()
		if !d.Owners[0].Write || !slices.ContainsFunc(d.Owners[0].Versions, func(v Version) bool { return v.Planned && v.TTL == 4*time.Hour }) {
			t.Errorf("%+v", d.Owners[0])
		}
	}},
	{"a server of the alias's zone that is silent may say anything", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		s.aliased(time.Hour, link("up1", aliasEnd), Answer{Name: "up2", Address: "up2"})
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitSweep, "up2 gives no authoritative answer")
	}},
	{"one that leads where nobody can follow may lead to anything", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		s.aliased(time.Hour, link("up1", aliasEnd), lostLink("up2"))
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitSweep, "up2 leads to x., which is in no zone")
	}},
	{"an alias without a valid signature is nobody's word", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		unsigned := link("up2", aliasEnd)
		unsigned.Signed = false
		s.aliased(time.Hour, link("up1", aliasEnd), unsigned)
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "up2 gives an answer that does not validate")
	}},
	{"a server that lags behind the alias serves the records of its old end", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		s.aliased(time.Hour, link("up1", aliasEnd), link("up2", "_25._tcp.mx.example.org."), s.ofElsewhere("a", "b"))
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "up1 says that it is an alias of "+aliasEnd, "up2 says that it is an alias of _25._tcp.mx.example.org.")
		key := "key " + short(digest("b")) + " waits until the name servers agree on where " + firstOwner + " leads"
		if d := s.work(); !slices.ContainsFunc(d.Waits, func(w Wait) bool { return strings.HasPrefix(w.Message, key) }) {
			t.Errorf("nothing says %q: %+v", key, d.Waits)
		}
		s.aliased(time.Hour, link("up1", aliasEnd), link("up2", "_25._tcp.mx.example.org."), s.ofElsewhere("a"))
		s.settle()
		s.aliased(time.Hour, link("up1", aliasEnd), link("up2", aliasEnd))
		s.now = s.now.Add(10 * time.Second)
		gone := s.now
		s.settle()
		s.heldUntil("b", gone.Add(soak))
	}},
	{"a server that knows no alias says that nothing stands there", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		s.aliased(time.Hour, link("up1", aliasEnd), Answer{Name: "up2", Address: "up2", Reachable: true, Signed: true})
		s.held(s.at(s.now.Add(9*time.Hour)), "b", WaitPropagation, "up2 knows no alias there")
	}},
	{"all servers of the end are cut off while those of the alias answer: the wait begins again", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		s.requests("b")
		for _, n := range s.servers {
			n.down = true
		}
		s.now = s.now.Add(30 * time.Minute)
		cut := s.now
		s.work()
		for _, n := range s.servers {
			n.down = false
		}
		s.heldUntil("b", cut.Add(2*time.Hour))
	}},
}

var aliasWrites = []trap{
	{"the records go to the end", func(t *testing.T) {
		s := newScene(t)
		s.aliased(time.Hour, link("up1", aliasEnd))
		if d := s.work(); !d.Owners[0].Write || d.Owners[0].End != aliasEnd {
			t.Errorf("%+v", d.Owners[0])
		}
	}},
	{"without an alias they stand at the owner", func(t *testing.T) {
		s := newScene(t)
		if d := s.work(); !d.Owners[0].Write || d.Owners[0].End != "" {
			t.Errorf("%+v", d.Owners[0])
		}
	}},
	{"nothing is written while servers do not agree, although all that they lead to shows the same", func(t *testing.T) {
		s := newScene(t)
		s.aliased(time.Hour, link("up1", aliasEnd), link("up2", "_25._tcp.mx.example.org."), s.ofElsewhere())
		d := s.work()
		if d.Owners[0].Write || d.Owners[0].End != "" || d.Waits[0].Code != WaitPropagation {
			t.Errorf("%+v %+v", d.Owners[0], d.Waits)
		}
	}},
	{"nor while one leads where nobody can follow", func(t *testing.T) {
		s := newScene(t)
		s.aliased(time.Hour, link("up1", aliasEnd), lostLink("up2"))
		if d := s.work(); d.Owners[0].Write || d.Owners[0].End != "" {
			t.Errorf("%+v", d.Owners[0])
		}
	}},
	{"nor on the word of an alias that does not validate", func(t *testing.T) {
		s := newScene(t)
		unsigned := link("up1", aliasEnd)
		unsigned.Signed = false
		s.aliased(time.Hour, unsigned)
		if d := s.work(); d.Owners[0].Write {
			t.Errorf("%+v", d.Owners[0])
		}
	}},
	{"a server that the user excepted holds nothing up", func(t *testing.T) {
		s := newScene(t)
		odd := lostLink("up2")
		odd.Ignored = true
		s.aliased(time.Hour, link("up1", aliasEnd), odd)
		if d := s.work(); !d.Owners[0].Write {
			t.Errorf("%+v %+v", d.Owners[0], d.Waits)
		}
	}},
	{"foreign records stay at the end of an alias: others may lead there", func(t *testing.T) {
		s := newScene(t)
		s.policy.RemoveForeign = true
		foreign := recordsOfKey(digest("z"), s.policy.Parameters)
		s.write(firstOwner, answerSet{foreign, s.policy.TTL})
		s.aliased(time.Hour, link("up1", aliasEnd))
		if d := s.work(); !slices.Contains(d.Owners[0].Records, foreign[0]) {
			t.Errorf("%+v", d.Owners[0].Records)
		}
	}},
	{"the first publication waits for the endpoints of every peer", func(t *testing.T) {
		s := newScene(t)
		s.aliased(time.Hour, link("up1", aliasEnd))
		other := s.key("z", StageDeployed)
		s.owners[0].shared, s.owners[0].peers = other.Records, []Peer{{Host: "mx2.example.com", Port: 465}}
		s.held(s.work(), "nobody", WaitServers, "mx2.example.com have to be probed")
		round := func(key Key) *ProbeRound {
			return &ProbeRound{Start: s.now, End: s.now, Complete: true, Presented: []Presented{{Address: "192.0.2.2", Port: 465, SPKI: key.SPKI, Matches: key.matches}}}
		}
		s.owners[0].peers[0].Round = round(s.key("y", StageDeployed))
		s.held(s.work(), "nobody", WaitServers, "192.0.2.2 port 465 presents")
		s.owners[0].peers[0].Round = round(other)
		if d := s.work(); !d.Owners[0].Write || len(d.Owners[0].Records) != 2 {
			t.Errorf("%+v %+v", d.Owners[0], d.Waits)
		}
	}},
	{"what a peer wants stays when the host is taken out, and holds nothing up", func(t *testing.T) {
		s := aliasPublished(t, time.Hour)
		peer := recordsOfKey(digest("z"), s.policy.Parameters)
		s.write(firstOwner, answerSet{tlsa.Normalize(append(slices.Clone(peer), s.keys[0].Records...)), s.policy.TTL})
		s.owners[0].written = append(s.owners[0].written, peer...) // both have published it
		s.owners[0].shared, s.policy.Removing = peer, true
		s.settle()
		s.showsExactly(peer)
		if d := s.at(s.now.Add(24 * time.Hour)); !d.Untrusted {
			t.Errorf("the records of the peer hold the host: %+v", d.Waits)
		}
	}},
	{"a host that is taken out adds nothing of a peer", func(t *testing.T) {
		s := newScene(t)
		s.aliased(time.Hour, link("up1", aliasEnd))
		s.owners[0].shared, s.policy.Removing = recordsOfKey(digest("z"), s.policy.Parameters), true
		if d := s.work(); d.Owners[0].Write {
			t.Errorf("it wants %v", d.Owners[0].Records)
		}
	}},
}
