package tlsa

import (
	"fmt"
	"strings"
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

// Reason says what became of one record when it was compared with a chain.
type Reason string

// The reasons. The first four groups follow the order in which a sender decides.
const (
	// ReasonMatched: the record authenticates the server.
	ReasonMatched Reason = "Matched"

	// Unusable records: a sender acts as if they were not there (RFC 7671 section 10.1, RFC 7672 section 3.1).

	// ReasonUnusableUsage: usage 0 or 1, which mail senders do not support (RFC 7672 section 3.1.3).
	ReasonUnusableUsage Reason = "UnusableUsage"
	// ReasonUnknownUsage: a usage above 3.
	ReasonUnknownUsage Reason = "UnknownUsage"
	// ReasonUnknownSelector: a selector above 1.
	ReasonUnknownSelector Reason = "UnknownSelector"
	// ReasonUnknownMatchingType: a matching type above 2.
	ReasonUnknownMatchingType Reason = "UnknownMatchingType"
	// ReasonMalformedLength: the data is not as long as the digest that the matching type names.
	ReasonMalformedLength Reason = "MalformedLength"
	// ReasonMalformed: the data is not hexadecimal, or, with matching type 0, no certificate or key.
	ReasonMalformed Reason = "Malformed"

	// Records that a sender sets aside.

	// ReasonIgnoredWeakerDigest: a stronger digest stands for the same usage and selector, so that senders
	// do not look at this one (RFC 7671 section 9).
	ReasonIgnoredWeakerDigest Reason = "IgnoredWeakerDigest"

	// Records that name something else than what is presented.

	// ReasonNotPresented: the server presented no certificate.
	ReasonNotPresented Reason = "NotPresented"
	// ReasonMismatch: the data is that of another certificate or key.
	ReasonMismatch Reason = "Mismatch"
	// ReasonTrustAnchorIsLeaf: usage 2 names the server's own certificate, which is not its own issuer.
	ReasonTrustAnchorIsLeaf Reason = "TrustAnchorIsLeaf"
	// ReasonTrustAnchorNotInHandshake: usage 2 names a digest, and the chain ends before its root, so that the
	// trust anchor may be one the server does not send (RFC 7672 section 3.1.2).
	ReasonTrustAnchorNotInHandshake Reason = "TrustAnchorNotInHandshake"

	// Usage 2 alone: the trust anchor is there, and the server's certificate is not good below it.

	// ReasonChainInvalid: no chain of valid signatures and CA certificates leads to the trust anchor.
	ReasonChainInvalid Reason = "ChainInvalid"
	// ReasonExpired: a certificate from the leaf to the trust anchor has expired.
	ReasonExpired Reason = "Expired"
	// ReasonNotYetValid: a certificate from the leaf to the trust anchor is not valid yet.
	ReasonNotYetValid Reason = "NotYetValid"
	// ReasonNameMismatch: the certificate is for none of the reference names (RFC 7672 section 3.2.2).
	ReasonNameMismatch Reason = "NameMismatch"
)

// sentences are the reasons in words.
var sentences = map[Reason]string{
	ReasonMatched:                   "matches",
	ReasonUnusableUsage:             "usage 0 and 1 mean nothing to mail senders; publish 3 1 1 instead",
	ReasonUnknownUsage:              "no such usage",
	ReasonUnknownSelector:           "no such selector",
	ReasonUnknownMatchingType:       "no such matching type",
	ReasonMalformedLength:           "the data has not the length of its digest",
	ReasonMalformed:                 "the data cannot be read",
	ReasonIgnoredWeakerDigest:       "senders look only at the stronger digest that is published beside it",
	ReasonNotPresented:              "the server presented no certificate",
	ReasonMismatch:                  "is for another certificate or key",
	ReasonTrustAnchorIsLeaf:         "usage 2 names the server's own certificate; publish it with usage 3",
	ReasonTrustAnchorNotInHandshake: "the server sends no such trust anchor; add it to the chain that it serves",
	ReasonChainInvalid:              "no valid chain leads to the trust anchor",
	ReasonExpired:                   "a certificate below usage 2 has expired",
	ReasonNotYetValid:               "a certificate below usage 2 is not valid yet",
	ReasonNameMismatch:              "the certificate is for another host",
}

// Usable says whether a sender takes the record into account at all. An RRset without a usable record
// makes senders encrypt without authentication (RFC 7672 section 2.2).
func (r Reason) Usable() bool {
	switch r {
	case ReasonUnusableUsage, ReasonUnknownUsage, ReasonUnknownSelector, ReasonUnknownMatchingType,
		ReasonMalformedLength, ReasonMalformed:
		return false
	default:
		return true
	}
}

// RecordResult says what became of one record.
type RecordResult struct {
	Record Record
	Reason Reason
	// Depth is the place of the matched certificate in the chain that was built: 0 is the leaf. A trust anchor
	// that the record itself supplies stands one above the last certificate that the server sent. It is
	// -1 when the record did not match.
	Depth int
	// Detail is what a person needs beside the reason, such as which certificate expired when. It may be empty.
	Detail string
}

// String is the record, cut short, and what became of it.
func (r RecordResult) String() string {
	text := fmt.Sprintf("%s: %s", r.Record.Short(), sentences[r.Reason])
	if r.Reason == ReasonMatched {
		text = fmt.Sprintf("%s at depth %d", text, r.Depth)
	}
	if r.Detail != "" {
		text += " (" + r.Detail + ")"
	}
	return text
}

// Result is how a chain and an RRset go together.
type Result struct {
	Verdict Verdict
	// Record that matched, and the depth of the certificate it matched (see RecordResult), both of the
	// first record that matched; zero without a match.
	Record Record
	Depth  int
	// Records says of every record of the RRset, in the order of Compare, what became of it.
	Records []RecordResult
}

// String is the result in words.
func (r Result) String() string {
	switch r.Verdict {
	case Matched:
		return fmt.Sprintf("matches %s", r.Record)
	case Mismatch:
		return "no published TLSA record matches the certificate that is presented" + r.why()
	case Unusable:
		return "no published TLSA record is usable: senders encrypt and do not authenticate" + r.why()
	default:
		return "no TLSA record is published"
	}
}

// maxExplained bounds the records that String speaks of, since it ends up in messages of bounded length.
const maxExplained = 4

// why explains the records one by one, unless all there is to say is that they are for another key.
func (r Result) why() string {
	var parts []string
	telling := false
	for i, o := range r.Records {
		telling = telling || o.Reason != ReasonMismatch
		switch {
		case i < maxExplained:
			parts = append(parts, o.String())
		case i == maxExplained:
			parts = append(parts, fmt.Sprintf("and %d more", len(r.Records)-i))
		}
	}
	if !telling {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}
