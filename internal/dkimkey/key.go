// Package dkimkey knows the keys that mail of a domain is signed with (RFC 6376, 8301, 8463): how they are made and named,
// what their records say, and what the Secrets hold that keep them. It is pure: randomness is given, and it asks nothing.
// Which key may be used when is decided by package rollover.
package dkimkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// Algorithm is an algorithm of keys; the words are those of the API.
type Algorithm string

// The algorithms.
const (
	RSA     Algorithm = "RSA"
	Ed25519 Algorithm = "Ed25519"
)

// DefaultSize is the size of an RSA key in bits (RFC 8301 section 3.2).
const DefaultSize = 2048

// Wish is the key that a spec asks for.
type Wish struct {
	// Name begins the selectors of its keys.
	Name      string
	Algorithm Algorithm
	// Size of an RSA key in bits; 0 is DefaultSize.
	Size int
}

// Key is a private key with its selector.
type Key struct {
	// Selector is made of the name of the wish and the public key: one key has one, and no two keys share any.
	Selector string
	// PEM is the private key, PKCS#1 for RSA, which every signer reads, and PKCS#8 for Ed25519.
	PEM []byte

	private crypto.Signer
}

// Make makes a key.
func Make(random io.Reader, w Wish) (*Key, error) {
	var private crypto.Signer
	var err error
	switch w.Algorithm {
	case RSA:
		private, err = rsa.GenerateKey(random, w.size())
	case Ed25519:
		_, private, err = ed25519.GenerateKey(random)
	default:
		return nil, fmt.Errorf("%q is no algorithm of DKIM keys: use RSA or Ed25519", w.Algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("make a DKIM key: %w", err)
	}
	return keyOf(w.Name, private)
}

func (w Wish) size() int {
	if w.Size == 0 {
		return DefaultSize
	}
	return w.Size
}

func keyOf(name string, private crypto.Signer) (*Key, error) {
	k := &Key{private: private}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		k.PEM = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(p)})
	case ed25519.PrivateKey:
		der, err := x509.MarshalPKCS8PrivateKey(p)
		if err != nil {
			return nil, fmt.Errorf("encode a DKIM key: %w", err)
		}
		k.PEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	default:
		return nil, errUnknown
	}
	k.Selector = name + "-" + k.digest()
	return k, nil
}

// digestOctets is how much of the digest of a public key is in its selector: nobody meets, or foresees, one of these.
const digestOctets = 6

func (k *Key) digest() string {
	sum := sha256.Sum256(k.record().Public)
	return hex.EncodeToString(sum[:digestOctets])
}

var (
	errNoKey   = errors.New("it holds no private key in PEM form")
	errUnknown = errors.New("it is neither an RSA nor an Ed25519 key")
)

// Read reads a private key in PEM form, PKCS#1 or PKCS#8. The selector must be the one that is made of the name and the
// key: another one is not of our making. Errors tell nothing of the key.
func Read(name, selector string, text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errNoKey
	}
	private, err := parse(block.Bytes)
	if err != nil {
		return nil, err
	}
	k, err := keyOf(name, private)
	if err != nil {
		return nil, err
	}
	if k.Selector != selector {
		return nil, fmt.Errorf("its selector is %q where the key has %q", selector, k.Selector)
	}
	return k, nil
}

func parse(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errNoKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errUnknown
	}
	return signer, nil
}

// Fits says whether a key is what the wish asks for.
func (k *Key) Fits(w Wish) bool {
	switch p := k.private.(type) {
	case *rsa.PrivateKey:
		return w.Algorithm == RSA && p.N.BitLen() == w.size()
	case ed25519.PrivateKey:
		return w.Algorithm == Ed25519
	}
	return false
}

// record is the key as it stands in DNS: an RSA key with what encloses it (RFC 6376 section 3.6.1 and errata 3017), one of
// Ed25519 bare (RFC 8463 section 4.2).
func (k *Key) record() mailrecord.DKIM {
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		der, _ := x509.MarshalPKIXPublicKey(public) // an RSA key always encodes
		return mailrecord.DKIM{Key: "rsa", Hashes: []string{"sha256"}, Public: der}
	case ed25519.PublicKey:
		return mailrecord.DKIM{Key: "ed25519", Hashes: []string{"sha256"}, Public: public}
	}
	return mailrecord.DKIM{}
}

// Text is the text of the key's record.
func (k *Key) Text() string { return k.record().Render() }

// Revoked is the text of a record that revokes the key of its selector, whichever that was (RFC 6376 section 3.6.1).
func Revoked() string { return mailrecord.DKIM{}.Render() }

// Data is the record as it stands in a zone file.
func (k *Key) Data() string { return mailrecord.Quote(k.Text()) }

// Owner is the name at which the record of a selector stands, absolute.
func Owner(selector, domain string) string { return mailrecord.DKIMName(selector, domain) + "." }

// SelectorOf is the selector of an owner of a domain; empty where it is none.
func SelectorOf(owner, domain string) string {
	selector, ok := strings.CutSuffix(owner, Owner("", domain))
	if !ok {
		return ""
	}
	return selector
}

// SameKey says whether two texts of records hold the same public key: the rest of one of ours may have been edited.
func SameKey(a, b string) bool {
	if a == b {
		return true
	}
	x, foundX := mailrecord.ParseDKIM(a)
	y, foundY := mailrecord.ParseDKIM(b)
	return !foundX.Fatal() && !foundY.Fatal() && len(x.Public) > 0 && x.Key == y.Key && string(x.Public) == string(y.Public)
}

// Signer signs with the key.
func (k *Key) Signer() crypto.Signer { return k.private }
