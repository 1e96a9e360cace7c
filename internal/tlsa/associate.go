package tlsa

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Limits on what is read of a chain or request.
const (
	maxChain = 16
	maxDER   = 64 << 10
	// maxKeyDER is room for a private RSA key of 16384 bits.
	maxKeyDER = 16 << 10
)

var (
	// ErrNoIssuer says that a usage 2 association is wanted and the chain holds no CA certificate.
	ErrNoIssuer = errors.New("the chain holds no certificate of its issuer, which usage 2 needs (RFC 7672 section 3.1.2)")
	// ErrPEM says that text holds no usable PEM block.
	ErrPEM = errors.New("no usable PEM block")
	// ErrNoKey says that text holds no private key. It quotes nothing of it.
	ErrNoKey = errors.New("it holds no PKCS#8 private key")
)

// ParseChain reads a PEM chain, leaf first.
func ParseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Bytes) > maxDER || len(chain) == maxChain {
			return nil, fmt.Errorf("%w: want at most %d certificates of at most 64 KiB", ErrPEM, maxChain)
		}
		certificate, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain: %w", len(chain)+1, err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, ErrPEM
	}
	return chain, nil
}

// requests are the keys of certificate requests that were read. One that waits is read at each look.
var requests = newFindings[requested]()

// requested is what SPKIFromCSR returns.
type requested struct {
	spki []byte
	err  error
}

// SPKIFromCSR returns the public key (SPKI, DER) of a PEM certificate request whose signature is good.
func SPKIFromCSR(text []byte) ([]byte, error) {
	found := requests.recall(sha256.Sum256(text), func() requested {
		spki, err := spkiFromCSR(text)
		return requested{bytes.Clone(spki), err}
	})
	return bytes.Clone(found.spki), found.err
}

func spkiFromCSR(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil || len(block.Bytes) > maxDER {
		return nil, ErrPEM
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if oversized(request.PublicKey) {
		return nil, fmt.Errorf("certificate request: its RSA key has more than %d bits", maxRSA)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return request.RawSubjectPublicKeyInfo, nil
}

// SPKIFromPrivateKey returns the public half (SPKI, DER) of a PKCS#8 key in PEM.
func SPKIFromPrivateKey(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil || len(block.Bytes) > maxKeyDER {
		return nil, ErrNoKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, ErrNoKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrNoKey
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, ErrNoKey
	}
	return spki, nil
}

// SPKISHA256 names a key: the SHA-256 of its SPKI (DER) in lower-case hex.
func SPKISHA256(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// KeyAssociations are the associations that follow from a public key (SPKI, DER) alone: those of
// usage 3 and selector 1. They can be published before a certificate exists.
func KeyAssociations(spki []byte, params []Parameters) []Record {
	var out []Record
	for _, p := range params {
		if p.Usage == UsageDANEEE && p.Selector == SelectorSPKI {
			out = append(out, Record{Parameters: p, Data: data(p.MatchingType, spki)})
		}
	}
	return Normalize(out)
}

// Associations are the associations of a chain, leaf first, for each parameter set. For usage 2 the
// trust anchor is the certificate that signed the leaf, which must be in the chain since senders look
// for it in the handshake (RFC 7671 section 5.2): a root that is left out, or that stands only in
// ca.crt, is of no use to them. With an error the associations that could be made are returned too.
func Associations(chain []*x509.Certificate, params []Parameters) ([]Record, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: the chain is empty", ErrPEM)
	}
	var out []Record
	var failed error
	for _, p := range params {
		certificate := chain[0]
		if p.Usage == UsageDANETA {
			if certificate = issuerOf(chain); certificate == nil {
				failed = ErrNoIssuer
				continue
			}
		}
		out = append(out, Record{Parameters: p, Data: data(p.MatchingType, selected(p.Selector, certificate))})
	}
	return Normalize(out), failed
}

// issuerOf is the CA certificate of the chain that signed the leaf, wherever it stands; nil when there is
// none, as with a self-signed leaf.
func issuerOf(chain []*x509.Certificate) *x509.Certificate {
	b := newBuilder(chain, nil, time.Time{})
	for _, c := range b.chain[1:] {
		if !c.Equal(chain[0]) && b.isCA(c) && b.issued(c, chain[0]) {
			return c
		}
	}
	return nil
}

// selected is the part of a certificate that a selector speaks of (RFC 6698 section 2.1.2).
func selected(selector uint8, c *x509.Certificate) []byte {
	if selector == SelectorSPKI {
		return c.RawSubjectPublicKeyInfo
	}
	return c.Raw
}

// data is what a matching type makes of bytes (RFC 6698 section 2.1.3).
func data(matchingType uint8, b []byte) string {
	switch matchingType {
	case MatchingSHA256:
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	case MatchingSHA512:
		sum := sha512.Sum512(b)
		return hex.EncodeToString(sum[:])
	default:
		return hex.EncodeToString(b)
	}
}
