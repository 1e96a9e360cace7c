package zone

import (
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
	opts.NewResolver = resolving(&fakeResolver{lookup: func(name string, qtype uint16) dnssec.Result {
		mu.Lock()
		defer mu.Unlock()
		asked[name]++
		switch {
		case strings.Contains(name, "ns3."):
			return dnssec.Result{State: dnssec.Insecure, Cause: &dnssec.Error{Detail: "elsewhere. is not signed"}}
		case qtype == dns.TypeCDS:
			return dnssec.Result{State: dnssec.Secure, Kind: dnssec.Data, RRs: []dns.RR{cds}}
		}
		return dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData}
	}})
	cfg := testConfig(s)
	cfg.Anchors = append(cfg.Anchors, rootAnchor())
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
	k := newKnowledge(t.Context(), Options{NewResolver: resolving(&fakeResolver{lookup: func(string, uint16) dnssec.Result {
		t.Error("a name was looked up that is none")
		return dnssec.Result{State: dnssec.Secure}
	}})})
	long := strings.Repeat(strings.Repeat("a", 60)+".", 2)
	cfg := Config{Zone: long + "test.", Anchors: []*dns.DS{rootAnchor()}}
	if got := k.signalOf(t.Context(), cfg, "ns."+long+"test."); got.State != dnssec.Indeterminate || !strings.Contains(got.Message, "too long") {
		t.Errorf("got %+v", got)
	}
}

// TestSignalWithoutAnchor: a name server in a tree that nobody gave an anchor of says nothing.
func TestSignalWithoutAnchor(t *testing.T) {
	k := newKnowledge(t.Context(), Options{NewResolver: resolving(&fakeResolver{lookup: func(string, uint16) dnssec.Result {
		t.Error("a name was looked up that no anchor is above")
		return dnssec.Result{State: dnssec.Secure}
	}})})
	got := k.signalOf(t.Context(), Config{Zone: testZone, Anchors: []*dns.DS{newFakeServer(t).ds()}}, "ns.elsewhere.")
	if got.State != dnssec.Indeterminate || !strings.Contains(got.Message, "no trust anchor") {
		t.Errorf("got %+v", got)
	}
}

func signalsOf(t *testing.T, a *Actor) []delegation.Signal {
	t.Helper()
	ch := make(chan []delegation.Signal, 1)
	a.SweepSignals(func(s []delegation.Signal) { ch <- s })
	return wait(t, ch)
}
