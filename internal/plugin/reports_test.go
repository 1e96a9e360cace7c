package plugin

import (
	"io"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// reported is a mail domain of which senders have reported failures.
func reported() *v1alpha1.MailDomain {
	md := rolling()
	md.Status.MailServers[0].Keys[2].HeldUntil = hours(45)
	md.Status.Conditions = append(md.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionSendersReportFailures, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDANEFailures,
		Message: "microsoft.com (Microsoft): tlsa-invalid on mx1.example.com from 2026-01-01 00:00 to 23:59; the operator saw: name server ns3.example.net (192.0.2.3:53) shows other records from 2026-01-01 10:00 to 11:38",
	})
	md.Status.TLSReports = &v1alpha1.TLSReportsStatus{
		LastReport: hours(-3), Reports: 12, SuccessfulSessions: 10_000, FailedSessions: 9,
		Results: []v1alpha1.TLSReportResult{
			{Policy: "tlsa", Result: "tlsa-invalid", Sessions: 5, ProvedSessions: 5}, {Policy: "sts", Result: "sts-policy-fetch-error", Sessions: 4},
		},
		Hosts: []v1alpha1.TLSReportHost{{Hostname: "mx1.example.com", FailedSessions: 5, LastDANEFailure: hours(-3)}, {FailedSessions: 4}},
		Organizations: []v1alpha1.TLSReportOrganization{
			{Name: "Microsoft", Domain: "microsoft.com", SuccessfulSessions: 9_000, FailedSessions: 5}, {Name: "Somebody", FailedSessions: 4}, {SuccessfulSessions: 1_000},
		},
		Failures: []v1alpha1.TLSReportFailure{{
			Domain: "microsoft.com", Organization: "Microsoft", Hostname: "mx1.example.com", Result: "tlsa-invalid", Sessions: 5,
			From: *hours(-36), To: *hours(-12), LastReport: *hours(-3),
		}},
	}
	return md
}

// TestReports compares what is written of reports, and of none.
func TestReports(t *testing.T) {
	golden(t, "reports.txt", func(out io.Writer) error { return writeReports(out, reported(), noon) })
	golden(t, "reports-none.txt", func(out io.Writer) error { return writeReports(out, rolling(), noon) })
}
