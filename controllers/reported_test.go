package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// failureOf is what Microsoft has reported of mx1, from some minutes after sunday to others; the report came the day after.
func failureOf(from, to int) v1alpha1.TLSReportFailure {
	at := func(minutes int) metav1.Time { return metav1.NewTime(sunday.Add(time.Duration(minutes) * time.Minute)) }
	return v1alpha1.TLSReportFailure{
		Domain: "microsoft.com", Organization: "Microsoft", Hostname: "mx1.example.com", Result: "tlsa-invalid", Sessions: 3,
		From: at(from), To: at(to), LastReport: metav1.NewTime(sunday.AddDate(0, 0, 1)),
	}
}

// TestReportedFinding: what the condition says, for what was reported and what was seen at that time.
func TestReportedFinding(t *testing.T) {
	behind := trouble("ns3 (192.0.2.3:53)", -10, 98)
	behind.Message = "shows other records"
	lasting := trouble("ns4", 50, 0)
	lasting.Message = "gives no answer"
	mismatch := trouble("192.0.2.25 port 25", 10, 20)
	mismatch.Kind, mismatch.Message = v1alpha1.TroubleEndpoint, "no record matches"
	bogus := trouble("", 5, 15)
	bogus.Kind, bogus.Message = v1alpha1.TroubleSenderView, "the zone is bogus"
	unnamed := failureOf(0, 100)
	unnamed.Hostname = ""
	evil := failureOf(0, 100)
	evil.Organization = strings.Repeat("ü", 128)
	type failures = []v1alpha1.TLSReportFailure
	type list = []v1alpha1.TroubleStatus
	many := failures{failureOf(0, 1), failureOf(2, 3), failureOf(4, 5), failureOf(6, 7), failureOf(8, 9)}
	const who = "microsoft.com (Microsoft): tlsa-invalid on mx1.example.com from 2026-03-01 10:00 to 11:40; "
	for _, c := range []struct {
		why      string
		none     bool
		failures failures
		troubles list
		keys     []v1alpha1.KeyStatus
		seen     string
		later    time.Duration
		status   metav1.ConditionStatus
		message  string
	}{
		{why: "no reports are taken in", none: true},
		{why: "nothing failed", status: metav1.ConditionFalse},
		{why: "a name server was behind", failures: failures{failureOf(0, 100)}, troubles: list{behind}, status: metav1.ConditionTrue,
			message: who + "the operator saw: name server ns3 (192.0.2.3:53) shows other records from 2026-03-01 09:50 to 11:38"},
		{why: "nothing was seen", failures: failures{failureOf(0, 100)}, status: metav1.ConditionTrue, message: who + "the operator noted nothing wrong then"},
		{why: "what was before may have been cached", failures: failures{failureOf(0, 100)}, troubles: list{trouble("ns5", -300, -100)},
			status: metav1.ConditionTrue, message: who + "the operator saw: name server ns5  from 2026-03-01 05:00 to 08:20"},
		{why: "no cache held what was long before, and nothing was after", failures: failures{failureOf(0, 100)},
			troubles: list{trouble("ns5", -300, -121), trouble("ns6", 101, 0)}, status: metav1.ConditionTrue, message: who + "the operator noted nothing wrong then"},
		{why: "all kinds", failures: failures{failureOf(0, 100)}, troubles: list{bogus, mismatch, lasting}, status: metav1.ConditionTrue,
			message: who + "the operator saw: name server ns4 gives no answer since 2026-03-01 10:50, " +
				"endpoint 192.0.2.25 port 25: no record matches from 2026-03-01 10:10 to 10:20, the zone is bogus from 2026-03-01 10:05 to 10:15"},
		{why: "a key was changed", failures: failures{failureOf(0, 100)}, keys: []v1alpha1.KeyStatus{
			{SPKISHA256: strings.Repeat("1a", 32), Role: v1alpha1.RoleCurrent, Since: &metav1.Time{Time: sunday.Add(-time.Hour)}},
			{SPKISHA256: strings.Repeat("2b", 32), Role: v1alpha1.RoleCurrent, Since: &metav1.Time{Time: sunday.Add(-3 * time.Hour)}},
			{SPKISHA256: strings.Repeat("3c", 32), Role: v1alpha1.RoleCurrent, Since: &metav1.Time{Time: sunday.Add(2 * time.Hour)}},
			{SPKISHA256: strings.Repeat("4d", 32), Role: v1alpha1.RoleNext, Since: &metav1.Time{Time: sunday}},
		}, status: metav1.ConditionTrue, message: who + "the operator saw: key 1a1a1a1a1a1a1a1a was taken into use 2026-03-01 09:00"},
		{why: "more than are told", failures: failures{failureOf(0, 100)}, troubles: list{lasting, lasting, lasting, lasting}, status: metav1.ConditionTrue,
			message: who + "the operator saw: " + strings.Repeat("name server ns4 gives no answer since 2026-03-01 10:50, ", 3) + "and more"},
		{why: "no host is named", failures: failures{unnamed}, troubles: list{lasting}, status: metav1.ConditionTrue,
			message: strings.Replace(who, "mx1.example.com", "a mail server that it does not name", 1) + "the operator saw: name server ns4 gives no answer since 2026-03-01 10:50"},
		{why: "a time over midnight", failures: failures{failureOf(0, 1000)}, status: metav1.ConditionTrue,
			message: strings.Replace(who, "11:40", "2026-03-02 02:40", 1) + "the operator noted nothing wrong then"},
		{why: "a name that is too long", failures: failures{evil}, status: metav1.ConditionTrue,
			message: strings.Replace(who, "Microsoft", strings.Repeat("ü", 59)+"…", 1) + "the operator noted nothing wrong then"},
		{why: "more failures than are told", failures: many, status: metav1.ConditionTrue, message: "and more (kubectl dane reports)"},
		{why: "a person has looked into it", failures: failures{failureOf(0, 100)}, seen: "2026-03-02T10:00:00Z", status: metav1.ConditionFalse},
		{why: "a person had looked before", failures: failures{failureOf(0, 100)}, seen: "2026-03-02T09:59:59Z", status: metav1.ConditionTrue, message: who + "the operator noted nothing wrong then"},
		{why: "what is no time", failures: failures{failureOf(0, 100)}, seen: "true", status: metav1.ConditionTrue,
			message: who + "the operator noted nothing wrong then; the annotation mail.dane-operator.io/reports-seen is not heeded: want a time such as 2026-04-01T12:00:00Z"},
		{why: "the receiver is gone since", failures: failures{failureOf(0, 100)}, later: 7 * 24 * time.Hour, status: metav1.ConditionFalse},
	} {
		md := &v1alpha1.MailDomain{}
		md.Spec.TLSA.TTL = 3600
		if c.seen != "" {
			md.Annotations = map[string]string{v1alpha1.ReportsSeenAnnotation: c.seen}
		}
		if !c.none {
			md.Status.TLSReports = &v1alpha1.TLSReportsStatus{Failures: c.failures}
		}
		md.Status.MailServers = []v1alpha1.MailServerStatus{
			{Hostname: "mx1.example.com", Troubles: c.troubles, Keys: c.keys}, {Hostname: "mx2.example.com", Troubles: nil},
		}
		got := reportedFinding(md, &md.Status, sunday.AddDate(0, 0, 1).Add(c.later))
		if (got == nil) != c.none {
			t.Errorf("%s: %+v", c.why, got)
			continue
		}
		if got != nil && (got.status != c.status || !strings.HasSuffix(got.message, c.message) || c.message == "" && got.message != "" || len(got.message) > 2048) {
			t.Errorf("%s: got  %s %q\nwant %s %q", c.why, got.status, got.message, c.status, c.message)
		}
	}
}

// TestFailureReported: which reports count for a hold.
func TestFailureReported(t *testing.T) {
	came := metav1.NewTime(sunday)
	for _, c := range []struct {
		why, seen string
		hosts     []v1alpha1.TLSReportHost
		want      bool
	}{
		{why: "none is known of the host", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx2.example.com", LastDANEFailure: &came}}},
		{why: "none is proved, or of DANE", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", FailedSessions: 3}}},
		{why: "one counts", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", LastDANEFailure: &came}}, want: true},
		{why: "a person has looked into it", seen: "2026-03-01T12:00:00+02:00", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", LastDANEFailure: &came}}},
		{why: "it came after a person looked", seen: "2026-03-01T09:00:00Z", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", LastDANEFailure: &came}}, want: true},
		{why: "what is no time", seen: "yesterday", hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", LastDANEFailure: &came}}, want: true},
	} {
		md := &v1alpha1.MailDomain{}
		if got := failureReported(md, "mx1.example.com"); !got.IsZero() {
			t.Errorf("without reports: %s", got)
		}
		md.Annotations = map[string]string{}
		if c.seen != "" {
			md.Annotations[v1alpha1.ReportsSeenAnnotation] = c.seen
		}
		md.Status.TLSReports = &v1alpha1.TLSReportsStatus{Hosts: c.hosts}
		if got := failureReported(md, "mx1.example.com"); got.Equal(sunday) != c.want {
			t.Errorf("%s: %s", c.why, got)
		}
	}
}
