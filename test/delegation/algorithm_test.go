package delegation_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestAlgorithmRollover: Knot goes over from RSA to ECDSA, the DS records in the parent on BIND follow, a validating resolver
// that is asked ten times a second never fails, and each look at the zone, from the parent's trust anchor down, finds it
// Secure and nothing critical (RFC 6781 section 4.1.4).
func TestAlgorithmRollover(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, servers.BIND, servers.Knot, servers.Options{Rolling: &servers.Rolling{Algorithm: "rsasha256"}})
	r.begin()
	counted, stop := r.watch()
	counted.mustBeSecure()
	defer stop()
	if got := r.algorithms(r.child.Addr, dns.TypeDNSKEY); !slices.Equal(got, []uint8{dns.RSASHA256}) {
		t.Fatalf("the zone begins with the algorithms %v", got)
	}
	anchor := r.anchor(r.parent.DS, r.parent.Zone)
	v, err := dnssec.New(dnssec.Config{
		Anchors: []dnssec.Anchor{anchor}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: time.Now, Forwarders: []netip.AddrPort{r.resolver.Addr},
	})
	if err != nil {
		t.Fatal(err)
	}
	options := zone.Options{NewResolver: func([]dnssec.Anchor) zone.Resolver { return v }}
	begun, looks, both := len(r.history), 0, false
	r.child.RollAlgorithm("ecdsap256sha256")
	r.until("the old algorithm is gone", 5*time.Minute, func() bool {
		r.well(anchor, options)
		looks++
		keys, ds := r.algorithms(r.child.Addr, dns.TypeDNSKEY), r.algorithms(r.parentSecondary.Addr, dns.TypeDS)
		both = both || len(keys) == 2
		return slices.Equal(keys, []uint8{dns.ECDSAP256SHA256}) && slices.Equal(ds, keys) && r.last.Action == delegation.Keep
	})
	stop()
	t.Logf("DS history %v; %d looks at the zone", r.history, looks)
	if len(r.history) == begun || !both || looks < 3 {
		t.Errorf("the rollover was not followed: DS records %v, %d looks", r.history, looks)
	}
	counted.verdict(t)
}

// algorithms of the child's keys, or of its DS records, that a server shows, sorted.
func (r *rig) algorithms(server netip.AddrPort, qtype uint16) []uint8 {
	m, err := servers.Ask(server, childApex, qtype, false)
	if err != nil {
		return nil
	}
	var out []uint8
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.DNSKEY:
			out = append(out, rr.Algorithm)
		case *dns.DS:
			out = append(out, rr.Algorithm)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// well looks at the child as somebody does who remembers nothing: DS records that were found earlier count for half a minute,
// which is longer than a step of the signer takes here.
func (r *rig) well(anchor dnssec.Anchor, options zone.Options) {
	r.Helper()
	a := r.actorBelow(r.child, r.childSecondary, anchor, options)
	looks := make(chan zone.Health, 1)
	a.Check(func(h zone.Health) { looks <- h })
	h := <-looks
	a.Close(r.Context())
	if h.DNSSEC.State != dnssec.Secure {
		r.Errorf("the zone is %s: %s", h.DNSSEC.State, h.DNSSEC.Message)
	}
	for _, f := range h.Findings {
		if f.Severity == health.Critical {
			r.Errorf("%s at %s: %s", f.Code, f.Server, f.Message)
		}
	}
}
