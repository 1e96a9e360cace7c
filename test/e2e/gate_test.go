package e2e

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

type certificateSpec = cmapi.CertificateSpec

func withoutStandby(md *v1alpha1.MailDomain) {
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
}

// gated brings a host with strategy Gate to rest, and starts the judges.
func gated(t *testing.T, standby bool, edits ...func(*v1alpha1.MailDomain)) *site {
	t.Helper()
	s := newSite(t, "mx1-tls")
	s.createZone()
	s.certificate("selfsigned", nil)
	s.domain(func(md *v1alpha1.MailDomain) {
		if !standby {
			withoutStandby(md)
		}
		for _, edit := range edits {
			edit(md)
		}
	})
	s.settle(standby)
	s.judges()
	return s
}

// A record that no server matches is an outage: the first publication waits for Postfix, which is
// late. Until then senders find no records and are content; from then on they find them and verify.
func TestFirstPublication(t *testing.T) {
	s := newSite(t, "mx1-tls")
	s.createZone()
	s.judges()
	s.domain(nil)
	s.wait(func(md *v1alpha1.MailDomain) string {
		if len(md.Status.Conditions) == 0 {
			return "conditions"
		}
		return ""
	})
	s.certificate("selfsigned", nil)
	s.settle(true)
	// A sender's resolver may remember for a while that there was nothing.
	servers.Eventually(t, "both senders have verified the host", s.bothVerified)
	verified := map[string]int{}
	for _, c := range s.stopJudges() {
		switch {
		case c.OK:
			verified[c.Judge]++
		case c.Class == "nodane" && verified[c.Judge] == 0:
			// Nothing is published yet, or the sender's resolver remembers that.
		case c.Class == "unreachable" && verified[c.Judge] == 0:
			// Postfix has no certificate yet.
		default:
			t.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
		}
	}
	for _, name := range []string{"postfix", "libssl"} {
		if verified[name] == 0 {
			t.Errorf("%s never verified the host", name)
		}
	}
}

// bothVerified returns nil when both judges have verified the host.
func (s *site) bothVerified() error {
	verified := map[string]bool{}
	for _, c := range s.checks.Checks() {
		verified[c.Judge] = verified[c.Judge] || c.OK
	}
	if !verified["postfix"] || !verified["libssl"] {
		return errNotYet
	}
	return nil
}

// The standby key is known to every cache long before: two renewals in a row wait for nothing.
func TestGateWithStandbyKey(t *testing.T) {
	s := gated(t, true)
	md, err := s.lab.Domain(t.Context(), "example")
	s.must(err)
	for range 2 {
		standby := lab.Keys(md, mx, v1alpha1.RoleNext)[0].SPKISHA256
		md = s.renew(true)
		if key := lab.CurrentKey(md, mx); key != standby {
			t.Errorf("the renewal took key %s instead of the standby key %s", key, standby)
		}
	}
	s.verdict()
}

// Without a standby key the request waits, while cert-manager's own approver tries to approve it and
// is refused by the policy, until every cache knows the new key.
func TestGateWithoutStandbyKey(t *testing.T) {
	s := gated(t, false)
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)
	s.verdict()
	if !s.logSays(s.lab.CertManager, "gated by MailDomain") {
		t.Error("cert-manager's approver was never refused: the policy was not tried")
	}
}

// A renewal that keeps the key changes nothing and waits for nothing, with either strategy.
func TestKeyThatStays(t *testing.T) {
	for _, strategy := range []v1alpha1.Strategy{v1alpha1.StrategyGate, v1alpha1.StrategyFollow} {
		t.Run(string(strategy), func(t *testing.T) {
			s := newSite(t, "mx1-tls")
			s.createZone()
			s.certificate("selfsigned", func(c *certificateSpec) { c.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever })
			s.domain(func(md *v1alpha1.MailDomain) {
				md.Spec.Rollover.Strategy = strategy
				withoutStandby(md)
			})
			md := s.settle(false)
			s.judges()
			for revision := 2; revision <= 5; revision++ {
				s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
				s.issued(revision)
			}
			after := s.settle(false)
			if lab.CurrentKey(md, mx) != lab.CurrentKey(after, mx) {
				t.Error("the key changed although rotationPolicy is Never")
			}
			if c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionRolloverSafe); c == nil || c.Status != metav1.ConditionTrue {
				t.Errorf("RolloverSafe is %+v", c)
			}
			s.verdict()
		})
	}
}

// issued waits until a revision of the Certificate is in its Secret.
func (s *site) issued(revision int) *cmapi.Certificate {
	s.Helper()
	crt, err := s.lab.WaitIssued(s.Context(), s.lab.Namespace, "mx1", revision)
	s.must(err)
	return crt
}
