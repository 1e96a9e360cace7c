package zone_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Row 24: BIND drops updates over its quota without a word, and PowerDNS serves no more than 20 TCP
// connections at a time. The actor has one message of a zone in flight, and few connections.
func TestRow24ManyAtATime(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		s := newSite(t, m, servers.Options{})
		t.Run("connections", func(t *testing.T) { manyConnections(t, s) })
		if m == servers.BIND {
			t.Run("updates", func(t *testing.T) { manyUpdates(t, s) })
			t.Run("an update of the actor", droppedUpdate)
		}
		t.Run("the actor", func(t *testing.T) { manyOwners(t, s) })
	})
}

// manyConnections holds 24 connections and asks on another.
func manyConnections(t *testing.T, s *site) {
	var held []net.Conn
	for range 24 {
		conn, err := net.Dial("tcp", s.p.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
		defer func() { _ = conn.Close() }()
	}
	got := "answered"
	if _, err := servers.AskWithin(1500*time.Millisecond, s.p.Addr, apex, dns.TypeSOA, false); err != nil {
		got = "not answered"
	}
	s.does(t, "a question beside 24 connections", got, by{servers.BIND: "answered", servers.Knot: "answered", servers.PowerDNS: "not answered"})
	for _, conn := range held {
		_ = conn.Close()
	}
	if _, err := servers.Ask(s.p.Addr, apex, dns.TypeSOA, false); err != nil {
		t.Errorf("when they are closed: %v", err)
	}
}

// manyUpdates sends more updates at once than update-quota (100), over fewer connections than tcp-clients
// (150), until the server counts some as over its quota: their senders wait in vain.
func manyUpdates(t *testing.T, s *site) {
	const connections = 140
	for round := range 40 {
		var unanswered atomic.Int32
		conns := make([]net.Conn, connections)
		for i := range conns {
			conns[i] = s.op.dial(t)
		}
		together(connections, func(i int) {
			if _, err := s.op.exchange(conns[i], s.op.replace(tl("_25._tcp.r24", 60, 1000*round+i)), 4*time.Second); err != nil {
				unanswered.Add(1)
			}
		})
		for _, conn := range conns {
			_ = conn.Close()
		}
		if n := unanswered.Load(); n > 0 {
			t.Logf("round %d: %d of %d updates were not answered", round, n, connections)
			s.p.Control("stats")
			stats, err := os.ReadFile(filepath.Join(filepath.Dir(s.p.LogFile()), "named.stats"))
			if want := fmt.Sprintf("%d Update quota exceeded", n); err != nil || !strings.Contains(string(stats), want) {
				t.Errorf("the server does not count %q: %v", want, err)
			}
			return
		}
	}
	t.Error("BIND answered every update over its quota: does it queue them now?")
}

// droppedUpdate keeps the quota of a server full with updates of others, until it drops one of the actor's.
// That is told, and made when the others have gone.
func droppedUpdate(t *testing.T) {
	s := newSite(t, servers.BIND, servers.Options{UpdateQuota: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	for i := range 8 {
		others.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, _ = s.admin.try(s.admin.replace(tl(fmt.Sprintf("_25._tcp.other%d", i), 60, n)), 200*time.Millisecond)
			}
		})
	}
	var sent atomic.Bool
	r := s.with(nil, zone.Options{UpdateTimeout: 2 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return interposed{Conn: conn, before: func() { sent.Store(true) }}, nil
	}})
	name, n, stood := full("_25._tcp.r24"), 0, recs()
	servers.Eventually(t, "an update of the actor is dropped", func() error {
		sent.Store(false)
		got := r.publish(zone.Change{Owner: name, Expect: stood, Want: recs(n), TTL: time.Minute})
		if got.Class == zone.Applied {
			stood, n = recs(n), n+1
			return errors.New("all were carried out")
		}
		s.ends(t, got, every("Unreachable"), "no reply in time", "overloaded")
		if !got.Retryable {
			t.Errorf("it is not tried again: %+v", got)
		}
		if !sent.Load() {
			return errors.New("none was sent")
		}
		return nil
	})
	t.Logf("the update after %d that were carried out was dropped", n)
	cancel()
	others.Wait()
	s.ends(t, r.publish(zone.Change{Owner: name, Expect: stood, Want: recs(n), TTL: time.Minute}), every("Applied"))
	s.does(t, "served at last", s.shows(t, "_25._tcp.r24"), every(fmt.Sprintf("60: %d", n)))
}

// together runs n of them at once, and waits.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// manyOwners has two dozen actors, as of that many zones of one server, publish fifteen owners each.
func manyOwners(t *testing.T, s *site) {
	const actors, owners = 24, 15
	var open, most counter
	results := make(chan zone.Result, actors*owners)
	for a := range actors {
		var flying counter
		r := s.with(nil, zone.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			most.max(open.add(1))
			return &counted{Conn: conn, open: &open, flying: &flying, t: t}, nil
		}})
		for i := range owners {
			r.actor.Publish(zone.Change{Owner: owner(1000*a + i), Want: recs(i), TTL: time.Minute}, func(result zone.Result) { results <- result })
		}
	}
	for range actors * owners {
		if got := receive(t, results); got.Class != zone.Applied {
			t.Errorf("%s: %s", got.Class, got.Message)
		}
	}
	t.Logf("%d connections at most", most.n.Load())
	if n := most.n.Load(); n > 16 {
		t.Errorf("%d connections at a time", n)
	}
}

type counter struct{ n atomic.Int32 }

func (c *counter) add(d int32) int32 { return c.n.Add(d) }

func (c *counter) max(n int32) {
	for old := c.n.Load(); n > old && !c.n.CompareAndSwap(old, n); old = c.n.Load() {
	}
}

// counted is a connection that counts itself, and the updates of its zone that are on their way.
type counted struct {
	net.Conn
	t            *testing.T
	open, flying *counter
	update       atomic.Bool
	closed       sync.Once
}

func (c *counted) Write(octets []byte) (int, error) {
	return interposed{Conn: c.Conn, before: func() {
		c.update.Store(true)
		if n := c.flying.add(1); n > 1 {
			c.t.Errorf("%d updates of one zone are on their way", n)
		}
	}}.Write(octets)
}

func (c *counted) Read(octets []byte) (int, error) {
	n, err := c.Conn.Read(octets)
	if c.update.CompareAndSwap(true, false) {
		c.flying.add(-1)
	}
	return n, err
}

func (c *counted) Close() error {
	c.closed.Do(func() { c.open.add(-1) })
	return c.Conn.Close()
}

// Row 25: Knot carries out what came in meanwhile as a whole, and one bad update makes it fail the good
// ones with SERVFAIL. The actor tries again, after a look at what stands.
func TestRow25OneBadUpdateAmongGoodOnes(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		s := newSite(t, m, servers.Options{})
		bad := s.admin.add(tl("_25._tcp.mx", 60, 1))
		bad.Ns[0].Header().Name = "_25._tcp.mx.other.test."
		failed := 0
		for round := 0; round < 5 || m == servers.Knot && failed == 0 && round < 50; round++ {
			failed += goodOnesBeside(t, s, bad, round)
		}
		got := "none"
		if failed > 0 {
			got = "some"
		}
		s.does(t, "good updates that fail", got, by{servers.BIND: "none", servers.Knot: "some", servers.PowerDNS: "none"})
		throughAllTheSame(t, s, bad)
	})
}

// goodOnesBeside sends 32 good updates at once with a bad one among them, and counts the SERVFAILs.
func goodOnesBeside(t *testing.T, s *site, bad *dns.Msg, round int) int {
	var failed atomic.Int32
	together(33, func(i int) {
		if i == 16 {
			if got, err := s.admin.try(bad, patience); err != nil || got != "NOTZONE" && got != "SERVFAIL" {
				t.Errorf("the bad one: %s %v", got, err)
			}
			return
		}
		m := s.op.update()
		m.Insert(dnsTLSA(owner(i), 1000*round+i))
		switch got, err := s.op.insist(m); {
		case err != nil || got != "NOERROR" && got != "SERVFAIL":
			t.Errorf("a good one: %s %v", got, err)
		case got == "SERVFAIL":
			failed.Add(1)
		}
	})
	return int(failed.Load())
}

func dnsTLSA(name string, n int) []dns.RR {
	return []dns.RR{&dns.TLSA{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeTLSA, Class: dns.ClassINET, Ttl: 60},
		Usage: 3, Selector: 1, MatchingType: 1, Certificate: record(n).Data,
	}}
}

// throughAllTheSame has the actor make changes while somebody else's bad updates come without end.
func throughAllTheSame(t *testing.T, s *site, bad *dns.Msg) {
	ctx, cancel := context.WithCancel(context.Background())
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.admin.try(bad, patience)
			}
		})
	}
	defer others.Wait()
	defer cancel()
	again := 0
	before := recs()
	tries, last := 10, 0
	if s.m == servers.Knot {
		tries = 500 // at the most: until the actor has met it
	}
	for n := 0; n < 10 || again == 0 && n < tries; n++ {
		want := recs(n)
		last = n
		servers.Eventually(t, "the change is made", func() error {
			got := s.actor.publish(zone.Change{Owner: full("_25._tcp.r25"), Expect: before, Want: want})
			if got.Class == zone.Applied || got.Class == zone.Unchanged {
				return nil
			}
			again++
			s.ends(t, got, every("ServerFailure"), "SERVFAIL", full("_25._tcp.r25"), "Knot: a bad update of another client")
			if !got.Retryable {
				t.Fatalf("%s is not tried again: %s", got.Class, got.Message)
			}
			return errNotShown("the change")
		})
		before = want
	}
	t.Logf("%d tries more than the %d changes", again, last+1)
	met := "never"
	if again > 0 {
		met = "at times"
	}
	s.does(t, "the actor meets SERVFAIL", met, by{servers.BIND: "never", servers.Knot: "at times", servers.PowerDNS: met})
	s.does(t, "served at last", s.shows(t, "_25._tcp.r25"), every(fmt.Sprintf("60: %d", last)))
}
