package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// host is one mail host: the only one of its MailDomain.
type host struct {
	index int
	// name in DNS, and zone without trailing dot.
	name, zone string
	// object is the name of its MailDomain and of its Certificate.
	object string
	addr   netip.Addr
	// held says that it has no standby key, so that a renewal has to wait for the caches.
	held bool

	// served is what its mail server presents.
	served atomic.Pointer[tls.Certificate]
	// probed says that somebody has connected to its mail server since it was reset.
	probed atomic.Bool

	mu   sync.Mutex
	seen sighting
	// renewal is the issuance under way; it belongs to the player's worker.
	renewal *renewal
	current *pair
	// revision of the certificate in its Secret.
	revision int
	// asked, approved and due are of the newest renewal: when its request was made, when its approval
	// was seen, and the instant that the rule named.
	asked, approved, due time.Time
}

// sighting is what was last seen of the MailDomain.
type sighting struct {
	ready, published bool
	// keys known to be in its status, by role.
	current, next, previous int
	// omnipresent says that no key is on its way into DNS, and no record of one on its way out.
	omnipresent bool
	currentSPKI string
}

// pair is a key and its certificate.
type pair struct {
	key               *ecdsa.PrivateKey
	keyPEM            []byte
	certPEM           []byte
	spki              string
	notBefore, expiry time.Time
}

// makeHosts spreads n hosts over the zones. Every host has an address of its own on the loopback
// network, as mail servers have: the operator connects to an address once at a time.
func makeHosts(n, held int, zones []string) []*host {
	out := make([]*host, n)
	for i := range out {
		zone := zones[i%len(zones)]
		out[i] = &host{
			index: i, zone: zone, name: fmt.Sprintf("mx%d.%s", i, zone), object: objectName(i),
			addr: netip.AddrFrom4([4]byte{127, byte(1 + i/62500), byte(i / 250 % 250), byte(1 + i%250)}),
			held: i < held,
		}
	}
	return out
}

func objectName(i int) string { return fmt.Sprintf("h%05d", i) }

// hostOf finds the host that an object belongs to by its name: h00042, h00042-tls, h00042-2.
func (w *world) hostOf(object string) *host {
	var i int
	if len(object) < 6 || object[0] != 'h' {
		return nil
	}
	if _, err := fmt.Sscanf(object[1:6], "%05d", &i); err != nil || i >= len(w.hosts) {
		return nil
	}
	return w.hosts[i]
}

// authority signs the certificates of all hosts.
type authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	pem    []byte
	serial atomic.Int64
}

// life of the certificates.
const life = 90 * 24 * time.Hour

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, cert: cert, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	a.serial.Store(1)
	return a, nil
}

// newPair makes a key without a certificate.
func newPair() (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pairOf(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// readPair reads the key that a Secret holds: ours, or the operator's standby key.
func readPair(text []byte) (*pair, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no PEM block where a private key was expected")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is a %T and not ECDSA", parsed)
	}
	return pairOf(key, text)
}

func pairOf(key *ecdsa.PrivateKey, text []byte) (*pair, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(spki)
	return &pair{key: key, keyPEM: text, spki: hex.EncodeToString(digest[:])}, nil
}

// issue gives a pair a certificate for a host; the chain ends with the authority.
func (a *authority) issue(p *pair, name string) error {
	p.notBefore = time.Now().Add(-time.Minute).Truncate(time.Second)
	p.expiry = p.notBefore.Add(life)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial.Add(1)), DNSNames: []string{name},
		NotBefore: p.notBefore, NotAfter: p.expiry,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, p.key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("issue a certificate for %s: %w", name, err)
	}
	p.certPEM = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), a.pem...)
	return nil
}

// request is the certificate request of a pair in PEM.
func (p *pair) request(name string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, p.key)
	if err != nil {
		return nil, fmt.Errorf("make a request for %s: %w", name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// serve makes the mail server of a host present a pair.
func (h *host) serve(p *pair) error {
	served, err := tls.X509KeyPair(p.certPEM, p.keyPEM)
	if err != nil {
		return fmt.Errorf("serve %s: %w", h.name, err)
	}
	h.served.Store(&served)
	return nil
}
