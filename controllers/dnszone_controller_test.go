package controllers

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/clockwatch"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// scriptedZone is a zone client that says what the test has it say.
type scriptedZone struct {
	zone.Delegating
	zone.Keeping

	mu      sync.Mutex
	configs []zone.Config
	looks   []func(zone.Health)
	address zone.Address
	closed  bool
}

func (z *scriptedZone) Configure(c zone.Config) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.configs = append(z.configs, c)
}

func (z *scriptedZone) Check(done func(zone.Health)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.looks = append(z.looks, done)
}

func (z *scriptedZone) Addresses(_ string, done func(zone.Address)) { go done(z.address) }

func (z *scriptedZone) Close(context.Context) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.closed = true
}

func (z *scriptedZone) Publish(zone.Change, func(zone.Result)) {}
func (z *scriptedZone) Sweep(string, func(zone.Sweep))         {}
func (z *scriptedZone) SweepLater(string, func(zone.Sweep))    {}

// answer ends the oldest look that is under way.
func (z *scriptedZone) answer(t *testing.T, h zone.Health) {
	t.Helper()
	z.mu.Lock()
	if len(z.looks) == 0 {
		z.mu.Unlock()
		t.Fatal("nobody looks at the zone")
	}
	done := z.looks[0]
	z.looks = z.looks[1:]
	z.mu.Unlock()
	done(h)
}

// zoneBed is a DNSZone with its reconciler, on a fake API server.
type zoneBed struct {
	*testing.T
	api   client.Client
	clock *testclock.FakeClock
	r     *DNSZoneReconciler
	// clients that were made, puts of status, and times that all MailDomains were woken.
	clients     []*scriptedZone
	puts, wakes int
}

var zoneName = types.NamespacedName{Namespace: "dns", Name: "example"}

func tsigSecret(text string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "dns", Name: "transfer"},
		Data:       map[string][]byte{"secret": []byte(base64.StdEncoding.EncodeToString([]byte(text)))},
	}
}

func newZoneBed(t *testing.T) *zoneBed {
	b := &zoneBed{T: t, clock: testclock.NewFakeClock(time.Date(2026, 7, 1, 12, 0, 0, 500, time.UTC))}
	z := dnsZone(zoneName.Namespace, zoneName.Name, "example.com")
	z.UID = "zone-1"
	z.Spec.Update = v1alpha1.UpdateSpec{
		Nameserver: "192.0.2.53", TSIGKeyName: "tlsa-key", TSIGAlgorithm: v1alpha1.HMACSHA256,
		TSIGSecretSecretRef: &v1alpha1.SecretKeyReference{Name: "transfer", Key: "secret"},
	}
	b.api = fake.NewClientBuilder().WithScheme(testScheme(t)).
		WithObjects(&z, tsigSecret("sixteen octets of key material")).WithStatusSubresource(&v1alpha1.DNSZone{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
			b.puts++
			return c.SubResource(sub).Update(ctx, o, options...)
		}}).Build()
	b.restart()
	return b
}

// restart forgets everything that the API server does not hold.
func (b *zoneBed) restart() {
	b.r = &DNSZoneReconciler{
		Client: b.api, live: b.api, Clock: b.clock, events: events.NewFakeRecorder(100), zones: newZoneRegistry(),
		machine: &machineClock{watch: clockwatch.New(b.clock, nil)},
		newClient: func(c zone.Config) zone.Client {
			made := &scriptedZone{configs: []zone.Config{c}}
			b.clients = append(b.clients, made)
			return made
		},
		wake: func(types.NamespacedName) {}, wakeDomains: func(types.NamespacedName, string) { b.wakes++ },
	}
}

func (b *zoneBed) reconcile() {
	b.Helper()
	if _, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: zoneName}); err != nil {
		b.Fatal(err)
	}
}

func (b *zoneBed) zone() *v1alpha1.DNSZone {
	b.Helper()
	z := &v1alpha1.DNSZone{}
	if err := b.api.Get(b.Context(), zoneName, z); err != nil {
		b.Fatal(err)
	}
	return z
}

func (b *zoneBed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *zoneBed) entry() zoneEntry {
	e, _ := b.r.zones.get(zoneName)
	return e
}

// look has the zone looked at, with the outcome given, and says what MailDomains are told right after,
// before the DNSZone is reconciled again.
func (b *zoneBed) look(h zone.Health) (changing bool) {
	b.Helper()
	b.reconcile()
	b.clients[len(b.clients)-1].answer(b.T, h)
	changing = dnssecFacts(b.entry()).KeysChanging
	b.reconcile()
	return changing
}

// secureZone is the health of a zone that is well and has these keys.
func (b *zoneBed) secureZone(keys ...string) zone.Health {
	return zone.Health{
		At: b.clock.Now(), Serial: 7, PrimaryAccepts: zone.Result{Class: zone.Applied},
		DNSSEC: zone.ZoneDNSSEC{
			State: dnssec.Secure, Keys: keys, DS: []string{"1 13 2 AA"}, KeyTTL: time.Hour,
			SignaturesExpire: b.clock.Now().Add(14 * 24 * time.Hour),
		},
	}
}

// TestZoneThatBecameUnusable takes the zone out of use, old key and all, until it is mended.
func TestZoneThatBecameUnusable(t *testing.T) {
	anchors := func(text v1alpha1.TrustAnchor) func(*zoneBed) {
		return func(b *zoneBed) {
			z := b.zone()
			z.Spec.DNSSEC.TrustAnchors = []v1alpha1.TrustAnchor{text}
			b.must(b.api.Update(b.Context(), z))
		}
	}
	cases := []struct {
		reason      string
		spoil, mend func(*zoneBed)
		want        string
	}{
		{"the TSIG Secret is deleted", func(b *zoneBed) { b.must(b.api.Delete(b.Context(), tsigSecret(""))) },
			func(b *zoneBed) { b.must(b.api.Create(b.Context(), tsigSecret("another secret of enough octets"))) }, v1alpha1.ReasonSecretNotFound},
		{"the TSIG Secret is no key", func(b *zoneBed) { b.must(b.api.Update(b.Context(), tsigSecret("short"))) },
			func(b *zoneBed) { b.must(b.api.Update(b.Context(), tsigSecret("another secret of enough octets"))) }, v1alpha1.ReasonSecretInvalid},
		{"the trust anchors cannot be read", anchors("1 13 2 AA"),
			anchors(v1alpha1.TrustAnchor("1 13 2 " + strings.Repeat("AA", 32))), v1alpha1.ReasonInvalidSpec},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			b := newZoneBed(t)
			b.look(b.secureZone("1"))
			b.clock.Step(zoneIdle)
			b.reconcile() // a look is under way
			woken := b.wakes
			c.spoil(b)
			b.reconcile()
			b.unusable(c.want)
			b.clients[0].answer(t, b.secureZone("1"))
			b.unusable(c.want)
			b.reconcile()
			if b.wakes != woken+1 {
				t.Errorf("MailDomains were woken %d times, want once", b.wakes-woken)
			}
			c.mend(b)
			b.reconcile()
			if len(b.clients) != 2 || b.entry().client != b.clients[1] || b.entry().health != nil || b.entry().problem != "" {
				t.Fatalf("it is not used again: %+v", b.entry())
			}
			if got := b.clients[1].configs[0]; got.TSIG == nil {
				t.Errorf("the new client has no key: %+v", got)
			}
			b.look(b.secureZone("1"))
			if d := dnssecFacts(b.entry()); d.State != dnssec.Secure {
				t.Errorf("%+v", d)
			}
			if s := b.zone().Status; meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled) != nil || !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady) {
				t.Errorf("conditions %+v", s.Conditions)
			}
		})
	}
}

// unusable wants the zone to be out of use, for the reason given.
func (b *zoneBed) unusable(reason string) {
	b.Helper()
	e := b.entry()
	if e.client != nil || !b.clients[0].closed || len(b.clients) != 1 || len(b.clients[0].configs) != 1 {
		b.Errorf("it can still be written: %+v, client %+v", e, b.clients[0])
	}
	d := dnssecFacts(e)
	if d.State != dnssec.Indeterminate || !strings.Contains(d.Message, reason) {
		b.Errorf("DNSSEC %+v, want Indeterminate for %s", d, reason)
	}
	if strings.Contains(d.Message, "transfer") {
		b.Errorf("%q tells tenants of a Secret that is not theirs", d.Message)
	}
	status := b.zone().Status
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionUpdatesAccepted} {
		if c := meta.FindStatusCondition(status.Conditions, kind); c == nil || c.Status != metav1.ConditionFalse || c.Reason != reason {
			b.Errorf("%s is %+v", kind, c)
		}
	}
	for _, kind := range []string{v1alpha1.ConditionDNSSECSecure, v1alpha1.ConditionNameserversInSync} {
		if c := meta.FindStatusCondition(status.Conditions, kind); c == nil || c.Status != metav1.ConditionUnknown {
			b.Errorf("%s is %+v although nobody looks", kind, c)
		}
	}
	if status.DNSSEC.State != v1alpha1.DNSSECStateIndeterminate || !slices.Equal(status.DNSSEC.Keys, []string{"1"}) {
		b.Errorf("status.dnssec %+v, want Indeterminate and the keys seen last", status.DNSSEC)
	}
}

// TestLookThatBeganBeforeAChange is not taken for one at what is configured now.
func TestLookThatBeganBeforeAChange(t *testing.T) {
	b := newZoneBed(t)
	b.reconcile()
	b.must(b.api.Update(b.Context(), tsigSecret("another secret of enough octets")))
	b.reconcile()
	b.clients[0].answer(t, b.secureZone("1"))
	if b.entry().health != nil || !b.entry().checking {
		t.Fatalf("a look with the old key counts: %+v", b.entry())
	}
	b.clients[0].answer(t, b.secureZone("1"))
	if b.entry().health == nil || len(b.clients) != 1 {
		t.Errorf("%+v", b.entry())
	}
}

func TestUnchangedStatusIsNotStored(t *testing.T) {
	b := newZoneBed(t)
	b.look(b.secureZone("1"))
	b.clock.Step(zoneIdle)
	h := b.secureZone("2") // with a time of change, beside that of the signatures
	h.DNSSEC.CDS = []string{}
	b.look(h)
	puts := b.puts
	for range 3 {
		b.clock.Step(zoneBusy)
		b.reconcile()
	}
	if puts != 2 || b.puts != puts {
		t.Errorf("%d puts for two looks, then %d for none", puts, b.puts-puts)
	}
}
