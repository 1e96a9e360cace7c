package e2e

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// closeToExpiry brings a host with strategy Gate and a certificate of a short life to rest, and starts the judges.
func closeToExpiry(t *testing.T, m servers.Make, life, renewal time.Duration) *site {
	t.Helper()
	s := newSite(t, m, "mx1-tls")
	s.createZone()
	s.certificate("selfsigned", func(c *certificateSpec) {
		c.Duration, c.RenewBefore = &metav1.Duration{Duration: life}, &metav1.Duration{Duration: renewal}
	})
	s.domain(withoutStandby)
	s.settle(false)
	s.judges()
	return s
}

// expiry is the end of the certificate in use.
func (s *site) expiry() time.Time {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
	s.must(err)
	keys := lab.Keys(md, mx, v1alpha1.RoleCurrent)
	if len(keys) != 1 || keys[0].NotAfter == nil {
		s.Fatalf("the keys in use are %+v", keys)
	}
	return keys[0].NotAfter.Time
}

// deadline sets an action for a time before the expiry.
func (s *site) deadline(before time.Duration, action v1alpha1.DeadlineAction) {
	s.Helper()
	s.editDomain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Deadline = v1alpha1.DeadlineSpec{
			BeforeExpiry: v1alpha1.Duration(fmt.Sprintf("%ds", int(before/time.Second))), Action: action,
		}
	})
}

// With Hold a new key waits although the certificate in use runs out, and says for whom. Senders with DANE
// go by the key alone (RFC 7671 section 5.1).
func TestDeadlineHold(t *testing.T) { on(t, knot, deadlineHold) }

func deadlineHold(t *testing.T, m servers.Make) {
	s := closeToExpiry(t, m, 30*time.Second, 5*time.Second)
	s.deadline(25*time.Second, v1alpha1.DeadlineHold)
	watch := s.watchAnnouncements()
	s.nsd.Stop()
	before := s.startRenewal()
	expiry := s.expiry()
	s.heldUntil(expiry.Add(2 * time.Second))
	s.says(v1alpha1.ConditionRolloverInProgress, s.nsd.Addr.String())
	s.nsd.Start()
	s.settleBeyond(before, false)
	s.staysSafe(watch)
	s.verdict()
}

// With Proceed a new key that waits for a name server goes out at the deadline and not before. The operator
// says that senders may fail, and until when as soon as that is known; they fail, and at no other time.
func TestDeadlineProceed(t *testing.T) { on(t, bind, deadlineProceed) }

func deadlineProceed(t *testing.T, m servers.Make) {
	s := closeToExpiry(t, m, time.Hour, time.Minute)
	expiry := s.expiry()
	before := time.Until(expiry).Truncate(time.Second) - 8*time.Second
	s.deadline(before, v1alpha1.DeadlineProceed)
	s.nsd.Lag()
	watch := s.watchAnnouncements()
	old := s.startRenewal()
	s.heldUntil(expiry.Add(-before))
	servers.Eventually(t, "both senders have met the old records", s.bothFail)
	s.nsd.Follow()
	s.settleBeyond(old, false)
	s.failuresWereAnnounced(watch, v1alpha1.ReasonDeadlineProceeded)
}
