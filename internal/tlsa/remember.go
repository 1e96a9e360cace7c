package tlsa

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"sync"
)

// maxRemembered is how many of the newest findings of a kind are kept at least, and half of how many at most.
const maxRemembered = 4096

// findings keeps what was found out of some octets and follows from them alone, so that it is found out once
// however often it is asked for: the same few certificates and requests are looked at again and again. It keeps a
// digest and the outcome, and bounds how many: whoever decides what is looked at can make others be found
// out again, and no more. It is safe for use by many goroutines.
type findings[V any] struct {
	mu sync.Mutex
	// young are the newest, and old those before them; once there are enough young ones they are the old ones.
	young, old map[digest]V
}

func newFindings[V any]() *findings[V] { return &findings[V]{young: map[digest]V{}} }

// recall returns what was found out of octets with a digest, or finds it out.
func (f *findings[V]) recall(id digest, find func() V) V {
	if value, ok := f.get(id); ok {
		return value
	}
	value := find() // others need not wait for it: the worst is that two find out the same
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(id, value)
	return value
}

func (f *findings[V]) get(id digest) (V, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.young[id]
	if ok {
		return value, true
	}
	if value, ok = f.old[id]; ok {
		f.put(id, value) // it is in use
	}
	return value, ok
}

// put keeps a finding; the caller holds the lock.
func (f *findings[V]) put(id digest, value V) {
	if len(f.young) >= maxRemembered {
		f.young, f.old = map[digest]V{}, f.young
	}
	f.young[id] = value
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
