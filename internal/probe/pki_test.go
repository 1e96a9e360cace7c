package probe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"
)

const host = "mx1.example.com"

// identities are what servers present. They are made once, since RSA keys take their time.
type identities struct {
	// ecdsa and rsa are chains of leaf, CA and root.
	ecdsa, rsa tls.Certificate
	// big has a leaf of more than 64 KiB.
	big tls.Certificate
}

var pki = sync.OnceValue(func() identities {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	root := issue(key, nil, nil)
	ca := issue(key, root, nil)
	chain := func(key crypto.Signer, padding []byte) tls.Certificate {
		leaf := issue(key, ca, padding)
		return tls.Certificate{
			Certificate: [][]byte{leaf.certificate.Raw, ca.certificate.Raw, root.certificate.Raw},
			PrivateKey:  key,
		}
	}
	return identities{
		ecdsa: chain(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), nil),
		rsa:   chain(must(rsa.GenerateKey(rand.Reader, 2048)), nil),
		big:   chain(key, make([]byte, maxCertificate)),
	}
})

type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// issue makes a certificate; without a parent it signs itself. The prober judges no chain, so that names
// and times are of no account here.
func issue(key crypto.Signer, parent *signer, padding []byte) *signer {
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		Subject:      pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: parent == nil, BasicConstraintsValid: true,
	}
	if padding != nil {
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: padding}}
	}
	if parent == nil {
		parent = &signer{template, key}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key))
	return &signer{must(x509.ParseCertificate(der)), key}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// withTLS is a server's configuration.
func withTLS(identities ...tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: identities}
}

// longChain presents n certificates.
func longChain(n int) tls.Certificate {
	c := pki().ecdsa
	c.Certificate = slices.Clone(c.Certificate)
	for len(c.Certificate) < n {
		c.Certificate = append(c.Certificate, c.Certificate[1])
	}
	return c
}

// sameChain checks that what was found is what the server presents, in its order.
func sameChain(t *testing.T, got Result, want tls.Certificate) {
	t.Helper()
	var raw [][]byte
	for _, c := range got.Chain {
		raw = append(raw, c.Raw)
	}
	if !slices.EqualFunc(raw, want.Certificate, slices.Equal) {
		t.Errorf("the chain of %d certificates is not the server's", len(raw))
	}
}
