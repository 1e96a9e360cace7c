package tlsa

import (
	"crypto/sha256"
	"crypto/x509"
	"runtime"
	"sync"
	"weak"
)

// certificates holds every parsed certificate that somebody still uses, so that each is parsed, and kept,
// once: the one that a mail server presents is the one in the Certificate's request, and that of an
// issuer is in every chain. What nobody uses any more is not kept.
var certificates = &internTable{known: map[digest]weak.Pointer[x509.Certificate]{}}

type digest [sha256.Size]byte

type internTable struct {
	mu    sync.Mutex
	known map[digest]weak.Pointer[x509.Certificate]
}

// ParseCertificate parses a certificate in DER unless that was done before. The result is shared and must
// not be changed.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if have := certificates.get(sha256.Sum256(der)); have != nil {
		return have, nil
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return Intern(parsed), nil
}

// Intern returns the copy of a certificate that is in use already, or the one given.
func Intern(c *x509.Certificate) *x509.Certificate { return certificates.put(sha256.Sum256(c.Raw), c) }

func (t *internTable) get(id digest) *x509.Certificate {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[id].Value()
}

func (t *internTable) put(id digest, c *x509.Certificate) *x509.Certificate {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.known[id].Value(); have != nil {
		return have
	}
	t.known[id] = weak.Make(c)
	runtime.AddCleanup(c, t.drop, id)
	return c
}

// drop forgets a certificate that nobody uses, unless it was parsed anew meanwhile.
func (t *internTable) drop(id digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[id].Value() == nil {
		delete(t.known, id)
	}
}
