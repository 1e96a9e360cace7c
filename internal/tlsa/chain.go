package tlsa

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// builder builds chains from one presented chain. It is not x509.Certificate.Verify since that refuses
// what mail senders accept: common names instead of DNS-IDs, SHA-1 signatures, trust anchors that are
// bare keys.
type builder struct {
	chain []*x509.Certificate
	names []string
	at    time.Time
	memory
}

func newBuilder(chain []*x509.Certificate, names []string, at time.Time) *builder {
	return &builder{chain: chain[:min(len(chain), maxChain)], names: names, at: at, memory: newMemory()}
}

// search is the search for a path from the leaf to the trust anchor that one record names.
type search struct {
	*builder
	record *candidate
	// issuers are what a path may be made of above the leaf.
	issuers []*x509.Certificate
	// left is how many certificates may still be put on top of a path.
	left int
	// failed says why a path to the trust anchor was not good: the one that came furthest, of several.
	failed problem
}

// problem is why a path is not good. A zero problem is none.
type problem struct {
	reason Reason
	detail string
}

// anchored decides a usable record of usage 2: whether some chain of the presented certificates leads
// from the leaf to the trust anchor that the record names, which the server sends or, with matching type
// 0, the record supplies itself (RFC 7672 section 3.1.2, RFC 7671 section 5.2). The leaf is never its own
// trust anchor.
func (b *builder) anchored(c *candidate) {
	s := &search{builder: b, record: c, issuers: slices.Clone(b.chain[1:]), left: min(maxSteps, maxStepsInAll-b.steps)}
	if c.anchor != nil {
		s.issuers = append(s.issuers, c.anchor)
	}
	if depth := s.climb([]*x509.Certificate{b.chain[0]}); depth > 0 {
		c.Reason, c.Depth = ReasonMatched, depth
		return
	}
	p := s.failed
	if p.reason == "" {
		p = s.notReached()
	}
	c.Reason, c.Detail = p.reason, p.detail
}

// climb puts issuers on top of a path until the trust anchor is there and the path is good. It returns
// the depth of the trust anchor, or 0 when no way leads to it.
func (s *search) climb(path []*x509.Certificate) int {
	top := path[len(path)-1]
	for _, issuer := range s.issuers {
		if s.left <= 0 {
			return 0
		}
		if onPath(path, issuer) || !s.issued(issuer, top) {
			continue
		}
		s.left--
		s.steps++
		longer := append(slices.Clone(path), issuer)
		if s.is(issuer) {
			if s.good(longer) {
				return len(longer) - 1
			}
			continue
		}
		if depth := s.climb(longer); depth > 0 {
			return depth
		}
	}
	if s.signedByKey(top) && s.good(path) {
		return len(path)
	}
	return 0
}

// progress orders problems by how little is missing. Of twins with one name and key, of which one is no
// CA and the other expired, the expired one is what a person wants to hear of.
var progress = map[Reason]int{ReasonChainInvalid: 1, ReasonNotYetValid: 2, ReasonExpired: 3, ReasonNameMismatch: 4}

// is says whether a certificate is the trust anchor that the record names.
func (s *search) is(c *x509.Certificate) bool { return s.matches(s.record, c) }

// good checks a path and remembers what came furthest of those that are not good.
func (s *search) good(path []*x509.Certificate) bool {
	p := s.check(path)
	if progress[p.reason] > progress[s.failed.reason] {
		s.failed = p
	}
	return p.reason == ""
}

// signedByKey says whether the bare key that a 2 1 0 record supplies signed a certificate. The key of the
// leaf itself does not count: it would make a leaf its own trust anchor.
func (s *search) signedByKey(c *x509.Certificate) bool {
	return s.record.key != nil && !s.is(s.chain[0]) && s.verifies(s.record.key, c)
}

// issued says whether a certificate is the issuer of another: by name and by signature. Key identifiers
// are not asked: they are hints, and wrong ones are about.
func (b *builder) issued(issuer, subject *x509.Certificate) bool {
	return b.sameName(issuer, subject) && b.verifies(issuer, subject)
}

// sameName says whether the issuer name of a certificate is the subject of another, in the same bytes or
// in another encoding of the same words (RFC 5280 section 7.1).
func sameName(issuer, subject *x509.Certificate) bool {
	return bytes.Equal(issuer.RawSubject, subject.RawIssuer) ||
		strings.EqualFold(issuer.Subject.String(), subject.Issuer.String())
}

func onPath(path []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(path, c.Equal)
}

// notReached says why no path led to the trust anchor.
func (s *search) notReached() problem {
	switch {
	case slices.ContainsFunc(s.chain[1:], s.is) && !s.is(s.chain[0]):
		return problem{ReasonChainInvalid, "the trust anchor is presented and did not issue the certificate"}
	case s.is(s.chain[0]):
		return problem{reason: ReasonTrustAnchorIsLeaf}
	case s.record.Record.MatchingType != MatchingFull && !s.complete():
		return problem{reason: ReasonTrustAnchorNotInHandshake}
	default:
		return problem{reason: ReasonMismatch}
	}
}

// complete says whether the presented chain goes up to a certificate that signed itself, so that no
// trust anchor can be missing.
func (b *builder) complete() bool { return once(&b.whole, b.findRoot) }

func (b *builder) findRoot() bool {
	path := []*x509.Certificate{b.chain[0]}
	for {
		top := path[len(path)-1]
		if b.issued(top, top) {
			return true
		}
		i := slices.IndexFunc(b.chain, func(c *x509.Certificate) bool { return !onPath(path, c) && b.issued(c, top) })
		if i < 0 {
			return false
		}
		path = append(path, b.chain[i])
	}
}
