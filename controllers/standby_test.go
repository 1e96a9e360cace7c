package controllers

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestStandbyKeyIsAsTheCertificateAsks: cert-manager throws a key away that is of another type or size than asked for.
func TestStandbyKeyIsAsTheCertificateAsks(t *testing.T) {
	for _, row := range []struct {
		reason string
		want   *cmapi.CertificatePrivateKey
		made   string
	}{
		{"nothing said", nil, "RSA 2048"},
		{"no algorithm", &cmapi.CertificatePrivateKey{}, "RSA 2048"},
		{"a larger one", &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 3072}, "RSA 3072"},
		{"no curve", &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm}, "ECDSA 256"},
		{"P-384", &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 384}, "ECDSA 384"},
		{"P-521", &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 521}, "ECDSA 521"},
		{"a curve that there is not", &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 255}, "spec.privateKey.size 255 is no size of an ECDSA key: use 256, 384 or 521"},
		{"Ed25519", &cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}, "Ed25519"},
		{"another algorithm", &cmapi.CertificatePrivateKey{Algorithm: "DSA"}, `spec.privateKey.algorithm "DSA" is not known`},
	} {
		key, err := newPrivateKey(rand.Reader, row.want)
		got := ""
		switch k := key.(type) {
		case *rsa.PrivateKey:
			got = fmt.Sprintf("RSA %d", k.N.BitLen())
		case *ecdsa.PrivateKey:
			got = fmt.Sprintf("ECDSA %d", k.Curve.Params().BitSize)
		case ed25519.PrivateKey:
			got = "Ed25519"
		}
		if err != nil {
			got = err.Error()
		}
		if got != row.made {
			t.Errorf("%s: %s, want %s", row.reason, got, row.made)
		}
	}
}

// TestUsableStandby: what keeps a standby key from being the next one.
func TestUsableStandby(t *testing.T) {
	key, chain := newKey(t), underAuthority(t)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	digest, inUse := tlsa.SPKISHA256(spki), chain[0].RawSubjectPublicKeyInfo
	asks := func(algorithm cmapi.PrivateKeyAlgorithm, size int) *cmapi.Certificate {
		crt := &cmapi.Certificate{}
		crt.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: algorithm, Size: size}
		return crt
	}
	for _, row := range []struct {
		reason      string
		facts       certificateFacts
		compromised v1alpha1.SPKIDigest
		want        string
	}{
		{"as the Certificate asks", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), current: chain, standbySPKI: spki}, "", digest},
		{"another curve is asked for", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 384), current: chain, standbySPKI: spki}, "", ""},
		{"another type is asked for", certificateFacts{certificate: asks(cmapi.Ed25519KeyAlgorithm, 0), current: chain, standbySPKI: spki}, "", ""},
		{"it is in use", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), current: chain, standbySPKI: inUse}, "", ""},
		{"it is compromised", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), current: chain, standbySPKI: spki}, v1alpha1.SPKIDigest(digest), ""},
		{"there is none", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), current: chain}, "", ""},
		{"it cannot be read", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), current: chain, standbySPKI: []byte("no key")}, "", ""},
		{"nothing is issued yet", certificateFacts{certificate: asks(cmapi.ECDSAKeyAlgorithm, 0), standbySPKI: spki}, "", ""},
	} {
		md := &v1alpha1.MailDomain{}
		if row.compromised != "" {
			md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{row.compromised}
		}
		if got := row.facts.usableStandby(md); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}
