package tlsa

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"
)

// cost is what a piece of work takes. It is told and not judged, but for the memory.
func cost(t *testing.T, what string, most uint64, work func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	work()
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	used := after.TotalAlloc - before.TotalAlloc
	t.Logf("%s: %s, %d KiB", what, took.Round(100*time.Microsecond), used>>10)
	if used > most {
		t.Errorf("%s: %d octets were allocated, want at most %d", what, used, most)
	}
}

// names are n host names that nothing else matches.
func names(n int, form string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(form, i)
	}
	return out
}

// TestNamesTimesConstraints has a leaf of many names and a CA of many constraints, each of which is to be
// compared with each: more than the limit are not compared, and the chain leads nowhere.
func TestNamesTimesConstraints(t *testing.T) {
	root := issue(t, nil, "root", asCA())
	for _, tc := range []struct {
		about              string
		names, constraints int
		want               Reason
		detail             string
	}{
		{"as many as may be", 512, maxComparisons / 512, ReasonMatched, ""},
		{"one name too many", 513, maxComparisons / 512, ReasonChainInvalid, "more name constraints than are compared"},
		{"as many as 64 KiB hold", 6000, 4000, ReasonChainInvalid, "more name constraints than are compared"},
	} {
		t.Run(tc.about, func(t *testing.T) {
			ca := issue(t, root, "ca", asCA(func(c *x509.Certificate) { c.ExcludedDNSDomains = names(tc.constraints, "c%d.test") }))
			leaf := issue(t, ca, "leaf", forHost(func(c *x509.Certificate) { c.DNSNames = append(names(tc.names-1, "n%d.test"), host) }))
			chain := chainOf(leaf, ca, root)
			for _, c := range chain {
				if len(c.Raw) > 2*maxDER {
					t.Fatalf("a certificate has %d octets, which none that is let in has", len(c.Raw))
				}
			}
			var records []Record
			for _, n := range []*node{ca, root} {
				records = append(records, recordOf(t, "2 0 1", n), recordOf(t, "2 1 1", n))
			}
			cost(t, "four records", 16<<20, func() {
				for _, got := range Match(records, chain, []string{host}, now).Records {
					if got.Reason != tc.want || !strings.Contains(got.Detail, tc.detail) {
						t.Errorf("want %s, got %v", tc.want, got)
					}
				}
			})
		})
	}
}

// TestManyRecordsAndTwins has as many records as an answer of 64 KiB holds, of trust anchors that no path leads
// to, and a chain whose certificates are each other's issuers in every order.
func TestManyRecordsAndTwins(t *testing.T) {
	key := newKey(t)
	self := issueFor(t, key, nil, "twin", asCA())
	nodes := []*node{issue(t, self, "leaf", forHost())}
	for range maxChain {
		nodes = append(nodes, issueFor(t, key, self, "twin", asCA()))
	}
	var records []Record
	for i := range 1400 {
		records = append(records, Record{Parameters{2, uint8(i % 2), 1}, fmt.Sprintf("%064x", i+1)})
	}
	b := newBuilder(chainOf(nodes...), []string{host}, now)
	cost(t, "1400 records", 64<<20, func() {
		for _, r := range records {
			c := newCandidate(r)
			b.decide(&c)
			if c.Reason != ReasonTrustAnchorNotInHandshake && c.Reason != ReasonMismatch {
				t.Fatalf("%v", c.RecordResult)
			}
		}
	})
	if b.steps != maxStepsInAll || len(b.signed) > maxChain*maxChain || len(b.digests) > 2*maxChain {
		t.Errorf("%d steps, %d signatures, %d digests", b.steps, len(b.signed), len(b.digests))
	}
}

// TestLongSubjects has certificates whose names are long, and differ at their end.
func TestLongSubjects(t *testing.T) {
	key := newKey(t)
	long := strings.Repeat("x", 48<<10)
	self := issueFor(t, key, nil, "twin", asCA())
	nodes := []*node{issue(t, self, "leaf", forHost())}
	for i := range maxChain {
		subject := "twin"
		if i < 4 {
			subject = fmt.Sprint(long, i)
		}
		nodes = append(nodes, issueFor(t, key, self, subject, asCA(expired)))
	}
	records := []Record{recordOf(t, "2 0 1", self)}
	for i := range 11 {
		records = append(records, Record{Parameters{2, 0, 1}, fmt.Sprintf("%064x", i+1)})
	}
	cost(t, "12 records", 64<<20, func() {
		if got := Match(records, chainOf(nodes...), []string{host}, now); got.Verdict != Mismatch {
			t.Errorf("got %v", got)
		}
	})
}

// hugeKey is an RSA key of so many bits that a signature takes seconds to check.
func hugeKey(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 1<<31 - 1}
}

// TestHugeKeys: a signature is not checked with a key that is larger than any in use.
func TestHugeKeys(t *testing.T) {
	if oversized(hugeKey(maxRSA)) || !oversized(hugeKey(maxRSA+1)) {
		t.Error("the limit is elsewhere")
	}
	const bits = 400_000
	leaf := issue(t, nil, "leaf", forHost())
	// A record may supply the key itself, and the leaf a signature of its size.
	signed := *leaf.Certificate
	signed.Signature, signed.SignatureAlgorithm = make([]byte, bits/8), x509.SHA256WithRSA
	signed.Signature[len(signed.Signature)-1] = 2
	spki, err := x509.MarshalPKIXPublicKey(hugeKey(bits))
	if err != nil {
		t.Fatal(err)
	}
	record := Record{Parameters{2, 1, 0}, data(MatchingFull, spki)}
	cost(t, "a record with a key of 400000 bits", 8<<20, func() {
		if got := Match([]Record{record}, []*x509.Certificate{&signed}, []string{host}, now).Records[0]; got.Reason != ReasonMismatch {
			t.Errorf("got %v", got)
		}
	})
	cost(t, "a request with a key of 400000 bits", 8<<20, func() {
		if _, err := SPKIFromCSR(requestFor(t, spki)); err == nil || !strings.Contains(err.Error(), "more than 16384 bits") {
			t.Errorf("got %v", err)
		}
	})
}

// certificateRequest is the outline of a request (RFC 2986 section 4).
type certificateRequest struct {
	Info struct {
		Version                        int
		Subject, PublicKey, Attributes asn1.RawValue
	}
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// requestFor is a certificate request for a public key that nobody has the private half of.
func requestFor(t *testing.T, spki []byte) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host}}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	var request certificateRequest
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		t.Fatal(err)
	}
	request.Info.PublicKey = asn1.RawValue{FullBytes: spki}
	if der, err = asn1.Marshal(request); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
