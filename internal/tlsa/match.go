package tlsa

import (
	"crypto/x509"
	"time"
)

// Match says how a presented chain, leaf first, goes together with an RRset, as senders see it at a
// time. Names are the reference names for usage 2: the TLSA base domain and the next-hop domain (RFC
// 7672 section 3.2.2); with usage 3 neither names nor time matter (section 3.1.1). Of the chain the
// first 16 certificates are looked at.
func Match(records []Record, chain []*x509.Certificate, names []string, at time.Time) Result {
	if len(records) == 0 {
		return Result{Verdict: NoRecords}
	}
	records = Normalize(records)
	candidates := make([]candidate, len(records))
	for i, r := range records {
		candidates[i] = newCandidate(r)
	}
	ignoreWeaker(candidates)
	b := newBuilder(chain, names, at)
	result := Result{Verdict: Unusable, Records: make([]RecordResult, len(candidates))}
	for i := range candidates {
		c := &candidates[i]
		b.decide(c)
		result.Records[i] = c.RecordResult
		switch {
		case c.Reason == ReasonMatched && result.Verdict != Matched:
			result.Verdict, result.Record, result.Depth = Matched, c.Record, c.Depth
		case c.Reason.Usable() && result.Verdict == Unusable:
			result.Verdict = Mismatch
		}
	}
	return result
}

// Matches says whether one record matches a chain, whatever other records there are.
func Matches(r Record, chain []*x509.Certificate, names []string, at time.Time) bool {
	return Match([]Record{r}, chain, names, at).Verdict == Matched
}

// decide gives a candidate its reason, unless it has one.
func (b *builder) decide(c *candidate) {
	switch {
	case c.Reason != "":
	case len(b.chain) == 0:
		c.Reason = ReasonNotPresented
	case c.Record.Usage == UsageDANETA:
		b.anchored(c)
	case b.matches(c, b.chain[0]):
		c.Reason, c.Depth = ReasonMatched, 0
	default:
		c.Reason = ReasonMismatch
	}
}
