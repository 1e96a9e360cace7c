package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// pair are two Certificates of one host, ECDSA and RSA, in the order in which Postfix serves them.
var pair = []string{"mx1", "mx1-rsa"}

// each key type is asked for by signature algorithms that no other can make (RFC 8446 section 4.2.3).
var eachKeyType = []string{
	"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512",
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512",
}

// ECDSA and RSA side by side on one host are two keys in one RRset. Each rolls alone, then both at
// once, and a sender of either type is served.
func TestECDSABesideRSA(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		makes   []servers.Make
		standby bool
	}{
		"with standby keys":    {knot, true},
		"without standby keys": {bind, false},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, row.makes, func(t *testing.T, m servers.Make) { ecdsaBesideRSA(t, m, row.standby) })
		})
	}
}

func ecdsaBesideRSA(t *testing.T, m servers.Make, standby bool) {
	s := newSiteBeside(t, m, "mx1-tls", []string{"mx1-rsa-tls"})
	s.algorithms = eachKeyType
	s.createZone()
	s.certificate("selfsigned", nil)
	second := kube.Certificate(s.lab.Namespace, "mx1-rsa", "selfsigned", mx)
	second.Spec.PrivateKey.Algorithm, second.Spec.PrivateKey.Size = cmapi.RSAKeyAlgorithm, 2048
	s.must(s.lab.Client.Create(t.Context(), second))
	s.domain(func(md *v1alpha1.MailDomain) {
		if !standby {
			withoutStandby(md)
		}
		md.Spec.MailServers[0].Certificates = append(md.Spec.MailServers[0].Certificates, v1alpha1.CertificateReference{Name: "mx1-rsa"})
	})
	s.settlePair(standby, nil)
	s.judges()
	for _, names := range [][]string{{"mx1"}, {"mx1-rsa"}, pair} {
		s.renewOf(names, standby)
	}
	s.verdict()
}

// renewOf renews some of the pair, and wants the others to keep their keys.
func (s *site) renewOf(names []string, standby bool) {
	s.Helper()
	before := s.settlePair(standby, nil)
	published := s.published()
	from := map[string]int{}
	for _, name := range names {
		from[name] = s.revisionOf(name)
		s.must(s.lab.Renew(s.Context(), s.lab.Namespace, name))
	}
	if !standby {
		instant := s.changesFrom(published).Add(caches)
		for time.Now().Before(instant) {
			for _, name := range names {
				if isApproved(s.requestBeyond(name, from[name])) && time.Now().Before(instant) {
					s.Fatalf("the request of %s was approved %s too early", name, time.Until(instant).Round(time.Millisecond))
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	old := map[string]string{}
	for _, name := range names {
		old[name] = before[name].current
	}
	after := s.settlePair(standby, old)
	for _, name := range pair {
		if changed := after[name].current != before[name].current; changed != slices.Contains(names, name) {
			s.Errorf("renewing %v: the key of %s changed: %t", names, name, changed)
		}
		if standby && slices.Contains(names, name) && after[name].current != before[name].next {
			s.Errorf("the renewal of %s took key %s instead of the standby key %s", name, after[name].current, before[name].next)
		}
	}
}

// keysOf are the keys of a Certificate at rest.
type keysOf struct{ current, next string }

// settlePair waits for rest, where none of the pair has an old key.
func (s *site) settlePair(standby bool, old map[string]string) map[string]keysOf {
	s.Helper()
	var keys map[string]keysOf
	s.wait(func(md *v1alpha1.MailDomain) string {
		keys = map[string]keysOf{}
		for i, name := range pair {
			k, missing := restOf(md, name, standby)
			switch served := s.postfix.ServedBeside(i); {
			case missing != "":
				return name + ": " + missing + "; " + conditions(md)
			case k.current == old[name]:
				return name + " has its old key; " + conditions(md)
			case served != k.current:
				return fmt.Sprintf("Postfix serves %s for %s, whose key is %s", served, name, k.current)
			}
			keys[name] = k
		}
		return lab.Condition(md, v1alpha1.ConditionReady, "True")
	})
	return keys
}

// restOf are the keys of one of a host's Certificates, and what is missing for it to be at rest.
func restOf(md *v1alpha1.MailDomain, certificate string, standby bool) (keysOf, string) {
	of := func(role v1alpha1.KeyRole) []v1alpha1.KeyStatus {
		return slices.DeleteFunc(lab.Keys(md, mx, role), func(k v1alpha1.KeyStatus) bool { return k.Certificate != certificate })
	}
	current, next, previous := of(v1alpha1.RoleCurrent), of(v1alpha1.RoleNext), of(v1alpha1.RolePrevious)
	switch {
	case len(current) != 1 || len(previous) != 0:
		return keysOf{}, fmt.Sprintf("%d Current and %d Previous keys", len(current), len(previous))
	case !standby:
		return keysOf{current: current[0].SPKISHA256}, ""
	case len(next) != 1 || next[0].Visibility != v1alpha1.VisibilityOmnipresent:
		return keysOf{}, fmt.Sprintf("no standby key that every cache knows: %+v", next)
	}
	return keysOf{current[0].SPKISHA256, next[0].SPKISHA256}, ""
}

// keyWishes are the changes of key algorithm and size that the tests make, one after the other.
var keyWishes = []struct {
	algorithm cmapi.PrivateKeyAlgorithm
	size      int
}{{cmapi.RSAKeyAlgorithm, 2048}, {cmapi.ECDSAKeyAlgorithm, 384}}

// sizeOf is the size of a public key in bits, by its algorithm.
func sizeOf(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprint(cmapi.RSAKeyAlgorithm, " ", k.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprint(cmapi.ECDSAKeyAlgorithm, " ", k.Params().BitSize)
	}
	return fmt.Sprintf("%T", key)
}

// standbySize is sizeOf for the standby key of the Certificate mx1.
func (s *site) standbySize() string {
	s.Helper()
	secret := &corev1.Secret{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1-dane-standby"}, secret))
	block, _ := pem.Decode(secret.Data[corev1.TLSPrivateKeyKey])
	if block == nil {
		s.Fatal("the Secret of the standby key holds none")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	s.must(err)
	return sizeOf(key.(crypto.Signer).Public())
}

// A change of the key's algorithm starts a renewal at once, and finds a standby key of the old one: the
// new key waits as one without a standby key does, and the standby key is made anew.
func TestKeyAlgorithmChangesWithGate(t *testing.T) { on(t, bind, keyAlgorithmChangesWithGate) }

func keyAlgorithmChangesWithGate(t *testing.T, m servers.Make) {
	s := gated(t, m, true)
	for _, wish := range keyWishes {
		want := fmt.Sprint(wish.algorithm, " ", wish.size)
		published := s.published()
		before := s.beforeRenewal()
		s.editCertificate(func(c *certificateSpec) { c.PrivateKey.Algorithm, c.PrivateKey.Size = wish.algorithm, wish.size })
		s.heldUntil(s.changesFrom(published).Add(caches))
		s.settleBeyond(before, true)
		if have := sizeOf(s.leafOf("mx1-tls").PublicKey); have != want {
			t.Errorf("the key is %s instead of %s", have, want)
		}
		if have := s.standbySize(); have != want {
			t.Errorf("the standby key is %s instead of %s", have, want)
		}
	}
	s.verdict()
}

// With Stage a chain with a key of another algorithm waits as any other.
func TestKeyAlgorithmChangesWithStage(t *testing.T) { on(t, powerDNS, keyAlgorithmChangesWithStage) }

func keyAlgorithmChangesWithStage(t *testing.T, m servers.Make) {
	s := selfSignedWithStage(t, m)
	for _, wish := range keyWishes {
		s.nextChain(true, func() {
			s.editCertificate(func(c *certificateSpec) { c.PrivateKey.Algorithm, c.PrivateKey.Size = wish.algorithm, wish.size })
		})
		if want, have := fmt.Sprint(wish.algorithm, " ", wish.size), sizeOf(s.leafOf("mx1-live").PublicKey); have != want {
			t.Errorf("the key is %s instead of %s", have, want)
		}
	}
	s.verdict()
}
