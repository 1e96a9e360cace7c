package zone_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

// raw sends updates to a server as they are given, without anything that the actor does around them:
// it shows what the server really does.
type raw struct {
	t       testing.TB
	zone    string
	at      netip.AddrPort
	network string
	// key signs; an empty one does not. algorithm is in the spelling of DNS, with the dot.
	key, algorithm, secret string
	// skew is how wrong the clock is.
	skew time.Duration
	// locks says that the server says SERVFAIL to an update while it writes itself: PowerDNS with SQLite
	// does, when the update before is noted as told to the secondaries.
	locks bool
}

// asOperator signs with the key that may write TLSA alone; asAdmin with the one that may write everything.
func asOperator(t testing.TB, p *servers.Primary) raw {
	algorithm := "hmac-" + strings.ToLower(strings.TrimPrefix(p.TSIGAlgorithm, "HMAC")) + "."
	return raw{t: t, zone: p.Zone, at: p.Addr, network: "tcp", key: p.TSIGName + ".", algorithm: algorithm, secret: p.TSIGSecret, locks: p.Make == servers.PowerDNS}
}

func asAdmin(t testing.TB, p *servers.Primary) raw {
	return raw{t: t, zone: p.Zone, at: p.Addr, network: "tcp", key: servers.AdminName + ".", algorithm: dns.HmacSHA256, secret: p.AdminSecret(), locks: p.Make == servers.PowerDNS}
}

// rr reads records in presentation form, relative to the zone.
func (r raw) rr(texts ...string) []dns.RR {
	r.t.Helper()
	var out []dns.RR
	for _, text := range texts {
		z := dns.NewZoneParser(strings.NewReader(text+"\n"), apex, "")
		rr, ok := z.Next()
		if !ok {
			r.t.Fatalf("%s: %v", text, z.Err())
		}
		out = append(out, rr)
	}
	return out
}

// update is the empty message for the zone.
func (r raw) update() *dns.Msg {
	m := new(dns.Msg)
	m.SetUpdate(r.zone)
	m.Compress = true
	return m
}

// add makes a message that adds records; replace deletes their RRset before.
func (r raw) add(texts ...string) *dns.Msg {
	r.t.Helper()
	m := r.update()
	m.Insert(r.rr(texts...))
	return m
}

func (r raw) replace(texts ...string) *dns.Msg {
	r.t.Helper()
	m := r.update()
	m.RemoveRRset(r.rr(texts...)[:1])
	m.Insert(r.rr(texts...))
	return m
}

// try sends a message on a connection of its own and says what came back, in words: the code, and the
// TSIG error or "unsigned" where there is no good signature.
func (r raw) try(m *dns.Msg, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, r.network, r.at.String())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return r.exchange(conn, m, limit)
}

func (r raw) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial(r.network, r.at.String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// exchange is try on a connection that is there.
func (r raw) exchange(conn net.Conn, m *dns.Msg, limit time.Duration) (string, error) {
	wire, id, err := r.sign(m)
	if err != nil {
		return "", err
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	c := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	if _, err := c.Write(wire); err != nil {
		return "", err
	}
	octets, err := c.ReadMsgHeader(nil)
	if err != nil {
		return "", err
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(octets); err != nil {
		return "", err
	}
	if reply.Id != id {
		return "", errors.New("the reply has another ID")
	}
	return said(reply), nil
}

// sign packs a copy of a message with an ID and a signature of its own.
func (r raw) sign(m *dns.Msg) (wire []byte, id uint16, err error) {
	m = m.Copy()
	m.Id = dns.Id()
	if r.key == "" {
		wire, err = m.Pack()
		return wire, m.Id, err
	}
	m.SetTsig(r.key, r.algorithm, 300, time.Now().Add(r.skew).Unix())
	wire, _, err = dns.TsigGenerate(m, r.secret, "", false)
	return wire, m.Id, err
}

func said(reply *dns.Msg) string {
	code := dns.RcodeToString[reply.Rcode]
	switch tsig := reply.IsTsig(); {
	case tsig == nil:
		return code + " unsigned"
	case tsig.Error != dns.RcodeSuccess:
		// Both names of code 16 are its.
		name := dns.RcodeToString[int(tsig.Error)]
		if tsig.Error == dns.RcodeBadSig {
			name = "BADSIG"
		}
		return code + " " + name
	}
	return code
}

// patience is how long a server may take over an update.
const patience = 30 * time.Second

// insist is try, and again as long as the server locks.
func (r raw) insist(m *dns.Msg) (string, error) {
	for tries := 0; ; tries++ {
		got, err := r.try(m, patience)
		if got != "SERVFAIL" || !r.locks || tries == 50 {
			return got, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// send is insist; no reply fails the test.
func (r raw) send(m *dns.Msg) string {
	r.t.Helper()
	got, err := r.insist(m)
	if err != nil {
		r.t.Fatalf("update by %s: %v", r.network, err)
	}
	return got
}

// answer is what a server says to a question, in presentation form without the TTLs of signatures.
func answer(t testing.TB, at netip.AddrPort, name string, qtype uint16) *dns.Msg {
	t.Helper()
	m, err := servers.Ask(at, name, qtype, false)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rrset is one RRset of an answer.
func rrset(m *dns.Msg, name string, qtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == qtype && dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(name) {
			out = append(out, rr)
		}
	}
	return out
}
