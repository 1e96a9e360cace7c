package wire_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

const (
	keyName = "key."
	secret  = "MDEyMzQ1Njc4OWFiY2RlZg=="
	// trueTime is what the clock of the name server shows.
	trueTime = "000000000001"
)

// answering is a name server that signs its answers and refuses what was signed at another time.
func answering(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		sent := q.IsTsig()
		if sent != nil {
			m.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
		}
		if errors.Is(w.TsigStatus(), dns.ErrTime) {
			m.Rcode = dns.RcodeNotAuth
			t := m.IsTsig()
			t.Error, t.TimeSigned, t.OtherLen, t.OtherData = dns.RcodeBadTime, sent.TimeSigned, 6, trueTime
		} else {
			rr, _ := dns.NewRR(q.Question[0].Name + ` 1 IN TXT "real"`)
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m) // to a client that may be gone
	})
	keys := map[string]string{keyName: secret}
	for _, s := range []*dns.Server{
		{Listener: l, Handler: handler, TsigSecret: keys, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }},
		{PacketConn: packets, Handler: handler, TsigSecret: keys},
	} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return l.Addr().String()
}

func start(t *testing.T) *wire.DNS {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1"))
	p, err := wire.StartDNS(answering(t), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// meets sends one signed question and says what comes of it.
func meets(t *testing.T, network, addr string) string {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	c := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	q := new(dns.Msg)
	q.SetQuestion("name.", dns.TypeTXT)
	q.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
	text, mac, err := dns.TsigGenerate(q, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(text); err != nil {
		t.Fatal(err)
	}
	header := new(dns.Header)
	got, err := c.ReadMsgHeader(header)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "end"
	case err != nil:
		return "garbage"
	}
	m := new(dns.Msg)
	if m.Unpack(got) != nil || m.Id != q.Id {
		return "garbage"
	}
	signature := m.IsTsig()
	switch {
	case m.Truncated:
		return "truncated"
	case signature == nil:
		return "unsigned"
	case signature.Error == dns.RcodeBadTime && signature.OtherData != trueTime:
		return "BADTIME by another clock"
	case dns.TsigVerify(got, secret, mac, false) != nil:
		return "wrong MAC"
	}
	return "answer"
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const long = time.Second
	for _, c := range []struct {
		name        string
		fault       wire.Fault
		tcp, packet string
	}{
		{"none", nil, "answer", "answer"},
		{"requests are lost", wire.Drop{}, "silence", "silence"},
		{"replies are lost", wire.DropReplies{}, "silence", "silence"},
		{"a reply is later than is waited for", wire.Delay{By: long}, "silence", "silence"},
		{"the first of two copies is as good as one", wire.Duplicate{}, "answer", "answer"},
		{"nothing but the TC bit", wire.Truncate{}, "truncated", "truncated"},
		{"half of a message", wire.Cut{}, "end", "garbage"},
		{"RST; there is none for packets", wire.Reset{}, "reset", "silence"},
		{"the forged one is first", wire.Forge{}, "unsigned", "unsigned"},
		{"the forged one is first, with a signature", wire.Forge{Signature: true}, "wrong MAC", "wrong MAC"},
		{"octet by octet; packets cannot", wire.Trickle{Every: long}, "silence", "answer"},
		{"random octets under a wrong ID", wire.Garbage{}, "garbage", "garbage"},
		{"clocks that differ", wire.Skew{By: time.Hour, Secret: secret}, "BADTIME by another clock", "BADTIME by another clock"},
		{"no streams", wire.NoTCP{}, "reset", "answer"},
		{"no packets", wire.NoUDP{}, "answer", "silence"},
		// The server signs its answer to another request than was sent: this fault is for more than the fudge.
		{"clocks that differ less than the fudge", wire.Skew{By: time.Minute, Secret: secret}, "wrong MAC", "wrong MAC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			p.Set(c.fault)
			if have := meets(t, "tcp", p.Addr.String()); have != c.tcp {
				t.Errorf("by TCP: %s, want %s", have, c.tcp)
			}
			if have := meets(t, "udp", p.Addr.String()); have != c.packet {
				t.Errorf("by UDP: %s, want %s", have, c.packet)
			}
			p.Set(nil)
			if have := meets(t, "tcp", p.Addr.String()); have != "answer" {
				t.Errorf("afterwards by TCP: %s", have)
			}
			counts := p.Counts()
			if counts.Queries != 3 || counts.Connections != 2 {
				t.Errorf("counted %+v, want 3 queries and 2 connections", counts)
			}
		})
	}
}

// What a stream has lost comes through when the fault is over.
func TestDropHoldsAStream(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.Set(wire.Drop{})
	lift := time.AfterFunc(200*time.Millisecond, func() { p.Set(nil) })
	defer lift.Stop()
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second, TsigSecret: map[string]string{keyName: secret}}
	q := new(dns.Msg)
	q.SetQuestion("name.", dns.TypeTXT)
	q.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
	if _, _, err := c.Exchange(q, p.Addr.String()); err != nil {
		t.Errorf("the question did not come through: %v", err)
	}
}

// Updates that change something are effects; a look whether they would be taken is none.
func TestUpdatesAreEffects(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.Effects = wire.NewEffects(nil)
	probe, change := new(dns.Msg), new(dns.Msg)
	for _, m := range []*dns.Msg{probe, change} {
		m.SetUpdate("zone.")
		m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "zone."}}})
	}
	rr, err := dns.NewRR(`a.zone. 1 TXT "x"`)
	if err != nil {
		t.Fatal(err)
	}
	change.Insert([]dns.RR{rr})
	for _, m := range []*dns.Msg{probe, change} {
		if _, _, err := (&dns.Client{Net: "tcp"}).Exchange(m, p.Addr.String()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Effects.Count(); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
	if c := p.Counts(); c.Updates != 1 || c.Probes != 1 {
		t.Errorf("counted %+v", c)
	}
}
