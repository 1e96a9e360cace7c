package tlsa

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Verdict says how a chain and an RRset go together.
type Verdict string

// The verdicts.
const (
	// Matched: some usable record matches.
	Matched Verdict = "Matched"
	// Mismatch: there are usable records and none matches.
	Mismatch Verdict = "Mismatch"
	// Unusable: no record is usable; senders encrypt without authentication (RFC 7672 section 2.2).
	Unusable Verdict = "Unusable"
	// NoRecords: there is nothing to match.
	NoRecords Verdict = "NoRecords"
)

// Result is how a chain and an RRset go together.
type Result struct {
	Verdict Verdict
	// Record that matched, and the depth of the certificate it matched: 0 is the leaf.
	Record Record
	Depth  int
}

// String is the result in words.
func (r Result) String() string {
	switch r.Verdict {
	case Matched:
		return fmt.Sprintf("matches %s", r.Record)
	case Mismatch:
		return "no published TLSA record matches the certificate that is presented"
	case Unusable:
		return "no published TLSA record is usable: senders encrypt and do not authenticate"
	default:
		return "no TLSA record is published"
	}
}

// digestLength is the length of the data in hex digits by matching type.
var digestLength = map[uint8]int{MatchingSHA256: 64, MatchingSHA512: 128}

// usable says whether a record has a meaning for mail (RFC 7672 section 3.1) and the right form.
func usable(r Record) bool {
	if r.Usage != UsageDANEEE && r.Usage != UsageDANETA || r.Selector > SelectorSPKI {
		return false
	}
	if r.MatchingType == MatchingFull {
		return len(r.Data) > 0
	}
	return len(r.Data) == digestLength[r.MatchingType] && r.MatchingType <= MatchingSHA512
}

// Match says how a presented chain, leaf first, goes together with an RRset, as senders see it:
// names are the TLSA base domain and the next-hop domain, for usage 2.
func Match(records []Record, chain []*x509.Certificate, names []string, at time.Time) Result {
	if len(records) == 0 {
		return Result{Verdict: NoRecords}
	}
	candidates := agile(slices.DeleteFunc(Normalize(records), func(r Record) bool { return !usable(r) }))
	if len(candidates) == 0 {
		return Result{Verdict: Unusable}
	}
	for _, r := range candidates {
		if depth, ok := matchDepth(r, chain, names, at); ok {
			return Result{Verdict: Matched, Record: r, Depth: depth}
		}
	}
	return Result{Verdict: Mismatch}
}

// agile keeps, for each usage and selector, the full data and the strongest digest alone (digest
// agility, RFC 7671 section 9).
func agile(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool {
		return r.MatchingType == MatchingSHA256 && slices.ContainsFunc(records, func(o Record) bool {
			return o.Usage == r.Usage && o.Selector == r.Selector && o.MatchingType == MatchingSHA512
		})
	})
}

// Matches says whether one record matches a chain, whatever other records there are.
func Matches(r Record, chain []*x509.Certificate, names []string, at time.Time) bool {
	if !usable(r) {
		return false
	}
	_, ok := matchDepth(r, chain, names, at)
	return ok
}

// matchDepth finds the certificate that a record matches. The leaf never counts as its own trust
// anchor; with usage 3 neither names nor expiry matter (RFC 7671 section 5.1).
func matchDepth(r Record, chain []*x509.Certificate, names []string, at time.Time) (int, bool) {
	if len(chain) == 0 || len(chain) > maxChain {
		return 0, false
	}
	if r.Usage == UsageDANEEE {
		return 0, data(r.MatchingType, selected(r.Selector, chain[0])) == r.Data
	}
	for depth := 1; depth < len(chain); depth++ {
		if data(r.MatchingType, selected(r.Selector, chain[depth])) == r.Data {
			return depth, anchored(chain, depth, names, at)
		}
	}
	return 0, false
}

// anchored says whether the leaf chains up to a trust anchor of the chain, with the right name.
func anchored(chain []*x509.Certificate, depth int, names []string, at time.Time) bool {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[depth])
	for _, c := range chain[1:depth] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(n string) bool { return chain[0].VerifyHostname(n) == nil })
}
