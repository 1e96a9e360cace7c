package dashboard

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

const mx1, mx2 = "mx1.example", "mx2.example"

// TestLevelOfAHost looks at mx1 of a MailDomain with two hosts.
func TestLevelOfAHost(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	status := func(md *v1alpha1.MailDomain) *v1alpha1.MailServerStatus { return md.Status.MailServer(mx1) }
	for _, row := range []struct {
		reason string
		edit   func(*v1alpha1.MailDomain)
		want   Level
		why    string
	}{
		{"at rest", func(*v1alpha1.MailDomain) {}, Safe, ""},
		{"senders may fail", func(md *v1alpha1.MailDomain) {
			status(md).Unsafe = &v1alpha1.UnsafeStatus{Reason: v1alpha1.ReasonGateBypassed, Message: "past the gate"}
		}, Unsafe, "past the gate"},
		{"senders may fail at the other one", func(md *v1alpha1.MailDomain) {
			md.Status.MailServer(mx2).Unsafe = &v1alpha1.UnsafeStatus{Message: "past the gate"}
			set(md, condition(v1alpha1.ConditionRolloverSafe, no, v1alpha1.ReasonGateBypassed, mx2+": past the gate"))
			set(md, condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonGateBypassed, mx2+": past the gate"))
		}, Safe, ""},
		{"senders do not deliver", func(md *v1alpha1.MailDomain) {
			status(md).SenderView = &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, Message: "bogus"}
		}, Unsafe, "bogus"},
		{"they would not, if one were sent to it", func(md *v1alpha1.MailDomain) {
			status(md).SenderView = &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderUndeliverable, NotInMX: true}
		}, Safe, ""},
		{"what stood there before may be cached", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionRolloverSafe, unknown, v1alpha1.ReasonHistoryUnknown, mx1+": records may have stood in DNS"))
		}, Unknown, "records may have stood in DNS"},
		{"nobody has looked yet", func(md *v1alpha1.MailDomain) { md.Status = v1alpha1.MailDomainStatus{} }, Unknown, "the operator has not looked at it yet"},
		{"only a person can mend it", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionStalled, yes, v1alpha1.ReasonCertificateNotFound, "Certificate tls does not exist"))
		}, Attention, "Certificate tls does not exist"},
		{"something is wrong with it", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionReady, no, v1alpha1.ReasonMismatch, mx1+": one; two; "+mx2+": three"))
		}, Attention, "one; two"},
		{"its key is being changed", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionRolloverInProgress, yes, v1alpha1.ReasonWaitingForCaches, mx1+": caches"))
		}, Moving, "caches"},
		{"that of the other one is", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionRolloverInProgress, yes, v1alpha1.ReasonWaitingForCaches, mx2+": caches"))
		}, Safe, ""},
		{"a rollover without a known end", func(md *v1alpha1.MailDomain) {
			set(md, condition(v1alpha1.ConditionRolloverInProgress, yes, v1alpha1.ReasonHeld, mx1+": a server is away"))
		}, Attention, "a server is away"},
	} {
		md := domain("mail", "d", mx1, mx2)
		row.edit(&md)
		got := judgeHost(&md, mx1, md.Status.MailServer(mx1))
		if got.Level != row.want || got.Why != row.why {
			t.Errorf("%s: %s because of %q, want %s because of %q", row.reason, got.Level.Word(), got.Why, row.want.Word(), row.why)
		}
	}
}

func TestLevelOfAZone(t *testing.T) {
	finding := func(s v1alpha1.FindingSeverity) v1alpha1.ZoneFinding {
		return v1alpha1.ZoneFinding{Code: "Code", Severity: s, Message: "message"}
	}
	for _, row := range []struct {
		reason string
		zone   v1alpha1.DNSZone
		ready  metav1.ConditionStatus
		state  v1alpha1.DNSSECState
		want   Level
	}{
		{"well", zoneFixture("a"), metav1.ConditionTrue, v1alpha1.DNSSECStateSecure, Safe},
		{"a critical finding", zoneFixture("a", finding(v1alpha1.FindingCritical)), metav1.ConditionTrue, v1alpha1.DNSSECStateSecure, Unsafe},
		{"a warning", zoneFixture("a", finding(v1alpha1.FindingWarning)), metav1.ConditionTrue, v1alpha1.DNSSECStateSecure, Attention},
		{"a notice", zoneFixture("a", finding(v1alpha1.FindingNotice)), metav1.ConditionTrue, v1alpha1.DNSSECStateSecure, Safe},
		{"it does not validate", zoneFixture("a"), metav1.ConditionFalse, v1alpha1.DNSSECStateBogus, Unsafe},
		{"updates are refused", zoneFixture("a"), metav1.ConditionFalse, v1alpha1.DNSSECStateSecure, Attention},
		{"it could not be found out", zoneFixture("a"), metav1.ConditionUnknown, v1alpha1.DNSSECStateIndeterminate, Unknown},
		{"nobody has looked yet", zoneFixture("a"), "", "", Unknown},
	} {
		row.zone.Status.DNSSEC.State = row.state
		row.zone.Status.Conditions[0].Status = row.ready
		if row.ready == "" {
			row.zone.Status.Conditions = nil
		}
		if got := judgeZone(&row.zone); got.Level != row.want {
			t.Errorf("%s: %s, want %s", row.reason, got.Level.ZoneWord(), row.want.ZoneWord())
		}
	}
}
