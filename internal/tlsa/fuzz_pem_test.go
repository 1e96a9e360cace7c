package tlsa

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
)

// block is PEM of some octets.
func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// FuzzChain feeds ParseChain with what may stand in a Secret or in the status of a request. What is read stays
// within the limits, reads back as the same, and has associations that match it.
func FuzzChain(f *testing.F) {
	l := newLine(f)
	whole := slices.Concat(block("CERTIFICATE", l.leaf.Raw), block("CERTIFICATE", l.ca.Raw), block("CERTIFICATE", l.root.Raw))
	for _, text := range [][]byte{
		whole, whole[:len(whole)/2], block("CERTIFICATE", l.leaf.Raw), bytes.Repeat(block("CERTIFICATE", l.ca.Raw), maxChain+1),
		block("PRIVATE KEY", l.leaf.Raw), block("CERTIFICATE", l.leaf.Raw[:100]), append([]byte("Bag Attributes\r\n"), whole...),
		[]byte("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END CERTIFICATE-----\n"), nil,
	} {
		f.Add(text)
	}
	params := []Parameters{{3, 1, 1}, {3, 0, 2}, {2, 0, 1}, {2, 1, 2}}
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := ParseChain(text)
		if err != nil {
			if chain != nil {
				t.Error("there is a chain beside the error")
			}
			return
		}
		if len(chain) == 0 || len(chain) > maxChain {
			t.Fatalf("%d certificates", len(chain))
		}
		var again []byte
		for _, c := range chain {
			if len(c.Raw) > maxDER {
				t.Errorf("a certificate of %d octets", len(c.Raw))
			}
			again = append(again, block("CERTIFICATE", c.Raw)...)
		}
		back, err := ParseChain(again)
		if err != nil || !slices.EqualFunc(chain, back, (*x509.Certificate).Equal) {
			t.Errorf("it does not read back as the same: %v", err)
		}
		records, _ := Associations(chain, params)
		for _, r := range records {
			if r.Usage == UsageDANEEE && !Matches(r, chain, nil, now) {
				t.Errorf("%s is of the chain and does not match it", r)
			}
		}
	})
}

// FuzzRequest feeds SPKIFromCSR with what may stand in a CertificateRequest, which any tenant may write. What is
// read is a public key, whose signature is under the request.
func FuzzRequest(f *testing.F) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []crypto.Signer{newKey(f), edwards} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host}}, key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block("CERTIFICATE REQUEST", der))
		f.Add(block("NEW CERTIFICATE REQUEST", der))
		f.Add(block("CERTIFICATE REQUEST", der[:len(der)-1]))
	}
	f.Add(block("CERTIFICATE", newLine(f).leaf.Raw))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		spki, err := SPKIFromCSR(text)
		if (err == nil) == (spki == nil) {
			t.Fatalf("a key of %d octets and %v", len(spki), err)
		}
		if err != nil {
			return
		}
		der, _ := pem.Decode(text)
		request, err := x509.ParseCertificateRequest(der.Bytes)
		if err != nil || request.CheckSignature() != nil || !bytes.Equal(request.RawSubjectPublicKeyInfo, spki) {
			t.Errorf("it is not the key of the request: %v", err)
		}
		if records := KeyAssociations(spki, []Parameters{{3, 1, 1}}); len(records) != 1 || IsEmptyDigest(records[0]) {
			t.Errorf("its records are %v", records)
		}
	})
}

// FuzzPrivateKey feeds SPKIFromPrivateKey with what may stand in a Secret. What is read is a public key, and an error
// quotes nothing.
func FuzzPrivateKey(f *testing.F) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []any{edwards, newKey(f)} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block("PRIVATE KEY", der))
		f.Add(block("PRIVATE KEY", der[:len(der)-2]))
		f.Add(der)
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spki, err := SPKIFromPrivateKey(text)
		switch {
		case (err == nil) == (spki == nil):
			t.Errorf("a key of %d octets and %v", len(spki), err)
		case err != nil && err != ErrNoKey:
			t.Errorf("the error is %v", err)
		case err == nil:
			if _, err := x509.ParsePKIXPublicKey(spki); err != nil {
				t.Errorf("it is no public key: %v", err)
			}
		}
	})
}
