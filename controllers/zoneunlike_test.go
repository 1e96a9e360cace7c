package controllers

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// sweeps is what tells of sweeps in the zone that meet other keys, and the zones that it has woken.
func (b *zoneBed) sweeps() (domains *MailDomainReconciler, woken *[]types.NamespacedName) {
	woken = &[]types.NamespacedName{}
	return &MailDomainReconciler{zones: b.r.zones, Clock: b.clock, wakeZone: func(z types.NamespacedName) { *woken = append(*woken, z) }}, woken
}

func (b *zoneBed) changing() bool { return dnssecFacts(b.entry()).KeysChanging }

// TestSweepThatMeetsOtherKeys has the zone looked at at once, and its keys count as changing meanwhile.
func TestSweepThatMeetsOtherKeys(t *testing.T) {
	b := newZoneBed(t)
	b.look(b.secureZone("1"))
	if b.changing() {
		t.Fatal("the keys change before any other was met")
	}
	domains, woken := b.sweeps()
	b.clock.Step(zoneIdle)
	b.reconcile() // a look has begun that may have missed them
	domains.lookAgain(zoneName, time.Hour)
	b.clients[0].answer(t, b.secureZone("1"))
	if !b.changing() || !slices.Equal(*woken, []types.NamespacedName{zoneName}) {
		t.Errorf("changing is %t after a look that began before, woken are %v", b.changing(), *woken)
	}
	b.reconcile()
	if !b.changing() || !b.entry().checking {
		t.Errorf("changing is %t, and a look is under way: %t", b.changing(), b.entry().checking)
	}
	wakes := b.wakes
	b.clients[0].answer(t, b.secureZone("2"))
	b.reconcile()
	if !b.changing() || b.wakes != wakes+1 || b.entry().unlike > 0 || b.zone().Status.DNSSEC.KeysChangedAt == nil {
		t.Errorf("changing is %t after a look that has found others, MailDomains were woken %d times: %+v", b.changing(), b.wakes-wakes, b.zone().Status.DNSSEC)
	}
}

// TestWhatASweepHasMetIsWaitedFor: the server that showed other keys to a sweep, or the one that gave other DS records, says nothing
// at the look that follows. Caches may have them all the same, for as long as their TTL, and for no longer: nobody waits for that
// server to come back.
func TestWhatASweepHasMetIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		reason string
		ttl    time.Duration
		floor  v1alpha1.Duration
		over   time.Duration
	}{
		{"keys", time.Hour, "5m", time.Hour},
		{"DS records that are kept for a day", 24 * time.Hour, "5m", 24 * time.Hour},
		{"keys that nobody keeps: no TTL is believed that is shorter than that of the keys there are", 0, "5m", time.Hour},
		{"or than the floor", 0, "2h", 2 * time.Hour},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newZoneBed(t)
			z := b.zone()
			z.Spec.Propagation.TTLFloor = c.floor
			b.must(b.api.Update(b.Context(), z))
			b.look(b.secureZone("1"))
			domains, _ := b.sweeps()
			met := b.clock.Now()
			domains.lookAgain(zoneName, c.ttl)
			b.clock.Step(10 * time.Second)
			if !b.look(b.secureZone("1")) {
				t.Fatal("a look that has found the same keys takes back what a sweep has met")
			}
			if at := b.zone().Status.DNSSEC.KeysChangedAt; at == nil || at.Sub(met).Abs() > time.Second {
				t.Errorf("status says that they changed at %v, want %v", at, met)
			}
			if n := b.entry().unlike; n > 0 {
				t.Errorf("%d sweeps are waited for that a look has followed", n)
			}
			b.clock.SetTime(met.Add(c.over - time.Second))
			if !b.look(b.secureZone("1")) {
				t.Error("it is over too soon")
			}
			b.clock.Step(zoneBusy)
			if b.look(b.secureZone("1")) || b.zone().Status.DNSSEC.KeysChangedAt != nil {
				t.Error("it is never over")
			}
		})
	}
}

// TestSweepMeetsOthersWhileAChangeIsPresumed: a DNSZone without a past has no DS records, which are waited for in case that caches have
// some. That there are some now ends it, and not what a sweep has met meanwhile.
func TestSweepMeetsOthersWhileAChangeIsPresumed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	m := keyMemory{blank: true}
	m.note(&zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, now)
	m.meet(time.Hour, now)
	signed := zone.ZoneDNSSEC{Keys: []string{"1"}, DS: []string{"1 13 2 AA"}, KeyTTL: time.Hour}
	if m.note(&signed, now.Add(time.Minute)); !signed.KeysChanging {
		t.Error("what a sweep has met a minute ago is forgotten")
	}
}

// TestSweepsDuringALook: a second sweep meets other keys while the look is under way that the first one asked for. Another look follows,
// and what the second has met is waited for from then on.
func TestSweepsDuringALook(t *testing.T) {
	b := newZoneBed(t)
	b.look(b.secureZone("1"))
	domains, _ := b.sweeps()
	domains.lookAgain(zoneName, time.Hour)
	b.reconcile()
	b.clock.Step(time.Minute)
	second := b.clock.Now()
	domains.lookAgain(zoneName, time.Hour)
	b.clients[0].answer(t, b.secureZone("1"))
	if n := b.entry().unlike; n != 1 {
		t.Errorf("after a look that began before the second sweep %d sweeps are to be followed by one, want 1", n)
	}
	b.reconcile()
	b.clients[0].answer(t, b.secureZone("1"))
	if at := b.entry().health.DNSSEC.KeysChangedAt; b.entry().unlike > 0 || !at.Equal(second) {
		t.Errorf("%d sweeps are to be followed by a look, and the keys changed at %v, want %v", b.entry().unlike, at, second)
	}
}
