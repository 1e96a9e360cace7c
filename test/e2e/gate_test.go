package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

type certificateSpec = cmapi.CertificateSpec

func withoutStandby(md *v1alpha1.MailDomain) {
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
}

// gated brings a host with strategy Gate to rest, and starts the judges.
func gated(t *testing.T, m servers.Make, standby bool, edits ...func(*v1alpha1.MailDomain)) *site {
	t.Helper()
	return newSite(t, m, "mx1-tls").gated(standby, edits...)
}

func (s *site) gated(standby bool, edits ...func(*v1alpha1.MailDomain)) *site {
	s.Helper()
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
// late. Until then senders find no records and are content; from then on they find them and verify. A
// sender that finds records while Postfix has no certificate cannot deliver: it meets no STARTTLS.
func TestFirstPublication(t *testing.T) { on(t, all, firstPublication) }

func firstPublication(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls", lateReload)
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
	s.servedBeforePublished()
	s.settle(true)
	// A sender's resolver may remember for a while that there was nothing.
	servers.Eventually(t, "both senders have verified the host", s.bothVerified)
	verified := map[string]int{}
	for _, c := range s.stopJudges() {
		switch {
		case c.OK:
			verified[c.Judge]++
		case c.Class == judge.ClassNoDANE && verified[c.Judge] == 0:
			// Nothing is published yet, or the sender's resolver remembers that.
		default:
			t.Errorf("%s %s: %s: %s", c.At.Format("15:04:05.000"), c.Judge, c.Class, c.Detail)
		}
	}
	for _, name := range judge.Names {
		if verified[name] == 0 {
			t.Errorf("%s never verified the host", name)
		}
	}
}

// servedBeforePublished waits until Postfix serves its first certificate, and wants no record before.
func (s *site) servedBeforePublished() {
	s.Helper()
	servers.Eventually(s, "Postfix serves a certificate", func() error {
		published := s.published() // asked for first: Postfix is not earlier than it seems
		switch {
		case s.postfix.Served() != "":
			return nil
		case published != "":
			s.Errorf("published before Postfix serves a certificate: %s", published)
			return nil
		}
		return errors.New("it serves none")
	})
}

// bothVerified returns nil when both judges have verified the host.
func (s *site) bothVerified() error {
	verified := map[string]bool{}
	for _, c := range s.checks.Checks() {
		verified[c.Judge] = verified[c.Judge] || c.OK
	}
	return allOf(verified)
}

// The standby key is known to every cache long before: two renewals in a row wait for nothing.
func TestGateWithStandbyKey(t *testing.T) { on(t, knot, gateWithStandbyKey) }

func gateWithStandbyKey(t *testing.T, m servers.Make) {
	s := gated(t, m, true)
	md, err := s.lab.Domain(t.Context(), s.lab.Namespace)
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
func TestGateWithoutStandbyKey(t *testing.T) { on(t, all, gateWithoutStandbyKey) }

func gateWithoutStandbyKey(t *testing.T, m servers.Make) {
	gated(t, m, false).rollsWithoutStandbyKey()
}

// BIND with inline signing acknowledges an update before it serves it: nothing counts from the
// acknowledgement.
func TestGateWithoutStandbyKeyAndInlineSigning(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, servers.BIND, "mx1-tls", siteOptions{primary: func(_ *site, o *servers.Options) { o.InlineSigning = true }})
	s.gated(false).rollsWithoutStandbyKey()
}

// rollsWithoutStandbyKey renews once, under the judges, and wants the request to be held until every cache
// knows the new key.
func (s *site) rollsWithoutStandbyKey() {
	s.Helper()
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)
	s.verdict()
	if !s.logSays(s.lab.CertManager, "gated by MailDomain") {
		s.Error("cert-manager's approver was never refused: the policy was not tried")
	}
}

// A renewal that keeps the key changes nothing and waits for nothing, with either strategy.
func TestKeyThatStays(t *testing.T) {
	t.Parallel()
	for _, strategy := range []v1alpha1.Strategy{v1alpha1.StrategyGate, v1alpha1.StrategyFollow} {
		t.Run(string(strategy), func(t *testing.T) {
			on(t, bind, func(t *testing.T, m servers.Make) { keyThatStays(t, m, strategy) })
		})
	}
}

func keyThatStays(t *testing.T, m servers.Make, strategy v1alpha1.Strategy) {
	s := newSite(t, m, "mx1-tls")
	s.createZone()
	s.certificate("selfsigned", func(c *certificateSpec) { c.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever })
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = strategy
		withoutStandby(md)
	})
	md := s.settle(false)
	s.judges()
	published := s.published()
	unchanged := func(when string) {
		if now := s.published(); now != published {
			t.Errorf("published %s:\n%s\ninstead of:\n%s", when, now, published)
		}
	}
	for revision := 2; revision <= 5; revision++ {
		s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
		s.issued(revision)
		unchanged(fmt.Sprintf("with revision %d", revision))
	}
	time.Sleep(caches) // what the operator does late is seen too
	after := s.settle(false)
	unchanged("at the end")
	if lab.CurrentKey(md, mx) != lab.CurrentKey(after, mx) {
		t.Error("the key changed although rotationPolicy is Never")
	}
	if c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionRolloverSafe); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("RolloverSafe is %+v", c)
	}
	s.verdict()
}

// issued waits until a revision of the Certificate is in its Secret.
func (s *site) issued(revision int) *cmapi.Certificate {
	s.Helper()
	crt, err := s.lab.WaitIssued(s.Context(), s.lab.Namespace, "mx1", revision)
	s.must(err)
	return crt
}
