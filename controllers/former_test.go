package controllers

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// TestFormerServersOutliveAProcess: the status shows a server that left the delegation, calls the zone well all the
// same, and tells the next process of it.
func TestFormerServersOutliveAProcess(t *testing.T) {
	b := newZoneBed(t)
	here, gone := netip.MustParseAddrPort("192.0.2.11:53"), netip.MustParseAddrPort("192.0.2.12:53")
	until := b.clock.Now().Add(2 * time.Hour).Truncate(time.Second)
	h := b.secureZone("1")
	h.Servers = []zone.ServerHealth{
		{Server: zone.Server{Name: "ns1", Addr: here}, Reachable: true, LeadTTL: time.Hour},
		{Server: zone.Server{Name: "ns2", Addr: gone}, Message: "it left", LeadTTL: 2 * time.Hour, FormerUntil: until},
	}
	b.look(h)
	status := b.zone().Status
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != "True" || strings.Contains(c.Message, "ns2") {
		t.Errorf("Ready: %+v", c)
	}
	if n := status.Nameservers; len(n) != 2 || n[0].FormerUntil != nil || n[0].LeadTTL != 3600 || !timeOf(n[1].FormerUntil).Equal(until) || n[1].LeadTTL != 7200 || n[1].Message != "it left" {
		t.Fatalf("status.nameservers: %+v", n)
	}
	if !healthy(&h) {
		t.Error("it is looked at often for a server that is none of its own")
	}
	if len(b.clients) != 1 || len(b.clients[0].configs) != 1 || len(b.clients[0].configs[0].Known) != 0 || b.clients[0].configs[0].Delay != 5*time.Minute {
		t.Errorf("a status of its own makes no other configuration: %+v", b.clients[0].configs)
	}
	b.restart()
	b.reconcile()
	b.reconcile()
	want := []zone.Known{
		{Server: zone.Server{Name: "ns1", Addr: here}, LeadTTL: time.Hour},
		{Server: zone.Server{Name: "ns2", Addr: gone}, LeadTTL: 2 * time.Hour, FormerUntil: until},
	}
	same := func(a, b zone.Known) bool {
		return a.Server == b.Server && a.LeadTTL == b.LeadTTL && a.FormerUntil.Equal(b.FormerUntil)
	}
	if got := b.clients[1].configs; len(got) != 1 || !slices.EqualFunc(got[0].Known, want, same) {
		t.Errorf("the next process is told %+v", got)
	}
}
