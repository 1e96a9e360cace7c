package tlsa

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
)

// sum256 and sum512 make association data without the code under test.
func sum256(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
func sum512(b []byte) string { s := sha512.Sum512(b); return hex.EncodeToString(s[:]) }

// allowed are the parameter sets that the API allows.
var allowed = []string{"2 0 1", "2 0 2", "2 1 1", "2 1 2", "3 0 1", "3 0 2", "3 1 1", "3 1 2"}

func parameters(t testing.TB, texts ...string) []Parameters {
	t.Helper()
	var out []Parameters
	for _, text := range texts {
		p, err := ParseParameters(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestAssociations makes every allowed association of chains of every shape.
func TestAssociations(t *testing.T) {
	l, other := newLine(t), newLine(t)
	self := issue(t, nil, host, forHost())
	selfCA := issue(t, nil, host, asCA(forHost()))
	direct := issue(t, l.root, host, forHost())
	for _, tc := range []struct {
		reason string
		chain  []*x509.Certificate
		// anchor is the certificate that usage 2 must name; nil when there is none.
		anchor *node
	}{
		{"leaf, CA and root", chainOf(l.leaf, l.ca, l.root), l.ca},
		{"leaf and CA, without root", chainOf(l.leaf, l.ca), l.ca},
		{"the root is the issuer", chainOf(direct, l.root), l.root},
		{"root before CA", chainOf(l.leaf, l.root, l.ca), l.ca},
		{"a CA that did not sign stands between", chainOf(l.leaf, other.ca, l.ca), l.ca},
		{"only a CA that did not sign", chainOf(l.leaf, other.ca), nil},
		{"only the root of an issuer that is missing", chainOf(l.leaf, l.root), nil},
		{"leaf without its CA", chainOf(l.leaf), nil},
		{"self-signed", chainOf(self), nil},
		{"self-signed as a CA", chainOf(selfCA), nil},
		{"self-signed twice", chainOf(selfCA, selfCA), nil},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			for _, text := range allowed {
				p := parameters(t, text)
				got, err := Associations(tc.chain, p)
				from := tc.chain[0]
				if p[0].Usage == UsageDANETA {
					if (tc.anchor == nil) != errors.Is(err, ErrNoIssuer) || (tc.anchor == nil) != (len(got) == 0) {
						t.Errorf("%s: got %v, %v", text, got, err)
					}
					if tc.anchor == nil {
						continue
					}
					from = tc.anchor.Certificate
				}
				part := map[uint8][]byte{0: from.Raw, 1: from.RawSubjectPublicKeyInfo}[p[0].Selector]
				want := Record{p[0], map[uint8]string{1: sum256(part), 2: sum512(part)}[p[0].MatchingType]}
				if err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("%s: want %v, got %v, %v", text, want, got, err)
				}
				if r := Match(got, tc.chain, []string{host}, now); r.Verdict != Matched {
					t.Errorf("%s does not match its own chain: %v", text, r)
				}
			}
		})
	}
}

// TestAssociationsTogether checks order, duplicates and what an error leaves.
func TestAssociationsTogether(t *testing.T) {
	l := newLine(t)
	got, err := Associations(chainOf(l.leaf, l.ca), parameters(t, append(slices.Clone(allowed), "3 1 1")...))
	if err != nil || len(got) != len(allowed) || !slices.IsSortedFunc(got, Compare) {
		t.Errorf("want %d sorted records, got %v, %v", len(allowed), got, err)
	}
	got, err = Associations(chainOf(l.leaf), parameters(t, allowed...))
	if !errors.Is(err, ErrNoIssuer) || len(got) != 4 {
		t.Errorf("want the four of usage 3 and ErrNoIssuer, got %v, %v", got, err)
	}
	if got, err = Associations(nil, parameters(t, "3 1 1")); !errors.Is(err, ErrPEM) || got != nil {
		t.Errorf("of no chain: got %v, %v", got, err)
	}
}

// TestKeyAssociations checks that only what follows from a key alone is made of a key.
func TestKeyAssociations(t *testing.T) {
	spki := newLine(t).leaf.RawSubjectPublicKeyInfo
	want := []Record{{Parameters{3, 1, 1}, sum256(spki)}, {Parameters{3, 1, 2}, sum512(spki)}}
	if got := KeyAssociations(spki, parameters(t, allowed...)); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	if got := SPKISHA256(spki); got != sum256(spki) {
		t.Errorf("got %s", got)
	}
}

func pemOf(kind string, ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return out
}

// TestParseChain checks what is read of a Secret and what is refused.
func TestParseChain(t *testing.T) {
	l := newLine(t)
	var long [][]byte
	for range maxChain + 1 {
		long = append(long, l.ca.Raw)
	}
	for _, tc := range []struct {
		reason string
		text   []byte
		want   int
		err    string
	}{
		{"two", pemOf("CERTIFICATE", l.leaf.Raw, l.ca.Raw), 2, ""},
		{"text around", append([]byte("subject=x\n"), pemOf("CERTIFICATE", l.leaf.Raw)...), 1, ""},
		{"as many as may be", pemOf("CERTIFICATE", long[1:]...), maxChain, ""},
		{"too many", pemOf("CERTIFICATE", long...), 0, "at most 16"},
		{"nothing", nil, 0, "no usable PEM"},
		{"no PEM", []byte("hello"), 0, "no usable PEM"},
		{"a key", pemOf("PRIVATE KEY", []byte("secret")), 0, "no usable PEM"},
		{"too large", pemOf("CERTIFICATE", make([]byte, maxDER+1)), 0, "64 KiB"},
		{"no certificate", pemOf("CERTIFICATE", l.leaf.Raw, []byte("x")), 0, "certificate 2 of the chain"},
	} {
		chain, err := ParseChain(tc.text)
		if len(chain) != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %d, %v", tc.reason, len(chain), err)
		}
	}
}

// TestSPKIFromCSR checks that a request must prove that its key is held.
func TestSPKIFromCSR(t *testing.T) {
	key := newKey(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host}}, key)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := SPKIFromCSR(pemOf("CERTIFICATE REQUEST", der)); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %x, %v", got, err)
	}
	forged := slices.Clone(der)
	forged[len(forged)-1] ^= 1
	for reason, text := range map[string][]byte{
		"no PEM": []byte("x"), "nothing in it": pemOf("CERTIFICATE REQUEST"), "no request": pemOf("CERTIFICATE REQUEST", []byte("x")),
		"forged": pemOf("CERTIFICATE REQUEST", forged), "too large": pemOf("CERTIFICATE REQUEST", make([]byte, maxDER+1)),
	} {
		if got, err := SPKIFromCSR(text); err == nil {
			t.Errorf("%s: got %x", reason, got)
		}
	}
}
