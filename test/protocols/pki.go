package protocols

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Chain is what a server presents, in PEM.
type Chain struct {
	// Certificates, the leaf first; Key is the leaf's.
	Certificates, Key []byte
}

// NewECDSA makes a chain of a leaf with an ECDSA key and its CA.
func NewECDSA(t testing.TB, host string) Chain {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newChain(t, host, key)
}

// NewRSA makes a chain of a leaf with an RSA key and its CA.
func NewRSA(t testing.TB, host string) Chain {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newChain(t, host, key)
}

func newChain(t testing.TB, host string, key crypto.Signer) Chain {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := template("CA of " + host)
	root.IsCA = true
	leaf := template(host)
	leaf.DNSNames = []string{host}
	var out Chain
	for _, c := range []struct {
		template *x509.Certificate
		public   crypto.PublicKey
	}{{leaf, key.Public()}, {root, ca.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, root, c.public, ca)
		if err != nil {
			t.Fatal(err)
		}
		out.Certificates = append(out.Certificates, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return out
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
	}
}

// Is says whether certificates are those of the chain, in its order.
func (c Chain) Is(certificates []*x509.Certificate) bool {
	var text bytes.Buffer
	for _, crt := range certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: crt.Raw})
	}
	return bytes.Equal(text.Bytes(), c.Certificates)
}
