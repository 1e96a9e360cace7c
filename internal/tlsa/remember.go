package tlsa

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"

	"k8s.io/utils/lru"
)

// maxRemembered is how many findings of a kind are kept: those asked for last.
const maxRemembered = 4096

// findings keeps what was found out of some octets and follows from them alone, so that it is found out once
// however often it is asked for: the same few certificates and requests are looked at again and again. It keeps a
// digest and the outcome, and bounds how many: whoever decides what is looked at can make others be found
// out again, and no more. It is safe for use by many goroutines.
type findings[V any] struct{ kept *lru.Cache }

func newFindings[V any]() *findings[V] { return &findings[V]{lru.New(maxRemembered)} }

// recall returns what was found out of octets with a digest, or finds it out.
func (f *findings[V]) recall(id digest, find func() V) V {
	if value, ok := f.get(id); ok {
		return value
	}
	value := find() // others need not wait for it: the worst is that two find out the same
	f.kept.Add(id, value)
	return value
}

func (f *findings[V]) get(id digest) (V, bool) {
	found, ok := f.kept.Get(id)
	value, _ := found.(V)
	return value, ok
}

// signatures says which certificates are signed with which keys.
var signatures = newFindings[bool]()

// signatureGood says whether a certificate is signed with the key of another.
func signatureGood(issuer, subject *x509.Certificate) bool {
	check := func() bool {
		// CheckSignature takes SHA-1 where CheckSignatureFrom does not. Neither takes MD5.
		return issuer.CheckSignature(subject.SignatureAlgorithm, subject.RawTBSCertificate, subject.Signature) == nil
	}
	if len(issuer.RawSubjectPublicKeyInfo) == 0 {
		return check() // a bare key of a record: it is seldom met, and its octets are not at hand
	}
	algorithm := []byte{byte(subject.SignatureAlgorithm)}
	return signatures.recall(digestOf(issuer.RawSubjectPublicKeyInfo, algorithm, subject.RawTBSCertificate, subject.Signature), check)
}

// digestOf is a digest of several pieces, and of where each of them ends.
func digestOf(pieces ...[]byte) digest {
	sum := sha256.New()
	for _, piece := range pieces {
		writeLength(sum, len(piece))
		sum.Write(piece)
	}
	return digest(sum.Sum(nil))
}

func writeLength(into hash.Hash, n int) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(n)) //nolint:gosec // a length
	into.Write(length[:])
}
