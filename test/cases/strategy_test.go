package cases

import (
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
)

// TestFromGateToFollowAndBack takes the gate off while a request waits, which is approved at once, and puts it
// on again: the next request waits. The server mounts the same Secret all the time.
func TestFromGateToFollowAndBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }, "mx1")
	rests := func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) }
	s.wait("example", rests)
	s.gatedBy("example")
	// Longer than a test: what is approved is so for another reason.
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.PublishSafety = "1h" })
	s.renewalWaits("2")
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow })
	s.rollsTo("2", rests)
	s.gatedBy("")

	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.Strategy = v1alpha1.StrategyGate })
	s.gatedBy("example")
	s.renewalWaits("3")
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.PublishSafety = lab.Fast.PublishSafety })
	s.rollsTo("3", rests)
}

// gatedBy waits until Certificate mx1 is gated by a MailDomain; empty: by none.
func (s *site) gatedBy(name string) {
	s.Helper()
	eventually(s.T, func() string {
		crt := &cmapi.Certificate{}
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
		if have := crt.Annotations[v1alpha1.GateAnnotation]; have != name {
			return fmt.Sprintf("the Certificate is gated by %q instead of %q", have, name)
		}
		return ""
	})
}

// renewalWaits renews mx1 and wants the new key to be published, and its request to wait.
func (s *site) renewalWaits(revision string) {
	s.Helper()
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, "mx1"))
	eventually(s.T, func() string {
		if n := len(s.tlsa(s.owner(mx))); n != 2 {
			return fmt.Sprintf("%d records, want those of both keys", n)
		}
		return ""
	})
	steadily(s.T, 5*time.Second, func() string {
		if s.approvedFor(revision) {
			return "the request is approved although caches may hold older records"
		}
		return ""
	})
}

// rollsTo waits until the request of a revision is approved, and the host at rest with one record.
func (s *site) rollsTo(revision string, rests func(*v1alpha1.MailDomain) string) {
	s.Helper()
	eventually(s.T, func() string {
		if !s.approvedFor(revision) {
			return "the request is not approved"
		}
		return ""
	})
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if n := len(s.tlsa(s.owner(mx))); n != 1 {
			return fmt.Sprintf("%d records, want that of the new key", n)
		}
		return rests(md)
	})
}
