package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// shared has the reconciler of the bed be one of a shard, with the DNSZone in another one.
func (b *zoneBed) shared(part string) {
	b.Helper()
	b.r.shard = partOf(b.T, shardLabel+"=a")
	b.relabel(part)
}

func (b *zoneBed) relabel(part string) {
	b.Helper()
	if err := b.api.Update(b.Context(), labelled(b.zone(), part)); err != nil {
		b.Fatal(err)
	}
}

// want asks for the zone as a MailDomain does.
func (b *zoneBed) want() zoneEntry {
	b.Helper()
	e, _ := b.r.zones.lookUp(zoneName, b.r.shard, b.clock, func(types.NamespacedName) {})
	return e
}

// series counts the metrics of zones.
func (b *zoneBed) series() int {
	b.Helper()
	out := make(chan prometheus.Metric, 100)
	zoneCollector{b.r.zones, RootTrust()}.Collect(out)
	return len(out) - 1 // but for that of the trust anchors
}

// TestZoneOfAnotherOperator: its client is there while a MailDomain wants it and its own operator has looked at it, and
// nothing is written to it or told of it.
func TestZoneOfAnotherOperator(t *testing.T) {
	b := newZoneBed(t)
	b.shared("b")
	b.reconcile()
	if len(b.clients) > 0 {
		t.Fatal("a zone that nobody wants is asked")
	}

	b.want()
	b.reconcile()
	if e := b.want(); e.client != nil || e.health == nil || !strings.Contains(e.health.DNSSEC.Message, "no operator has looked at DNSZone dns/example yet") {
		t.Fatalf("a zone is used that no operator acts for: %+v", e.health)
	}
	if h := (&hostRun{entry: b.want()}); !strings.Contains(h.notReady(), "no operator has looked at") {
		t.Errorf("a host says: %s", h.notReady())
	}

	z := b.zone()
	z.Status.Conditions = unusableStatus(z, &configError{v1alpha1.ReasonUnknown, "down"}, b.clock.Now()).Conditions
	if err := b.api.Status().Update(t.Context(), z); err != nil {
		t.Fatal(err)
	}
	puts := b.puts
	b.reconcile()
	if b.want().client == nil {
		t.Fatal("there is no client although its operator has looked at it")
	}
	b.clients[0].answer(t, zone.Health{At: b.clock.Now(), DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}})
	b.reconcile()
	if e := b.want(); e.health == nil || e.own || b.puts != puts || b.series() > 0 {
		t.Errorf("it was looked at: %t; %d writes of its status, %d metrics", e.health != nil, b.puts-puts, b.series())
	}

	b.clock.Step(wantedFor + time.Second)
	b.reconcile()
	if _, there := b.r.zones.get(zoneName); there || !b.clients[0].closed {
		t.Error("a zone that nobody wants any more is asked")
	}
}

// TestZoneThatMoves: what an operator knows of a delegation goes with the label, and whoever acts for the zone now writes
// its status.
func TestZoneThatMoves(t *testing.T) {
	b := newZoneBed(t)
	b.shared("a")
	b.reconcile()
	b.clients[0].answer(t, zone.Health{At: b.clock.Now(), DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}})
	b.reconcile()
	if b.puts == 0 || b.series() == 0 {
		t.Fatalf("%d writes of status, %d metrics of an own zone", b.puts, b.series())
	}
	b.r.zones.amend(zoneName, func(e *zoneEntry) { e.delegation = delegationWork{of: 1, look: &delegationLook{}} })

	b.want()
	b.relabel("b")
	puts := b.puts
	b.clock.Step(zoneIdle)
	b.reconcile()
	if e := b.want(); e.own || e.client == nil || e.delegation.look != nil || b.puts != puts || b.series() > 0 {
		t.Errorf("a zone that went to another operator: own %t, delegation %+v, %d writes, %d metrics", e.own, e.delegation, b.puts-puts, b.series())
	}

	b.relabel("a")
	b.clients[0].answer(t, zone.Health{At: b.clock.Now(), Serial: 7, DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}})
	b.reconcile()
	if e := b.want(); !e.own || b.puts == puts || len(b.clients) != 1 {
		t.Errorf("a zone that came back: own %t, %d writes, %d clients", e.own, b.puts-puts, len(b.clients))
	}
}

// TestAllZonesAreWanted: an operator for everything has a client for every zone, and no lookup wakes anything.
func TestAllZonesAreWanted(t *testing.T) {
	b := newZoneBed(t)
	b.r.zones.lookUp(zoneName, b.r.shard, b.clock, func(types.NamespacedName) { t.Error("a zone is woken") })
	b.reconcile()
	if len(b.clients) != 1 {
		t.Errorf("%d clients", len(b.clients))
	}
}
