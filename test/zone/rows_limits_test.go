package zone_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Row 16: BIND lowers a TTL above max-zone-ttl without a word, which dnssec-policy sets too.
func TestRow16TTLAboveTheMaximum(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		s := newSite(t, m, servers.Options{})
		const name, week = "_25._tcp.r16", 7 * 86400
		s.does(t, "add", s.op.send(s.op.add(tl(name, week, 1))), every("NOERROR"))
		s.does(t, "served then", s.shows(t, name), by{servers.BIND: "86400: 1", servers.Knot: "604800: 1", servers.PowerDNS: "604800: 1"})
		got := s.publish("_26._tcp.r16", week, nil, recs(1))
		s.ends(t, got, by{servers.BIND: "NotStored", servers.Knot: "Applied", servers.PowerDNS: "Applied"},
			full("_26._tcp.r16"), "TTL 86400 instead of 604800", "spec.tlsa.ttl", "max-zone-ttl")
		if s.m == servers.BIND && !got.CurrentKnown {
			t.Error("what stands is not told")
		}
	})
}

// Row 17: BIND drops what is over the number in the grant. The others have no such limit.
func TestRow17MoreRecordsThanTheGrantAllows(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		o := servers.Options{}
		if m == servers.BIND {
			o.Grants = []string{"grant tlsa-key wildcard *." + apex + " TLSA(2);"}
		}
		s := newSite(t, m, o)
		const name = "_25._tcp.r17"
		s.does(t, "add", s.op.send(s.op.add(tl(name, 60, 1), tl(name, 60, 2), tl(name, 60, 3))), every("NOERROR"))
		s.does(t, "served then", s.shows(t, name), by{servers.BIND: "60: 1 2", servers.Knot: "60: 1 2 3", servers.PowerDNS: "60: 1 2 3"})
		s.ends(t, s.publish("_26._tcp.r17", 60, nil, recs(1, 2, 3, 4, 5, 6)), by{servers.BIND: "NotStored", servers.Knot: "Applied", servers.PowerDNS: "Applied"},
			full("_26._tcp.r17"), "only 2 of the 6 records", "update-policy")
	})
}

// Row 18: BIND with inline-signing says NOERROR before it serves the change. Whoever signs as it goes shows
// the record with its signature in the first read.
func TestRow18FirstReadAfterTheAcknowledgement(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		t.Run("signing as it goes", func(t *testing.T) { firstRead(t, newSite(t, m, servers.Options{}), false) })
		if m == servers.BIND {
			t.Run("inline-signing", func(t *testing.T) {
				firstRead(t, newSite(t, m, servers.Options{InlineSigning: true}), true)
			})
		}
	})
}

func firstRead(t *testing.T, s *site, late bool) {
	const name, enough, most = "_25._tcp.r18", 30, 500
	conn, err := net.Dial("udp", s.p.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	missed, n := 0, 0
	for n < enough || late && missed == 0 && n < most {
		n++
		if got := s.op.send(s.fifty(name, n)); got != "NOERROR" {
			t.Fatal(got)
		}
		if err := signedAs(conn, name, n); err != nil {
			missed++
			servers.Eventually(t, "the change is served", func() error { return signedAs(conn, name, n) })
		}
	}
	t.Logf("%d of %d first reads missed the change", missed, n)
	if (missed > 0) != late {
		t.Error("the server has changed in this")
	}
	s.actor = s.with(nil, zone.Options{ReadBackFor: time.Minute})
	before := recs(n)
	for n := range 10 {
		want := recs(1000 + n)
		s.ends(t, s.publishBy(s.actor, zone.Change{Owner: full(name), Expect: before, Want: want}), every("Applied"))
		if err := green(s.actor.sweep(full(name)), want...); err != nil {
			t.Errorf("acknowledged by the actor: %v", err)
		}
		before = want
	}
}

// fifty changes a name and 49 others, as the actor does: so much takes a while to sign.
func (s *site) fifty(name string, n int) *dns.Msg {
	m := s.op.update()
	for i := range 50 {
		at := fmt.Sprintf("%s-%d", name, i)
		if i == 49 {
			at = name
		}
		m.RemoveRRset(s.op.rr(tl(at, 60, n)))
		m.Insert(s.op.rr(tl(at, 60, n)))
	}
	return m
}

// signedAs returns nil if a name shows one record with a signature. It asks on a connection that is
// there, by UDP: nothing is faster.
func signedAs(conn net.Conn, name string, n int) error {
	q := new(dns.Msg)
	q.SetQuestion(full(name), dns.TypeTLSA)
	q.SetEdns0(4096, true)
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &dns.Conn{Conn: conn, UDPSize: 4096}
	if err := c.WriteMsg(q); err != nil {
		return err
	}
	m, err := c.ReadMsg()
	if err != nil {
		return err
	}
	set := rrset(m, full(name), dns.TypeTLSA)
	if len(set) != 1 || set[0].(*dns.TLSA).Certificate != record(n).Data {
		return errNotShown("the record")
	}
	if len(rrset(m, full(name), dns.TypeRRSIG)) == 0 {
		return errNotShown("its signature")
	}
	return nil
}

type errNotShown string

func (e errNotShown) Error() string { return string(e) + " is not shown" }

// Row 23: BIND takes updates over TLS (TestUpdatesOverEveryTransport); Knot does from 3.4 on, and the
// authoritative PowerDNS does not. A port without TLS is told as such.
func TestRow23UpdatesOverTLS(t *testing.T) {
	onEvery(t, func(t *testing.T, m servers.Make) {
		s := newSite(t, m, servers.Options{})
		r := s.with(func(c *zone.Config) { c.Protocol, c.TLS = zone.TLS, &zone.TLSConfig{} }, zone.Options{DialTimeout: time.Second})
		got := s.publishBy(r, zone.Change{Owner: full("_25._tcp.r23"), Want: recs(1)})
		s.ends(t, got, every("Unreachable"), "the zone "+apex, "does not answer TLS", "853", "spec.update.protocol")
		if !got.Retryable {
			t.Error("it is not tried again")
		}
		if m != servers.BIND {
			return
		}
		certFile, keyFile, ca := selfSigned(t)
		secure := newSite(t, m, servers.Options{TLSCert: certFile, TLSKey: keyFile})
		over := func(c *zone.Config) {
			c.Primary, c.Protocol, c.TLS = secure.p.TLS.String(), zone.TLS, &zone.TLSConfig{CABundle: ca}
		}
		got = secure.with(over, zone.Options{}).publish(zone.Change{Owner: full("_25._tcp.r23"), Want: recs(1)})
		secure.ends(t, got, every("Applied"))
	})
}
