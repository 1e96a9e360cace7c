package tlsa

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
)

// A server decides what it presents, and whoever writes its zone which records there are. So whatever takes
// time is found out once for each certificate, or pair of them, however many records and paths there are; and
// where a certificate itself can make it long, there is a limit.
const (
	// maxSteps bounds the certificates that are put on top of a path for one record: sixteen certificates of
	// one name and key would have more paths than anybody can try.
	maxSteps = 256
	// maxStepsInAll does so for all records of an RRset: as many of usage 2 as fit into an answer are a thousand.
	maxStepsInAll = 16 * maxSteps
	// maxComparisons bounds the comparisons of the names of a leaf with the name constraints of a CA. Go's own
	// verifier stops at as many; libssl at four times as many (NAME_CHECK_MAX).
	maxComparisons = 1 << 18
	// maxRSA is the size in bits of the largest RSA key that signatures are checked with. libssl has the same
	// limit (OPENSSL_RSA_MAX_MODULUS_BITS).
	maxRSA = 16384
)

type pair [2]*x509.Certificate

// part names what a digest is of.
type part struct {
	of                     *x509.Certificate
	selector, matchingType uint8
}

// memory is what was found out in one Match.
type memory struct {
	// signed and named say of an issuer and a subject whether the signature is good, and whether the names are
	// the same.
	signed, named map[pair]bool
	// constraints says of a CA how it does not permit the leaf's names, in words; empty when it does.
	constraints map[*x509.Certificate]string
	digests     map[part]string
	subjects    map[*x509.Certificate]string
	// forHost says whether the leaf is for one of the reference names, whole whether the chain goes up to a
	// certificate that signed itself; nil while it was not asked for.
	forHost, whole *bool
	// steps were taken for all records so far.
	steps int
}

func newMemory() memory {
	return memory{
		signed: map[pair]bool{}, named: map[pair]bool{}, constraints: map[*x509.Certificate]string{},
		digests: map[part]string{}, subjects: map[*x509.Certificate]string{},
	}
}

// recall returns what is remembered by a key, found out first when it is not.
func recall[K comparable, V any](known map[K]V, key K, find func() V) V {
	value, ok := known[key]
	if !ok {
		value = find()
		known[key] = value
	}
	return value
}

// once is recall for what there is only one of.
func once(known **bool, find func() bool) bool {
	if *known == nil {
		value := find()
		*known = &value
	}
	return **known
}

// sameName says whether the issuer name of a certificate is the subject of another.
func (m *memory) sameName(issuer, subject *x509.Certificate) bool {
	return recall(m.named, pair{issuer, subject}, func() bool { return sameName(issuer, subject) })
}

// verifies checks a signature.
func (m *memory) verifies(issuer, subject *x509.Certificate) bool {
	return recall(m.signed, pair{issuer, subject}, func() bool {
		return !oversized(issuer.PublicKey) && signatureGood(issuer, subject)
	})
}

// oversized says whether a key is larger than any that is used, so that to check one signature takes seconds.
func oversized(key any) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() > maxRSA
}

// matches says whether the data of a record is that of a certificate.
func (m *memory) matches(c *candidate, certificate *x509.Certificate) bool {
	if c.Record.MatchingType == MatchingFull {
		return string(selected(c.Record.Selector, certificate)) == string(c.data)
	}
	id := part{certificate, c.Record.Selector, c.Record.MatchingType}
	return string(c.data) == recall(m.digests, id, func() string {
		return sumOf(id.matchingType, selected(id.selector, certificate))
	})
}

// sumOf is the octets that a matching type other than 0 makes of others.
func sumOf(matchingType uint8, of []byte) string {
	if matchingType == MatchingSHA512 {
		sum := sha512.Sum512(of)
		return string(sum[:])
	}
	sum := sha256.Sum256(of)
	return string(sum[:])
}

// describe names a certificate for people. A server chooses what its certificates say, so it is quoted
// and cut.
func (m *memory) describe(c *x509.Certificate) string {
	return recall(m.subjects, c, func() string { return quoted(c.Subject.String()) })
}
