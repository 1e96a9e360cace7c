package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/zone"
)

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

// TestNewPolicyIsLookedForSoon: who serves a policy learns of it from the status, and may be a moment behind. So a policy that
// is new is looked for again after seconds, some times, and once a minute from then on, or once it has been served.
func TestNewPolicyIsLookedForSoon(t *testing.T) {
	b := newRecordBed(t, func(s *v1alpha1.MailDomainSpec) { s.MTASTS = &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSTesting} })
	b.settle()
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordWaiting)
	if wait := b.reconcile().RequeueAfter; wait > lookFirst {
		t.Errorf("it is looked at again in %s only", wait)
	}
	serve := func() { b.policy = b.get().Status.Record(v1alpha1.RecordMTASTS).Policy }
	serve()
	b.step(lookFirst)
	b.settle()
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordPublished)

	// Another one, that nobody serves for long.
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.MTASTS.Mode = v1alpha1.MTASTSEnforce })
	b.settle()
	fetched := b.fetched
	b.step(lookSoon)
	for range 12 {
		b.step(lookFirst)
	}
	if n := b.fetched - fetched; n < firstLooks-1 || n > firstLooks+1 {
		t.Errorf("a policy that is new was looked for %d times in two minutes", n)
	}
	fetched = b.fetched
	serve()
	for range 12 {
		b.step(lookFirst)
	}
	if n := b.fetched - fetched; n != 1 {
		t.Errorf("it was looked for %d times in the next minute", n)
	}
	b.is(v1alpha1.RecordMTASTS, v1alpha1.MailRecordPublished)

	// One that fails now is doubted three times, a minute apart.
	b.step(lookAgain)
	fetched, b.policy = b.fetched, ""
	b.step(lookAgain)
	for range 12 {
		b.step(lookFirst)
	}
	if n := b.fetched - fetched; n != 2 {
		t.Errorf("a policy that stands was looked for %d times in a minute", n)
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
