package history

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file makes keys and certificates. All histories share them: a key is known by its number, is the
// same in every run, and is made once. The type follows from the number (numberFor), and the key from a seed.

// key is a private key with what is made of it.
type key struct {
	number int
	pem    string
	spki   []byte
	digest string // SHA-256 of spki, hex
	csr    []byte
	public crypto.PublicKey
}

// firstRSA is the lowest number of RSA keys, and sizeOfRSA how many bits they have: the fewest that Go allows, which are
// made the quickest.
const (
	firstRSA  = 1 << 30
	sizeOfRSA = 1024
)

// numberFor is the number of the key of a type.
func numberFor(algorithm cmapi.PrivateKeyAlgorithm, number int) int {
	switch algorithm {
	case cmapi.ECDSAKeyAlgorithm:
		return -number
	case cmapi.RSAKeyAlgorithm:
		return firstRSA + number
	default:
		return number
	}
}

func (k *key) algorithm() cmapi.PrivateKeyAlgorithm {
	switch {
	case k.number < 0:
		return cmapi.ECDSAKeyAlgorithm
	case k.number >= firstRSA:
		return cmapi.RSAKeyAlgorithm
	default:
		return cmapi.Ed25519KeyAlgorithm
	}
}

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
	switch {
	case number < 0:
		return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), seed))
	case number >= firstRSA:
		return rsaKey([32]byte(seed))
	default:
		return ed25519.NewKeyFromSeed(seed)
	}
}

// rsaKey is an RSA key that follows from a seed, as none of crypto/rsa's own does.
func rsaKey(seed [32]byte) *rsa.PrivateKey {
	stream := mathrand.NewChaCha8(seed)
	one, exponent := big.NewInt(1), big.NewInt(65537)
	for {
		p, q := primeOf(stream), primeOf(stream)
		order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(exponent, order)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		k.Precompute()
		return k
	}
}

// primeOf is the first prime from where a stream says, with half the bits of a key and the two highest of them set.
func primeOf(stream io.Reader) *big.Int {
	text := make([]byte, sizeOfRSA/16)
	_ = must(io.ReadFull(stream, text))
	text[0] |= 0xc0
	text[len(text)-1] |= 1
	p := new(big.Int).SetBytes(text)
	for !p.ProbablyPrime(0) {
		p.Add(p, big.NewInt(2))
	}
	return p
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

// useKnownKey puts a key of the pool in the place of a standby key of its type: Go's generators of P-256 and RSA keys take
// no randomness but their own, and give another key in each run. Nobody has seen it yet. Any other key is one of the pool.
func (h *History) useKnownKey(o client.Object) {
	secret, ok := o.(*corev1.Secret)
	if !ok || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 || pool.ofPEM(secret.Data[corev1.TLSPrivateKeyKey]) != nil {
		return
	}
	algorithm := typeOf(secret.Data[corev1.TLSPrivateKeyKey])
	if !strings.HasSuffix(secret.Name, standbySuffix) || algorithm == "" {
		h.fail("L1", "a key is written into Secret %s that nobody has asked for", secret.Name)
		return
	}
	h.count("standby key of type " + string(algorithm))
	secret.Data[corev1.TLSPrivateKeyKey] = []byte(pool.key(numberFor(algorithm, h.newKey())).pem)
}

// typeOf is the type of a P-256 key, or of an RSA key of the size that is asked for here, in PEM; empty for all else.
func typeOf(text []byte) cmapi.PrivateKeyAlgorithm {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	switch private := parsed.(type) {
	case *ecdsa.PrivateKey:
		if private.Curve == elliptic.P256() {
			return cmapi.ECDSAKeyAlgorithm
		}
	case *rsa.PrivateKey:
		if private.N.BitLen() == sizeOfRSA {
			return cmapi.RSAKeyAlgorithm
		}
	}
	return ""
}
