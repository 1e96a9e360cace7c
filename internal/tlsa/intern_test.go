package tlsa

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"runtime"
	"testing"
	"time"
)

// TestCertificatesAreParsedOnce wants one copy of a certificate for all who use it, and none for nobody.
func TestCertificatesAreParsedOnce(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	parse := func() *x509.Certificate {
		chain, err := ParseChain(text)
		if err != nil {
			t.Fatal(err)
		}
		return chain[0]
	}
	presented, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	held := Intern(presented)
	if first, second := parse(), parse(); first != held || second != held {
		t.Error("a certificate that is in use was parsed again")
	}
	runtime.KeepAlive(held)
	before := certificates.size()
	held, presented = nil, nil
	deadline := time.Now().Add(time.Minute)
	for certificates.size() >= before {
		if time.Now().After(deadline) {
			t.Fatal("a certificate that nobody uses is kept")
		}
		runtime.GC()
	}
	runtime.KeepAlive([]*x509.Certificate{held, presented})
}

func (t *internTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.known)
}
