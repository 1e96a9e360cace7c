package tlsa

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// corpora is where independent test data lies beside the repository. It is not part of it.
const corpora = "../../../shared/corpora"

// conformancePage is where the figures are published.
const conformancePage = "../../docs/conformance.md"

// update makes the page say what is found here. "make conformance" sets it.
var update = flag.Bool("update", false, "write the figures into "+conformancePage)

// row is one line of the table of figures.
type row struct {
	corpus, part  string
	cases, agreed int
	// reason for the cases that differ.
	reason string
}

func (r row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s |", r.corpus, r.part, r.cases, r.agreed, r.cases-r.agreed, r.reason)
}

// openCorpus opens a file of a corpus. Without the folder of the corpora, as in a fresh clone, it says so
// plainly and returns nothing. Where the folder is, the corpus has to be in it.
func openCorpus(t *testing.T, name string) *os.File {
	t.Helper()
	if _, err := os.Stat(corpora); errors.Is(err, fs.ErrNotExist) {
		t.Logf("there is no folder %s: NOTHING IS COMPARED with the corpus %s", corpora, name)
		return nil
	}
	file, err := os.Open(filepath.Join(corpora, name))
	if err != nil {
		t.Fatalf("the folder of the corpora is there, and a corpus cannot be read: %v", err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// writeRows puts rows in place of those that the page has for a corpus.
func writeRows(page, corpus string, rows []row) string {
	var out strings.Builder
	written := false
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| "+corpus+" |") {
			out.WriteString(line)
			continue
		}
		if written {
			continue
		}
		written = true
		for _, r := range rows {
			out.WriteString(r.String() + "\n")
		}
	}
	return out.String()
}

// published checks that at least so many cases were compared, and that the page of figures has exactly
// these rows for a corpus. The page alone does not tell: it could follow a corpus that was cut short.
func published(t *testing.T, corpus string, atLeast int, rows []row) {
	t.Helper()
	compared := 0
	for _, r := range rows {
		compared += r.cases
	}
	if compared < atLeast {
		t.Errorf("%d cases of %s were compared: there are %d at the least", compared, corpus, atLeast)
	}
	page, err := os.ReadFile(conformancePage)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		page = []byte(writeRows(string(page), corpus, rows))
		if err := os.WriteFile(conformancePage, page, 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	var want, have []string
	for _, r := range rows {
		want = append(want, r.String())
		t.Log(r)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| "+corpus+" |") {
			have = append(have, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("%s is out of date for %s: it has\n%s\nand should have\n%s", conformancePage, corpus, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

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
	text, err := os.ReadFile(filepath.Join(corpora, "postfix-dane-matrix/pki.json"))
	if err != nil {
		t.Fatal(err)
	}
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
	file := openCorpus(t, "postfix-dane-matrix/cases.jsonl")
	if file == nil {
		return
	}
	pki := postfixPKI(t)
	strict := row{corpus: "Postfix matrix", part: "strict", reason: "-"}
	inDNS := row{corpus: strict.corpus, part: "trust anchor only in DNS", reason: "-"}
	dotted := row{corpus: strict.corpus, part: "sub-domain reference name", reason: "a reference name with a leading dot is an extension of libssl; RFC 7672 has none"}
	lines := bufio.NewScanner(file)
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
		part.cases++
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
			part.agreed++
		} else if part != &dotted {
			t.Errorf("case %d (%s): want %s at depth %d, got %v", c.ID, c.Desc, c.Expect, depth, result)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if strict.cases != 3615 {
		t.Errorf("%d strict cases were read", strict.cases)
	}
	published(t, strict.corpus, 3615+256+768, []row{strict, inDNS, dotted})
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
	file := openCorpus(t, "gnutls-dane/cases.json")
	if file == nil {
		return
	}
	var cases []gnutlsCase
	if err := json.NewDecoder(file).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	parsing := row{corpus: "GnuTLS libdane", part: "parsing", reason: "-"}
	usage3 := row{corpus: parsing.corpus, part: "usage 3", reason: "-"}
	usage0 := row{corpus: parsing.corpus, part: "usage 0", reason: "libdane serves HTTPS too; for mail usage 0 is unusable (RFC 7672 section 3.1.3)"}
	for _, c := range cases {
		records := mustRecords(t, c.TLSA)
		if c.Chain == nil {
			parsing.cases++
			if sizesAre(records, c.Sizes) {
				parsing.agreed++
			} else {
				t.Errorf("%s: want RDATA of %v bytes, got %v", c.Name, c.Sizes, records)
			}
			continue
		}
		part := &usage3
		if c.pkix() {
			part = &usage0
		}
		part.cases++
		chain, err := ParseChain([]byte(*c.Chain))
		if err != nil {
			t.Fatal(err)
		}
		result := Match(records, chain, nil, corpusClock)
		pass := c.VerifyRet != nil && *c.VerifyRet == "0" && c.Status != nil && *c.Status == "0"
		switch {
		case (result.Verdict == Matched) == pass:
			part.agreed++
		case part == &usage3 || result.Records[0].Reason != ReasonUnusableUsage:
			t.Errorf("%s: want match %v, got %v", c.Name, pass, result)
		}
	}
	published(t, parsing.corpus, 1+3+4, []row{parsing, usage3, usage0})
}

// sizesAre says whether records have these lengths on the wire.
func sizesAre(records []Record, sizes []int) bool {
	return slices.EqualFunc(records, sizes, func(r Record, size int) bool { return 3+len(r.Data)/2 == size })
}
