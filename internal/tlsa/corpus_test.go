package tlsa

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

func mustRecords(t *testing.T, texts []string) []Record {
	t.Helper()
	var out []Record
	for _, text := range texts {
		r, err := ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// corpusClock is the time at which the corpora are judged.
var corpusClock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// postfixCase is one line of the matrix.
type postfixCase struct {
	ID             int
	Desc           string
	TLSA           []string
	Chain          []string
	ReferenceNames []string `json:"reference_names"`
	Expect         string
	OpenSSL        struct {
		MatchDepth int `json:"match_depth"`
	}
	Tags   []string
	Strict bool
}

func postfixPKI(t *testing.T) map[string]*x509.Certificate {
	t.Helper()
	text := conformance.Read(t, "postfix-dane-matrix/pki.json")
	var pems map[string]string
	if err := json.Unmarshal(text, &pems); err != nil {
		t.Fatal(err)
	}
	out := map[string]*x509.Certificate{}
	for name, text := range pems {
		chain, err := ParseChain([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = chain[0]
	}
	return out
}

const (
	subdomain = "openssl-subdomain-reference-id"
	onlyInDNS = "ta-only-in-dns"
)

// TestPostfixMatrix compares Match with what Postfix and libssl say, the depth of the match included.
func TestPostfixMatrix(t *testing.T) {
	cases := conformance.Read(t, "postfix-dane-matrix/cases.jsonl")
	pki := postfixPKI(t)
	strict := conformance.Row{Corpus: "Postfix matrix", Part: "strict", Reason: "-"}
	inDNS := conformance.Row{Corpus: strict.Corpus, Part: "trust anchor only in DNS", Reason: "-"}
	dotted := conformance.Row{Corpus: strict.Corpus, Part: "sub-domain reference name", Reason: "a reference name with a leading dot is an extension of libssl; RFC 7672 has none"}
	lines := bufio.NewScanner(bytes.NewReader(cases))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c postfixCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		part := &strict
		switch {
		case slices.Contains(c.Tags, subdomain):
			part = &dotted
		case slices.Contains(c.Tags, onlyInDNS):
			part = &inDNS
		}
		part.Cases++
		var chain []*x509.Certificate
		for _, name := range c.Chain {
			chain = append(chain, pki[name])
		}
		records := mustRecords(t, c.TLSA)
		result := Match(records, chain, c.ReferenceNames, corpusClock)
		depth := c.OpenSSL.MatchDepth
		if part == &inDNS && records[0].Selector == SelectorSPKI {
			// libssl counts the certificate that the bare key signed, Match the key itself.
			depth++
		}
		agrees := (result.Verdict == Matched) == (c.Expect == "pass") && (c.Expect != "pass" || result.Depth == depth)
		if agrees {
			part.Agreed++
		} else if part != &dotted {
			t.Errorf("case %d (%s): want %s at depth %d, got %v", c.ID, c.Desc, c.Expect, depth, result)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if strict.Cases != 3615 {
		t.Errorf("%d strict cases were read", strict.Cases)
	}
	conformance.Published(t, strict.Corpus, 3615+256+768, []conformance.Row{strict, inDNS, dotted})
}

// gnutlsCase is one case of libdane.
type gnutlsCase struct {
	Name      string
	TLSA      []string
	Sizes     []int
	Chain     *string `json:"chain_pem"`
	CA        *string `json:"ca_pem"`
	VerifyRet *string `json:"expected_verify_ret"`
	Status    *string `json:"expected_status"`
}

// pkix says whether a case turns on usage 0, which a mail sender does not look at: it needs a CA of the
// machine's own, or has no other usage.
func (c gnutlsCase) pkix() bool {
	return c.CA != nil || !slices.ContainsFunc(c.TLSA, func(text string) bool { return strings.HasPrefix(text, "3 ") })
}

// TestGnuTLSVectors compares Match with libdane. Its certificates have expired, which usage 3 must ignore.
func TestGnuTLSVectors(t *testing.T) {
	var cases []gnutlsCase
	if err := json.Unmarshal(conformance.Read(t, "gnutls-dane/cases.json"), &cases); err != nil {
		t.Fatal(err)
	}
	parsing := conformance.Row{Corpus: "GnuTLS libdane", Part: "parsing", Reason: "-"}
	usage3 := conformance.Row{Corpus: parsing.Corpus, Part: "usage 3", Reason: "-"}
	usage0 := conformance.Row{Corpus: parsing.Corpus, Part: "usage 0", Reason: "libdane serves HTTPS too; for mail usage 0 is unusable (RFC 7672 section 3.1.3)"}
	for _, c := range cases {
		records := mustRecords(t, c.TLSA)
		if c.Chain == nil {
			parsing.Cases++
			if sizesAre(records, c.Sizes) {
				parsing.Agreed++
			} else {
				t.Errorf("%s: want RDATA of %v bytes, got %v", c.Name, c.Sizes, records)
			}
			continue
		}
		part := &usage3
		if c.pkix() {
			part = &usage0
		}
		part.Cases++
		chain, err := ParseChain([]byte(*c.Chain))
		if err != nil {
			t.Fatal(err)
		}
		result := Match(records, chain, nil, corpusClock)
		pass := c.VerifyRet != nil && *c.VerifyRet == "0" && c.Status != nil && *c.Status == "0"
		switch {
		case (result.Verdict == Matched) == pass:
			part.Agreed++
		case part == &usage3 || result.Records[0].Reason != ReasonUnusableUsage:
			t.Errorf("%s: want match %v, got %v", c.Name, pass, result)
		}
	}
	conformance.Published(t, parsing.Corpus, 1+3+4, []conformance.Row{parsing, usage3, usage0})
}

// sizesAre says whether records have these lengths on the wire.
func sizesAre(records []Record, sizes []int) bool {
	return slices.EqualFunc(records, sizes, func(r Record, size int) bool { return 3+len(r.Data)/2 == size })
}
