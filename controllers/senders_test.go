package controllers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/miekg/dns"
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
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
)

// answers is a resolver that answers from what the test puts there, by "name type"; what is not there is a
// failure. It counts the questions for MX records.
type answers struct {
	mu    sync.Mutex
	by    map[string]dnssec.Result
	looks int
	// hold keeps every answer back until the context of the question ends. Those to slow questions never come.
	hold bool
	slow []string
}

func (a *answers) Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result {
	a.mu.Lock()
	question := name + " " + dns.TypeToString[qtype]
	hold, r := a.hold, a.by[question]
	if slices.Contains(a.slow, question) {
		hold, r = true, dnssec.Result{}
	}
	if qtype == dns.TypeMX {
		a.looks++
	}
	a.mu.Unlock()
	if hold {
		<-ctx.Done()
	}
	if r.State == "" {
		r.State, r.Cause = dnssec.Indeterminate, &dnssec.Error{Reason: dnssec.Unreachable, Detail: "no answer"}
	}
	return r
}

func (a *answers) put(all map[string]dnssec.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by = all
}

func (a *answers) drag(questions ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow = questions
}

func (a *answers) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.looks
}

func lookedUp(t *testing.T, state dnssec.State, lines ...string) dnssec.Result {
	t.Helper()
	out := dnssec.Result{State: state, Kind: dnssec.NoData}
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		out.RRs, out.Kind = append(out.RRs, rr), dnssec.Data
	}
	return out
}

const senderMX = "mx.example.net"

// secured are the answers of a mail domain with DANE, and of the root.
func secured(t *testing.T) map[string]dnssec.Result {
	t.Helper()
	return map[string]dnssec.Result{
		"example.org. MX":               lookedUp(t, dnssec.Secure, "example.org. 60 IN MX 10 mx.example.net."),
		"mx.example.net. A":             lookedUp(t, dnssec.Secure, "mx.example.net. 60 IN A 192.0.2.1"),
		"mx.example.net. AAAA":          lookedUp(t, dnssec.Secure),
		"_25._tcp.mx.example.net. TLSA": lookedUp(t, dnssec.Secure, "_25._tcp.mx.example.net. 60 IN TLSA 3 1 1 "+strings.Repeat("00", 32)),
		". SOA":                         lookedUp(t, dnssec.Secure, ". 60 IN SOA a. b. 1 1 1 1 1"),
	}
}

// but changes one answer.
func but(all map[string]dnssec.Result, question string, r dnssec.Result) map[string]dnssec.Result {
	out := maps.Clone(all)
	out[question] = r
	return out
}

// senderBed is a MailDomain of a host that is somebody else's, with its reconciler, on a fake API server.
type senderBed struct {
	*testing.T
	api      client.Client
	clock    *testclock.FakeClock
	resolver *answers
	r        *MailDomainReconciler
	// told is what events tell.
	told *events.FakeRecorder
	// listing is what the API server says where Certificates are listed.
	listing error
	mu      sync.Mutex
	puts    int
	woken   int
}

var senderName = types.NamespacedName{Namespace: "mail", Name: "example"}

func newSenderBed(t *testing.T) *senderBed {
	b := &senderBed{T: t, told: events.NewFakeRecorder(100), clock: testclock.NewFakeClock(paceNow), resolver: &answers{by: secured(t)}}
	md := mailDomain(senderName.Namespace, senderName.Name, time.Minute, host(senderMX, 25))
	md.Spec.Domain, md.Generation = "example.org", 1
	md.Spec.TLSA.Parameters = []v1alpha1.TLSAParameters{"3 1 1"}
	b.api = fake.NewClientBuilder().WithScheme(testScheme(t)).WithStatusSubresource(&v1alpha1.MailDomain{}).
		WithObjects(&md, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: senderName.Namespace}}).
		WithIndex(&v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string { return hostnames(o.(*v1alpha1.MailDomain)) }).
		WithIndex(&v1alpha1.MailDomain{}, endIndex, aliasEnds).
		WithIndex(&v1alpha1.DNSZone{}, zoneNameIndex, zoneNames).
		WithIndex(&v1alpha1.DNSZone{}, zoneObjectIndex, zoneObjects).
		WithIndex(&cmapi.Certificate{}, gateIndex, byAnnotation(v1alpha1.GateAnnotation)).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
			b.puts++
			return c.SubResource(sub).Update(ctx, o, options...)
		}, List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, ok := list.(*cmapi.CertificateList); ok && b.listing != nil {
				return b.listing
			}
			return c.List(ctx, list, options...)
		}}).Build()
	b.restart()
	return b
}

// restart forgets everything that the API server does not hold.
func (b *senderBed) restart() {
	if b.r != nil {
		b.r.senders.stop()
	}
	obs := newObserver(func(types.NamespacedName) {})
	b.r = &MailDomainReconciler{
		Client: b.api, live: b.api, Clock: b.clock, machine: &machineClock{watch: clockwatch.New(b.clock, nil)}, events: b.told, zones: newZoneRegistry(),
		keys: keyReader{cached: b.api, live: b.api}, observer: obs, decisions: newDecisionBoard(), records: newRecordBook(func(types.NamespacedName) {}),
		senders: newSenderWatch(Options{Clock: b.clock, NewResolver: func([]dnssec.Anchor) senderview.Resolver { return b.resolver }}, obs,
			func(types.NamespacedName) { b.mu.Lock(); b.woken++; b.mu.Unlock() }),
	}
	b.Cleanup(b.r.senders.stop)
}

// reconcile reconciles, waits for the look that it has begun, and reconciles again if that wakes it.
func (b *senderBed) reconcile() {
	b.Helper()
	for {
		if _, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: senderName}); err != nil {
			b.Fatal(err)
		}
		b.idle()
		b.mu.Lock()
		again := b.woken > 0
		b.woken = 0
		b.mu.Unlock()
		if !again {
			return
		}
	}
}

// idle waits until no look is under way.
func (b *senderBed) idle() {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(b.r.senders.slots) > 0 {
		if time.Now().After(deadline) {
			b.Fatal("a look does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// pass lets a minute pass, reconciling as often as nothing else would, until so many looks were made.
func (b *senderBed) pass(looks int) {
	b.Helper()
	for want := b.resolver.asked() + looks; b.resolver.asked() < want; b.clock.Step(time.Minute) {
		if b.clock.Since(paceNow) > 24*time.Hour {
			b.Fatalf("%d looks are missing after a day", want-b.resolver.asked())
		}
		b.reconcile()
	}
}

func (b *senderBed) status() (v1alpha1.SenderViewStatus, metav1.Condition) {
	b.Helper()
	md := &v1alpha1.MailDomain{}
	if err := b.api.Get(b.Context(), senderName, md); err != nil {
		b.Fatal(err)
	}
	ready := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady)
	if len(md.Status.MailServers) != 1 || ready == nil {
		b.Fatalf("the status is %+v", md.Status)
	}
	if v := md.Status.MailServers[0].SenderView; v != nil {
		return *v, *ready
	}
	return v1alpha1.SenderViewStatus{}, *ready
}

// TestSendersReachStatus follows what senders see through changes, failures and a restart.
func TestSendersReachStatus(t *testing.T) {
	b := newSenderBed(t)
	all := b.resolver.by
	insecure := lookedUp(t, dnssec.Insecure, "example.org. 60 IN MX 10 mx.example.net.")
	b.reconcile()
	if v, _ := b.status(); v.Verdict != "" || b.puts != 1 || b.resolver.asked() != 0 {
		t.Fatalf("before the first look: %+v, %d writes, %d looks", v, b.puts, b.resolver.asked())
	}
	for _, step := range []struct {
		reason  string
		by      map[string]dnssec.Result
		looks   int
		restart bool
		verdict v1alpha1.SenderVerdict
		puts    int
		ready   metav1.ConditionStatus
		message string
	}{
		{reason: "the first look", by: all, looks: 1, verdict: v1alpha1.SenderDANE, puts: 1, ready: metav1.ConditionTrue},
		{reason: "looks that see the same write nothing", by: all, looks: 5, verdict: v1alpha1.SenderDANE, ready: metav1.ConditionTrue},
		{reason: "nor does a restart", by: all, restart: true, looks: 2, verdict: v1alpha1.SenderDANE, ready: metav1.ConditionTrue},
		{reason: "a new process doubts what is worse as an old one would", by: but(all, "example.org. MX", insecure), restart: true, looks: 1, verdict: v1alpha1.SenderDANE, ready: metav1.ConditionTrue},
		{reason: "it was nothing", by: all, looks: 1, verdict: v1alpha1.SenderDANE, ready: metav1.ConditionTrue},
		{reason: "something worse is seen once", by: but(all, "example.org. MX", insecure), looks: 1, verdict: v1alpha1.SenderDANE, ready: metav1.ConditionTrue},
		{reason: "it is seen again", by: but(all, "example.org. MX", insecure), looks: 1, verdict: v1alpha1.SenderOpportunistic, puts: 1, ready: metav1.ConditionTrue, message: "the MX lookup of example.org is insecure"},
		{reason: "a restart keeps that too", by: but(all, "example.org. MX", insecure), restart: true, looks: 2, verdict: v1alpha1.SenderOpportunistic, ready: metav1.ConditionTrue, message: "the MX lookup of example.org is insecure"},
		{reason: "nobody answers the operator, not even the root", by: nil, looks: 4, verdict: v1alpha1.SenderOpportunistic, ready: metav1.ConditionTrue, message: "the MX lookup of example.org is insecure"},
		{reason: "nobody answers for the domain, and the root does", by: but(all, "example.org. MX", dnssec.Result{}), looks: 2, verdict: v1alpha1.SenderUndeliverable, puts: 1, ready: metav1.ConditionFalse, message: "the MX lookup of example.org fails"},
		{reason: "a restart keeps even that", by: but(all, "example.org. MX", dnssec.Result{}), restart: true, looks: 2, verdict: v1alpha1.SenderUndeliverable, ready: metav1.ConditionFalse, message: "the MX lookup of example.org fails"},
		{reason: "what is better is shown at once", by: all, looks: 1, verdict: v1alpha1.SenderDANE, puts: 1, ready: metav1.ConditionTrue},
	} {
		b.resolver.put(step.by)
		if step.restart {
			b.restart()
			b.reconcile()
			if v, _ := b.status(); v.Verdict != step.verdict {
				t.Errorf("%s: before the first look it is %+v", step.reason, v)
			}
		}
		before := b.puts
		b.pass(step.looks)
		v, ready := b.status()
		if v.Verdict != step.verdict || b.puts-before != step.puts {
			t.Errorf("%s: %+v after %d writes, want %s after %d", step.reason, v, b.puts-before, step.verdict, step.puts)
		}
		if ready.Status != step.ready || !strings.Contains(ready.Message, step.message) || step.message == "" && ready.Message != "" {
			t.Errorf("%s: Ready is %s (%s: %s)", step.reason, ready.Status, ready.Reason, ready.Message)
		}
	}
	for _, want := range []string{"Warning SenderViewOpportunistic", "Warning SenderViewUndeliverable", "Normal SenderViewDANE"} {
		select {
		case got := <-b.told.Events:
			if !strings.HasPrefix(got, want) {
				t.Errorf("the event tells %q, want %s", got, want)
			}
		default:
			t.Errorf("no event tells %s", want)
		}
	}
	if n := len(b.told.Events); n > 0 {
		t.Errorf("%d more events, such as %q", n, <-b.told.Events)
	}
}

// TestSendersAreLookedAtSoonAfterAChange wants a look within the time that is meant for changes, and not
// before.
func TestSendersAreLookedAtSoonAfterAChange(t *testing.T) {
	b := newSenderBed(t)
	b.pass(8) // at rest by now
	md := &v1alpha1.MailDomain{}
	change := func(edit func()) {
		t.Helper()
		if err := b.api.Get(t.Context(), senderName, md); err != nil {
			t.Fatal(err)
		}
		edit()
		md.Generation++
		if err := b.api.Update(t.Context(), md); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
	}
	looks := b.resolver.asked()
	change(func() { md.Spec.Suspend = true })
	if b.resolver.asked() != looks {
		t.Error("a change is looked at before name servers can show it")
	}
	b.clock.Step(40 * time.Second)
	change(func() { md.Spec.Suspend = false }) // which does not put it off
	b.clock.Step(20 * time.Second)
	b.reconcile()
	if b.resolver.asked() != looks+1 {
		t.Errorf("%d looks in the minute after a change", b.resolver.asked()-looks)
	}
	change(func() {
		md.Spec.MailServers = append(md.Spec.MailServers, host("mx2.example.net", 25), host("imap.example.net", 993))
	})
	b.pass(2) // the first failure is not believed
	if err := b.api.Get(t.Context(), senderName, md); err != nil {
		t.Fatal(err)
	}
	s := md.Status.MailServers
	if len(s) != 3 || s[0].SenderView == nil || s[1].SenderView == nil || s[2].SenderView != nil {
		t.Fatalf("the views are %+v", s)
	}
	if v := s[1].SenderView; v.Verdict != v1alpha1.SenderUndeliverable || !v.NotInMX {
		t.Errorf("a host without addresses that no MX record names: %+v", v)
	}
	if ready := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("no mail goes there, and Ready is %+v", ready)
	}
}

// TestDeletionBreaksOffALook wants nothing to be left of a MailDomain that is gone.
func TestDeletionBreaksOffALook(t *testing.T) {
	for _, how := range []string{"it is gone", "the operator stops"} {
		t.Run(how, func(t *testing.T) {
			b := newSenderBed(t)
			b.reconcile()
			b.clock.Step(time.Minute)
			b.resolver.hold = true
			if _, err := b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: senderName}); err != nil {
				t.Fatal(err)
			}
			if len(b.r.senders.slots) != 1 {
				t.Fatal("no look is under way")
			}
			if how == "it is gone" {
				if err := b.api.Delete(t.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: senderName.Namespace, Name: senderName.Name}}); err != nil {
					t.Fatal(err)
				}
				b.reconcile()
				if len(b.r.senders.domains) != 0 {
					t.Errorf("%d MailDomains are remembered", len(b.r.senders.domains))
				}
				return
			}
			b.r.senders.stop()
			b.idle()
			b.reconcile()
			if v, _ := b.status(); v.Verdict != "" {
				t.Errorf("a look that was broken off says %+v", v)
			}
		})
	}
}
