package tlsa

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzParse checks that a record that is read is written and read back as the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"3 1 1 abcd", "2 0 1 AB CD", "255 255 255 00", "3 1 1", "3 1 1 xyz", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecord(text)
		if err != nil {
			return
		}
		if _, err := hex.DecodeString(r.Data); err != nil || r.Data != strings.ToLower(r.Data) {
			t.Errorf("%q gives data %q", text, r.Data)
		}
		again, err := ParseRecord(r.String())
		if err != nil || again != r {
			t.Errorf("%q is read as %v and then as %v, %v", text, r, again, err)
		}
		if p, err := ParseParameters(r.Parameters.String()); err != nil || p != r.Parameters {
			t.Errorf("%v is read as %v, %v", r.Parameters, p, err)
		}
	})
}

// pool is what random chains and records are made of.
func pool(t testing.TB) []*node {
	l := newLine(t)
	other := issue(t, nil, "root", asCA())
	return []*node{
		l.leaf, l.ca, l.root, other,
		issueFor(t, l.ca.key, other, "ca", asCA()),
		issueFor(t, l.ca.key, l.root, "ca", asCA(expired)),
		issueFor(t, l.ca.key, l.root, "ca", nil),
		issue(t, l.ca, host, forHost(nameless)),
		issue(t, l.ca, "leaf", forHost(notYetValid)),
		issue(t, l.ca, "leaf", func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com", "example.net"} }),
		issue(t, nil, host, asCA(forHost())),
		issue(t, l.root, host, forHost()),
	}
}

// scene is a chain, records and names, made of bytes.
type scene struct {
	chain   []*x509.Certificate
	records []Record
	names   []string
	at      time.Time
}

// newScene reads one byte for each certificate of the chain and four for each record: its parameters, which
// are mostly known ones, and whose data it has, which is sometimes cut.
func newScene(pool []*node, chain, records []byte, name string, seconds int32) scene {
	s := scene{names: []string{name, host}, at: now.Add(time.Duration(seconds) * time.Second)}
	if name == "-" {
		s.names = nil
	}
	for _, i := range chain[:min(len(chain), 20)] {
		s.chain = append(s.chain, pool[int(i)%len(pool)].Certificate)
	}
	for spec := range slices.Chunk(records[:min(len(records), 64)], 4) {
		if len(spec) < 4 {
			break
		}
		r := Record{Parameters: Parameters{spec[0] % 6, spec[1] % 3, spec[2] % 4}}
		c := pool[int(spec[3])%len(pool)].Certificate
		r.Data = naiveData(r.Parameters, c)
		if spec[3] >= 250 {
			r.Data = r.Data[:len(r.Data)/2]
		}
		s.records = append(s.records, r)
	}
	return s
}

// naiveData is what a record of a certificate holds, without the code under test.
func naiveData(p Parameters, c *x509.Certificate) string {
	part := c.Raw
	if p.Selector == 1 {
		part = c.RawSubjectPublicKeyInfo
	}
	switch p.MatchingType {
	case 1:
		return sum256(part)
	case 2:
		return sum512(part)
	default:
		return hex.EncodeToString(part)
	}
}

// naive says whether one record matches by means of Go's own verifier, which is not used by Match. It knows
// no digest agility.
func (s scene) naive(r Record) bool {
	if len(s.chain) == 0 || r.Usage < 2 || r.Usage > 3 || r.Selector > 1 || r.MatchingType > 2 {
		return false
	}
	if r.Usage == 3 {
		return naiveData(r.Parameters, s.chain[0]) == r.Data
	}
	between := x509.NewCertPool()
	anchors := slices.Clone(s.chain[1:])
	for _, c := range anchors {
		between.AddCert(c)
	}
	if der, err := hex.DecodeString(r.Data); err == nil && r.MatchingType == 0 && r.Selector == 0 {
		if c, err := x509.ParseCertificate(der); err == nil {
			anchors = append(anchors, c)
		}
	}
	if !s.naiveName() {
		return false
	}
	return slices.ContainsFunc(anchors, func(anchor *x509.Certificate) bool {
		return naiveData(r.Parameters, anchor) == r.Data && s.naiveVerify(anchor, between)
	}) || s.naiveBareKey(r, between)
}

func (s scene) naiveVerify(anchor *x509.Certificate, between *x509.CertPool) bool {
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	_, err := s.chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: s.at})
	return err == nil
}

// naiveBareKey tries each presented certificate that the key of a 2 1 0 record signed as a root.
func (s scene) naiveBareKey(r Record, between *x509.CertPool) bool {
	der, err := hex.DecodeString(r.Data)
	if err != nil || r.MatchingType != 0 || r.Selector != 1 || bytes.Equal(der, s.chain[0].RawSubjectPublicKeyInfo) {
		return false
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(s.chain, func(c *x509.Certificate) bool {
		signer := x509.Certificate{PublicKey: key}
		return signer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil && s.naiveVerify(c, between)
	})
}

// naiveName lends a leaf without DNS-ID its common name.
func (s scene) naiveName() bool {
	leaf := *s.chain[0]
	if len(leaf.DNSNames) == 0 {
		leaf.DNSNames = []string{leaf.Subject.CommonName}
		leaf.Extensions = append(slices.Clone(leaf.Extensions), subjectAltName)
	}
	return slices.ContainsFunc(s.names, func(name string) bool { return leaf.VerifyHostname(name) == nil })
}

// FuzzMatch checks Match with random chains and records: it does not panic, what it says is consistent, and
// a match is one for Go's verifier too.
func FuzzMatch(f *testing.F) {
	certificates := pool(f)
	f.Add([]byte{0, 1, 2}, []byte{3, 1, 1, 0}, host, int32(0), []byte{})
	f.Add([]byte{0, 1, 2}, []byte{2, 0, 1, 2, 2, 1, 0, 2, 2, 0, 0, 1}, "-", int32(0), []byte{})
	f.Add([]byte{0, 5, 1, 4, 3}, []byte{2, 1, 1, 3, 2, 1, 2, 2}, "example.com", int32(1<<30), []byte{})
	f.Add([]byte{7, 6, 1}, []byte{2, 0, 0, 2, 2, 1, 0, 2, 1, 1, 1, 7, 3, 1, 2, 255}, "", int32(-1<<30), certificates[0].Raw)
	f.Add([]byte{10, 10}, []byte{2, 1, 0, 10, 2, 0, 0, 10}, host, int32(0), []byte{})
	f.Fuzz(func(t *testing.T, chain, records []byte, name string, seconds int32, der []byte) {
		s := newScene(certificates, chain, records, name, seconds)
		if c, err := x509.ParseCertificate(der); err == nil {
			s.chain = append([]*x509.Certificate{c}, s.chain...)
			s.records = append(s.records, Record{Parameters{3, 1, 1}, sum256(c.RawSubjectPublicKeyInfo)})
		}
		s.records = append(s.records, Record{Parameters{2, 0, 0}, hex.EncodeToString(der)}, Record{Parameters{2, 1, 0}, hex.EncodeToString(der)})
		s.judge(t)
	})
}

// complainer is a test of any kind.
type complainer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// judge compares the result of Match with the naive one, record by record.
func (s scene) judge(t complainer) {
	t.Helper()
	got := Match(s.records, s.chain, s.names, s.at)
	if len(got.Records) != len(Normalize(s.records)) {
		t.Fatalf("%d results for %d records", len(got.Records), len(s.records))
	}
	want := Unusable
	for _, r := range got.Records {
		switch {
		case sentences[r.Reason] == "":
			t.Errorf("record %s has no known reason: %q", r.Record.Short(), r.Reason)
		case (r.Reason == ReasonMatched) != (r.Depth >= 0):
			t.Errorf("depth %d of %s", r.Depth, r)
		case r.Reason == ReasonMatched:
			want = Matched
			if !s.naive(r.Record) {
				t.Errorf("%s, and Go's verifier says no", r)
			}
		case r.Reason.Usable() && want == Unusable:
			want = Mismatch
		}
		if r.Reason == ReasonMismatch && r.Record.Usage == UsageDANEEE && s.naive(r.Record) {
			t.Errorf("%s, and it is the leaf's", r)
		}
	}
	if len(s.records) == 0 {
		want = NoRecords
	}
	if got.Verdict != want || got.String() == "" {
		t.Errorf("want %s, got %v", want, got)
	}
}

// BenchmarkMatch is a sweep's share: a chain with its root, and the records of a rollover.
func BenchmarkMatch(b *testing.B) {
	l, next := newLine(b), newLine(b)
	for name, records := range map[string][]Record{
		"usage3": {recordOf(b, "3 1 1", next.leaf), recordOf(b, "3 1 1", l.leaf)},
		"usage2": {recordOf(b, "2 1 1", next.ca), recordOf(b, "2 1 1", l.root)},
	} {
		b.Run(name, func(b *testing.B) {
			chain := chainOf(l.leaf, l.ca, l.root)
			b.ReportAllocs()
			for b.Loop() {
				if Match(records, chain, []string{host}, now).Verdict != Matched {
					b.Fatal("no match")
				}
			}
		})
	}
}

// subjectAltName makes VerifyHostname look at DNSNames that were not parsed.
var subjectAltName = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}}
