package dashboard

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// noon is when everything here is looked at.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func hours(n int) *metav1.Time { return &metav1.Time{Time: noon.Add(time.Duration(n) * time.Hour)} }

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: *hours(-5)}
}

// domain is a MailDomain at rest with hosts that have a certificate each.
func domain(namespace, name string, hosts ...string) v1alpha1.MailDomain {
	md := v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	md.Spec.Domain, md.Spec.Rollover.Strategy = name+".example", v1alpha1.StrategyGate
	md.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, ""),
		condition(v1alpha1.ConditionRolloverSafe, metav1.ConditionTrue, v1alpha1.ReasonSafe, ""),
		condition(v1alpha1.ConditionRolloverInProgress, metav1.ConditionFalse, v1alpha1.ReasonNoRollover, ""),
	}
	for _, h := range hosts {
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{Hostname: h, Certificates: []v1alpha1.CertificateReference{{Name: "tls"}}})
		md.Status.MailServers = append(md.Status.MailServers, v1alpha1.MailServerStatus{
			Hostname: h, ZoneRef: &v1alpha1.ZoneReference{Name: "zone"}, SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE},
		})
	}
	return md
}

// set replaces a condition.
func set(md *v1alpha1.MailDomain, c metav1.Condition) {
	for i := range md.Status.Conditions {
		if md.Status.Conditions[i].Type == c.Type {
			md.Status.Conditions[i] = c
			return
		}
	}
	md.Status.Conditions = append(md.Status.Conditions, c)
}

func many(n int) []v1alpha1.MailDomain {
	var out []v1alpha1.MailDomain
	for i := range n {
		out = append(out, domain("mail", fmt.Sprintf("d%05d", i), fmt.Sprintf("mx.d%05d.example", i)))
	}
	return out
}

func zoneFixture(name string, findings ...v1alpha1.ZoneFinding) v1alpha1.DNSZone {
	dz := v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: "dns", Name: name}}
	dz.Spec.Zone = name + ".example"
	dz.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")}
	dz.Status.DNSSEC = v1alpha1.ZoneDNSSECStatus{State: v1alpha1.DNSSECStateSecure, Findings: findings}
	return dz
}
