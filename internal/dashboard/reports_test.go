package dashboard

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// reported is what senders have reported.
func reported() *v1alpha1.TLSReportsStatus {
	return &v1alpha1.TLSReportsStatus{
		LastReport: hours(-3), Reports: 12, SuccessfulSessions: 10_000, FailedSessions: 9,
		Results:       []v1alpha1.TLSReportResult{{Policy: "tlsa", Result: "tlsa-invalid", Sessions: 9, ProvedSessions: 5}},
		Hosts:         []v1alpha1.TLSReportHost{{Hostname: mx1, FailedSessions: 5, LastDANEFailure: hours(-3)}},
		Organizations: []v1alpha1.TLSReportOrganization{{Name: "<b>Microsoft</b>", Domain: "microsoft.com", FailedSessions: 5}, {FailedSessions: 4}},
	}
}

// TestReportsOnPage: the page of a host tells what senders report; what they call themselves is shown as text.
func TestReportsOnPage(t *testing.T) {
	md := domain("mail", "d", mx1)
	if p, _ := NewHostPage(&md, mx1, noon); p.Reports != nil {
		t.Errorf("without reports the page tells of %+v", p.Reports)
	}
	md.Status.TLSReports = reported()
	md.Status.MailServers[0].Keys = []v1alpha1.KeyStatus{{SPKISHA256: strings.Repeat("ab", 32), Role: v1alpha1.RolePrevious, HeldUntil: hours(45)}}
	b := newBed(t, fakeClock(), nil, &md)
	page := b.get("/host?namespace=mail&maildomain=d&host="+mx1, "all").Body.String()
	for _, want := range []string{
		"10000 succeeded, 9 failed, 5 of these with this mail server", "tlsa-invalid", "&lt;b&gt;Microsoft&lt;/b&gt;", "microsoft.com", "Records stay until",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not tell %q", want)
		}
	}
	if got := conditionsOf([]metav1.Condition{
		condition(v1alpha1.ConditionSendersReportFailures, metav1.ConditionTrue, v1alpha1.ReasonDANEFailures, "failures"),
		condition(v1alpha1.ConditionSendersReportFailures, metav1.ConditionFalse, v1alpha1.ReasonNoDANEFailures, ""),
	}, noon); got[0].Class != "bad" || len(got[0].Help) == 0 || got[1].Class != "good" {
		t.Errorf("the condition is shown as %+v", got)
	}
}
