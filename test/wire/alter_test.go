package wire_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// complete is a name server that answers with authority and an SOA record in its section, with EDNS to who has it, and with
// signatures to who wants them.
func complete(t *testing.T) string {
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
		m.Authoritative = true
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "name.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.", Mbox: "hostmaster."}}
		head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET}
		if opt := q.IsEdns0(); opt != nil {
			m.SetEdns0(1232, opt.Do())
			if opt.Do() {
				m.Answer = []dns.RR{&dns.RRSIG{Hdr: head, TypeCovered: q.Question[0].Qtype, SignerName: "name.", Signature: "AAAA"}}
			}
		}
		_ = w.WriteMsg(m) // to a client that may be gone
	})
	for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: packets, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return l.Addr().String()
}

// shape is what of an answer is there.
type shape struct{ edns, signatures, authority, soa bool }

// TestAlteredMessages: what comes through each of the faults that take something out of messages.
func TestAlteredMessages(t *testing.T) {
	t.Parallel()
	p, err := wire.StartDNS(complete(t), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	whole := shape{true, true, true, true}
	for _, c := range []struct {
		reason  string
		fault   wire.Fault
		soa, ns shape
	}{
		{"nothing is taken out", nil, whole, whole},
		{"EDNS of the reply; the signatures are there", wire.StripOPT{}, shape{false, true, true, true}, shape{false, true, true, true}},
		{"DO of the request; EDNS is there", wire.ClearDO{}, shape{true, false, true, true}, shape{true, false, true, true}},
		{"AA of every reply", wire.ClearAA{}, shape{true, true, false, true}, shape{true, true, false, true}},
		{"AA of one type", wire.ClearAA{Types: []uint16{dns.TypeNS}}, whole, shape{true, true, false, true}},
		{"what there is of one type", wire.Swap{Type: dns.TypeNS}, whole, shape{true, false, true, false}},
		{"the SOA record of its section", wire.DropAuthority{Types: []uint16{dns.TypeSOA}}, shape{true, true, true, false}, shape{true, true, true, false}},
		{"what is not there of its section", wire.DropAuthority{Types: []uint16{dns.TypeNSEC}}, whole, whole},
	} {
		p.Set(c.fault)
		for qtype, want := range map[uint16]shape{dns.TypeSOA: c.soa, dns.TypeNS: c.ns} {
			for _, network := range []string{"udp", "tcp"} {
				if got := shapeOf(t, network, p.Addr.String(), qtype); got != want {
					t.Errorf("%s: %s by %s: %+v, want %+v", c.reason, dns.TypeToString[qtype], network, got, want)
				}
			}
		}
	}
}

// shapeOf asks with EDNS and DO.
func shapeOf(t *testing.T, network, addr string, qtype uint16) shape {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("name.", qtype)
	m.SetEdns0(1232, true)
	r, _, err := (&dns.Client{Net: network, Timeout: 30 * time.Second}).Exchange(m, addr)
	if err != nil {
		t.Fatal(err)
	}
	return shape{r.IsEdns0() != nil, len(r.Answer) > 0, r.Authoritative, len(r.Ns) > 0}
}
