package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func TestDSFollowsTheZone(t *testing.T) {
	b := newDelegationBed(t, ours())
	signed := b.clock.Now().Add(-time.Hour).Truncate(time.Second)
	b.world.before = func() {
		if at := timeOf(b.status().SignedAt); !at.Equal(signed) {
			t.Errorf("a change is sent while status remembers signatures of %s, not those of %s", at, signed)
		}
		if b.status().BehindSince == nil {
			t.Error("status does not say since when the parent is behind")
		}
	}
	b.work()
	published, _ := b.world.sent()
	if len(published) != 1 {
		t.Fatalf("%d changes were sent", len(published))
	}
	p := published[0]
	if p.Child != "example.com." || dsList(p.Expect) != dsList([]*dns.DS{b.old.ds()}) || dsList(p.Want) != dsList([]*dns.DS{b.new.ds()}) || p.TTL != time.Minute {
		t.Errorf("sent %+v", p)
	}
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
	s := b.status()
	want := presentedDS([]*dns.DS{b.new.ds()})
	if !slices.Equal(s.DS, want) || !slices.Equal(s.ParentDS, want) || !slices.Equal(s.SyncedDS, want) || s.SyncedAt == nil || s.BehindSince != nil || s.Parent != "com" {
		t.Errorf("status %+v", s)
	}
	// An old copy of the zone, which asks for the old key, is not believed: not even after a restart.
	b.clock.Step(2 * delegationIdle)
	b.begin()
	b.world.mu.Lock()
	b.world.child.CDS.Records = []dns.RR{b.old.ds().ToCDS()}
	b.world.child.CDNSKEY.Records = []dns.RR{b.old.ToCDNSKEY()}
	for _, set := range []*delegation.Set{&b.world.child.CDS, &b.world.child.CDNSKEY} {
		set.Signatures = []*dns.RRSIG{b.new.sign(t, signed.Add(time.Hour-time.Minute), set.Records)}
	}
	b.world.mu.Unlock()
	b.clock.Step(2 * delegationIdle)
	b.work()
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonCDSReplayed, "192.0.2.53:53")
	if published, _ := b.world.sent(); len(published) != 1 {
		t.Errorf("%d changes were sent", len(published))
	}
}

// TestNameServersVouch: secure signals under the names of the servers that the parent delegates to begin the
// chain (RFC 9615); those that the zone's own answers name do not.
func TestNameServersVouch(t *testing.T) {
	b := newDelegationBed(t, ours())
	set := func(change func(*delegationWorld)) {
		b.world.mu.Lock()
		change(b.world)
		b.world.mu.Unlock()
		b.clock.Step(delegationIdle)
		b.work()
	}
	outside := []string{"ns1.example.net.", "ns2.example.org."}
	all := slices.Concat(outside, []string{"ns3.example.com."})
	set(func(w *delegationWorld) { w.parentDS, w.delegated, w.child.Nameservers = nil, all, all })
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted, dsList([]*dns.DS{b.new.ds()}))
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted, "the signal of ns1.example.net. is not secure")
	set(func(w *delegationWorld) { w.vouch, w.child.Nameservers = true, []string{"ns.evil.example."} })
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted, "192.0.2.53:53 for ns.evil.example.")
	if published, _ := b.world.sent(); len(published) != 0 || !slices.Equal(b.world.sought, outside) {
		t.Errorf("%d changes were sent, %v were asked", len(published), b.world.sought)
	}
	set(func(w *delegationWorld) { w.child.Nameservers = all })
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
	if published, _ := b.world.sent(); len(published) != 1 || !slices.Equal(published[0].Nameservers, all) {
		t.Errorf("sent %+v", published)
	}
	set(func(w *delegationWorld) { w.sought = nil })
	if b.world.sought != nil {
		t.Errorf("%v were asked although the parent has DS records", b.world.sought)
	}
}

// TestTheListGoesBeforeNameServers: who lists keys means no others, and nobody is asked to vouch for any.
func TestTheListGoesBeforeNameServers(t *testing.T) {
	spec := ours()
	spec.AcceptInitialDS = []v1alpha1.InitialDS{v1alpha1.InitialDS("1 13 2 " + strings.Repeat("ab", 32))}
	b := newDelegationBed(t, spec)
	outside := []string{"ns1.example.net."}
	b.world.mu.Lock()
	b.world.parentDS, b.world.delegated, b.world.child.Nameservers, b.world.vouch = nil, outside, outside, true
	b.world.mu.Unlock()
	b.clock.Step(delegationIdle)
	b.work()
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted, dsList([]*dns.DS{b.new.ds()})+", which spec.dnssec.delegation.acceptInitialDS does not list")
	if published, _ := b.world.sent(); len(published) != 0 || b.world.sought != nil {
		t.Errorf("%d changes were sent, %v were asked", len(published), b.world.sought)
	}
	// Without the list they vouch.
	z := b.zone()
	z.Spec.DNSSEC.Delegation.AcceptInitialDS, z.Generation = nil, z.Generation+1
	b.must(b.api.Update(t.Context(), z))
	b.work()
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
}

func TestRefusedChangeIsTriedAgain(t *testing.T) {
	b := newDelegationBed(t, ours())
	b.world.refuse = &zone.Result{Class: zone.NotPermitted, Message: "192.0.2.1:53 refused"}
	b.work()
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonDSUpdateFailed, "192.0.2.1:53 refused")
	if published, _ := b.world.sent(); len(published) != 1 {
		t.Errorf("%d changes were sent without a new look", len(published))
	}
	b.world.mu.Lock()
	b.world.refuse = nil
	b.world.mu.Unlock()
	b.clock.Step(10 * time.Second)
	b.work()
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
}

// TestParentsThatMayNotBeWritten: nothing is sent, and the condition says what to do.
func TestParentsThatMayNotBeWritten(t *testing.T) {
	ref := func(namespace, name string) v1alpha1.DelegationSpec {
		return v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Namespace: namespace, Name: name}}
	}
	for _, c := range []struct {
		name            string
		spec            v1alpha1.DelegationSpec
		change          func(*delegationBed)
		reason, message string
	}{
		{"no such DNSZone", ref("", "net"), nil, v1alpha1.ReasonParentZoneNotFound, "dns/net"},
		{"no such DNSZone elsewhere", ref("elsewhere", "net"), nil, v1alpha1.ReasonParentNotGranted, "elsewhere/net"},
		{"the zone itself", ref("", "example"), nil, v1alpha1.ReasonNotAncestor, "is not above example.com"},
		{"another zone", ref("", "org"), func(b *delegationBed) { b.create(dnsZone("dns", "org", "org")) }, v1alpha1.ReasonNotAncestor, "the zone org"},
		{"one whose name ends alike", ref("", "org"), func(b *delegationBed) { b.create(dnsZone("dns", "org", "ample.com")) }, v1alpha1.ReasonNotAncestor, "the zone ample.com"},
		{"a zone below", ref("", "org"), func(b *delegationBed) { b.create(dnsZone("dns", "org", "sub.example.com")) }, v1alpha1.ReasonNotAncestor, "the zone sub.example.com"},
		{"another zone elsewhere", ref("elsewhere", "org"), func(b *delegationBed) { b.create(dnsZone("elsewhere", "org", "org", grant(v1alpha1.GrantAll, nil))) }, v1alpha1.ReasonParentNotGranted, "elsewhere/org"},
		{"no grant", ref("elsewhere", "com"), func(b *delegationBed) { b.create(dnsZone("elsewhere", "com", "com")) }, v1alpha1.ReasonParentNotGranted, "hostnames [example.com]"},
		{"a grant of other names", ref("elsewhere", "com"), func(b *delegationBed) {
			b.create(dnsZone("elsewhere", "com", "com", grant(v1alpha1.GrantAll, nil, "*.example.com")))
		}, v1alpha1.ReasonParentNotGranted, "hostnames [example.com]"},
		{"a grant that its own namespace is not in", ref("", "com"), func(b *delegationBed) {
			com := &v1alpha1.DNSZone{}
			b.must(b.api.Get(b.Context(), comName, com))
			com.Spec.Grants = []v1alpha1.ZoneGrant{grant(v1alpha1.GrantSelector, map[string]string{"mail": "yes"})}
			b.must(b.api.Update(b.Context(), com))
		}, v1alpha1.ReasonParentNotGranted, "namespace dns"},
		{"a parent that cannot be used", ref("", "com"), func(b *delegationBed) {
			b.r.zones.update(comName, func(e *zoneEntry) { e.client = nil })
		}, v1alpha1.ReasonParentZoneNotFound, "cannot be used now"},
		{"an initial DS of unknown digest", v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "com"}, AcceptInitialDS: []v1alpha1.InitialDS{"1 13 77 ABCD"}}, nil, v1alpha1.ReasonInvalidSpec, "digest type 77"},
		{"an initial DS that is none", v1alpha1.DelegationSpec{AcceptInitialDS: []v1alpha1.InitialDS{"hello"}}, nil, v1alpha1.ReasonInvalidSpec, "acceptInitialDS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newDelegationBed(t, c.spec)
			if c.change != nil {
				c.change(b)
				b.clock.Step(2 * delegationIdle)
			}
			b.work()
			b.wants(metav1.ConditionFalse, c.reason, c.message)
			if published, notified := b.world.sent(); len(published)+len(notified) > 0 {
				t.Errorf("%d changes and %d notifications were sent", len(published), len(notified))
			}
		})
	}
}

func (b *delegationBed) create(z v1alpha1.DNSZone) {
	b.Helper()
	b.must(b.api.Create(b.Context(), &z))
	b.r.zones.update(client.ObjectKeyFromObject(&z), func(e *zoneEntry) { e.client = &scriptedZone{Delegating: b.world} })
}

func TestGrantElsewhereIsEnough(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Namespace: "elsewhere", Name: "com"}})
	b.create(dnsZone("elsewhere", "com", "com", grant(v1alpha1.GrantAll, nil, "example.com")))
	b.clock.Step(zoneBusy)
	b.work()
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
}

// TestOldLookIsNotActedOn: a decision that could not be carried out at once is made anew.
func TestOldLookIsNotActedOn(t *testing.T) {
	b := newDelegationBed(t, ours())
	b.asks(b.old)
	b.clock.Step(delegationIdle)
	b.work()
	if published, _ := b.world.sent(); len(published) != 0 {
		t.Errorf("sent %+v, which the zone asked for a minute ago", published)
	}
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
}

// TestGrantThatIsGoneStopsTheChange: what the cache does not know yet is read live before anything is written.
func TestGrantThatIsGoneStopsTheChange(t *testing.T) {
	b := newDelegationBed(t, ours())
	com := dnsZone(comName.Namespace, comName.Name, "com", grant(v1alpha1.GrantSelector, map[string]string{"mail": "yes"}))
	b.r.live = fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(&com, b.zone(), tsigSecret("sixteen octets of key material"),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "dns"}}).Build()
	b.work()
	if published, _ := b.world.sent(); len(published) != 0 {
		t.Errorf("sent %+v", published)
	}
}

// TestParentOfSomebodyElse: nothing is written; the parent is told once, and people what to hand over.
func TestParentOfSomebodyElse(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.targets = []zone.NotifyTarget{{Host: "scanner.com.", Port: 5300, Owner: "_dsync.com."}}
	b.clock.Step(2 * delegationIdle)
	b.work()
	want := presentedDS([]*dns.DS{b.new.ds()})
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, want[0])
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "the parent was told")
	since := b.status().BehindSince
	if s := b.status(); !slices.Equal(s.DS, want) || !slices.Equal(s.NotifiedDS, want) || s.NotifiedAt == nil || since == nil {
		t.Errorf("status %+v", s)
	}
	b.clock.Step(time.Hour)
	b.begin()
	b.work()
	published, notified := b.world.sent()
	if len(published) != 0 || !slices.Equal(notified, b.world.targets) {
		t.Errorf("sent %+v; told %+v, want it once", published, notified)
	}
	if again := b.status().BehindSince; again == nil || !again.Equal(since) {
		t.Errorf("the parent is behind since %v, then since %v", since, again)
	}
	b.world.mu.Lock()
	b.world.parentDS = []*dns.DS{b.new.ds()}
	b.world.mu.Unlock()
	b.clock.Step(time.Hour)
	b.work()
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
	if b.status().BehindSince != nil {
		t.Error("the parent is behind for ever")
	}
}

func TestParentOfSomebodyElseThatHearsNothing(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.mu.Lock()
	b.world.parentDS = nil
	b.world.mu.Unlock()
	b.clock.Step(2 * delegationIdle)
	b.work()
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "DS records none for example.com and should have "+dsList([]*dns.DS{b.new.ds()}))
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "does not say where")
}

func TestWithoutDelegationNobodyLooks(t *testing.T) {
	b := newDelegationBed(t, ours())
	b.work()
	z := b.zone()
	z.Spec.DNSSEC.Delegation = nil
	z.Generation++
	b.must(b.api.Update(t.Context(), z))
	b.clock.Step(time.Hour)
	b.work()
	b.wants(metav1.ConditionUnknown, v1alpha1.ReasonNotManaged, "spec.dnssec.delegation")
	if b.zone().Status.DNSSEC.Delegation != nil {
		t.Error("status still tells of the delegation")
	}
}
