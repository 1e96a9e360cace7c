package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func TestValidatorsAreShared(t *testing.T) {
	v := &validators{options: &options{}, trust: controllers.RootTrust()}
	root := dnssec.RootAnchors()
	back := slices.Clone(root)
	slices.Reverse(back)
	if v.of(root) != v.of(back) {
		t.Error("the order of anchors makes another validator")
	}
	if v.of(root) != v.of(append(back, root[0])) {
		t.Error("an anchor that is there twice makes another validator")
	}
	if v.of(root) == v.of(root[:1]) {
		t.Error("other anchors have the same validator")
	}
}

// TestValidatorsAreBounded: those used least recently go, one at a time, and never the operator's own.
func TestValidatorsAreBounded(t *testing.T) {
	v := &validators{options: &options{}, trust: controllers.RootTrust()}
	set := func(i int) []dnssec.Anchor {
		ds, err := dnssec.ParseDS(fmt.Sprintf("%d 13 2 %s", i, strings.Repeat("ab", 32)), "test.")
		if err != nil {
			t.Fatal(err)
		}
		return []dnssec.Anchor{ds}
	}
	kept := func(anchors []dnssec.Anchor) bool { return v.made[setOf(anchors)] != nil }
	operators := v.of(dnssec.RootAnchors()) // used once, before all others
	for i := range 3 * maxValidators {
		v.of(set(i))
		v.of(set(0))
	}
	if n := len(v.made); n != maxValidators {
		t.Errorf("%d validators are kept, want %d", n, maxValidators)
	}
	for _, row := range []struct {
		reason string
		set    []dnssec.Anchor
		kept   bool
	}{
		{"the operator's own", dnssec.RootAnchors(), true},
		{"one that is in use", set(0), true},
		{"the newest", set(3*maxValidators - 1), true},
		{"the oldest for which there is room beside these", set(2*maxValidators + 2), true},
		{"the one before it", set(2*maxValidators + 1), false},
	} {
		if kept(row.set) != row.kept {
			t.Errorf("%s: kept %t", row.reason, kept(row.set))
		}
	}
	if v.of(dnssec.RootAnchors()) != operators {
		t.Error("the operator's own anchors have another validator")
	}
}

// TestValidationIsUnderTheCeiling: what a server may be asked is one measure for the zones and for validation.
func TestValidationIsUnderTheCeiling(t *testing.T) {
	server, asked := resolverThatRefuses(t)
	clock := testclock.NewFakeClock(time.Now())
	ceiling := zone.NewCeiling(1, clock)
	v := &validators{options: &options{resolvers: []string{server.String()}}, ceiling: ceiling, trust: controllers.RootTrust()}
	// A zone has its question, which is all that the server may get in this second.
	if err := ceiling.Wait(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	found := make(chan dnssec.Result, 1)
	go func() { found <- v.of(dnssec.RootAnchors()).Lookup(t.Context(), "example.test.", 1) }()
	for !clock.HasWaiters() {
		if len(found) > 0 {
			t.Fatalf("it did not wait: %+v", <-found)
		}
		time.Sleep(time.Millisecond)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d questions were asked while the server had had its share", n)
	}
	for len(found) == 0 {
		clock.Step(time.Second)
		time.Sleep(time.Millisecond)
	}
	if r := <-found; asked.Load() == 0 || r.Cause == nil || r.Cause.Reason != dnssec.Unreachable {
		t.Errorf("%d questions, %+v", asked.Load(), r)
	}
}

// resolverThatRefuses is a resolver that answers nothing but REFUSED, over UDP, and counts the questions.
func resolverThatRefuses(t *testing.T) (netip.AddrPort, *atomic.Int32) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := &atomic.Int32{}
	s := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused))
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return netip.MustParseAddrPort(packets.LocalAddr().String()), asked
}

// TestAllowedNetworks: one flag says for mail servers and for name servers where they may be.
func TestAllowedNetworks(t *testing.T) {
	allowed, err := (&options{probeAllow: []string{"10.0.0.0/8", "fd00::/8"}}).allowed()
	if err != nil || len(allowed) != 2 || allowed[0].String() != "10.0.0.0/8" {
		t.Errorf("%v, %v", allowed, err)
	}
	if _, err := (&options{probeAllow: []string{"10.0.0.1"}}).allowed(); err == nil || !strings.Contains(err.Error(), `--probe-allow-cidr "10.0.0.1"`) {
		t.Errorf("an address: %v", err)
	}
}

func TestTrustOfTheFlag(t *testing.T) {
	trust, err := (&options{}).trust()
	if err != nil {
		t.Fatal(err)
	}
	if anchors, _ := trust.Anchors(); len(anchors) != len(dnssec.RootAnchors()) {
		t.Errorf("without a file: %v", anchors)
	}
	file := filepath.Join(t.TempDir(), "anchors.ds")
	o := &options{trustAnchors: file}
	if _, err := o.trust(); err == nil || !strings.Contains(err.Error(), "--trust-anchors "+file) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(file, []byte(". DS 1 13 2 "+strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if trust, err = o.trust(); err != nil {
		t.Fatal(err)
	}
	if anchors, _ := trust.Anchors(); len(anchors) != 1 {
		t.Errorf("%v", anchors)
	}
}
