package tlsa

import (
	"crypto/x509"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMatchRecordByRecord checks the verdict and what is said of every record.
func TestMatchRecordByRecord(t *testing.T) {
	l, other := newLine(t), newLine(t)
	full, withoutRoot, alone := chainOf(l.leaf, l.ca, l.root), chainOf(l.leaf, l.ca), chainOf(l.leaf)
	raw := func(text string) Record {
		r, err := ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	rec := func(params string, n *node) Record { return recordOf(t, params, n) }
	for _, tc := range []struct {
		reason  string
		records []Record
		chain   []*x509.Certificate
		verdict Verdict
		// want holds the reasons in the order of the records given.
		want  []Reason
		depth int
	}{
		{"no records", nil, full, NoRecords, nil, 0},
		{"3 1 1 of the leaf", []Record{rec("3 1 1", l.leaf)}, alone, Matched, []Reason{ReasonMatched}, 0},
		{"3 0 0 of the leaf", []Record{rec("3 0 0", l.leaf)}, alone, Matched, []Reason{ReasonMatched}, 0},
		{"3 1 0 of the leaf", []Record{rec("3 1 0", l.leaf)}, alone, Matched, []Reason{ReasonMatched}, 0},
		{"usage 3 names the leaf alone", []Record{rec("3 1 1", l.ca)}, full, Mismatch, []Reason{ReasonMismatch}, 0},
		{"2 0 1 of the CA", []Record{rec("2 0 1", l.ca)}, withoutRoot, Matched, []Reason{ReasonMatched}, 1},
		{"2 1 2 of the root", []Record{rec("2 1 2", l.root)}, full, Matched, []Reason{ReasonMatched}, 2},
		{"the order of what is above the leaf does not matter", []Record{rec("2 1 1", l.root)}, chainOf(l.leaf, l.root, other.ca, l.ca), Matched, []Reason{ReasonMatched}, 2},
		{"the digest of a root that is not sent", []Record{rec("2 0 1", l.root)}, withoutRoot, Mismatch, []Reason{ReasonTrustAnchorNotInHandshake}, 0},
		{"a leaf sent without its CA", []Record{rec("2 1 1", l.ca)}, alone, Mismatch, []Reason{ReasonTrustAnchorNotInHandshake}, 0},
		{"another CA, and the chain is complete", []Record{rec("2 1 1", other.ca)}, full, Mismatch, []Reason{ReasonMismatch}, 0},
		{"a root that only the record has", []Record{rec("2 0 0", l.root)}, withoutRoot, Matched, []Reason{ReasonMatched}, 2},
		{"a CA that only the record has", []Record{rec("2 0 0", l.ca)}, alone, Matched, []Reason{ReasonMatched}, 1},
		{"a root key that only the record has", []Record{rec("2 1 0", l.root)}, withoutRoot, Matched, []Reason{ReasonMatched}, 2},
		{"a key that only the record has and that signed nothing", []Record{rec("2 1 0", other.root)}, withoutRoot, Mismatch, []Reason{ReasonMismatch}, 0},
		{"a key that is in the handshake too", []Record{rec("2 1 0", l.ca)}, withoutRoot, Matched, []Reason{ReasonMatched}, 1},
		{"a certificate that only the record has and that signed nothing", []Record{rec("2 0 0", other.root)}, withoutRoot, Mismatch, []Reason{ReasonMismatch}, 0},
		{"the leaf as usage 2", []Record{rec("2 1 1", l.leaf)}, full, Mismatch, []Reason{ReasonTrustAnchorIsLeaf}, 0},
		{"the leaf twice, as usage 2", []Record{rec("2 0 1", l.leaf)}, chainOf(l.leaf, l.leaf, l.ca), Mismatch, []Reason{ReasonTrustAnchorIsLeaf}, 0},
		{"a CA that is sent and did not sign", []Record{rec("2 0 1", other.ca)}, chainOf(l.leaf, other.ca), Mismatch, []Reason{ReasonChainInvalid}, 0},
		{"nothing presented", []Record{rec("3 1 1", l.leaf), rec("2 1 1", l.ca)}, nil, Mismatch, []Reason{ReasonNotPresented, ReasonNotPresented}, 0},
		{"usages 0 and 1 of the right key", []Record{rec("0 0 1", l.ca), rec("1 1 1", l.leaf)}, full, Unusable, []Reason{ReasonUnusableUsage, ReasonUnusableUsage}, 0},
		{"unknown numbers", []Record{rec("4 1 1", l.leaf), rec("3 2 1", l.leaf), rec("3 1 3", l.leaf), rec("255 1 1", l.leaf)}, full, Unusable, []Reason{ReasonUnknownUsage, ReasonUnknownSelector, ReasonUnknownMatchingType, ReasonUnknownUsage}, 0},
		{"data of the wrong length", []Record{raw("3 1 1 abcd"), raw("3 1 2 " + rec("3 1 1", l.leaf).Data)}, full, Unusable, []Reason{ReasonMalformedLength, ReasonMalformedLength}, 0},
		{"no data", []Record{{Parameters: Parameters{3, 1, 1}}, {Parameters: Parameters{3, 1, 0}}}, full, Unusable, []Reason{ReasonMalformedLength, ReasonMalformed}, 0},
		{"full data that is none", []Record{raw("3 0 0 abcd"), raw("2 1 0 3000"), {Parameters{3, 1, 0}, rec("3 1 0", l.leaf).Data + "00"}, {Parameters{3, 1, 0}, "xy"}}, full, Unusable, []Reason{ReasonMalformed, ReasonMalformed, ReasonMalformed, ReasonMalformed}, 0},
		{"an unusable record beside a usable one that does not match", []Record{rec("1 1 1", l.leaf), rec("3 1 1", l.ca)}, full, Mismatch, []Reason{ReasonUnusableUsage, ReasonMismatch}, 0},
		{"one match is enough", []Record{rec("3 1 1", l.ca), rec("3 1 1", l.leaf)}, full, Matched, []Reason{ReasonMismatch, ReasonMatched}, 0},
		{"of two matches the first in order is named", []Record{rec("3 1 1", l.leaf), rec("2 1 1", l.root)}, full, Matched, []Reason{ReasonMatched, ReasonMatched}, 2},
		{"the weaker digest is not looked at", []Record{rec("3 1 1", l.leaf), rec("3 1 2", l.ca)}, full, Mismatch, []Reason{ReasonIgnoredWeakerDigest, ReasonMismatch}, 0},
		{"agility is for each selector", []Record{rec("3 1 1", l.leaf), rec("3 0 2", l.ca)}, full, Matched, []Reason{ReasonMatched, ReasonMismatch}, 0},
		{"agility is for each usage", []Record{rec("3 1 1", l.leaf), rec("2 1 2", other.ca)}, full, Matched, []Reason{ReasonMatched, ReasonMismatch}, 0},
		{"full data is no digest", []Record{rec("3 1 0", l.leaf), rec("3 1 2", l.ca)}, full, Matched, []Reason{ReasonMatched, ReasonMismatch}, 0},
		{"a malformed SHA-512 does not outrank", []Record{rec("3 1 1", l.leaf), raw("3 1 2 abcd")}, full, Matched, []Reason{ReasonMatched, ReasonMalformedLength}, 0},
		{"the digest of nothing is well formed and matches nothing", []Record{{Parameters{3, 1, 1}, data(MatchingSHA256, nil)}}, full, Mismatch, []Reason{ReasonMismatch}, 0},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			got := Match(tc.records, tc.chain, []string{host}, now)
			if got.Verdict != tc.verdict || got.Depth != tc.depth {
				t.Errorf("want %s at depth %d, got %+v", tc.verdict, tc.depth, got)
			}
			for i, r := range tc.records {
				at := slices.IndexFunc(got.Records, func(o RecordResult) bool { return o.Record == r })
				if at < 0 || got.Records[at].Reason != tc.want[i] {
					t.Errorf("record %s: want %s, got %+v", r, tc.want[i], got.Records)
				}
			}
		})
	}
}

// TestMatchesIsBlindToOtherRecords checks that a single record is judged without digest agility.
func TestMatchesIsBlindToOtherRecords(t *testing.T) {
	l := newLine(t)
	if !Matches(recordOf(t, "3 1 1", l.leaf), chainOf(l.leaf), nil, now) {
		t.Error("the leaf's own record does not match")
	}
	if Matches(recordOf(t, "3 1 1", l.ca), chainOf(l.leaf), nil, now) {
		t.Error("another key's record matches")
	}
}

// TestUsage3IgnoresNameAndExpiry checks RFC 7672 section 3.1.1.
func TestUsage3IgnoresNameAndExpiry(t *testing.T) {
	for reason, change := range map[string]func(*x509.Certificate){
		"expired": expired, "not valid yet": notYetValid, "nameless": nameless,
		"for clients": func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
	} {
		t.Run(reason, func(t *testing.T) {
			leaf := issue(t, nil, "", forHost(change))
			for _, params := range []string{"3 0 0", "3 0 1", "3 0 2", "3 1 0", "3 1 1", "3 1 2"} {
				got := Match([]Record{recordOf(t, params, leaf)}, chainOf(leaf), []string{"elsewhere.example"}, now)
				if got.Verdict != Matched {
					t.Errorf("%s: %v", params, got)
				}
			}
		})
	}
}

// TestResultInWords checks that the words name the cause and do not grow with the RRset.
func TestResultInWords(t *testing.T) {
	l, other := newLine(t), newLine(t)
	var many []Record
	for range 30 {
		many = append(many, recordOf(t, "1 1 1", issue(t, nil, "x", nil)))
	}
	for _, tc := range []struct {
		reason  string
		records []Record
		names   []string
		want    string
	}{
		{"matched", []Record{recordOf(t, "3 1 1", l.leaf)}, nil, "matches 3 1 1 " + data(MatchingSHA256, l.leaf.RawSubjectPublicKeyInfo)},
		{"plain mismatch needs no list", []Record{recordOf(t, "3 1 1", other.leaf)}, nil, "no published TLSA record matches the certificate that is presented"},
		{"wrong name", []Record{recordOf(t, "2 1 1", l.ca)}, []string{"mx2.example.com"}, `it is for "mx1.example.com" and not for "mx2.example.com"`},
		{"no name to compare with", []Record{recordOf(t, "2 1 1", l.ca)}, nil, "not for no host"},
		{"unusable", []Record{recordOf(t, "1 1 1", l.leaf)}, nil, "publish 3 1 1 instead"},
		{"many records", many, nil, "and 26 more"},
		{"none", nil, nil, "no TLSA record is published"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			got := Match(tc.records, chainOf(l.leaf, l.ca), tc.names, now).String()
			if !strings.Contains(got, tc.want) || len(got) > 1024 {
				t.Errorf("want %q in %q", tc.want, got)
			}
			if tc.reason == "plain mismatch needs no list" && got != tc.want {
				t.Errorf("want %q, got %q", tc.want, got)
			}
		})
	}
}

// TestEveryReasonHasASentence keeps messages whole when reasons are added.
func TestEveryReasonHasASentence(t *testing.T) {
	source, err := os.ReadFile("reasons.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`Reason = "(\w+)"`).FindAllSubmatch(source, -1)
	for _, m := range found {
		if sentences[Reason(m[1])] == "" {
			t.Errorf("%s has no sentence", m[1])
		}
	}
	if len(found) != len(sentences) {
		t.Errorf("%d reasons and %d sentences", len(found), len(sentences))
	}
}

// TestIsEmptyDigest checks the digests of no input.
func TestIsEmptyDigest(t *testing.T) {
	l := newLine(t)
	for _, tc := range []struct {
		reason string
		record Record
		want   bool
	}{
		{"SHA-256 of nothing", Record{Parameters{3, 1, 1}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}, true},
		{"SHA-512 of nothing", Record{Parameters{3, 1, 2}, "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"}, true},
		{"a real digest", recordOf(t, "3 1 1", l.leaf), false},
		{"no data", Record{Parameters: Parameters{3, 1, 1}}, false},
	} {
		if got := IsEmptyDigest(tc.record); got != tc.want {
			t.Errorf("%s: want %v, got %v", tc.reason, tc.want, got)
		}
	}
}
