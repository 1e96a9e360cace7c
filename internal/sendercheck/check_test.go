package sendercheck_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// zone answers from what it holds, all of it secure; what it does not hold does not exist.
type zone map[string][]dns.RR

func (z zone) Lookup(_ context.Context, name string, qtype uint16) dnssec.Result {
	out := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData}
	if rrs := z[name+" "+dns.TypeToString[qtype]]; len(rrs) > 0 {
		out.Kind, out.RRs = dnssec.Data, rrs
	}
	return out
}

func records(texts ...string) zone {
	z := zone{}
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		key := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype]
		z[key] = append(z[key], rr)
	}
	return z
}

// dialled answers each connection, and keeps what was connected to.
type dialled struct {
	mu      sync.Mutex
	outcome map[string]probe.Outcome
	targets []probe.Target
}

func (d *dialled) Probe(_ context.Context, target probe.Target) probe.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = append(d.targets, target)
	return probe.Result{Target: target, Outcome: d.outcome[target.Addr.Addr().String()], Message: "as told"}
}

var example = records(
	"example.com. 60 IN MX 10 mx1.example.com.", "example.com. 60 IN MX 20 mx2.example.com.",
	"mx1.example.com. 60 IN A 192.0.2.1", "mx1.example.com. 60 IN AAAA 2001:db8::1", "mx2.example.com. 60 IN A 192.0.2.2",
	"_25._tcp.mx1.example.com. 60 IN TLSA 3 1 1 "+strings.Repeat("0a", 32),
)

// TestCheck wants every address of a host with TLSA records to be connected to, once for each type of key unless nobody is there,
// and no address of a host without.
func TestCheck(t *testing.T) {
	prober := &dialled{outcome: map[string]probe.Outcome{"192.0.2.1": probe.NoTLS, "2001:db8::1": probe.Unreachable}}
	var said []string
	c := sendercheck.Checker{Resolver: example, Prober: prober, Now: func() time.Time { return time.Unix(1, 0) }, Progress: func(s string) { said = append(said, s) }}
	report := c.Check(t.Context(), "example.com", 0)
	if len(report.Hosts) != 2 || report.Hosts[0].Verdict != senderview.Undeliverable || report.Hosts[1].Verdict != senderview.Opportunistic {
		t.Fatalf("%+v", report)
	}
	mx1 := report.Hosts[0]
	if len(mx1.Records) != 1 || !strings.HasPrefix(mx1.Records[0], "3 1 1 0a0a") || mx1.Base != "mx1.example.com" {
		t.Errorf("records %v at %q", mx1.Records, mx1.Base)
	}
	want := []sendercheck.EndpointReport{{Address: "192.0.2.1", Presented: senderview.NoTLS, Reason: "as told"}, {Address: "2001:db8::1", Presented: senderview.Unreachable, Reason: "as told"}}
	if !slices.Equal(mx1.Endpoints, want) {
		t.Errorf("endpoints %+v, want %+v", mx1.Endpoints, want)
	}
	count := map[string]int{}
	for _, target := range prober.targets {
		count[target.Addr.String()]++
		if target.Host != "mx1.example.com" || target.Protocol != probe.SMTP {
			t.Errorf("connected to %+v", target)
		}
	}
	if len(count) != 2 || count["192.0.2.1:25"] != 3 || count[net.JoinHostPort("2001:db8::1", "25")] != 1 {
		t.Errorf("connections: %v", count)
	}
	if len(said) < 2 {
		t.Errorf("whoever waits was told %v", said)
	}
}

// TestCheckSaysWhatItDidNotConnectTo: what is not known is not hidden by a good verdict.
func TestCheckSaysWhatItDidNotConnectTo(t *testing.T) {
	prober := &dialled{outcome: map[string]probe.Outcome{"192.0.2.1": probe.Forbidden, "2001:db8::1": probe.Forbidden}}
	report := sendercheck.Checker{Resolver: example, Prober: prober, Now: time.Now}.Check(t.Context(), "example.com", 25)
	if got := report.Hosts[0].Endpoints; len(got) != 2 || got[0].Presented != "NotConnected" || got[0].Reason != "as told" {
		t.Errorf("endpoints %+v", got)
	}
}

// TestCheckConnectsToSomeOfMany: a zone with thousands of addresses has nobody connect to all of them, and that is said.
func TestCheckConnectsToSomeOfMany(t *testing.T) {
	texts := []string{"example.com. 60 IN MX 10 mx1.example.com.", "_25._tcp.mx1.example.com. 60 IN TLSA 3 1 1 " + strings.Repeat("0a", 32)}
	for n := range 200 {
		texts = append(texts, fmt.Sprintf("mx1.example.com. 60 IN A 192.0.2.%d", n))
	}
	prober := &dialled{outcome: map[string]probe.Outcome{}}
	report := sendercheck.Checker{Resolver: records(texts...), Prober: prober, Now: time.Now}.Check(t.Context(), "example.com", 25)
	addresses := map[string]bool{}
	for _, target := range prober.targets {
		addresses[target.Addr.String()] = true
	}
	endpoints := report.Hosts[0].Endpoints
	last := endpoints[len(endpoints)-1]
	if len(addresses) != 64 || last.Address != "136 more addresses" || last.Presented != "NotConnected" {
		t.Errorf("%d addresses were connected to; of the rest it says %+v", len(addresses), last)
	}
}

// TestCheckWithoutConnecting supposes that servers present what they should.
func TestCheckWithoutConnecting(t *testing.T) {
	report := sendercheck.Checker{Resolver: example, Now: time.Now}.Check(t.Context(), "example.com", 25)
	if report.Hosts[0].Verdict != senderview.DANE || len(report.Hosts[0].Endpoints) > 0 {
		t.Errorf("%+v", report.Hosts[0])
	}
}

// TestCheckAtAnotherPort asks for the records of that port.
func TestCheckAtAnotherPort(t *testing.T) {
	prober := &dialled{outcome: map[string]probe.Outcome{}}
	report := sendercheck.Checker{Resolver: example, Prober: prober, Now: time.Now}.Check(t.Context(), "example.com", 2525)
	if report.Hosts[0].Verdict != senderview.Opportunistic || len(prober.targets) > 0 {
		t.Errorf("%+v, %d connections", report.Hosts[0], len(prober.targets))
	}
}
