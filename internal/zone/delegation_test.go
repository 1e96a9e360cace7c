package zone

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const childZone = "child." + testZone

// dsRecord is a DS record of the child with a digest that tells it from others.
func dsRecord(n int) *dns.DS {
	return &dns.DS{Hdr: header(childZone, dns.TypeDS, 60), KeyTag: uint16(n), Algorithm: dns.ECDSAP256SHA256, DigestType: dns.SHA256, Digest: fmt.Sprintf("%064x", n)}
}

// parentServer is a parent with a child that is delegated and has DS record 1.
func parentServer(t *testing.T) *fakeServer {
	t.Helper()
	s := newFakeServer(t)
	s.set(ns(childZone, "ns1.elsewhere."))
	s.set(dsRecord(1))
	return s
}

func publishDS(t *testing.T, a *Actor, c DSChange) Result {
	t.Helper()
	ch := make(chan Result, 1)
	a.PublishDS(c, func(r Result) { ch <- r })
	return wait(t, ch)
}

func swapDS() DSChange {
	return DSChange{Child: childZone, Expect: []*dns.DS{dsRecord(1)}, Want: []*dns.DS{dsRecord(2)}, TTL: time.Minute}
}

// TestPublishDS: how every kind of server ends a change of DS records. What stands afterwards decides.
func TestPublishDS(t *testing.T) {
	for _, c := range []struct {
		reason  string
		prepare func(*fakeServer)
		change  func(*DSChange)
		class   Class
		// stands is the record at the end, sent how many updates were carried out or ignored.
		stands, sent int
		message      string
	}{
		{reason: "a change", class: Applied, stands: 2, sent: 1},
		{reason: "the first record", prepare: func(s *fakeServer) { delete(s.sets, setKey{childZone, dns.TypeDS}) },
			change: func(c *DSChange) { c.Expect = nil }, class: Applied, stands: 2, sent: 1},
		{reason: "the first record, by the word of the name servers", prepare: func(s *fakeServer) { delete(s.sets, setKey{childZone, dns.TypeDS}) },
			change: func(c *DSChange) { c.Expect, c.Nameservers = nil, []string{"ns1.elsewhere."} }, class: Applied, stands: 2, sent: 1},
		{reason: "the primary delegates to others than vouched", prepare: func(s *fakeServer) { delete(s.sets, setKey{childZone, dns.TypeDS}) },
			change: func(c *DSChange) { c.Expect, c.Nameservers = nil, []string{"ns.evil."} }, class: Conflict, message: "to the name servers ns1.elsewhere., and"},
		{reason: "the primary delegates to more than vouched", prepare: func(s *fakeServer) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.set(ns(childZone, "ns2.elsewhere."), ns(childZone, "ns1.elsewhere."))
		}, change: func(c *DSChange) { c.Expect, c.Nameservers = nil, []string{"ns1.elsewhere."} }, class: Conflict, message: "ns1.elsewhere., ns2.elsewhere."},
		{reason: "the primary does not say whom it delegates to", prepare: func(s *fakeServer) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.misbehave = to(childZone, dns.TypeNS, replyServfail)
		}, change: func(c *DSChange) { c.Expect, c.Nameservers = nil, []string{"ns1.elsewhere."} }, class: ServerFailure, message: "SERVFAIL"},
		{reason: "what the primary says of it is not signed", prepare: func(s *fakeServer) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.misbehave = to(childZone, dns.TypeNS, replyUnsigned)
		}, change: func(c *DSChange) { c.Expect, c.Nameservers = nil, []string{"ns1.elsewhere."} }, class: UnsignedReply},
		{reason: "a removal", change: func(c *DSChange) { c.Want = nil }, class: Applied, sent: 1},
		{reason: "what stands already", change: func(c *DSChange) { c.Want = c.Expect }, class: Unchanged, stands: 1},
		{reason: "somebody else changed them", prepare: func(s *fakeServer) { s.set(dsRecord(3)) }, class: Conflict, stands: 3, message: "3 13 2"},
		{reason: "somebody else removed them", prepare: func(s *fakeServer) { delete(s.sets, setKey{childZone, dns.TypeDS}) }, class: Conflict, message: "none"},
		{reason: "carried out, the reply lost", prepare: onUpdate(applyThenSilence), class: Applied, stands: 2},
		{reason: "carried out, SERVFAIL", prepare: onUpdate(applyThenFail), class: Applied, stands: 2},
		{reason: "no reply", prepare: onUpdate(noReply), class: Unreachable, stands: 1},
		{reason: "shown late", prepare: onUpdate(applyLate), class: Applied, stands: 2},
		{reason: "NOERROR and ignored", prepare: onUpdate(ignoreUpdate), class: NotStored, stands: 1, message: "said NOERROR"},
		{reason: "a forged NOERROR", prepare: onUpdate(forgeNoError), class: UnsignedReply, stands: 1},
		{reason: "refused", prepare: onUpdate(replyRefused), class: NotPermitted, stands: 1, message: "grant tlsa-key name child.example.test. DS;"},
		{reason: "NOTAUTH", prepare: onUpdate(replyNotAuth), class: NotPrimary, stands: 1},
		{reason: "not below the zone", change: func(c *DSChange) { c.Child = "elsewhere.test." }, class: NotInZone, stands: 1},
		{reason: "the zone itself", change: func(c *DSChange) { c.Child = testZone }, class: NotInZone, stands: 1},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := parentServer(t)
			if c.prepare != nil {
				c.prepare(s)
			}
			s.startTCP()
			change := swapDS()
			if c.change != nil {
				c.change(&change)
			}
			r := publishDS(t, startActor(t, testConfig(s), quick()), change)
			if r.Class != c.class || !strings.Contains(r.Message, c.message) {
				t.Errorf("got %s (%s), want %s with %q", r.Class, r.Message, c.class, c.message)
			}
			var want []*dns.DS
			if c.stands > 0 {
				want = []*dns.DS{dsRecord(c.stands)}
			}
			if got := dsOf(s.get(childZone, dns.TypeDS)); !sameSet(dsRecords(got), dsRecords(want)) {
				t.Errorf("there stands %s, want %s", setText(dsRecords(got)), setText(dsRecords(want)))
			}
			if sent := s.sent(); c.sent != 0 && len(sent) != c.sent || c.class == Unchanged && len(sent) != 0 {
				t.Errorf("%d updates were sent", len(sent))
			}
		})
	}
}

func onUpdate(f fault) func(*fakeServer) {
	return func(s *fakeServer) {
		s.misbehave = func(m *dns.Msg) fault {
			// Some servers answer the update that explains a refusal as they did the one before.
			if m.Opcode == dns.OpcodeUpdate {
				return f
			}
			return behave
		}
	}
}

// TestDSAndTLSAGoOneAfterTheOther: one update of a zone is in flight at a time, of whatever type.
func TestDSAndTLSAGoOneAfterTheOther(t *testing.T) {
	s := parentServer(t)
	s.gate = make(chan struct{})
	s.startTCP()
	a := startActor(t, testConfig(s), Options{})
	results := make(chan Result, 3)
	a.PublishDS(swapDS(), func(r Result) { results <- r })
	a.Publish(Change{Owner: ownerName(1), Want: records([]dns.RR{}), TTL: time.Minute}, func(Result) {})
	a.Publish(Change{Owner: ownerName(2), Want: append(records(nil), record(1)), TTL: time.Minute}, func(r Result) { results <- r })
	close(s.gate)
	for range 2 {
		if r := wait(t, results); r.Class != Applied {
			t.Errorf("got %s: %s", r.Class, r.Message)
		}
	}
	if most := s.most.Load(); most != 1 {
		t.Errorf("%d updates were in flight at once", most)
	}
}

func sweepDSOf(t *testing.T, a *Actor, child string) DSSweep {
	t.Helper()
	ch := make(chan DSSweep, 1)
	a.SweepDS(child, func(s DSSweep) { ch <- s })
	return wait(t, ch)
}

// TestSweepDS: what a parent's server says of a child, and whether that validates.
func TestSweepDS(t *testing.T) {
	for _, c := range []struct {
		reason  string
		prepare func(*fakeServer, *Config)
		state   dnssec.State
		records int
		problem string
	}{
		{"signed", func(*fakeServer, *Config) {}, dnssec.Secure, 1, ""},
		{"a signed denial", func(s *fakeServer, _ *Config) { delete(s.sets, setKey{childZone, dns.TypeDS}) }, dnssec.Secure, 0, ""},
		{"an opt-out gap: a delegation with DS records would have a record of its own", func(s *fakeServer, _ *Config) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.optOut = true
		}, dnssec.Secure, 0, ""},
		{"an opt-out gap that is not signed right", func(s *fakeServer, _ *Config) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.optOut = true
			s.before = func(kind uint16, sig *dns.RRSIG) {
				if kind == dns.TypeNSEC3 {
					sig.Expiration = sig.Inception + 60
				}
			}
		}, dnssec.Bogus, 0, ""},
		{"a signature that is wrong", func(s *fakeServer, _ *Config) {
			s.before = func(kind uint16, sig *dns.RRSIG) {
				if kind == dns.TypeDS {
					sig.Expiration = sig.Inception + 60
				}
			}
		}, dnssec.Bogus, 1, ""},
		{"no anchor", func(_ *fakeServer, c *Config) { c.Anchors = nil }, dnssec.Indeterminate, 1, ""},
		{"not delegated", func(s *fakeServer, _ *Config) { delete(s.sets, setKey{childZone, dns.TypeNS}) }, dnssec.Indeterminate, 0, "is not delegated from example.test."},
		{"an alias", func(s *fakeServer, _ *Config) {
			delete(s.sets, setKey{childZone, dns.TypeDS})
			s.rr(childZone + " 60 CNAME other." + testZone)
		}, dnssec.Indeterminate, 0, "alias"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := parentServer(t)
			cfg := testConfig(s)
			c.prepare(s, &cfg)
			s.startTCP()
			cfg.Primary, cfg.Static = s.addr, append(cfg.Static, s.addrPort())
			got := sweepDSOf(t, startActor(t, cfg, quick()), childZone)
			if len(got.Answers) != 1 {
				t.Fatalf("%d servers were asked", len(got.Answers))
			}
			a := got.Answers[0]
			if a.State != c.state || len(a.DS) != c.records || !strings.Contains(a.Problem, c.problem) || (a.Problem == "") != (c.problem == "") {
				t.Errorf("got %s with %s (%s): problem %q", a.State, setText(dsRecords(a.DS)), a.Message, a.Problem)
			}
			if (a.State == dnssec.Secure) != (a.Message == "") && a.Problem == "" {
				t.Errorf("%s says %q", a.State, a.Message)
			}
			// The NS records have 300 seconds, the DS records 60.
			if want := map[int]time.Duration{0: 5 * time.Minute, 1: time.Minute}[c.records]; a.Problem == "" && got.TTL != want {
				t.Errorf("TTL %s, want %s", got.TTL, want)
			}
		})
	}
}

func TestSweepDSOfAnotherZone(t *testing.T) {
	s := parentServer(t)
	s.startTCP()
	for _, child := range []string{"elsewhere.test.", testZone, "evil" + testZone} {
		if got := sweepDSOf(t, startActor(t, testConfig(s), quick()), child).Answers[0]; !strings.Contains(got.Problem, "is not below the zone") {
			t.Errorf("%s: %q", child, got.Problem)
		}
	}
}

// TestSweepKeys: every public server is asked, an excepted one and a hidden primary are not.
func TestSweepKeys(t *testing.T) {
	s := newFakeServer(t)
	s.set(s.ds().ToCDS())
	s.set(s.dnskey.ToCDNSKEY())
	s.startTCP()
	silent := s.twin()
	silent.misbehave = func(*dns.Msg) fault { return noReply }
	silent.startTCP()
	hidden, excepted := s.twin().startTCP(), s.twin().startTCP()
	cfg := testConfig(s)
	cfg.Primary = hidden.addr
	cfg.Static = append(cfg.Static, s.addrPort(), silent.addrPort(), excepted.addrPort())
	cfg.Ignore = []string{excepted.addr}
	ch := make(chan KeySweep, 1)
	startActor(t, cfg, quick()).SweepKeys(func(k KeySweep) { ch <- k })
	got := wait(t, ch).Answers
	if len(got) != 2 {
		t.Fatalf("%d servers were asked: %+v", len(got), got)
	}
	for _, a := range got {
		switch a.Server {
		case s.addr:
			if a.Problem != "" || len(a.CDS.Records) != 1 || len(a.CDS.Signatures) != 1 || len(a.CDNSKEY.Records) != 1 || len(a.DNSKEY.Signatures) != 1 {
				t.Errorf("got %+v", a)
			}
		case silent.addr:
			if a.Problem == "" {
				t.Error("a silent server has no problem")
			}
		default:
			t.Errorf("%s was asked", a.Server)
		}
	}
}

func TestDSYNCNames(t *testing.T) {
	soa := func(apex string) *dns.Msg {
		m := new(dns.Msg)
		if apex != "" {
			m.Ns = []dns.RR{&dns.SOA{Hdr: header(apex, dns.TypeSOA, 1)}}
		}
		return m
	}
	if got := firstDSYNC("child.example.test."); got != "child._dsync.example.test." {
		t.Errorf("looks first at %s", got)
	}
	if got := firstDSYNC("."); got != "" {
		t.Errorf("looks for the parent of the root at %s", got)
	}
	for _, c := range []struct{ reason, zone, asked, apex, want string }{
		{"the parent is right above", "child.example.test.", "child._dsync.example.test.", "example.test.", "_dsync.example.test."},
		{"the answer tells no zone", "child.example.test.", "child._dsync.example.test.", "", "_dsync.example.test."},
		{"the parent is higher up", "city.ise.mie.test.", "city._dsync.ise.mie.test.", "test.", "city.ise.mie._dsync.test."},
		{"then at the parent for all zones", "city.ise.mie.test.", "city.ise.mie._dsync.test.", "test.", "_dsync.test."},
		{"that was the last place", "child.example.test.", "_dsync.example.test.", "example.test.", ""},
		{"a zone that is no ancestor", "child.example.test.", "child._dsync.example.test.", "other.", "_dsync.example.test."},
		{"the root", "test.", "test._dsync.", ".", "_dsync."},
	} {
		if got := nextDSYNC(c.zone, c.asked, soa(c.apex)); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

// dsync makes a DSYNC record as the library knows it.
func dsync(t *testing.T, owner string, kind uint16, scheme byte, port uint16, target string) dns.RR {
	t.Helper()
	buf := make([]byte, 300)
	end, err := dns.PackDomainName(target, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	octets := append([]byte{byte(kind >> 8), byte(kind), scheme, byte(port >> 8), byte(port)}, buf[:end]...)
	return &dns.RFC3597{Hdr: header(owner, typeDSYNC, 300), Rdata: hex.EncodeToString(octets)}
}

func TestReadDSYNC(t *testing.T) {
	owner := "_dsync.test."
	got := readDSYNC([]dns.RR{
		dsync(t, owner, dns.TypeCDS, 1, 5300, "scanner.test."), dsync(t, owner, dns.TypeCDS, 1, 5300, "scanner.test."),
		dsync(t, owner, dns.TypeCSYNC, 1, 5300, "other.test."), dsync(t, owner, dns.TypeCDS, 2, 5300, "other.test."),
		dsync(t, owner, dns.TypeCDS, 1, 0, "other.test."), dsync(t, owner, dns.TypeCDS, 1, 53, "."),
		&dns.RFC3597{Hdr: header(owner, typeDSYNC, 300), Rdata: "003b0114"},
		&dns.RFC3597{Hdr: header(owner, typeDSYNC, 300), Rdata: "003b01145003616263"},
	})
	if want := []NotifyTarget{{Host: "scanner.test.", Port: 5300, Owner: owner}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var many []dns.RR
	for port := range uint16(100) {
		many = append(many, dsync(t, owner, dns.TypeCDS, 1, 5300+port, "scanner.test."))
	}
	if got := readDSYNC(many); len(got) != mostTargets {
		t.Errorf("of 100 targets %d are told, want %d", len(got), mostTargets)
	}
}

// TestNotifyParent: DSYNC is found by way of the resolvers, and the NOTIFY that is sent there says CDS.
func TestNotifyParent(t *testing.T) {
	d := newDelegation(t)
	d.parent.rr("example.test. 300 DS 1 13 2 " + strings.Repeat("ab", 32))
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *dns.Msg, 10)
	var code atomic.Int32
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		got <- m
		out := new(dns.Msg)
		out.SetRcode(m, int(code.Load()))
		_ = w.WriteMsg(out)
	}), MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	d.world["udp 192.0.2.99:5300"] = pc.LocalAddr().String()
	d.resolver.set(dsync(t, "_dsync.test.", dns.TypeCDS, 1, 5300, "scanner.test."))
	d.resolver.rr("test. 300 SOA a. b. 1 1 1 1 1")
	d.resolver.rr("scanner.test. 300 A 192.0.2.99")

	look := newKnowledge(t.Context(), d.opts).lookAtParent(t.Context(), d.cfg)
	if look.Problem != "" || look.Zone != "test." || len(look.Answers) != 1 || look.Answers[0].Problem != "" || len(look.Answers[0].DS) != 1 {
		t.Fatalf("got %+v", look)
	}
	if want := []NotifyTarget{{Host: "scanner.test.", Port: 5300, Owner: "_dsync.test."}}; !slices.Equal(look.Targets, want) {
		t.Fatalf("targets %+v (%s), want %+v", look.Targets, look.TargetsProblem, want)
	}
	a := startActor(t, d.cfg, d.opts)
	results := make(chan Result, 1)
	for _, c := range []struct {
		code  int
		class Class
	}{{dns.RcodeRefused, NotPermitted}, {dns.RcodeSuccess, Applied}} {
		code.Store(int32(c.code))
		a.NotifyParent(look.Targets[0], func(r Result) { results <- r })
		if r := wait(t, results); r.Class != c.class || r.At.IsZero() {
			t.Errorf("%s: got %s: %s", dns.RcodeToString[c.code], r.Class, r.Message)
		}
		m := wait(t, got)
		if q := m.Question[0]; m.Opcode != dns.OpcodeNotify || q.Name != testZone || q.Qtype != dns.TypeCDS {
			t.Errorf("got %s", m)
		}
	}
	delete(d.world, "udp 192.0.2.99:5300")
	a.NotifyParent(look.Targets[0], func(r Result) { results <- r })
	if r := wait(t, results); r.Class != Unreachable || !r.Retryable || !strings.Contains(r.Message, "scanner.test.") {
		t.Errorf("nobody there: got %s: %s", r.Class, r.Message)
	}
}
