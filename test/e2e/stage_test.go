package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Stage copies a new chain to the Secret that Postfix mounts when every cache knows its key; the
// issuer and cert-manager are not held back.
func TestStage(t *testing.T) {
	t.Parallel()
	for issuer, makes := range map[string][]servers.Make{"selfsigned": powerDNS, "ca": knot} {
		t.Run(issuer, func(t *testing.T) {
			on(t, makes, func(t *testing.T, m servers.Make) { stage(t, m, issuer) })
		})
	}
}

func stage(t *testing.T, m servers.Make, issuer string) {
	s := newSite(t, m, "mx1-live")
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
		published := s.published()
		before := s.startRenewal()
		s.servesUntil(before, s.changesFrom(published).Add(caches))
		s.settleBeyond(before, false)
	}
	s.verdict()
}

// servesUntil wants Postfix to serve a key until an instant.
func (s *site) servesUntil(key string, instant time.Time) {
	s.Helper()
	for time.Now().Before(instant) {
		if served := s.postfix.Served(); served != key && time.Now().Before(instant) {
			s.Fatalf("Postfix serves %s %s before its record is known to every cache", served, time.Until(instant).Round(time.Millisecond))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// No key is handed to a server before every name server has said what it shows, and the object says
// which of them it waits for. Then the first chain is served at once: no record stands yet that it could
// fail to match, and none may stand before it is served.
func TestStageServesTheFirstChainOnceAllHaveAnswered(t *testing.T) {
	on(t, bind, stageServesTheFirstChainOnceAllHaveAnswered)
}

func stageServesTheFirstChainOnceAllHaveAnswered(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-live")
	s.createZone()
	s.nsd.Stop()
	s.certificate("selfsigned", nil)
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
	})
	s.issued(1)
	s.names(s.nsd)
	for until := time.Now().Add(caches); time.Now().Before(until); time.Sleep(tick) {
		if chain, _ := s.lab.TLSSecret(t.Context(), "mx1-live"); len(chain) > 0 {
			t.Fatalf("a chain is handed to Postfix although %s has not answered", s.nsd.Name())
		}
	}
	s.nsd.Start()
	s.servedBeforePublished()
	md := s.settle(false)
	if served := s.postfix.Served(); served != lab.CurrentKey(md, mx) {
		t.Errorf("Postfix serves %s", served)
	}
}

// names waits until a condition says that a name server is waited for.
func (s *site) names(server *servers.Secondary) {
	s.Helper()
	s.wait(func(md *v1alpha1.MailDomain) string {
		for _, c := range md.Status.Conditions {
			if strings.Contains(c.Message, server.Addr.String()) {
				return ""
			}
		}
		return "a condition to name " + server.Addr.String() + "; " + conditions(md)
	})
}
