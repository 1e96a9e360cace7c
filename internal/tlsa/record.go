// Package tlsa turns certificate chains into TLSA associations and matches a presented chain with
// a TLSA RRset as DANE mail senders do (RFC 6698, 7671, 7672). It does no I/O and knows no clock.
package tlsa

import (
	"cmp"
	"slices"
)

// Usage, selector and matching type values (RFC 6698 section 2.1, names of RFC 7218).
const (
	UsagePKIXTA uint8 = 0
	UsagePKIXEE uint8 = 1
	UsageDANETA uint8 = 2
	UsageDANEEE uint8 = 3

	SelectorCert uint8 = 0
	SelectorSPKI uint8 = 1

	MatchingFull   uint8 = 0
	MatchingSHA256 uint8 = 1
	MatchingSHA512 uint8 = 2
)

// Parameters is one {usage, selector, matching type} combination (RFC 7671 section 8).
type Parameters struct {
	Usage, Selector, MatchingType uint8
}

// Record is one TLSA RDATA. It is comparable; Data is the association data in lower-case hex, so
// that two records are equal exactly when DNS would call them the same.
type Record struct {
	Parameters
	// Data is the certificate association data, lower-case hex without spaces.
	Data string
}

// Compare orders records by usage, selector, matching type and data, so that every list of records
// that leaves this program has one order.
func Compare(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Usage, b.Usage), cmp.Compare(a.Selector, b.Selector),
		cmp.Compare(a.MatchingType, b.MatchingType), cmp.Compare(a.Data, b.Data))
}

// Normalize returns the records sorted and without duplicates. The argument is left as it was.
func Normalize(records []Record) []Record {
	out := slices.Clone(records)
	slices.SortFunc(out, Compare)
	return slices.Compact(out)
}

// Equal says whether two lists hold the same set of records.
func Equal(a, b []Record) bool {
	return slices.Equal(Normalize(a), Normalize(b))
}
