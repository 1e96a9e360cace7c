package controllers

import (
	"context"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file says what has to be so before anything is done outside the status.

// published asks for a TLS-RPT record alone, and reconciles once for each step that comes before it is written: the status, then the
// finalizer.
func published(s *v1alpha1.MailDomainSpec) {
	s.TLSReporting = &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:tlsrpt@example.com"}}
}

// once reconciles once, and lets nobody be woken.
func (b *recordBed) once() {
	b.Helper()
	if _, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: recordName}); err != nil {
		b.Fatal(err)
	}
}

// TestNothingIsWrittenBeforeItStands: what is about to be written stands in the status first, by the word of the API server.
func TestNothingIsWrittenBeforeItStands(t *testing.T) {
	b := newRecordBed(t, published)
	b.refuse = apierrors.NewConflict(schema.GroupResource{Resource: "maildomains"}, recordName.Name, nil)
	for range 10 {
		b.once()
	}
	if b.zone.writes > 0 {
		t.Fatalf("%d updates were sent while the status was refused", b.zone.writes)
	}
	b.refuse = nil
	b.settle()
	if b.zone.writes == 0 {
		t.Error("nothing was published when the status was taken again")
	}
}

// TestCacheThatLagsIsNoHurry: while the cache shows an older object than the API server has, to look again is put off longer
// each time, and no more once it has caught up. The simulator counted twenty refused writes a second for each MailDomain
// for as long as a watch stood still.
func TestCacheThatLagsIsNoHurry(t *testing.T) {
	b := newRecordBed(t, published)
	look := func() time.Duration {
		b.Helper()
		result, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: recordName})
		if err != nil {
			b.Fatal(err)
		}
		return result.RequeueAfter
	}
	b.refuse = apierrors.NewConflict(schema.GroupResource{Resource: "maildomains"}, recordName.Name, nil)
	if first := look(); first != retrySoon {
		t.Errorf("the first look in vain is followed by another after %s", first)
	}
	looks := 0
	for waited := time.Duration(0); waited < time.Minute; looks++ {
		next := look()
		if next > retryBehind {
			t.Fatalf("the next look is after %s", next)
		}
		waited += next
	}
	if looks > 20 {
		t.Errorf("%d looks in vain in a minute", looks)
	}
	b.refuse = nil
	look()
	if again := b.r.behind.wait(recordName); again != retrySoon {
		t.Errorf("after a look that was not in vain the next one that is counts from %s", again)
	}
}

// TestFinalizerComesFirst: a MailDomain that wrote records is held until they are gone again; and one that has a finalizer and no status
// has lost that.
func TestFinalizerComesFirst(t *testing.T) {
	b := newRecordBed(t, published)
	b.zone.before = func() {
		md := &v1alpha1.MailDomain{}
		if err := b.api.Get(b.Context(), recordName, md); err != nil || !controllerutil.ContainsFinalizer(md, v1alpha1.Finalizer) {
			t.Errorf("an update is sent for a MailDomain that nothing holds: %v, %v", md.Finalizers, err)
		}
	}
	b.settle()
	if b.zone.writes == 0 {
		t.Error("nothing was published")
	}
}

// TestOldObjectsDecideNothing: a decision that was stored earlier is carried out only while the object is the newest.
func TestOldObjectsDecideNothing(t *testing.T) {
	b := newRecordBed(t, published)
	b.zone.refuse = &zone.Result{Class: zone.Unreachable, Retryable: true, Message: "no answer"}
	b.settle()
	for range 10 {
		b.step(time.Minute)
	}
	if b.zone.writes < 3 {
		t.Fatalf("%d updates were sent in vain: the test wants a decision that is carried out again and again", b.zone.writes)
	}
	b.zone.refuse, b.zone.writes = nil, 0
	newer := b.get()
	newer.ResourceVersion = "999999"
	b.r.live = fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(newer).Build()
	for range 10 {
		b.once()
		b.clock.Step(time.Minute)
	}
	if b.zone.writes > 0 {
		t.Fatalf("%d updates were sent by an object that is not the newest", b.zone.writes)
	}
	b.r.live = b.api
	b.step(10 * time.Minute)
	if b.zone.writes == 0 {
		t.Error("nothing was published when the object was the newest again")
	}
}

// TestGateStaysWhileRecordsGo: the gate is taken off a Certificate that has left the spec when no host that has left is in DNS any more.
func TestGateStaysWhileRecordsGo(t *testing.T) {
	for _, row := range []struct {
		reason   string
		removing bool
		gated    bool
	}{
		{"a host is being taken out of DNS", true, true},
		{"no host is", false, false},
	} {
		crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{
			Namespace: "mail", Name: "former", UID: "u", Annotations: map[string]string{v1alpha1.GateAnnotation: "example"},
		}}
		taken := false
		api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(crt).
			WithIndex(&cmapi.Certificate{}, gateIndex, byAnnotation(v1alpha1.GateAnnotation)).
			WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).
			WithInterceptorFuncs(interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
				taken = true
				return nil
			}}).Build()
		r := &MailDomainReconciler{Client: api, live: api}
		run := &domainRun{
			md:    &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}},
			hosts: []*hostRun{{removing: row.removing}},
		}
		if err := r.releaseOthers(t.Context(), run); err != nil || taken == row.gated {
			t.Errorf("%s: the gate was taken off: %t, %v", row.reason, taken, err)
		}
	}
}

// TestGoneWhenCachesForget: what is taken out of DNS may be cached for a while. Until then nobody else would hold a new key back.
func TestGoneWhenCachesForget(t *testing.T) {
	for _, row := range []struct {
		reason    string
		untrusted bool
		removed   bool
	}{
		{"no server shows the records, caches may", false, false},
		{"nor does any cache", true, true},
	} {
		h := &hostRun{decided: true, previous: &v1alpha1.MailServerStatus{OwnRecords: []string{"3 1 1 " + keyA}}}
		h.decision.Untrusted = row.untrusted
		if run := (&domainRun{hosts: []*hostRun{h}}); run.allRemoved() != row.removed {
			t.Errorf("%s: removed is %t", row.reason, !row.removed)
		}
	}
}

// TestGateGoesByTheNewestObject: the gate opens by a decision that rests on the newest MailDomain alone.
func TestGateGoesByTheNewestObject(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(md).Build()
	stored := &v1alpha1.MailDomain{}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(md), stored); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		reason, version string
		open            bool
		asked           int
	}{
		{"the decision rests on the newest object", stored.ResourceVersion, true, 0},
		{"the object has changed since", "1", false, 1},
	} {
		asked := 0
		d := decisionOf(false, gateHostRun("mx1", []string{"mx"}, keyB))
		d.at, d.resourceVersion = now, row.version
		board := newDecisionBoard()
		board.decisions[client.ObjectKeyFromObject(md)] = d
		k := gatekeeper{live: api, clock: testclock.NewFakePassiveClock(now), decisions: board, wake: func(types.NamespacedName) { asked++ }}
		open, err := k.open(t.Context(), []v1alpha1.MailDomain{*stored}, "mx", keyB)
		if err != nil || open != row.open || asked != row.asked {
			t.Errorf("%s: open %t, asked %d times, %v", row.reason, open, asked, err)
		}
	}
}

// TestSweepsBeforeAnUpdateSayNothing: what was seen before an update is no proof of what stands after it, and the next sweep is news even
// where it shows the same.
func TestSweepsBeforeAnUpdateSayNothing(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	key, owner := hostKey{domain: recordName, host: "mx1"}, "_25._tcp.mx1."
	seen := trail{sweep: rollover.Sweep{End: now, Answers: []rollover.Answer{{Address: "192.0.2.1:53", Reachable: true}}}}
	woken := 0
	o := newObserver(func(types.NamespacedName) { woken++ })
	newest := func() *rollover.Sweep { return o.view(key).owners[owner].newest() }
	for _, class := range []zone.Class{zone.Applied, zone.Unchanged, zone.Unreachable} {
		o.endSweep(key, owner, seen)
		o.host(key).resting, woken = true, 0
		if newest() == nil {
			t.Fatalf("%s: a sweep counts for nothing before any update", class)
		}
		if o.endSweep(key, owner, seen); woken != 0 {
			t.Errorf("%s: a sweep that shows the same is news to a host at rest", class)
		}
		now = now.Add(time.Hour)
		if !o.beginPublish(key, owner, now) {
			t.Fatalf("%s: no update may begin", class)
		}
		o.endPublish(key, owner, zone.Result{Class: class}, now)
		if newest() != nil {
			t.Errorf("%s: the sweep before the update still counts", class)
		}
		if o.endSweep(key, owner, seen); woken != 1 || newest() == nil {
			t.Errorf("%s: the sweep after the update woke %d, newest is %v", class, woken, newest())
		}
	}
}
