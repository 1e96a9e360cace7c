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
		if b.policy == "" {
			return "", mailrecord.Problems{{Severity: mailrecord.Fatal, Message: "there is no policy host", Advice: "set one up"}}
		}
		return b.policy, nil
	}
	b.r = &MailDomainReconciler{
		Client: b.api, live: b.api, Clock: b.clock, events: events.NewFakeRecorder(1000), zones: newZoneRegistry(),
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

// TestRecordsArePublished: all of them, beside what stands there, and then nothing more happens.
func TestRecordsArePublished(t *testing.T) {
	b := newRecordBed(t, all)
	b.zone.sets[setName(mailplan.SPF, "example.com")] = []string{bedToken}
	b.settle()
	b.shows(mailplan.MX, bedMX1, bedMX2)
	b.shows(mailplan.TLSRPT, bedRPT)
	b.shows(mailplan.SPF, bedToken, bedSPF)
	b.shows(mailplan.DMARC, bedDMARC)
	b.shows(mailplan.MTASTS)
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordNotManaged)
	b.condition(metav1.ConditionTrue, v1alpha1.ReasonPublished, true)
	md := b.get()
	if spf := md.Status.Record(v1alpha1.RecordSPF); !slices.Equal(spf.Found, []string{bedSPF}) || !slices.Equal(spf.Own, []string{bedSPF}) || spf.ZoneRef == nil || spf.Name != "example.com" {
		t.Errorf("%+v", spf)
	}
	if !slices.Contains(md.Finalizers, v1alpha1.Finalizer) {
		t.Error("nothing keeps the object while its records stand")
	}
	puts, writes, sweeps := b.puts, b.zone.writes, b.zone.sweeps
	for range 60 {
		b.clock.Step(time.Minute)
		b.reconcile()
	}
	if b.puts != puts || b.zone.writes != writes || b.zone.sweeps-sweeps > 5 {
		t.Errorf("in an hour at rest: %d statuses, %d updates, %d sweeps", b.puts-puts, b.zone.writes-writes, b.zone.sweeps-sweeps)
	}
	b.restart()
	b.settle()
	if b.puts != puts || b.zone.writes != writes {
		t.Errorf("after a restart: %d statuses, %d updates", b.puts-puts, b.zone.writes-writes)
	}
}

// TestNoRecordsNoWork: a MailDomain without any is not looked at for them.
func TestNoRecordsNoWork(t *testing.T) {
	b := newRecordBed(t, func(*v1alpha1.MailDomainSpec) {})
	md := b.settle()
	if b.zone.sweeps != 0 || len(md.Status.Records) > 0 || meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionMailRecordsPublished) != nil || len(md.Finalizers) > 0 {
		t.Errorf("%d sweeps, %+v", b.zone.sweeps, md.Status)
	}
}

// TestRecordConflict: what is somebody else's stays until it may be taken over; then it is replaced, and at the end only
// what is ours goes.
func TestRecordConflict(t *testing.T) {
	const theirs = `"v=spf1 a -all"`
	b := newRecordBed(t, all)
	spf := setName(mailplan.SPF, "example.com")
	b.zone.sets[spf] = []string{bedToken, theirs}
	b.settle()
	b.shows(mailplan.SPF, bedToken, theirs)
	b.shows(mailplan.DMARC, bedDMARC)
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordConflict, "adopt: true", "v=spf1 a -all")
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonRecordConflict, false)
	if !meta.IsStatusConditionTrue(b.get().Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("only a person can mend it, and that is not said")
	}
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.SPF.Adopt = true })
	b.settle()
	b.shows(mailplan.SPF, bedToken, bedSPF)
	b.condition(metav1.ConditionTrue, v1alpha1.ReasonPublished, true)
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.SPF.Adopt = false })
	b.zone.sets[spf] = append(b.zone.sets[spf], theirs)
	b.step(20 * time.Minute)
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordConflict, "readers go by none")
	if err := b.api.Delete(t.Context(), b.get()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.reconcile()
		b.clock.Step(time.Minute)
	}
	b.shows(mailplan.SPF, bedToken, theirs)
	b.shows(mailplan.DMARC)
	b.shows(mailplan.MX)
	if md := b.get(); md != nil {
		t.Errorf("it does not go: %+v", md.Status)
	}
}

// TestRecordsRetained: with Retain they stay.
func TestRecordsRetained(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) { all(s); s.DeletionPolicy = v1alpha1.DeletionRetain })
	b.settle()
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DMARC = nil })
	b.settle()
	b.shows(mailplan.DMARC, bedDMARC)
	if err := b.api.Delete(t.Context(), b.get()); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	b.shows(mailplan.SPF, bedSPF)
	if b.get() != nil {
		t.Error("it does not go")
	}
}

// TestPartsThatLeave: a part that leaves the spec takes its record with it, but MX records stay.
func TestPartsThatLeave(t *testing.T) {
	b := newRecordBed(t, all)
	b.settle()
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DMARC, md.Spec.MX = nil, nil })
	b.settle()
	b.shows(mailplan.DMARC)
	b.shows(mailplan.MX, bedMX1, bedMX2)
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordNotManaged)
	b.is(v1alpha1.RecordMX, v1alpha1.MailRecordNotManaged)
	b.condition(metav1.ConditionTrue, v1alpha1.ReasonPublished, true)
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.SPF, md.Spec.TLSReporting = nil, nil })
	b.settle()
	md := b.settle()
	if len(md.Status.Records) > 0 || meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionMailRecordsPublished) != nil {
		t.Errorf("something is left of it: %+v", md.Status)
	}
	b.shows(mailplan.SPF)
}

// TestLostStatus: without its status the operator changes nothing of others, and knows what is exactly what it would write.
func TestLostStatus(t *testing.T) {
	b := newRecordBed(t, all)
	b.settle()
	b.zone.sets[setName(mailplan.DMARC, "example.com")] = []string{`"v=DMARC1; p=reject"`} // by hand, meanwhile
	md := b.get()
	md.Status = v1alpha1.MailDomainStatus{}
	if err := b.api.Status().Update(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	b.restart()
	b.settle()
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordConflict)
	b.shows(mailplan.DMARC, `"v=DMARC1; p=reject"`)
	if spf := b.get().Status.Record(v1alpha1.RecordSPF); spf.State != v1alpha1.MailRecordPublished || !slices.Equal(spf.Own, []string{bedSPF}) {
		t.Errorf("%+v", spf)
	}
}

// TestRecordsSuspended, and revoked: nothing is written.
func TestRecordsSuspended(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) { all(s); s.Suspend = true })
	b.settle()
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordWaiting, "spec.suspend")
	if b.zone.writes > 0 {
		t.Errorf("%d updates", b.zone.writes)
	}
}

// TestRecordsRefused: by the zone, by another MailDomain, and by the primary.
func TestRecordsRefused(t *testing.T) {
	t.Run("a grant of TLSA records is none of these", func(t *testing.T) {
		b := newRecordBed(t, all)
		z := &v1alpha1.DNSZone{}
		if err := b.api.Get(t.Context(), types.NamespacedName{Namespace: "mail", Name: "zone"}, z); err != nil {
			t.Fatal(err)
		}
		z.Spec.Grants = []v1alpha1.ZoneGrant{grant(v1alpha1.GrantAll, nil)}
		if err := b.api.Update(t.Context(), z); err != nil {
			t.Fatal(err)
		}
		b.settle()
		b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordRefused, "spec.grants[].mailDomains")
		b.condition(metav1.ConditionFalse, v1alpha1.ReasonRecordRefused, false)
		z.Spec.Grants[0].MailDomains = []v1alpha1.GrantHostname{"example.com"}
		if err := b.api.Update(t.Context(), z); err != nil {
			t.Fatal(err)
		}
		b.settle()
		b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordPublished)
	})
	t.Run("an older MailDomain has one of them", func(t *testing.T) {
		older := mailDomain("mail", "older", time.Hour, host("mx1.example.com", 25))
		older.Spec.Domain, older.Spec.SPF = "example.com", &v1alpha1.SPFSpec{All: v1alpha1.SPFFail}
		b := newRecordBed(t, all, &older)
		b.settle()
		b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordRefused, "MailDomain mail/older")
		b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublished)
		b.shows(mailplan.SPF)
	})
	t.Run("the primary refuses", func(t *testing.T) {
		b := newRecordBed(t, all)
		b.zone.refuse = &zone.Result{Class: zone.NotPermitted, Message: "REFUSED: allow it"}
		b.reconcile()
		for range 8 {
			b.reconcile()
		}
		b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordRefused, "allow it")
		if b.zone.writes > 8 {
			t.Errorf("%d updates, without waiting", b.zone.writes)
		}
		b.zone.refuse = nil
		b.step(10 * time.Minute)
		b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordPublished)
	})
}

// TestRecordRules: what breaks a rule is told by field and rule, and nothing is written.
func TestRecordRules(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) {
		all(s)
		s.TLSReporting.RUA = []v1alpha1.TLSReportURI{"mailto:nobody"}
		s.SPF.Mechanisms = []v1alpha1.SPFMechanism{"include:_spf.example.net"}
	})
	b.settle()
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordWaiting, "spec.spf.mechanisms", "the lookup of _spf.example.net fails")
	found := func(texts ...string) {
		b.answers.mu.Lock()
		b.answers.by["_spf.example.net. TXT"] = lookedUp(t, dnssec.Secure, texts...)
		b.answers.mu.Unlock()
		b.step(2 * time.Minute)
		b.settle()
	}
	found()
	b.is(v1alpha1.RecordTLSRPT, v1alpha1.MailRecordInvalid, "spec.tlsReporting.rua", "RFC 8460")
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordInvalid, "spec.spf.mechanisms", "_spf.example.net", "RFC 7208")
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonRecordInvalid, false)
	b.shows(mailplan.TLSRPT)
	b.shows(mailplan.SPF)
	b.shows(mailplan.DMARC, bedDMARC)
	found(`_spf.example.net. 60 IN TXT "v=spf1 ip4:192.0.2.9 -all"`)
	b.is(v1alpha1.RecordSPF, v1alpha1.MailRecordPublished)
}

// TestMTASTSOrder: the policy is served before the record says that there is a new one, and a new server is in a policy
// that senders know before it is in the MX records.
func TestMTASTSOrder(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) {
		all(s)
		s.MailServers = s.MailServers[:1]
		s.MTASTS = &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSEnforce}
	})
	b.settle()
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordWaiting, "https://mta-sts.example.com/.well-known/mta-sts.txt", "there is no policy host")
	b.shows(mailplan.MTASTS)
	b.shows(mailplan.MX, bedMX1)
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonWaitingForOrder, true)
	serve := func() string {
		b.policy = strings.ReplaceAll(b.get().Status.Record(v1alpha1.RecordMTASTS).Policy, "\r", "")
		b.step(2 * time.Minute)
		b.settle()
		return b.zone.sets[setName(mailplan.MTASTS, "example.com")][0]
	}
	first := serve()
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordPublished)
	b.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers = append(md.Spec.MailServers, host("mx2.example.com", 25))
	})
	b.settle()
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordWaiting, "another policy")
	b.is(v1alpha1.RecordMX, v1alpha1.MailRecordWaiting, "mx2.example.com")
	b.shows(mailplan.MX, bedMX1)
	if second := serve(); second == first {
		t.Error("another policy has the id of the one before")
	}
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordPublished)
	b.is(v1alpha1.RecordMX, v1alpha1.MailRecordWaiting, "as long as caches keep it")
	b.step(61 * time.Minute)
	b.shows(mailplan.MX, bedMX1, "10 mx2.example.com.")
	// A server that leaves stays in the policy for as long as caches may name it.
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.MailServers = md.Spec.MailServers[1:] })
	b.settle()
	b.shows(mailplan.MX, "10 mx2.example.com.")
	if s := b.get().Status; !strings.Contains(s.Record(v1alpha1.RecordMTASTS).Policy, "mx1.example.com") || len(s.Record(v1alpha1.RecordMX).Leaving) != 1 {
		t.Errorf("%+v", s.Records)
	}
	b.step(3 * time.Hour)
	if s := b.get().Status; strings.Contains(s.Record(v1alpha1.RecordMTASTS).Policy, "mx1.example.com") || len(s.Record(v1alpha1.RecordMX).Leaving) != 0 {
		t.Errorf("%+v", s.Records)
	}
}

// TestSecondaryBehind: published is what every server shows.
func TestSecondaryBehind(t *testing.T) {
	b := newRecordBed(t, all)
	dmarc := setName(mailplan.DMARC, "example.com")
	b.zone.behind[dmarc] = nil
	b.settle()
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublishing, "ns2")
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonPropagating, false)
	delete(b.zone.behind, dmarc)
	b.step(time.Minute)
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublished)
	b.zone.behind[dmarc] = nil
	b.step(20 * time.Minute)
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublished) // not for so short a time
	b.step(61 * time.Minute)
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublishing, "ns2")
}

// TestMailZone: who may write the records of a mail domain.
func TestMailZone(t *testing.T) {
	mailGrant := func(from v1alpha1.GrantFrom, domains ...v1alpha1.GrantHostname) v1alpha1.ZoneGrant {
		g := grant(from, nil)
		g.MailDomains = domains
		return g
	}
	for _, c := range []struct {
		reason string
		zones  []v1alpha1.DNSZone
		want   string
		fails  string
	}{
		{"the own zone", []v1alpha1.DNSZone{dnsZone("mail", "z", "example.com")}, "mail/z", ""},
		{"the longest own zone", []v1alpha1.DNSZone{dnsZone("mail", "com", "com"), dnsZone("mail", "z", "example.com")}, "mail/z", ""},
		{"none", nil, "", v1alpha1.ReasonZoneNotFound},
		{"a zone of others that grants nothing", []v1alpha1.DNSZone{dnsZone("dns", "z", "example.com")}, "", v1alpha1.ReasonZoneNotFound},
		{"a zone of others that grants TLSA records", []v1alpha1.DNSZone{dnsZone("dns", "z", "example.com", grant(v1alpha1.GrantAll, nil))}, "", v1alpha1.ReasonZoneNotFound},
		{"a zone of others that grants the domain", []v1alpha1.DNSZone{dnsZone("dns", "z", "example.com", mailGrant(v1alpha1.GrantAll, "example.com"))}, "dns/z", ""},
		{"one that grants another domain", []v1alpha1.DNSZone{dnsZone("dns", "z", "example.com", mailGrant(v1alpha1.GrantAll, "*.example.com"))}, "", v1alpha1.ReasonZoneNotFound},
		{"two that do", []v1alpha1.DNSZone{dnsZone("a", "z", "example.com", mailGrant(v1alpha1.GrantAll, "example.com")), dnsZone("b", "z", "example.com", mailGrant(v1alpha1.GrantAll, "example.com"))}, "", v1alpha1.ReasonAmbiguousZone},
		{"the own one comes first", []v1alpha1.DNSZone{dnsZone("a", "z", "example.com", mailGrant(v1alpha1.GrantAll, "example.com")), dnsZone("mail", "com", "com")}, "mail/com", ""},
		{"the own one grants others alone", []v1alpha1.DNSZone{dnsZone("mail", "z", "example.com", mailGrant(v1alpha1.GrantSelector, "example.com"))}, "", v1alpha1.ReasonNotGranted},
	} {
		w := &world{zones: zoneList(c.zones), namespaceLabels: map[string]map[string]string{"mail": {}}}
		z, refused := w.mailZone("mail", "example.com")
		got, reason := "", ""
		if z != nil {
			got = z.Namespace + "/" + z.Name
		}
		if refused != nil {
			reason = refused.reason
		}
		if got != c.want || reason != c.fails {
			t.Errorf("%s: %q %q", c.reason, got, reason)
		}
	}
}
