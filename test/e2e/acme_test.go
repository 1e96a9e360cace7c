package e2e

import (
	"fmt"
	"testing"
	"time"

	cmacme "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/acme"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// acmeIssuer makes an Issuer called acme: Pebble, whose DNS-01 challenges cert-manager solves by updates
// of the zone that the TLSA records stand in, with a key of its own.
func (s *site) acmeIssuer() *acme.Pebble {
	s.Helper()
	// As those of public CAs it keeps nothing for long: the next challenge stands at the same name.
	resolver := servers.StartUnbound(s, servers.ResolverOptions{
		Stubs: []servers.Stub{servers.StubOf(s.primary)},
		Extra: []string{"cache-max-ttl: 0", "cache-max-negative-ttl: 0"},
	})
	challenges.Ask(resolver.Addr)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("cert-manager says last:\n%s", s.lab.CertManager.Tail(40))
		}
	})
	pebble := acme.StartPebble(s, resolver.Addr)
	s.must(s.lab.Client.Create(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: "acme-tsig"},
		StringData: map[string]string{"secret": s.primary.AdminSecret()},
	}))
	reference := func(name, key string) cmmeta.SecretKeySelector {
		return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
	}
	s.must(s.lab.Client.Create(s.Context(), &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: "acme"},
		Spec: cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{ACME: &cmacme.ACMEIssuer{
			Server: pebble.Directory, CABundle: pebble.CABundle, PrivateKey: reference("acme-account", corev1.TLSPrivateKeyKey),
			Solvers: []cmacme.ACMEChallengeSolver{{
				// After its own look at DNS cert-manager would wait for a minute. Pebble looks at the primary.
				WaitInsteadOfSelfCheck: &metav1.Duration{Duration: time.Second},
				DNS01: &cmacme.ACMEChallengeSolverDNS01{RFC2136: &cmacme.ACMEIssuerDNS01ProviderRFC2136{
					Nameserver: s.primary.Addr.String(), TSIGKeyName: servers.AdminName, TSIGAlgorithm: "HMACSHA256",
					TSIGSecret: reference("acme-tsig", "secret"),
				}},
			}},
		}}},
	}))
	return pebble
}

// validated wants Pebble to have validated so many challenges.
func (s *site) validated(pebble *acme.Pebble, want int) {
	s.Helper()
	if n := pebble.Validated(); n != want {
		s.Errorf("Pebble has validated %d challenges instead of %d", n, want)
	}
}

// ACME by Pebble, whose challenges cert-manager solves in the zone of the TLSA records. One case runs after
// the other, since cert-manager works on one challenge for a name at a time, and they share the name.
func TestACME(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		makes  []servers.Make
		test   func(*testing.T, servers.Make)
	}{
		{"Stage", bind, stageWithACME},
		{"Gate with a standby key", powerDNS, gateWithACMEAndStandbyKey},
		{"Gate without a standby key", knot, gateWithACME},
	} {
		t.Run(row.reason, func(t *testing.T) { alone(t, row.makes, row.test) })
	}
}

// With Stage the issuance takes its time, and asks nobody: the chain waits for its records afterwards,
// those of the CA included.
func stageWithACME(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-live")
	pebble := s.acmeIssuer()
	s.createZone()
	s.certificate("acme", nil)
	s.staged(withSets("2 1 1", "3 1 1"))
	for range 2 {
		s.nextChain(true, s.renewOnly)
	}
	s.validated(pebble, 3)
	s.verdict()
}

// With Gate the order begins when the key may be served: with a standby key at once.
func gateWithACMEAndStandbyKey(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls")
	pebble := s.acmeIssuer()
	s.createZone()
	s.certificate("acme", nil)
	s.domain(nil)
	md := s.settle(true)
	s.judges()
	standby := lab.Keys(md, mx, v1alpha1.RoleNext)[0].SPKISHA256
	md = s.renew(true)
	if key := lab.CurrentKey(md, mx); key != standby {
		t.Errorf("the renewal took key %s instead of the standby key %s", key, standby)
	}
	s.validated(pebble, 2)
	s.verdict()
}

// Without one no order begins while the request waits: Pebble is asked for nothing.
func gateWithACME(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls")
	pebble := s.acmeIssuer()
	s.createZone()
	s.certificate("acme", nil)
	s.domain(withoutStandby)
	s.settle(false)
	s.judges()
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(caches), func() error {
		if n := pebble.Validated(); n != 1 {
			return fmt.Errorf("Pebble has validated %d challenges instead of that of the first certificate alone", n)
		}
		return nil
	})
	s.settleBeyond(before, false)
	s.validated(pebble, 2)
	s.verdict()
}
