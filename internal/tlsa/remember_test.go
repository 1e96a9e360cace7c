package tlsa

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"slices"
	"testing"
)

// TestSignaturesAreCheckedOnce wants a certificate checked once with a key, and again with every other key: what is
// remembered of one is nothing about the next.
func TestSignaturesAreCheckedOnce(t *testing.T) {
	root, other := issue(t, nil, "root", asCA()), issue(t, nil, "root", asCA())
	leaf := issue(t, root, "leaf", forHost())
	for range 2 {
		if !signatureGood(root.Certificate, leaf.Certificate) {
			t.Error("the certificate is not found to be signed by its issuer")
		}
		if signatureGood(other.Certificate, leaf.Certificate) {
			t.Error("the certificate is found to be signed by one of the same name with another key")
		}
	}
	broken := slices.Clone(leaf.Raw)
	broken[len(broken)-1] ^= 1
	parsed, err := x509.ParseCertificate(broken)
	if err != nil {
		t.Fatal(err)
	}
	if signatureGood(root.Certificate, parsed) {
		t.Error("the good signature of a certificate is believed of one with another")
	}
	id := digestOf(root.RawSubjectPublicKeyInfo, []byte{byte(leaf.SignatureAlgorithm)}, leaf.RawTBSCertificate, leaf.Signature)
	if _, known := signatures.get(id); !known {
		t.Error("a signature that was checked would be checked again")
	}
}

// TestBareKeysAreTold: a key of a record has no octets to be known by, and two of them are two.
func TestBareKeysAreTold(t *testing.T) {
	root := issue(t, nil, "root", asCA())
	leaf := issue(t, root, "leaf", forHost())
	wrong, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[crypto.PublicKey]bool{root.PublicKey: true, wrong.Public(): false} {
		if got := signatureGood(&x509.Certificate{PublicKey: key}, leaf.Certificate); got != want {
			t.Errorf("signed with the bare key: %t, want %t", got, want)
		}
	}
}

// TestRequestsAreReadOnce: what is remembered of a request is its key, whatever callers do with it, and what is
// wrong with one that is broken.
func TestRequestsAreReadOnce(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(der)
	broken[len(broken)-1] ^= 1
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	for range 2 {
		spki, err := SPKIFromCSR(text)
		if err != nil || !bytes.Equal(spki, want) {
			t.Fatalf("%x, %v; want %x", spki, err, want)
		}
		spki[0]++ // the caller's own
		if _, err := SPKIFromCSR(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: broken})); err == nil {
			t.Fatal("a request with a broken signature was taken")
		}
	}
	if _, known := requests.get(sha256.Sum256(text)); !known {
		t.Error("a request that was read would be read again")
	}
}

// TestFindingsAreBounded: however many there are, few are kept, and what is in use stays.
func TestFindingsAreBounded(t *testing.T) {
	f := newFindings[int]()
	found := map[int]int{}
	look := func(n int) {
		var id digest
		binary.BigEndian.PutUint64(id[:], uint64(n)) //nolint:gosec // positive
		if got := f.recall(id, func() int { found[n]++; return n }); got != n {
			t.Fatalf("%d was remembered as %d", n, got)
		}
	}
	for n := range 5 * maxRemembered {
		look(n)
		look(0)
		if kept := f.kept.Len(); kept > maxRemembered {
			t.Fatalf("%d findings are kept", kept)
		}
	}
	if found[0] != 1 {
		t.Errorf("what is in use was found out %d times", found[0])
	}
	look(1)
	if found[1] != 2 {
		t.Errorf("what was not used for long was found out %d times, so that nothing is forgotten", found[1])
	}
}
