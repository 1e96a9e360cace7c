package e2e

import (
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Stage copies a new chain to the Secret that Postfix mounts when every cache knows its key; the
// issuer and cert-manager are not held back.
func TestStage(t *testing.T) {
	for _, issuer := range []string{"selfsigned", "ca"} {
		t.Run(issuer, func(t *testing.T) {
			s := newSite(t, "mx1-live")
			if issuer == "ca" {
				s.must(s.lab.CreateCAIssuer(t.Context(), s.lab.Namespace, issuer))
			}
			s.createZone()
			s.certificate(issuer, nil)
			s.domain(func(md *v1alpha1.MailDomain) {
				md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
				md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
			})
			s.settle(false)
			s.judges()
			for range 2 {
				before := s.startRenewal()
				published := s.published()
				servers.Eventually(t, "the new key is published", func() error { return s.differs(published) })
				if served := s.postfix.Served(); served != before {
					t.Errorf("Postfix serves %s before its record is known to every cache", served)
				}
				s.settleBeyond(before, false)
			}
			s.verdict()
		})
	}
}

// A first chain is served at once where no record stands yet: there is nothing that it could not match.
func TestStageServesTheFirstChainAtOnce(t *testing.T) {
	s := newSite(t, "mx1-live")
	s.createZone()
	s.nsd.Stop() // no sweep can be green
	s.certificate("selfsigned", nil)
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
	})
	s.nsd.Start()
	md := s.settle(false)
	if served := s.postfix.Served(); served != lab.CurrentKey(md, mx) {
		t.Errorf("Postfix serves %s", served)
	}
}
