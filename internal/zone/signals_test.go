package zone

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// TestSweepSignals: the name servers that were given are looked up and no others, for both types, and what is
// wrong with either is wrong with the signal.
func TestSweepSignals(t *testing.T) {
	s := newFakeServer(t)
	s.set(ns(testZone, "ns.evil."))
	s.startTCP()
	cds, key := s.ds().ToCDS(), s.dnskey.ToCDNSKEY()
	nameOf := func(ns string) string { return "_dsboot.example.test._signal." + ns }
	found := func(rr ...dns.RR) dnssec.Result {
		return dnssec.Result{State: dnssec.Secure, Kind: dnssec.Data, RRs: rr, Zone: "elsewhere."}
	}
	failed := func(state dnssec.State) dnssec.Result {
		return dnssec.Result{State: state, Cause: &dnssec.Error{Detail: "elsewhere. is " + string(state)}}
	}
	led := found(cds)
	led.Hops = []dnssec.Hop{{Name: nameOf("led.elsewhere."), Target: "signal.evil.", State: dnssec.Secure}}
	ledBogus := failed(dnssec.Bogus)
	ledBogus.Hops = led.Hops
	apex := found(cds)
	apex.Zone = nameOf("apex.elsewhere.")
	none := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NXDomain, Zone: "elsewhere."}
	rows := []struct {
		reason, ns  string
		first, then dnssec.Result
		asked       int
		want        delegation.Signal
	}{
		{"both are there", "good.elsewhere.", found(cds), found(key), 2, delegation.Signal{State: dnssec.Secure, Zone: "elsewhere.", CDS: []dns.RR{cds}, CDNSKEY: []dns.RR{key}}},
		{"it is denied that there is any", "none.elsewhere.", none, none, 2, delegation.Signal{State: dnssec.Secure, Zone: "elsewhere."}},
		{"not signed", "plain.elsewhere.", failed(dnssec.Insecure), found(key), 1, delegation.Signal{State: dnssec.Insecure, Message: "elsewhere. is Insecure"}},
		{"bogus", "bogus.elsewhere.", failed(dnssec.Bogus), found(key), 1, delegation.Signal{State: dnssec.Bogus, Message: "elsewhere. is Bogus"}},
		{"no answer for the second type", "mute.elsewhere.", found(cds), failed(dnssec.Indeterminate), 2, delegation.Signal{State: dnssec.Indeterminate, Zone: "elsewhere.", Message: "elsewhere. is Indeterminate", CDS: []dns.RR{cds}}},
		{"an alias, validated to its end", "led.elsewhere.", led, found(key), 1, delegation.Signal{State: dnssec.Secure, Zone: "elsewhere.", Alias: "signal.evil.", CDS: []dns.RR{cds}}},
		{"an alias whose end is bogus", "astray.elsewhere.", ledBogus, found(key), 1, delegation.Signal{State: dnssec.Bogus, Alias: "signal.evil.", Message: "elsewhere. is Bogus"}},
		{"a zone cut at the name", "apex.elsewhere.", apex, found(key), 1, delegation.Signal{State: dnssec.Secure, Zone: nameOf("apex.elsewhere."), CDS: []dns.RR{cds}}},
	}
	var mu sync.Mutex
	asked := map[string]int{}
	opts := quick()
	opts.NewResolver = resolving(&fakeResolver{lookup: func(name string, qtype uint16) dnssec.Result {
		mu.Lock()
		defer mu.Unlock()
		asked[name]++
		for _, c := range rows {
			switch {
			case name != nameOf(c.ns):
			case qtype == dns.TypeCDS:
				return c.first
			default:
				return c.then
			}
		}
		t.Errorf("%s was asked for", name)
		return none
	}})
	cfg := testConfig(s)
	cfg.Anchors = append(cfg.Anchors, rootAnchor())
	var nameservers []string
	for _, c := range rows {
		nameservers = append(nameservers, c.ns)
	}
	got := signalsOf(t, startActor(t, cfg, opts), nameservers...)
	for i, c := range rows {
		c.want.Nameserver = c.ns
		if i >= len(got) || !reflect.DeepEqual(got[i], c.want) || asked[nameOf(c.ns)] != c.asked {
			t.Errorf("%s: got %+v after %d questions, want %+v after %d", c.reason, got[min(i, len(got)-1)], asked[nameOf(c.ns)], c.want, c.asked)
		}
	}
	if got := signalsOf(t, startActor(t, cfg, quick()), "ns.elsewhere."); len(got) != 1 || got[0].State != dnssec.Indeterminate || got[0].Message == "" {
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

func signalsOf(t *testing.T, a *Actor, nameservers ...string) []delegation.Signal {
	t.Helper()
	ch := make(chan []delegation.Signal, 1)
	a.SweepSignals(nameservers, func(s []delegation.Signal) { ch <- s })
	return wait(t, ch)
}

// TestNameserversOfBothSides: what a server has as NS records is told beside the rest, and is no reason by itself
// to do without the rest.
func TestNameserversOfBothSides(t *testing.T) {
	for _, c := range []struct {
		reason  string
		prepare func(*fakeServer)
		want    []string
		problem string
	}{
		{"each name once, sorted, in lower case", func(s *fakeServer) {
			s.set(ns(testZone, "NS2.elsewhere."), ns(testZone, "ns1.elsewhere."), ns(testZone, "ns2.elsewhere."))
		}, []string{"ns1.elsewhere.", "ns2.elsewhere."}, ""},
		{"none", func(s *fakeServer) { delete(s.sets, setKey{testZone, dns.TypeNS}) }, nil, ""},
		{"SERVFAIL", func(s *fakeServer) { s.misbehave = to(testZone, dns.TypeNS, replyServfail) }, nil, "SERVFAIL"},
		{"without authority", func(s *fakeServer) { s.misbehave = to(testZone, dns.TypeNS, replyNoAA) }, nil, "without authority"},
		{"no answer", func(s *fakeServer) { s.misbehave = to(testZone, dns.TypeNS, noReply) }, nil, "no answer"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := newFakeServer(t)
			s.set(s.ds().ToCDS())
			c.prepare(s)
			s.startTCP()
			ch := make(chan KeySweep, 1)
			startActor(t, testConfig(s), quick()).SweepKeys(func(k KeySweep) { ch <- k })
			got := wait(t, ch).Answers[0]
			if got.Problem != "" || len(got.CDS.Records) != 1 {
				t.Errorf("got %+v", got)
			}
			if !slices.Equal(got.Nameservers, c.want) || !strings.Contains(got.NameserversProblem, c.problem) || (got.NameserversProblem == "") != (c.problem == "") {
				t.Errorf("got %v, problem %q", got.Nameservers, got.NameserversProblem)
			}
		})
	}
	parent := parentServer(t)
	parent.set(ns(childZone, "NS2.elsewhere."), ns(childZone, "ns1.elsewhere."))
	parent.startTCP()
	if got := sweepDSOf(t, startActor(t, testConfig(parent), quick()), childZone).Answers[0]; !slices.Equal(got.Nameservers, []string{"ns1.elsewhere.", "ns2.elsewhere."}) {
		t.Errorf("the parent has %v (%s)", got.Nameservers, got.Problem)
	}
}
