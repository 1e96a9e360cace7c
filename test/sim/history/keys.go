package history

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file makes keys and certificates. All histories share them: a key is known by its number, is the
// same in every run, and is made once. They are Ed25519 keys, or P-256 for a number below zero: those follow from
// a seed.

// key is a private key with what is made of it.
type key struct {
	number int
	pem    string
	spki   []byte
	digest string // SHA-256 of spki, hex
	csr    []byte
	public crypto.PublicKey
}

func (k *key) ecdsa() bool { return k.number < 0 }

// issued is a certificate with its chain.
type issued struct {
	key    *key
	issuer int
	pem    string
	chain  []*x509.Certificate
	// matches are the records that it matches, of every kind that this operator publishes.
	matches map[tlsa.Record]bool
}

// certificateID tells certificates apart: edition those of one key by one issuer, expires is in Unix seconds.
type certificateID struct {
	key, issuer, edition int
	expires              int64
}

// forever is when a certificate ends that does not matter for that.
var forever = begin.AddDate(10, 0, 0)

// authority is an intermediate.
type authority struct {
	private ed25519.PrivateKey
	cert    *x509.Certificate
	pem     []byte
}

// keyPool holds what was made.
type keyPool struct {
	mu          sync.Mutex
	keys        map[int]*key
	byPEM       map[string]*key
	certs       map[certificateID]*issued
	byCert      map[string]*issued
	authorities map[int]*authority
}

var pool = &keyPool{keys: map[int]*key{}, byPEM: map[string]*key{}, certs: map[certificateID]*issued{}, byCert: map[string]*issued{}, authorities: map[int]*authority{}}

func seedOf(kind string, number int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, number))
	return sum[:]
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// key returns the key of a number.
func (p *keyPool) key(number int) *key {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.keys[number]; ok {
		return k
	}
	private := privateKey(number)
	k := &key{number: number, public: private.Public()}
	k.pem = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))}))
	k.spki = must(x509.MarshalPKIXPublicKey(private.Public()))
	sum := sha256.Sum256(k.spki)
	k.digest = hex.EncodeToString(sum[:])
	// The signature of a P-256 key is another in each run; nothing is made of it.
	request := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: hostNames}, private))
	k.csr = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})
	p.keys[number], p.byPEM[k.pem] = k, k
	return k
}

func privateKey(number int) crypto.Signer {
	seed := seedOf("key", number)
	if number >= 0 {
		return ed25519.NewKeyFromSeed(seed)
	}
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), seed))
}

// ofPEM returns the key that a Secret holds; nil when it is none of the pool.
func (p *keyPool) ofPEM(text []byte) *key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byPEM[string(text)]
}

// ofCert returns the certificate that a Secret holds; nil when it is none of the pool.
func (p *keyPool) ofCert(text []byte) *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byCert[string(text)]
}

// issue returns a certificate of a key by an intermediate; of one key there may be several.
func (p *keyPool) issue(k *key, issuer, edition int, expires time.Time) *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := certificateID{k.number, issuer, edition, expires.Unix()}
	if c, ok := p.certs[id]; ok {
		return c
	}
	by := p.authority(issuer)
	serial := new(big.Int).SetBytes(seedOf(fmt.Sprintf("serial %+v", id), 0)[:8])
	der := must(x509.CreateCertificate(nil, template(serial, "", expires), by.cert, k.public, by.private))
	leaf := must(tlsa.ParseCertificate(der))
	c := &issued{key: k, issuer: issuer, chain: []*x509.Certificate{leaf, by.cert}}
	c.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(by.pem)
	c.matches = matchesOf(leaf, by.cert)
	p.certs[id], p.byCert[c.pem] = c, c
	return c
}

func (p *keyPool) authority(number int) *authority {
	if a, ok := p.authorities[number]; ok {
		return a
	}
	private := ed25519.NewKeyFromSeed(seedOf("authority", number))
	t := template(big.NewInt(int64(number)+1), fmt.Sprintf("Authority %d", number), time.Time{})
	der := must(x509.CreateCertificate(nil, t, t, private.Public(), private))
	a := &authority{private: private, cert: must(tlsa.ParseCertificate(der)), pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	p.authorities[number] = a
	return a
}

// template is that of an authority without an end.
func template(serial *big.Int, name string, expires time.Time) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: begin.Add(-time.Hour), NotAfter: expires,
		BasicConstraintsValid: true, IsCA: expires.IsZero(),
	}
	if t.IsCA {
		t.NotAfter = forever
		t.KeyUsage = x509.KeyUsageCertSign
	} else {
		t.DNSNames = hostNames
		t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return t
}

// matchesOf is a reading of RFC 6698 and 7671 of its own: usage 3 is the leaf, usage 2 its issuer.
func matchesOf(leaf, issuer *x509.Certificate) map[tlsa.Record]bool {
	out := map[tlsa.Record]bool{}
	for usage, c := range map[uint8]*x509.Certificate{3: leaf, 2: issuer} {
		for selector, data := range [][]byte{c.Raw, c.RawSubjectPublicKeyInfo} {
			short, long := sha256.Sum256(data), sha512.Sum512(data)
			out[record(usage, uint8(selector), 1, short[:])] = true //nolint:gosec // 0 or 1
			out[record(usage, uint8(selector), 2, long[:])] = true  //nolint:gosec // 0 or 1
		}
	}
	return out
}

func record(usage, selector, matching uint8, digest []byte) tlsa.Record {
	return tlsa.Record{Parameters: tlsa.Parameters{Usage: usage, Selector: selector, MatchingType: matching}, Data: hex.EncodeToString(digest)}
}

// recordsOf are the records of a certificate for some parameter sets.
func (c *issued) recordsOf(params []tlsa.Parameters) []tlsa.Record {
	var out []tlsa.Record
	for r := range c.matches {
		if slices.Contains(params, r.Parameters) {
			out = append(out, r)
		}
	}
	return tlsa.Normalize(out)
}

// keyReader is the randomness that an operator makes standby keys with: each Ed25519 key is one of the pool.
type keyReader struct{ next func() int }

// Read implements io.Reader for ed25519.GenerateKey, which asks for one seed.
func (r *keyReader) Read(into []byte) (int, error) {
	number := r.next()
	pool.key(number)
	return copy(into, seedOf("key", number)), nil
}

// useKnownKey puts a P-256 key of the pool in the place of a standby key of that type: Go's generator of those takes
// no randomness but its own, and gives another key in each run. Nobody has seen it yet. Any other key is one of the pool.
func (h *History) useKnownKey(o client.Object) {
	secret, ok := o.(*corev1.Secret)
	if !ok || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 || pool.ofPEM(secret.Data[corev1.TLSPrivateKeyKey]) != nil {
		return
	}
	if !strings.HasSuffix(secret.Name, standbySuffix) || !isP256(secret.Data[corev1.TLSPrivateKeyKey]) {
		h.fail("L1", "a key is written into Secret %s that nobody has asked for", secret.Name)
		return
	}
	h.count("standby key of type ECDSA")
	secret.Data[corev1.TLSPrivateKeyKey] = []byte(pool.key(-h.newKey()).pem)
}

// isP256 says whether a text is a P-256 key in PEM.
func isP256(text []byte) bool {
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	return err == nil && ok && private.Curve == elliptic.P256()
}
