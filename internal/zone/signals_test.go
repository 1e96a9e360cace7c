package zone

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// TestSweepSignals: every name server outside the zone is looked up, for both types, and each has to be
// secure.
func TestSweepSignals(t *testing.T) {
	s := newFakeServer(t)
	s.set(ns(testZone, "ns1."+testZone), ns(testZone, "ns2.elsewhere."), ns(testZone, "ns3.elsewhere."))
	s.startTCP()
	other := s.twin()
	other.set(ns(testZone, "ns4.elsewhere."))
	other.startTCP()
	cds := s.ds().ToCDS()
	var mu sync.Mutex
	asked := map[string]int{}
	opts := quick()
	opts.SecureLookup = func(_ context.Context, name string, qtype uint16) ([]dns.RR, dnssec.State, string) {
		mu.Lock()
		defer mu.Unlock()
		asked[name]++
		switch {
		case strings.Contains(name, "ns3."):
			return nil, dnssec.Insecure, "elsewhere. is not signed"
		case qtype == dns.TypeCDS:
			return []dns.RR{cds}, dnssec.Secure, ""
		}
		return nil, dnssec.Secure, ""
	}
	cfg := testConfig(s)
	cfg.Static = append(cfg.Static, s.addrPort(), other.addrPort())
	got := signalsOf(t, startActor(t, cfg, opts))
	if len(got) != 3 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct {
		nameserver string
		state      dnssec.State
		records    int
	}{{"ns2.elsewhere", dnssec.Secure, 1}, {"ns3.elsewhere", dnssec.Insecure, 0}, {"ns4.elsewhere", dnssec.Secure, 1}} {
		if g := got[i]; g.Nameserver != want.nameserver || g.State != want.state || len(g.CDS) != want.records || (g.Message == "") != (g.State == dnssec.Secure) {
			t.Errorf("got %+v, want %+v", g, want)
		}
	}
	if asked["_dsboot.example.test._signal.ns2.elsewhere."] != 2 || asked["_dsboot.example.test._signal.ns3.elsewhere."] != 1 {
		t.Errorf("asked %v", asked)
	}
	if got := signalsOf(t, startActor(t, cfg, quick())); len(got) != 0 {
		t.Errorf("without a lookup there are signals: %+v", got)
	}
}

func TestSignalOfALongName(t *testing.T) {
	k := newKnowledge(Options{SecureLookup: func(context.Context, string, uint16) ([]dns.RR, dnssec.State, string) {
		t.Error("a name was looked up that is none")
		return nil, dnssec.Secure, ""
	}})
	long := strings.Repeat(strings.Repeat("a", 60)+".", 2)
	if got := k.signalOf(t.Context(), long+"test.", "ns."+long+"test."); got.State != dnssec.Indeterminate || !strings.Contains(got.Message, "too long") {
		t.Errorf("got %+v", got)
	}
}

func signalsOf(t *testing.T, a *Actor) []delegation.Signal {
	t.Helper()
	ch := make(chan []delegation.Signal, 1)
	a.SweepSignals(func(s []delegation.Signal) { ch <- s })
	return wait(t, ch)
}
