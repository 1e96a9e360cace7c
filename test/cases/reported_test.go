package cases

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
)

// reports tells in the status, as the receiver does, of a failure of DANE that is proved.
func (s *site) reports() {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), "example")
	s.must(err)
	before, now := md.DeepCopy(), metav1.Now()
	md.Status.TLSReports = &v1alpha1.TLSReportsStatus{
		LastReport: &now, Reports: 1, FailedSessions: 3,
		Hosts: []v1alpha1.TLSReportHost{{Hostname: mx, FailedSessions: 3, LastDANEFailure: &now}},
		Failures: []v1alpha1.TLSReportFailure{{
			Domain: "sender.example", Organization: "Sender", Hostname: mx, Result: "tlsa-invalid", Sessions: 3,
			From: metav1.NewTime(now.Add(-time.Hour)), To: now, LastReport: now,
		}},
	}
	s.must(s.lab.Client.Status().Patch(s.Context(), md, client.MergeFrom(before)))
}

// TestReportsHoldTheRemoval: a failure that is reported and proved is told, and changes nothing in DNS. It keeps the record of a key
// that is gone, for a time that is known, while the next key is deployed as ever; and by hand the hold ends.
func TestReportsHoldTheRemoval(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	first := lab.CurrentKey(s.wait("example", settled), mx)
	serial := s.serial()
	s.reports()
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		return lab.Condition(md, v1alpha1.ConditionSendersReportFailures, metav1.ConditionTrue)
	})
	if now := s.serial(); now != serial {
		t.Errorf("the zone has changed from %d to %d", serial, now)
	}

	renewed := func(from string) string {
		s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
		return lab.CurrentKey(s.wait("example", func(md *v1alpha1.MailDomain) string {
			if now := lab.CurrentKey(md, mx); now == "" || now == from {
				return "the key in use is " + now
			}
			return ""
		}), mx)
	}
	second := renewed(first)
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		for _, k := range lab.Keys(md, mx, v1alpha1.RolePrevious) {
			if k.SPKISHA256 == first && k.HeldUntil != nil && k.HeldUntil.After(time.Now().Add(47*time.Hour)) {
				return ""
			}
		}
		return fmt.Sprintf("key %s is not held: %+v", first, md.Status.MailServers[0].Keys)
	})
	renewed(second)
	steadily(t, 5*time.Second, func() string {
		if !slices.Contains(s.tlsa(s.owner(mx)), first) {
			return "the record of the first key is gone"
		}
		return ""
	})

	s.edit(func(md *v1alpha1.MailDomain) {
		md.Annotations = map[string]string{v1alpha1.ReportsSeenAnnotation: time.Now().UTC().Format(time.RFC3339)}
	})
	md := s.wait("example", settled)
	if missing := lab.Condition(md, v1alpha1.ConditionSendersReportFailures, metav1.ConditionFalse); missing != "" {
		t.Error(missing)
	}
	if left := s.tlsa(s.owner(mx)); slices.Contains(left, first) || slices.Contains(left, second) {
		t.Errorf("records of old keys stand: %v", left)
	}
}
