package zone

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// packetServer is a server that takes everything by TCP, and packets on the same port as told: answer
// returns what is sent back for a packet.
func packetServer(t *testing.T, answer func(s *fakeServer, packet []byte) [][]byte) (*fakeServer, func() int) {
	t.Helper()
	s := newFakeServer(t).startTCP()
	pc, err := net.ListenPacket("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	var mu sync.Mutex
	packets := 0
	go func() {
		buf := make([]byte, dns.MaxMsgSize)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			mu.Lock()
			packets++
			mu.Unlock()
			for _, out := range answer(s, slices.Clone(buf[:n])) {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return s, func() int {
		mu.Lock()
		defer mu.Unlock()
		return packets
	}
}

func altered(change func(*dns.Msg)) func(*fakeServer, []byte) [][]byte {
	return func(_ *fakeServer, packet []byte) [][]byte {
		req, m := new(dns.Msg), new(dns.Msg)
		if req.Unpack(packet) != nil {
			return nil
		}
		m.SetReply(req)
		m.Authoritative = true
		change(m)
		out, err := m.Pack()
		if err != nil {
			return nil
		}
		return [][]byte{out}
	}
}

// Many owners are looked at and read back by packet. What packets do not bring, or bring without proof, is
// asked by the stream: the results are the same.
func TestManyQuestionsGoByPacket(t *testing.T) {
	answered := func(s *fakeServer, packet []byte) [][]byte { return s.handle(packet) }
	dropped := 0
	cases := []struct {
		reason string
		answer func(*fakeServer, []byte) [][]byte
		// most is how many packets may be sent for 60 owners, looked at and read back.
		least, most int
	}{
		{"a server that answers them", answered, 120, 130},
		{"a server that answers none is asked a window of them, once", func(*fakeServer, []byte) [][]byte { return nil }, 1, packetWindow},
		{"every fifth is lost", func(s *fakeServer, packet []byte) [][]byte {
			if dropped++; dropped%5 == 0 {
				return nil
			}
			return s.handle(packet)
		}, packetWindow, 130},
		{"replies that nobody signed are not believed", altered(func(*dns.Msg) {}), 1, packetWindow},
		{"nor refusals that nobody signed", altered(func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }), 1, packetWindow},
		{"NOTAUTH is heard by the stream alone", altered(func(m *dns.Msg) { m.Rcode = dns.RcodeNotAuth }), 1, 60},
		{"a forged reply comes before the true one", func(s *fakeServer, packet []byte) [][]byte {
			return append(altered(func(*dns.Msg) {})(s, packet), s.handle(packet)...)
		}, 120, 130},
		{"what is truncated is asked by the stream", truncated, 1, 130},
	}
	for _, c := range cases {
		s, packets := packetServer(t, c.answer)
		for owner, r := range publishAll(t, testConfig(s), manyChanges(60)) {
			if r.Class != Applied {
				t.Errorf("%s: %s: %s %s", c.reason, owner, r.Class, r.Message)
			}
		}
		if n := len(s.sent()); n != 2 {
			t.Errorf("%s: %d updates", c.reason, n)
		}
		if n := packets(); n < c.least || n > c.most {
			t.Errorf("%s: %d packets, want %d to %d", c.reason, n, c.least, c.most)
		}
	}
}

// truncated answers a packet with nothing but the flag that there is more, signed.
func truncated(s *fakeServer, packet []byte) [][]byte {
	req, m := new(dns.Msg), new(dns.Msg)
	if req.Unpack(packet) != nil {
		return nil
	}
	m.SetReply(req)
	m.Truncated = true
	m.SetTsig(testKey, s.keyAlgo, 300, time.Now().Unix())
	out, _, err := dns.TsigGenerate(m, testSecret, req.IsTsig().MAC, false)
	if err != nil {
		return nil
	}
	return [][]byte{out}
}

// Few questions, and those that no key signs, go by the stream.
func TestFewQuestionsGoByStream(t *testing.T) {
	s, packets := packetServer(t, func(s *fakeServer, packet []byte) [][]byte { return s.handle(packet) })
	publishAll(t, testConfig(s), manyChanges(packetsFrom-1))
	if n := packets(); n != 0 {
		t.Errorf("%d packets for a few owners", n)
	}
	unsigned := testConfig(s)
	unsigned.TSIG, s.keys = nil, nil
	for owner, r := range publishAll(t, unsigned, manyChanges(40)) {
		if r.Class != Applied && r.Class != Unchanged {
			t.Errorf("%s: %s: %s", owner, r.Class, r.Message)
		}
	}
	if n := packets(); n != 0 {
		t.Errorf("%d packets without a key", n)
	}
}

// A server that answers no packets is not tried again for a while.
func TestPacketsAreGivenUp(t *testing.T) {
	var p packetPath
	now := time.Now()
	if !p.open("a", now) {
		t.Error("a server that was never asked does not get packets")
	}
	p.shut("a", now)
	if p.open("a", now.Add(packetRest-time.Second)) || !p.open("a", now.Add(packetRest)) || !p.open("b", now) {
		t.Error("a silent server is to be left alone for packetRest, and no other")
	}
}

// A change that follows a sweep of its owner needs no look; one that finds something else than the sweep
// showed is looked at.
func TestChangeAfterASweepIsNotLookedAtAgain(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	s := newFakeServer(t)
	s.misbehave = func(m *dns.Msg) fault {
		mu.Lock()
		defer mu.Unlock()
		kind := dns.TypeToString[m.Question[0].Qtype]
		if m.Opcode == dns.OpcodeUpdate {
			kind = "UPDATE"
		}
		asked = append(asked, kind)
		return behave
	}
	s.startTCP()
	take := func() string {
		mu.Lock()
		defer mu.Unlock()
		out := strings.Join(asked, " ")
		asked = nil
		return out
	}
	a := startActor(t, testConfig(s), quick())
	one, two := first(1), first(1)
	two.Expect, two.Want = one.Want, first(2).Want
	steps := []struct {
		reason string
		sweep  bool
		change Change
		want   Class
		asked  string
	}{
		{"without a sweep it is looked at", false, first(3), Applied, "TLSA UPDATE TLSA"},
		{"after a sweep it is sent and read back", true, one, Applied, "UPDATE TLSA"},
		{"what the read-back showed serves as well", false, two, Applied, "UPDATE TLSA"},
		{"what is wanted already is looked at and not sent", false, two, Unchanged, "TLSA"},
		{"an expectation that differs from what was seen is looked at and not sent", false, one, Conflict, "TLSA"},
	}
	for _, step := range steps {
		if step.sweep {
			sweepOf(t, a, step.change.Owner)
		}
		take()
		got := publish(t, a, step.change)
		if said := take(); got.Class != step.want || said != step.asked {
			t.Errorf("%s: %s by %q, want %s by %q", step.reason, got.Class, said, step.want, step.asked)
		}
	}
	// Somebody else writes between the sweep and the change: the prerequisite finds it.
	sweepOf(t, a, ownerName(5))
	s.publishDirect(5, record(77))
	if got := publish(t, a, first(5)); got.Class != Conflict || len(s.get(ownerName(5), dns.TypeTLSA)) != 1 {
		t.Errorf("a foreign change after the sweep: %s %s", got.Class, got.Message)
	}
	// Or makes the owner an alias: that is said, not that somebody changed the records.
	if got := publish(t, a, first(6)); got.Class != Applied {
		t.Fatal(got.Message)
	}
	alias, err := dns.NewRR(ownerName(6) + " 60 CNAME other." + testZone)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	delete(s.sets, setKey{ownerName(6), dns.TypeTLSA})
	s.sets[setKey{ownerName(6), dns.TypeCNAME}] = []dns.RR{alias}
	s.mu.Unlock()
	to := first(7)
	to.Owner, to.Expect = ownerName(6), first(6).Want
	if got := publish(t, a, to); got.Class != OwnerIsAlias || got.Retryable {
		t.Errorf("an owner that became an alias: %s %s", got.Class, got.Message)
	}
}

func TestMemory(t *testing.T) {
	cfg := Config{Zone: testZone, Primary: "192.0.2.1:53"}
	other := Config{Zone: testZone, Primary: "192.0.2.2:53"}
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	seen := stored{records: first(1).Want, ttl: time.Hour}
	change := Change{Owner: ownerName(1), Expect: first(1).Want, Want: first(2).Want, TTL: time.Hour}
	same := Change{Owner: ownerName(1), Expect: first(1).Want, Want: first(1).Want, TTL: time.Hour}
	longer := same
	longer.TTL = 2 * time.Hour
	cases := []struct {
		reason string
		cfg    Config
		seen   stored
		change Change
		after  time.Duration
		want   bool
	}{
		{"what was just seen and is expected", cfg, seen, change, 0, true},
		{"a change of TTL alone", cfg, seen, longer, 0, true},
		{"as long as it is young", cfg, seen, change, rememberFor, true},
		{"not when it is old", cfg, seen, change, 2 * rememberFor, false},
		{"nor when the clock was set back", cfg, seen, change, -time.Second, false},
		{"another primary", other, seen, change, 0, false},
		{"what is wanted already", cfg, seen, same, 0, false},
		{"something else than expected", cfg, stored{records: first(3).Want, ttl: time.Hour}, change, 0, false},
		{"what a wildcard gave", cfg, stored{records: first(1).Want, ttl: time.Hour, synthesized: true}, change, 0, false},
		{"a place where nothing can stand", cfg, stored{problem: outcome{class: OwnerIsAlias}}, change, 0, false},
	}
	for _, c := range cases {
		m := newMemory()
		m.note(cfg, start, ownerName(1), c.seen)
		if _, got := m.recall(c.cfg, start.Add(c.after), c.change); got != c.want {
			t.Errorf("%s: remembered is %t", c.reason, got)
		}
	}
	m := newMemory()
	m.note(cfg, start, ownerName(1), seen)
	m.note(cfg, start, ownerName(1), stored{problem: outcome{class: NotStored}})
	if _, ok := m.recall(cfg, start, change); ok {
		t.Error("what became doubtful is remembered")
	}
}
