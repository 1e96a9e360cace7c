package tlsa

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
)

// digestSize is the length of the data in bytes by matching type (RFC 6698 section 2.1.3).
var digestSize = map[uint8]int{MatchingSHA256: sha256.Size, MatchingSHA512: sha512.Size}

// IsEmptyDigest says whether a record holds the SHA-256 or SHA-512 of no input at all. Tools publish it
// by mistake when they read an empty or missing file; it can match no certificate.
func IsEmptyDigest(r Record) bool {
	return r.Data == data(MatchingSHA256, nil) || r.Data == data(MatchingSHA512, nil)
}

// candidate is one record on its way through Match.
type candidate struct {
	RecordResult
	// data is the association data.
	data []byte
	// anchor is the certificate that a 2 0 0 record supplies, key the public key that a 2 1 0 record supplies.
	anchor, key *x509.Certificate
}

// newCandidate reads a record. Its reason is empty when the record is usable.
func newCandidate(r Record) candidate {
	c := candidate{RecordResult: RecordResult{Record: r, Depth: -1}}
	if c.Reason = unusableParameters(r.Parameters); c.Reason != "" {
		return c
	}
	var err error
	if c.data, err = hex.DecodeString(r.Data); err != nil {
		c.Reason, c.Detail = ReasonMalformed, "not hexadecimal"
		return c
	}
	if r.MatchingType != MatchingFull {
		if len(c.data) != digestSize[r.MatchingType] {
			c.Reason = ReasonMalformedLength
		}
		return c
	}
	c.readFull()
	return c
}

// unusableParameters says why senders do not know what a record means; empty when they do.
func unusableParameters(p Parameters) Reason {
	switch {
	case p.Usage <= UsagePKIXEE:
		return ReasonUnusableUsage
	case p.Usage > UsageDANEEE:
		return ReasonUnknownUsage
	case p.Selector > SelectorSPKI:
		return ReasonUnknownSelector
	case p.MatchingType > MatchingSHA512:
		return ReasonUnknownMatchingType
	default:
		return ""
	}
}

// publicKeyInfo is the outline of an SPKI (RFC 5280 section 4.1). Keys of algorithms that Go does not
// know are well formed all the same.
type publicKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

// readFull reads the certificate or key of a record with matching type 0.
func (c *candidate) readFull() {
	if c.Record.Selector == SelectorSPKI {
		var outline publicKeyInfo
		if rest, err := asn1.Unmarshal(c.data, &outline); err != nil || len(rest) > 0 {
			c.Reason, c.Detail = ReasonMalformed, "not a public key (SPKI)"
			return
		}
		if key, err := x509.ParsePKIXPublicKey(c.data); err == nil {
			c.key = &x509.Certificate{PublicKey: key}
		}
		return
	}
	certificate, err := x509.ParseCertificate(c.data)
	if err != nil {
		c.Reason, c.Detail = ReasonMalformed, "not a certificate"
		return
	}
	c.anchor = certificate
}

// ignoreWeaker sets aside each SHA-256 that has a usable SHA-512 of the same usage and selector beside it
// (digest agility, RFC 7671 section 9). Malformed records were discarded before and count for nothing.
func ignoreWeaker(candidates []candidate) {
	type object struct{ usage, selector uint8 }
	strong := map[object]bool{}
	for _, c := range candidates {
		if c.Reason == "" && c.Record.MatchingType == MatchingSHA512 {
			strong[object{c.Record.Usage, c.Record.Selector}] = true
		}
	}
	for i := range candidates {
		c := &candidates[i]
		if c.Reason == "" && c.Record.MatchingType == MatchingSHA256 && strong[object{c.Record.Usage, c.Record.Selector}] {
			c.Reason = ReasonIgnoredWeakerDigest
		}
	}
}
