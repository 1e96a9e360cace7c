package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// twin is a secondary with the same keys and records.
func (s *fakeServer) twin() *fakeServer {
	c := newFakeServer(s.t)
	c.dnskey, c.signer = s.dnskey, s.signer
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, set := range s.sets {
		c.sets[id] = slices.Clone(set)
	}
	return c
}

func (s *fakeServer) publishDirect(n int, records ...tlsa.Record) {
	s.set(rrs(ownerName(n), records, time.Hour)...)
}

func TestWhatOneServerSays(t *testing.T) {
	cases := []struct {
		reason            string
		server            func(*fakeServer)
		reachable, signed bool
		message           string
	}{
		{"a right answer", nil, true, true, ""},
		{"a denial counts as an answer", func(s *fakeServer) { delete(s.sets, setKey{ownerName(1), dns.TypeTLSA}) }, true, true, ""},
		{"SERVFAIL is no answer", func(s *fakeServer) { s.misbehave = toQueries(replyServfail) }, false, false, "SERVFAIL"},
		{"REFUSED is no answer", func(s *fakeServer) { s.misbehave = toQueries(replyRefused) }, false, false, "REFUSED"},
		{"an answer without authority is lame", func(s *fakeServer) { s.misbehave = toQueries(replyNoAA) }, false, false, "lame"},
		{"a truncated answer over TCP is none", func(s *fakeServer) { s.misbehave = toQueries(replyTC) }, false, false, "truncated"},
		{"silence is told", func(s *fakeServer) { s.misbehave = toQueries(noReply) }, false, false, "no reply in time"},
		{"a reset is told", func(s *fakeServer) { s.misbehave = toQueries(reset) }, false, false, "no answer"},
		{"garbage is told", func(s *fakeServer) { s.misbehave = toQueries(replyGarbage) }, false, false, "not a DNS reply"},
		{"another ID is told", func(s *fakeServer) { s.misbehave = toQueries(replyWrongID) }, false, false, "ID"},
		{"another question is told", func(s *fakeServer) { s.misbehave = toQueries(replyOtherZone) }, false, false, "another question"},
		{"an unsigned answer is seen and does not count as signed", func(s *fakeServer) { s.signer = nil }, true, false, "RRSIG"},
		{"a signature by a zone with a like name does not count", func(s *fakeServer) { s.signAs = "ample.test." }, true, false, "not by the zone"},
		{"a zone that was re-keyed does not match the anchor", func(s *fakeServer) {
			other := newFakeServer(s.t)
			s.dnskey, s.signer = other.dnskey, other.signer
			s.set(s.dnskey)
		}, true, false, "matches a trust anchor"},
		{"an alias out of the zone is an answer of its own", func(s *fakeServer) {
			delete(s.sets, setKey{ownerName(1), dns.TypeTLSA})
			s.rr(ownerName(1) + " 60 CNAME other.elsewhere.")
		}, true, true, ""},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			good := newFakeServer(t)
			good.publishDirect(1, record(1))
			bad := good.twin()
			if c.server != nil {
				c.server(bad)
			}
			good.startTCP()
			bad.startTCP()
			cfg := testConfig(good)
			cfg.Static = append(cfg.Static, bad.addrPort())
			got := sweepOf(t, startActor(t, cfg, quick()), ownerName(1))
			for _, a := range got.Answers {
				if a.Address == good.addr {
					if !a.Reachable || !a.Signed || a.Message != "" {
						t.Errorf("the good server's answer suffers: %+v", a)
					}
					continue
				}
				if a.Reachable != c.reachable || a.Signed != c.signed || !strings.Contains(a.Message, c.message) || c.message == "" && a.Message != "" {
					t.Errorf("got %+v", a)
				}
				if !a.Reachable && len(a.Records) > 0 {
					t.Errorf("records of no answer: %v", a.Records)
				}
			}
		})
	}
}

// TestAliasIsToldByItself: a sweep says where an alias leads and how long it may be cached, and leaves
// what the server adds for its target to a sweep of the target.
func TestAliasIsToldByItself(t *testing.T) {
	rows := []struct {
		reason, alias, leads string
		unsigned, signed     bool
	}{
		{"a CNAME within the zone", ownerName(1) + " 7200 CNAME tlsa." + testZone, "tlsa." + testZone, false, true},
		{"a CNAME out of the zone", ownerName(1) + " 7200 CNAME _25._tcp.mx.elsewhere.", "_25._tcp.mx.elsewhere.", false, true},
		{"a CNAME to itself", ownerName(1) + " 7200 CNAME " + ownerName(1), ownerName(1), false, true},
		{"a CNAME whose signature is missing", ownerName(1) + " 7200 CNAME tlsa." + testZone, "tlsa." + testZone, true, false},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			s := newFakeServer(t)
			s.rr(row.alias)
			s.set(rrs("tlsa."+testZone, []tlsa.Record{record(1)}, 10*time.Minute)...)
			if row.unsigned {
				s.signer = nil
			}
			s.startTCP()
			a := sweepOf(t, startActor(t, testConfig(s), quick()), ownerName(1)).Answers[0]
			if !a.Reachable || a.Signed != row.signed || a.Alias != row.leads || len(a.Records) > 0 || a.TTL != 2*time.Hour || a.CacheTTL != 2*time.Hour {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestCacheTTLIsThatOfTheSignature(t *testing.T) {
	s := newFakeServer(t)
	s.publishDirect(1, record(1))
	m := new(dns.Msg)
	m.SetQuestion(ownerName(1), dns.TypeTLSA)
	reply := new(dns.Msg)
	reply.SetReply(m)
	s.answer(m, reply)
	// A server that counts down, or caps, shows less than was signed.
	for _, rr := range reply.Answer {
		rr.Header().Ttl = 60
	}
	got, err := readAnswer(testZone, ownerName(1), dns.TypeTLSA, reply)
	if err != nil || got.ttl != time.Minute || got.cacheTTL != time.Hour {
		t.Errorf("TTL %s, cached for %s, %v", got.ttl, got.cacheTTL, err)
	}
}

func TestDenialIsCachedByTheSOA(t *testing.T) {
	s := newFakeServer(t).startTCP()
	a := sweepOf(t, startActor(t, testConfig(s), quick()), ownerName(1)).Answers[0]
	if !a.Reachable || !a.Signed || len(a.Records) != 0 || a.TTL != 30*time.Second {
		t.Errorf("the lesser of SOA TTL (300) and MINIMUM (30) is wanted: %+v", a)
	}
}

func TestSweepsAreMadeTogetherOnOneConnection(t *testing.T) {
	const owners = 300
	s := newFakeServer(t)
	for i := range owners {
		s.publishDirect(i, record(i))
	}
	s.startTCP()
	cfg := testConfig(s)
	cfg.Static = append(cfg.Static, s.addrPort())
	a := startActor(t, cfg, quick())
	hold, held := make(chan struct{}), make(chan struct{})
	a.post(func(*state) { close(held); <-hold })
	<-held
	sweeps := make(chan Sweep, owners)
	for i := range owners {
		a.Sweep(ownerName(i), func(s Sweep) { sweeps <- s })
	}
	close(hold)
	seen := map[tlsa.Record]bool{}
	for range owners {
		got := wait(t, sweeps)
		if len(got.Answers) != 1 || !got.Answers[0].Primary || !got.Answers[0].Signed || got.End.Before(got.Start) {
			t.Fatalf("the primary among the servers is asked once: %+v", got)
		}
		seen[got.Answers[0].Records[0]] = true
	}
	if len(seen) != owners {
		t.Errorf("%d owners got answers of their own", len(seen))
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections for %d owners", n, owners)
	}
}

func TestServerThatEndsConnectionsIsAskedOn(t *testing.T) {
	s := newFakeServer(t)
	s.perConn = 7
	s.startTCP()
	cfg := testConfig(s)
	a := startActor(t, cfg, quick())
	sweeps := make(chan Sweep, 20)
	for i := range 20 {
		a.Sweep(ownerName(i), func(s Sweep) { sweeps <- s })
	}
	for range 20 {
		if got := wait(t, sweeps); !got.Answers[0].Reachable {
			t.Fatalf("%+v", got.Answers[0])
		}
	}
}

func TestIgnoredServers(t *testing.T) {
	s := newFakeServer(t).startTCP()
	addr := s.addrPort()
	server := Server{Name: "ns1.example.test", Addr: addr}
	cases := []struct {
		reason string
		entry  string
		want   bool
	}{
		{"by name", "ns1.example.test", true},
		{"by name, in capitals and absolute", "NS1.Example.Test.", true},
		{"by address", addr.Addr().String(), true},
		{"by address and port", addr.String(), true},
		{"another port is another server", fmt.Sprintf("%s:%d", addr.Addr(), addr.Port()+1), false},
		{"another name", "ns11.example.test", false},
		{"another address", "127.0.0.2", false},
	}
	for _, c := range cases {
		if got := ignored([]string{c.entry}, server); got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
	cfg := testConfig(s)
	cfg.Static, cfg.Ignore = append(cfg.Static, addr), []string{addr.String()}
	if a := sweepOf(t, startActor(t, cfg, quick()), ownerName(1)).Answers[0]; !a.Ignored || !a.Reachable {
		t.Errorf("an ignored server is asked all the same, and marked: %+v", a)
	}
}

func TestSignedReadOfAHiddenPrimary(t *testing.T) {
	s := newFakeServer(t)
	signed := make(chan bool, 64)
	s.misbehave = func(m *dns.Msg) fault {
		signed <- m.IsTsig() != nil
		return behave
	}
	s.startTCP()
	if a := sweepOf(t, startActor(t, testConfig(s), quick()), ownerName(1)).Answers[0]; !a.Primary || !a.Reachable {
		t.Fatalf("%+v", a)
	}
	if !<-signed {
		t.Error("with views, the key chooses what is seen: questions to the update server are to be signed")
	}
}

// A hidden primary that refuses the signature of a question says why, before any update is tried.
func TestHiddenPrimaryThatRefusesTheSignature(t *testing.T) {
	for _, c := range []struct {
		why   string
		fault fault
		want  string
	}{
		{"the clocks differ", replyBadTime, "10 minutes ahead of"},
		{"the server has another secret", replyBadSig, "BADSIG"},
		{"the server does not know the key", replyBadKey, "BADKEY"},
		{"nothing is said of the signature", replyNotAuth, "NOTAUTH to a query"},
	} {
		t.Run(c.why, func(t *testing.T) {
			s := newFakeServer(t)
			s.misbehave = toQueries(c.fault)
			s.startTCP()
			a := sweepOf(t, startActor(t, testConfig(s), quick()), ownerName(1)).Answers[0]
			if a.Reachable || !strings.Contains(a.Message, c.want) {
				t.Errorf("%+v, want it to say %q", a, c.want)
			}
		})
	}
}
