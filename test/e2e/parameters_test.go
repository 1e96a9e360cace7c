package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// withSets is an edit of a MailDomain.
func withSets(sets ...v1alpha1.TLSAParameters) func(*v1alpha1.MailDomain) {
	return func(md *v1alpha1.MailDomain) { md.Spec.TLSA.Parameters = sets }
}

// Stage publishes what the issued chain alone can say: digests of the whole certificate, and of the CA
// that stands in the chain. What a renewal changes is known to every cache before it is served; what it
// leaves as it was waits for nothing.
func TestStageWithOtherParameters(t *testing.T) {
	t.Parallel()
	rows := []struct {
		reason string
		makes  []servers.Make
		sets   []v1alpha1.TLSAParameters
		issuer string
		// rotation of the key; changes says that each renewal changes the records.
		rotation cmapi.PrivateKeyRotationPolicy
		changes  bool
	}{
		{"3 0 1", bind, []v1alpha1.TLSAParameters{"3 0 1"}, "selfsigned", cmapi.RotationPolicyAlways, true},
		{"3 0 1 with a key that stays", powerDNS, []v1alpha1.TLSAParameters{"3 0 1"}, "selfsigned", cmapi.RotationPolicyNever, true},
		{"2 1 1", knot, []v1alpha1.TLSAParameters{"2 1 1"}, "first", cmapi.RotationPolicyAlways, false},
		{"3 1 1 and 2 1 1", powerDNS, []v1alpha1.TLSAParameters{"3 1 1", "2 1 1"}, "first", cmapi.RotationPolicyAlways, true},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			on(t, row.makes, func(t *testing.T, m servers.Make) {
				s := newSite(t, m, "mx1-live")
				ofCA := row.issuer == "first"
				if ofCA {
					s.authority("first")
				}
				s.createZone()
				s.certificate(row.issuer, func(c *certificateSpec) { c.PrivateKey.RotationPolicy = row.rotation })
				s.staged(withSets(row.sets...))
				for range 2 {
					s.nextChain(row.changes, s.renewOnly)
				}
				if ofCA {
					s.authority("second")
					s.nextChain(true, func() { s.editCertificate(func(c *certificateSpec) { c.IssuerRef.Name = "second" }) })
				}
				s.showsSets(row.sets...)
				s.verdict()
			})
		})
	}
}

// staged brings a host with strategy Stage to rest, whose Certificate is there, and starts the judges.
func (s *site) staged(edits ...func(*v1alpha1.MailDomain)) {
	s.Helper()
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-live"
		for _, edit := range edits {
			edit(md)
		}
	})
	s.settle(false)
	s.judges()
}

// authority makes an Issuer whose CA another CA has signed. cert-manager hands its certificate out
// with the chain, as usage 2 needs (RFC 7671 section 5.2), which it does not with a root.
func (s *site) authority(name string) {
	s.Helper()
	root, ca := name+"-top", name+"-ca"
	s.must(s.lab.CreateCAIssuer(s.Context(), s.lab.Namespace, root))
	certificate := kube.Certificate(s.lab.Namespace, ca, root)
	certificate.Spec.CommonName, certificate.Spec.IsCA = name, true
	s.must(s.lab.Client.Create(s.Context(), certificate))
	_, err := s.lab.WaitIssued(s.Context(), s.lab.Namespace, ca, 1)
	s.must(err)
	s.must(s.lab.Client.Create(s.Context(), &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: name},
		Spec:       cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: ca}}},
	}))
}

func (s *site) renewOnly() {
	s.Helper()
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, "mx1"))
}

// editCertificate changes the Certificate mx1, again if somebody else did meanwhile.
func (s *site) editCertificate(change func(*certificateSpec)) {
	s.Helper()
	servers.Eventually(s, "the Certificate is changed", func() error {
		crt := &cmapi.Certificate{}
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
		change(&crt.Spec)
		return s.lab.Client.Update(s.Context(), crt)
	})
}

// leafOf is the first certificate of a Secret; nil while there is none.
func (s *site) leafOf(secret string) *x509.Certificate {
	s.Helper()
	chain, _ := s.lab.TLSSecret(s.Context(), secret)
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	s.must(err)
	return leaf
}

// nextChain starts an issuance and waits until its chain is served and all is at rest. When it changes
// the records, the chain must not be handed over before every cache knows those; else they must stay.
func (s *site) nextChain(changes bool, start func()) {
	s.Helper()
	published, handed := s.published(), s.leafOf("mx1-live")
	start()
	if changes {
		s.notHandedUntil(handed, s.changesFrom(published).Add(caches))
	}
	s.settleWithChainBeyond(handed)
	if !changes && s.published() != published {
		s.Errorf("published:\n%s\ninstead of what stood before:\n%s", s.published(), published)
	}
}

// notHandedUntil wants the serving Secret to hold a certificate until an instant.
func (s *site) notHandedUntil(handed *x509.Certificate, instant time.Time) {
	s.Helper()
	for time.Now().Before(instant) {
		if !s.leafOf("mx1-live").Equal(handed) && time.Now().Before(instant) {
			s.Fatalf("the new chain is handed over %s too early", time.Until(instant).Round(time.Millisecond))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// settleWithChainBeyond waits for rest with another certificate than one, which Postfix must serve.
func (s *site) settleWithChainBeyond(handed *x509.Certificate) {
	s.Helper()
	md := s.wait(func(md *v1alpha1.MailDomain) string {
		leaf := s.leafOf("mx1-live")
		if leaf.Equal(handed) {
			return "the new chain is not handed over; " + conditions(md)
		}
		current := lab.Keys(md, mx, v1alpha1.RoleCurrent)
		if len(current) != 1 || current[0].SerialNumber != fmt.Sprintf("%x", leaf.SerialNumber) {
			return "the new chain is not the current one; " + conditions(md)
		}
		return lab.Settled(md, mx, false)
	})
	if served, key := s.postfix.Served(), lab.CurrentKey(md, mx); served != key {
		s.Errorf("Postfix serves %s, and the Current key is %s", served, key)
	}
}

// publishedSets are the parameter sets of the records that the primary shows, with repetitions.
func (s *site) publishedSets() []string {
	s.Helper()
	var sets []string
	for record := range strings.Lines(s.published()) {
		sets = append(sets, record[:len("3 1 1")])
	}
	return sets
}

// showsSets waits until the primary shows one record of each parameter set and no other, and until the
// MailDomain is at rest.
func (s *site) showsSets(sets ...v1alpha1.TLSAParameters) {
	s.Helper()
	s.shows(1, sets...)
	s.settle(false)
}

// shows waits until the primary shows so many records of each parameter set and no other.
func (s *site) shows(each int, sets ...v1alpha1.TLSAParameters) {
	s.Helper()
	var want []string
	for _, set := range sets {
		want = append(want, slices.Repeat([]string{string(set)}, each)...)
	}
	slices.Sort(want)
	servers.Eventually(s, fmt.Sprintf("the parameter sets %q are published", want), func() error {
		if have := s.publishedSets(); !slices.Equal(have, want) {
			return fmt.Errorf("published are %q", have)
		}
		return nil
	})
}

// A parameter set comes, and another one goes, while nothing rolls; the renewal right after it waits as
// ever, since caches still hold the sets of before.
func TestParameterSetsAtRest(t *testing.T) { on(t, bind, parameterSetsAtRest) }

func parameterSetsAtRest(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	for _, sets := range [][]v1alpha1.TLSAParameters{{"3 1 1", "3 1 2"}, {"3 1 2"}} {
		s.editDomain(withSets(sets...))
		s.shows(1, sets...)
		published := s.published()
		before := s.startRenewal()
		s.heldUntil(s.changesFrom(published).Add(caches))
		s.settleBeyond(before, false)
		s.showsSets(sets...)
	}
	s.verdict()
}

// The standby key has records of a new set too, and of those that have left: it is deployed at once.
func TestParameterSetsWithStandbyKey(t *testing.T) { on(t, knot, parameterSetsWithStandbyKey) }

func parameterSetsWithStandbyKey(t *testing.T, m servers.Make) {
	s := gated(t, m, true)
	for _, sets := range [][]v1alpha1.TLSAParameters{{"3 1 1", "3 1 2"}, {"3 1 1"}} {
		s.editDomain(withSets(sets...))
		s.shows(2, sets...)
		s.renew(true)
		s.shows(2, sets...)
	}
	s.verdict()
}

// A parameter set comes while the new key waits, and another one goes while the next one does.
func TestParameterSetsDuringARollover(t *testing.T) { on(t, powerDNS, parameterSetsDuringARollover) }

func parameterSetsDuringARollover(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	for _, sets := range [][]v1alpha1.TLSAParameters{{"3 1 1", "3 1 2"}, {"3 1 2"}} {
		published := s.published()
		before := s.startRenewal()
		instant := s.changesFrom(published).Add(caches)
		s.editDomain(withSets(sets...))
		s.heldUntil(instant)
		s.settleBeyond(before, false)
		s.showsSets(sets...)
	}
	s.verdict()
}

// With Stage a set may depend on the certificate and not on its key alone: it comes and goes at rest, and
// while a new chain waits.
func TestParameterSetsOfTheCertificate(t *testing.T) {
	t.Parallel()
	t.Run("at rest", func(t *testing.T) { on(t, knot, setsOfTheCertificateAtRest) })
	t.Run("during a rollover", func(t *testing.T) { on(t, bind, setsOfTheCertificateDuringARollover) })
}

func selfSignedWithStage(t *testing.T, m servers.Make) *site {
	s := newSite(t, m, "mx1-live")
	s.createZone()
	s.certificate("selfsigned", nil)
	s.staged()
	return s
}

func setsOfTheCertificateAtRest(t *testing.T, m servers.Make) {
	s := selfSignedWithStage(t, m)
	for _, sets := range [][]v1alpha1.TLSAParameters{{"3 0 1", "3 1 1"}, {"3 1 1"}} {
		s.editDomain(withSets(sets...))
		s.showsSets(sets...)
		s.nextChain(true, s.renewOnly)
	}
	s.verdict()
}

func setsOfTheCertificateDuringARollover(t *testing.T, m servers.Make) {
	s := selfSignedWithStage(t, m)
	for _, sets := range [][]v1alpha1.TLSAParameters{{"3 0 1", "3 1 1"}, {"3 0 1"}} {
		published, handed := s.published(), s.leafOf("mx1-live")
		s.renewOnly()
		instant := s.changesFrom(published).Add(caches)
		s.editDomain(withSets(sets...))
		s.notHandedUntil(handed, instant)
		s.settleWithChainBeyond(handed)
		s.showsSets(sets...)
	}
	s.verdict()
}
