package zone_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// fronts are what stands before each of the rig's secondaries from now on: they are asked through it alone.
func (r *rig) fronts() []*wire.DNS {
	r.t.Helper()
	r.config.Static = r.config.Static[:1]
	var out []*wire.DNS
	for _, s := range r.secondaries {
		at := netip.AddrPortFrom(s.Addr.Addr(), servers.FreePort(r.t, s.Addr.Addr().String()))
		p, err := wire.StartDNS(s.Addr.String(), at)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(p.Stop)
		out = append(out, p)
		r.config.Static = append(r.config.Static, at)
	}
	return out
}

// TestFindingsOfTheWay: something before a server takes out of messages what it should not, or lets one kind of them
// through alone, or answers in the server's place. That is found at exactly the server that it stands before, a BIND and an NSD in turn, and at no other;
// and nothing is when it is gone.
func TestFindingsOfTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.Options{Records: []string{"@ MX 10 mx1", "mx1 A 192.0.2.1"}}).withSecondaries()
	fronts := r.fronts()
	r.start(zone.Options{QueryTimeout: 10 * time.Second})
	r.mustPublish(zone.Change{Owner: mx1, Want: []tlsa.Record{record(1)}})
	r.eventuallyGreen(mx1, 3, record(1))
	finds(t, r.check())
	for _, c := range []struct {
		reason string
		fault  wire.Fault
		want   []health.Code
		state  dnssec.State
	}{
		{"the OPT record is dropped from replies", wire.StripOPT{}, []health.Code{health.EDNSDropped}, dnssec.Secure},
		{"the DO bit does not arrive", wire.ClearDO{}, []health.Code{health.SignaturesStripped}, dnssec.Bogus},
		{"a cache answers for everything", wire.ClearAA{}, []health.Code{health.ServerLame}, dnssec.Secure},
		{"a cache answers for one type", wire.ClearAA{Types: []uint16{dns.TypeNS}}, []health.Code{health.NotAuthoritative}, dnssec.Secure},
		{"a firewall drops questions of one type", wire.Silence{Types: []uint16{dns.TypeMX}}, []health.Code{health.QuestionUnanswered}, dnssec.Secure},
		{"something else answers questions of one type", wire.OtherRecords{Type: dns.TypeMX}, []health.Code{health.AnswerMismatch, health.SignatureMissing}, dnssec.Secure},
		{"the SOA record is taken out of denials, which no name server does by itself", wire.DropAuthority{Types: []uint16{dns.TypeSOA}}, []health.Code{health.DenialWithoutSOA}, dnssec.Secure},
		{"TCP is closed", wire.NoTCP{}, []health.Code{health.NoTCP}, dnssec.Secure},
		{"UDP is closed", wire.NoUDP{}, []health.Code{health.NoUDP}, dnssec.Secure},
	} {
		for i, front := range fronts {
			front.Set(c.fault)
			h := r.check()
			front.Set(nil)
			var want []string
			for _, code := range c.want {
				want = append(want, string(code)+"@"+front.Addr.String())
			}
			finds(t, h, want...)
			if h.DNSSEC.State != c.state {
				t.Errorf("%s: %v before %s makes the zone %s (%s), want %s", c.reason, c.want, r.secondaries[i].Name(), h.DNSSEC.State, h.DNSSEC.Message, c.state)
			}
		}
		finds(t, r.check())
	}
}
