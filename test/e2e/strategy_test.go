package e2e

import (
	"errors"
	"fmt"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

const standbySecret = "mx1-dane-standby"

// A host goes from Gate to Stage and back, step by step as docs/strategies.md has it. No sender notices, and
// nothing is announced; a renewal in the middle of each way changes no record.
func TestFromOneStrategyToAnother(t *testing.T) { on(t, knot, fromOneStrategyToAnother) }

func fromOneStrategyToAnother(t *testing.T, m servers.Make) {
	s := gated(t, m, true)
	watch := s.watchAnnouncements()

	s.fromGateToStage()
	published := s.published()
	before := s.startRenewal()
	s.servesUntil(before, s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)

	md := s.fromStageToGate()
	standby := lab.Keys(md, mx, v1alpha1.RoleNext)[0].SPKISHA256
	if key := lab.CurrentKey(s.renew(true), mx); key != standby {
		t.Errorf("with Gate again the renewal took key %s instead of the standby key %s", key, standby)
	}
	s.staysSafe(watch)
	s.verdict()
}

func (s *site) fromGateToStage() {
	s.Helper()
	key := s.postfix.Served()
	s.keepsKey(cmapi.RotationPolicyNever)
	s.editDomain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
	})
	s.gatedBy("")
	servers.Eventually(s, "the standby key's records are out", func() error {
		if have, want := s.published(), fmt.Sprint(3, 1, 1, key); have != want {
			return fmt.Errorf("published is %q instead of %q", have, want)
		}
		return nil
	})
	s.sameChain()
	s.tellsOfTheServingSecret()
	s.renewsWithTheSameKey()
	s.sameChain()
	s.mount("mx1-live")
	s.settle(false)
	s.keepsKey(cmapi.RotationPolicyAlways)
	s.deleteSecret(standbySecret) // which is still there
}

func (s *site) fromStageToGate() *v1alpha1.MailDomain {
	s.Helper()
	s.sameChain()
	s.keepsKey(cmapi.RotationPolicyNever)
	s.editDomain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = ""
	})
	s.gatedBy(s.lab.Namespace) // the name of the MailDomain
	s.settle(true)
	s.renewsWithTheSameKey()
	s.mount("mx1-tls")
	s.keepsKey(cmapi.RotationPolicyAlways)
	s.deleteSecret("mx1-live")
	return s.settle(true)
}

// keepsKey says what a renewal does with the key.
func (s *site) keepsKey(policy cmapi.PrivateKeyRotationPolicy) {
	s.Helper()
	s.editCertificate(func(c *certificateSpec) { c.PrivateKey.RotationPolicy = policy })
}

// gatedBy waits until the Certificate is gated by a MailDomain; empty: by none.
func (s *site) gatedBy(name string) {
	s.Helper()
	servers.Eventually(s, fmt.Sprintf("the Certificate is gated by %q", name), func() error {
		if have := s.issued(1).Annotations[gate]; have != name {
			return fmt.Errorf("it is gated by %q", have)
		}
		return nil
	})
}

// sameChain waits until the serving Secret holds what the Certificate's own does.
func (s *site) sameChain() {
	s.Helper()
	servers.Eventually(s, "both Secrets hold the same certificate", func() error {
		own, served := s.leafOf("mx1-tls"), s.leafOf("mx1-live")
		if own == nil || served == nil || !own.Equal(served) {
			return errors.New("they differ")
		}
		return nil
	})
}

// tellsOfTheServingSecret waits for the event of a certificate that was copied. That of an approval has the
// same reason, and another action.
func (s *site) tellsOfTheServingSecret() {
	s.Helper()
	servers.Eventually(s, "an event tells of the serving Secret", func() error {
		var told corev1.EventList
		s.must(s.lab.Client.List(s.Context(), &told, client.InNamespace(s.lab.Namespace)))
		for _, e := range told.Items {
			if e.Reason == "KeyDeployed" && e.Action == "Deploy" {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// renewsWithTheSameKey renews, and wants the records to stay.
func (s *site) renewsWithTheSameKey() {
	s.Helper()
	published := s.published()
	revision := s.revisionOf("mx1")
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, "mx1"))
	s.issued(revision + 1)
	if now := s.published(); now != published {
		s.Errorf("published after a renewal with the same key:\n%s\ninstead of:\n%s", now, published)
	}
}

// deleteSecret deletes a Secret, which must be there.
func (s *site) deleteSecret(name string) {
	s.Helper()
	s.must(s.lab.Client.Delete(s.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: name}}))
}
