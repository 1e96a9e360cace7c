package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/zone"
)

const (
	// atMX1 and atMX2 are where mail servers have a record for reports.
	atMX1, atMX2 = "_smtp._tls.mx1.example.com", "_smtp._tls.mx2.example.com"
	// agreedAt is where reports.test says that it takes reports about example.com.
	agreedAt = "example.com._report._dmarc.reports.test"
	agreed   = `"v=DMARC1"`
)

func textAt(name string) zone.SetName { return zone.SetName{Owner: name + ".", Type: "TXT"} }

// at wants a record at a name beside the domain to be in a state, with a message that has some words; an empty state
// stands for none.
func (b *recordBed) at(record v1alpha1.MailRecord, name string, state v1alpha1.MailRecordState, words ...string) {
	b.Helper()
	got := b.get().Status.RecordAt(record, name)
	if state == "" && got == nil {
		return
	}
	if got == nil || got.State != state {
		b.Fatalf("%s at %s is %+v, want %q", record, name, got, state)
	}
	for _, w := range words {
		if !strings.Contains(got.Message, w) {
			b.Errorf("%s at %s says %q, want %q", record, name, got.Message, w)
		}
	}
}

func (b *recordBed) stands(name string, want ...string) {
	b.Helper()
	if got := b.zone.sets[textAt(name)]; !slices.Equal(got, want) {
		b.Errorf("at %s there stands %v, want %v", name, got, want)
	}
}

// reportsOfMX1 has the record published for mx1, which is the MailDomain's own; mx2 is somebody else's.
func reportsOfMX1(s *v1alpha1.MailDomainSpec) {
	s.MailServers[0].Certificates = []v1alpha1.CertificateReference{{Name: "mx1"}}
	s.TLSReporting = &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:a@example.net"}, MailServers: v1alpha1.TLSReportMailServersEnabled}
}

// TestTLSReportsOfMailServers: a mail server of one's own has the record too, in its order: never one that is somebody
// else's, and not without a grant of its name.
func TestTLSReportsOfMailServers(t *testing.T) {
	b := newRecordBed(t, reportsOfMX1)
	b.settle()
	b.shows(mailplan.TLSRPT, bedRPT)
	b.stands(atMX1, bedRPT)
	b.stands(atMX2)
	b.at(v1alpha1.RecordTLSRPT, atMX1, v1alpha1.MailRecordPublished)
	b.at(v1alpha1.RecordTLSRPT, atMX2, "")
	if of := b.get().Status.Record(v1alpha1.RecordTLSRPT); of.Name != "_smtp._tls.example.com" {
		t.Errorf("the first of them is that at %s", of.Name)
	}
	b.restart()
	writes := b.zone.writes
	b.settle()
	if b.zone.writes != writes {
		t.Errorf("after a restart: %d updates", b.zone.writes-writes)
	}
	b.edit(func(md *v1alpha1.MailDomain) { md.Spec.TLSReporting.MailServers = "" })
	b.settle()
	b.stands(atMX1)
	b.at(v1alpha1.RecordTLSRPT, atMX1, "")
	b.shows(mailplan.TLSRPT, bedRPT)

	b.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.TLSReporting.MailServers = v1alpha1.TLSReportMailServersEnabled
	})
	b.zone.sets[textAt(atMX1)] = []string{`"v=TLSRPTv1; rua=mailto:theirs@example.org"`}
	b.step(20 * time.Minute)
	b.at(v1alpha1.RecordTLSRPT, atMX1, v1alpha1.MailRecordConflict, atMX1, "adopt: true")
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonRecordConflict, false)
}

// TestMailServerNeedsAGrant: that of the domain is none of the mail server's name.
func TestMailServerNeedsAGrant(t *testing.T) {
	b := newRecordBed(t, reportsOfMX1)
	z := &v1alpha1.DNSZone{}
	if err := b.api.Get(t.Context(), types.NamespacedName{Namespace: "mail", Name: "zone"}, z); err != nil {
		t.Fatal(err)
	}
	granted := func(names ...v1alpha1.GrantHostname) {
		z.Spec.Grants = []v1alpha1.ZoneGrant{grant(v1alpha1.GrantAll, nil)}
		z.Spec.Grants[0].MailDomains = names
		if err := b.api.Update(t.Context(), z); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	granted("example.com")
	b.shows(mailplan.TLSRPT, bedRPT)
	b.stands(atMX1)
	b.at(v1alpha1.RecordTLSRPT, atMX1, v1alpha1.MailRecordRefused, "mx1.example.com", "spec.grants[].mailDomains")
	granted("example.com", "mx1.example.com")
	b.stands(atMX1, bedRPT)
	granted("example.com") // and it is taken back
	b.at(v1alpha1.RecordTLSRPT, atMX1, v1alpha1.MailRecordRefused)
	b.stands(atMX1, bedRPT)
}

// TestOlderMailDomainHasTheMailServer: of two that share one, the older has its record.
func TestOlderMailDomainHasTheMailServer(t *testing.T) {
	older := mailDomain("mail", "older", time.Hour, host("mx1.example.com", 25))
	older.Spec.Domain = "example.org"
	reportsOfMX1(&older.Spec)
	b := newRecordBed(t, reportsOfMX1, &older)
	b.settle()
	b.stands(atMX1)
	b.at(v1alpha1.RecordTLSRPT, atMX1, v1alpha1.MailRecordRefused, "older")
}

// reportsElsewhere has reports of DMARC sent to another domain.
func reportsElsewhere(s *v1alpha1.MailDomainSpec) {
	s.DMARC = &v1alpha1.DMARCSpec{Policy: v1alpha1.DMARCNone, RUA: []v1alpha1.DMARCReportURI{"mailto:dmarc@reports.test", "mailto:dmarc@example.com"}}
}

const bedReported = `"v=DMARC1; p=none; rua=mailto:dmarc@reports.test,mailto:dmarc@example.com"`

// agrees has the other domain look as if it had these records.
func (b *recordBed) agrees(texts ...string) {
	b.Helper()
	b.answers.mu.Lock()
	b.answers.by[agreedAt+". TXT"] = lookedUp(b.T, dnssec.Secure, texts...)
	b.answers.mu.Unlock()
	b.step(2 * time.Minute)
	b.settle()
}

// TestDMARCReportsElsewhere: the record waits until the other domain agrees, and says what that has to publish.
func TestDMARCReportsElsewhere(t *testing.T) {
	b := newRecordBed(t, reportsElsewhere)
	b.settle()
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordWaiting, agreedAt, "cannot be found out")
	b.agrees()
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordWaiting, `have the TXT record "v=DMARC1" published at `+agreedAt, "RFC 9990")
	b.condition(metav1.ConditionFalse, v1alpha1.ReasonWaitingForOrder, true)
	b.shows(mailplan.DMARC)
	b.at(v1alpha1.RecordDMARCReport, agreedAt, "") // its zone is not ours
	b.agrees(agreedAt + ". 60 IN TXT " + agreed)
	b.shows(mailplan.DMARC, bedReported)
	b.agrees()
	b.step(2 * time.Hour)
	b.shows(mailplan.DMARC, bedReported) // the policy stands, and it is told that some reports do not come
	b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordPublished, agreedAt)
}

// TestDMARCAgreementOfOurs: where the other zone is ours and granted the agreement is published first, and goes with the
// record. One that stands there is left as it is.
func TestDMARCAgreementOfOurs(t *testing.T) {
	other := dnsZone("mail", "reports", "reports.test")
	other.UID = "reports"
	start := func(t *testing.T) *recordBed {
		b := newRecordBed(t, reportsElsewhere, &other)
		b.r.zones.update(types.NamespacedName{Namespace: "mail", Name: "reports"}, func(e *zoneEntry) {
			e.client, e.health = b.zone, &zone.Health{DNSSEC: zone.ZoneDNSSEC{State: dnssec.Secure}}
		})
		return b
	}
	t.Run("it is published, and removed", func(t *testing.T) {
		b := start(t)
		b.agrees()
		b.stands(agreedAt, agreed)
		b.at(v1alpha1.RecordDMARCReport, agreedAt, v1alpha1.MailRecordPublished)
		b.is(v1alpha1.RecordDMARC, v1alpha1.MailRecordWaiting)
		b.agrees(agreedAt + ". 60 IN TXT " + agreed)
		b.shows(mailplan.DMARC, bedReported)
		b.edit(func(md *v1alpha1.MailDomain) { md.Spec.DMARC = nil })
		b.settle()
		b.stands(agreedAt)
		b.shows(mailplan.DMARC)
	})
	t.Run("its zone is known before that of the domain", func(t *testing.T) {
		b := start(t)
		reports, _ := b.r.zones.get(types.NamespacedName{Namespace: "mail", Name: "reports"})
		domains, _ := b.r.zones.get(types.NamespacedName{Namespace: "mail", Name: "zone"})
		b.r.zones = newZoneRegistry()
		b.r.zones.update(types.NamespacedName{Namespace: "mail", Name: "reports"}, func(e *zoneEntry) { *e = reports })
		b.settle()
		b.stands(agreedAt, agreed)
		if r := b.get().Status.RecordAt(v1alpha1.RecordDMARCReport, agreedAt); !slices.Equal(r.Own, []string{agreed}) {
			t.Errorf("it is not remembered as ours: %+v", r)
		}
		b.r.zones.update(types.NamespacedName{Namespace: "mail", Name: "zone"}, func(e *zoneEntry) { *e = domains })
		b.agrees(agreedAt + ". 60 IN TXT " + agreed)
		b.at(v1alpha1.RecordDMARCReport, agreedAt, v1alpha1.MailRecordPublished)
	})
	t.Run("one of somebody else's stays", func(t *testing.T) {
		const theirs = `"v=DMARC1; rua=mailto:elsewhere@reports.test"`
		b := start(t)
		b.zone.sets[textAt(agreedAt)] = []string{theirs}
		b.agrees(agreedAt + ". 60 IN TXT " + theirs)
		b.stands(agreedAt, theirs)
		b.at(v1alpha1.RecordDMARCReport, agreedAt, v1alpha1.MailRecordNotManaged)
		b.shows(mailplan.DMARC, bedReported)
		b.condition(metav1.ConditionTrue, v1alpha1.ReasonPublished, true)
	})
}
