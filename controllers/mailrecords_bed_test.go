package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
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
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// keptZone is a zone in memory that is swept and written at once. It counts what it is asked.
type keptZone struct {
	*scriptedZone
	clock *testclock.FakeClock
	sets  map[zone.SetName][]string
	// behind is what a second server shows, where that is not the same.
	behind map[zone.SetName][]string
	refuse *zone.Result
	// before is called with each update, before it is made; nil for nothing.
	before func()
	// sweeps and writes count.
	sweeps, writes int
}

func (z *keptZone) SweepSets(asked []zone.SetName, _ bool, done func([]zone.SetSweep)) {
	z.sweeps++
	var out []zone.SetSweep
	for _, name := range asked {
		a := zone.SetAnswer{Name: "ns1", Address: "192.0.2.1:53", Reachable: true, Signed: true, Primary: true, Data: z.sets[name], TTL: time.Hour, CacheTTL: time.Hour}
		b := a
		b.Name, b.Primary = "ns2", false
		if late, ok := z.behind[name]; ok {
			b.Data = late
		}
		out = append(out, zone.SetSweep{Start: z.clock.Now(), End: z.clock.Now(), Answers: []zone.SetAnswer{a, b}})
	}
	done(out)
}

func (z *keptZone) PublishSet(c zone.SetChange, done func(zone.Result)) {
	z.writes++
	if z.before != nil {
		z.before()
	}
	switch {
	case z.refuse != nil:
		done(*z.refuse)
	case !slices.Equal(z.sets[c.SetName], c.Expect):
		done(zone.Result{Class: zone.Conflict, Retryable: true, Message: "somebody else changed it"})
	default:
		z.sets[c.SetName] = slices.Clone(c.Want)
		done(zone.Result{Class: zone.Applied})
	}
}

// recordBed is a MailDomain with other records than TLSA, whose mail servers are somebody else's.
type recordBed struct {
	*testing.T
	api   client.Client
	clock *testclock.FakeClock
	zone  *keptZone
	r     *MailDomainReconciler
	puts  int
	// refuse is what the API server says to status updates; nil for nothing.
	refuse error
	// answers are what is looked up elsewhere, policy is what the policy host gives.
	answers *answers
	policy  string
	// fetched counts how often it was asked for that.
	fetched int
}

var recordName = types.NamespacedName{Namespace: "mail", Name: "example"}

func newRecordBed(t *testing.T, edit func(*v1alpha1.MailDomainSpec), more ...client.Object) *recordBed {
	b := &recordBed{T: t, clock: testclock.NewFakeClock(paceNow), answers: &answers{by: map[string]dnssec.Result{}}}
	b.zone = &keptZone{scriptedZone: &scriptedZone{}, clock: b.clock, sets: map[zone.SetName][]string{}, behind: map[zone.SetName][]string{}}
	md := mailDomain(recordName.Namespace, recordName.Name, time.Minute, host("mx1.example.com", 25), host("mx2.example.com", 25))
	md.Spec.Domain, md.Generation, md.Spec.TLSA.Parameters = "example.com", 1, []v1alpha1.TLSAParameters{"3 1 1"}
	edit(&md.Spec)
	z := dnsZone("mail", "zone", "example.com")
	z.UID = "zone"
	b.api = fake.NewClientBuilder().WithScheme(testScheme(t)).WithStatusSubresource(&v1alpha1.MailDomain{}).
		WithObjects(&md, &z, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mail"}}).WithObjects(more...).
		WithIndex(&v1alpha1.MailDomain{}, hostIndex, func(o client.Object) []string { return hostnames(o.(*v1alpha1.MailDomain)) }).
		WithIndex(&v1alpha1.MailDomain{}, endIndex, aliasEnds).
		WithIndex(&v1alpha1.MailDomain{}, domainIndex, recordDomains).
		WithIndex(&v1alpha1.DNSZone{}, zoneNameIndex, zoneNames).
		WithIndex(&v1alpha1.DNSZone{}, zoneObjectIndex, zoneObjects).
		WithIndex(&cmapi.Certificate{}, gateIndex, byAnnotation(v1alpha1.GateAnnotation)).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
			b.puts++
			if b.refuse != nil {
				return b.refuse
			}
			return c.SubResource(sub).Update(ctx, o, options...)
		}}).Build()
	b.restart()
	return b
}

// restart forgets everything that the API server does not hold.
func (b *recordBed) restart() {
	obs := newObserver(func(types.NamespacedName) {})
	senders := newSenderWatch(Options{Clock: b.clock, NewResolver: func([]dnssec.Anchor) senderview.Resolver { return b.answers }}, obs, func(types.NamespacedName) {})
	b.Cleanup(senders.stop)
	book := newRecordBook(func(types.NamespacedName) {})
	fetch := func(context.Context, senderview.Resolver, string) (string, mailrecord.Problems) {
		b.fetched++ // the bed waits for each look
		if b.policy == "" {
			return "", mailrecord.Problems{{Severity: mailrecord.Fatal, Message: "there is no policy host", Advice: "set one up"}}
		}
		return b.policy, nil
	}
	b.r = &MailDomainReconciler{
		Client: b.api, live: b.api, Clock: b.clock, machine: &machineClock{watch: clockwatch.New(b.clock, nil)}, events: events.NewFakeRecorder(1000), zones: newZoneRegistry(),
		keys: keyReader{cached: b.api, live: b.api}, observer: obs, decisions: newDecisionBoard(), senders: senders,
		records: book, looks: &recordLooks{book: book, senders: senders, fetch: fetch},
	}
	health := &zone.Health{DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}}
	b.r.zones.update(types.NamespacedName{Namespace: "mail", Name: "zone"}, func(e *zoneEntry) { e.client, e.health = b.zone, health })
	b.r.probes = newProberPool(b.api, nil, b.clock, obs, 1)
	b.r.probes.beside = func(func()) {} // nobody is connected to
}

// settle reconciles until a reconcile changes nothing.
func (b *recordBed) settle() *v1alpha1.MailDomain {
	b.Helper()
	for range 30 {
		before := b.puts + b.zone.writes + b.zone.sweeps
		b.reconcile()
		b.wait()
		if before == b.puts+b.zone.writes+b.zone.sweeps {
			return b.get()
		}
	}
	b.Fatalf("it does not come to rest: %+v", b.get().Status.Records)
	return nil
}

func (b *recordBed) reconcile() ctrl.Result {
	b.Helper()
	result, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: recordName})
	if err != nil {
		b.Fatal(err)
	}
	return result
}

// wait waits for the looks that are under way.
func (b *recordBed) wait() {
	b.Helper()
	until := time.Now().Add(30 * time.Second)
	for {
		busy := false
		b.r.records.amend(recordKey{recordName, "example.com"}, types.NamespacedName{Namespace: "mail", Name: "zone"}, func(p *recordPage) { busy = p.spf.busy || p.dmarc.busy || p.policy.busy })
		if !busy {
			return
		}
		if time.Now().After(until) {
			b.Fatal("a look does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// get is the MailDomain; nil when it is gone.
func (b *recordBed) get() *v1alpha1.MailDomain {
	b.Helper()
	md := &v1alpha1.MailDomain{}
	if err := b.api.Get(b.Context(), recordName, md); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		b.Fatal(err)
	}
	return md
}

func (b *recordBed) edit(change func(*v1alpha1.MailDomain)) {
	b.Helper()
	md := b.get()
	change(md)
	md.Generation++
	if err := b.api.Update(b.Context(), md); err != nil {
		b.Fatal(err)
	}
}

func (b *recordBed) step(d time.Duration) *v1alpha1.MailDomain {
	b.Helper()
	b.clock.Step(d)
	return b.settle()
}

// is wants a record to be in a state, with a message that has some words.
func (b *recordBed) is(record v1alpha1.MailRecord, state v1alpha1.MailRecordState, words ...string) {
	b.Helper()
	got := b.get().Status.Record(record)
	if got == nil || got.State != state {
		b.Fatalf("%s is %+v, want %s", record, got, state)
	}
	for _, w := range words {
		if !strings.Contains(got.Message, w) {
			b.Errorf("%s says %q, want %q", record, got.Message, w)
		}
	}
}

// condition wants one, and Ready to be as told.
func (b *recordBed) condition(status metav1.ConditionStatus, reason string, ready bool) {
	b.Helper()
	md := b.get()
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionMailRecordsPublished)
	if c == nil || c.Status != status || c.Reason != reason {
		b.Errorf("the condition is %+v, want %s %s", c, status, reason)
	}
	if got := meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionReady); got != ready {
		b.Errorf("Ready is %t: %+v", got, meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady))
	}
}

func (b *recordBed) shows(record mailplan.Record, want ...string) {
	b.Helper()
	if got := b.zone.sets[setName(record, "example.com")]; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		b.Errorf("%s: there stands %v, want %v", record, got, want)
	}
}

const (
	bedToken = `"site-verification=1  2"`
	bedSPF   = `"v=spf1 ip4:192.0.2.1 -all"`
	bedDMARC = `"v=DMARC1; p=none"`
	bedRPT   = `"v=TLSRPTv1; rua=mailto:a@example.net;"`
	bedMX1   = "10 mx1.example.com."
	bedMX2   = "20 mx2.example.com."
)

// all asks for everything but MTA-STS.
func all(s *v1alpha1.MailDomainSpec) {
	twenty := int32(20)
	s.MailServers[1].Preference = &twenty
	s.MX = &v1alpha1.MXSpec{Policy: v1alpha1.MXManage}
	s.TLSReporting = &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:a@example.net"}}
	s.SPF = &v1alpha1.SPFSpec{Mechanisms: []v1alpha1.SPFMechanism{"ip4:192.0.2.1"}, All: v1alpha1.SPFFail}
	s.DMARC = &v1alpha1.DMARCSpec{Policy: v1alpha1.DMARCNone}
}
