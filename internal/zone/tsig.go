package zone

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is a TSIG algorithm of RFC 8945; nothing rests on collisions.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// minSecret is the shortest TSIG secret that is used, in octets.
const minSecret = 16

// fudge is how far the clocks of the two sides may differ, in seconds (RFC 8945 section 10).
const fudge = 300

// ErrTSIG is wrapped by the errors of TSIG.Check.
var ErrTSIG = errors.New("the TSIG key cannot be used")

// tsigAlgorithm is an HMAC under its name in DNS.
type tsigAlgorithm struct {
	name string
	hash func() hash.Hash
}

// tsigAlgorithms by their names in the API.
var tsigAlgorithms = map[string]tsigAlgorithm{
	"HMACSHA1":   {dns.HmacSHA1, sha1.New},
	"HMACSHA224": {dns.HmacSHA224, sha256.New224},
	"HMACSHA256": {dns.HmacSHA256, sha256.New},
	"HMACSHA384": {dns.HmacSHA384, sha512.New384},
	"HMACSHA512": {dns.HmacSHA512, sha512.New},
}

// Check says why the key cannot be used; the error never holds the secret.
func (t TSIG) Check() error {
	_, err := newSigner(&t)
	return err
}

// String names the key and hides the secret.
func (t TSIG) String() string {
	return fmt.Sprintf("TSIG key %s (%s, secret hidden)", t.Name, t.Algorithm)
}

// GoString hides the secret from %#v.
func (t TSIG) GoString() string { return t.String() }

// MarshalText hides the secret from encoders, which loggers use.
func (t TSIG) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String hides the client's key.
func (t TLSConfig) String() string {
	return fmt.Sprintf("TLS to %q (client certificate: %t, key hidden)", t.ServerName, len(t.ClientCert) > 0)
}

// GoString hides the client's key from %#v.
func (t TLSConfig) GoString() string { return t.String() }

// MarshalText hides the client's key from encoders, which loggers use.
func (t TLSConfig) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// signer signs messages and checks the signatures of replies. It keeps no state from one message to
// the next: the MAC of a request is handed to the check of its reply and to nothing else. (The DNS
// library's Conn mixes it into the next request, which every server then refuses.)
type signer struct {
	// name is absolute and in lower case: servers compare names without case, the library does not.
	name      string
	algorithm tsigAlgorithm
	secret    []byte
}

// newSigner makes ready a key; nil gives nil, which signs nothing.
func newSigner(t *TSIG) (*signer, error) {
	if t == nil {
		return nil, nil
	}
	algorithm, ok := tsigAlgorithms[strings.ToUpper(t.Algorithm)]
	if !ok {
		return nil, fmt.Errorf("%w: algorithm %q is not one of HMACSHA1, HMACSHA224, HMACSHA256, HMACSHA384 and HMACSHA512", ErrTSIG, t.Algorithm)
	}
	if _, ok := dns.IsDomainName(t.Name); !ok || t.Name == "" {
		return nil, fmt.Errorf("%w: the key name %q is not a domain name", ErrTSIG, t.Name)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(t.Secret))
	if err != nil {
		// The library's error would tell the position and nothing of use; the text itself is secret.
		return nil, fmt.Errorf("%w: the secret of key %s is not base64 text: store the secret as the server's key file has it, not the decoded octets and not the whole file", ErrTSIG, t.Name)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%w: the secret of key %s has %d octets; at least %d are required: make one with tsig-keygen or keymgr", ErrTSIG, t.Name, len(secret), minSecret)
	}
	return &signer{name: dns.CanonicalName(t.Name), algorithm: algorithm, secret: secret}, nil
}

// Generate implements dns.TsigProvider.
func (s *signer) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if dns.CanonicalName(t.Algorithm) != s.algorithm.name {
		return nil, dns.ErrKeyAlg
	}
	if dns.CanonicalName(t.Hdr.Name) != s.name {
		return nil, dns.ErrSecret
	}
	mac := hmac.New(s.algorithm.hash, s.secret)
	mac.Write(msg)
	return mac.Sum(nil), nil
}

// Verify implements dns.TsigProvider. Truncated MACs are not accepted.
func (s *signer) Verify(msg []byte, t *dns.TSIG) error {
	want, err := s.Generate(msg, t)
	if err != nil {
		return err
	}
	got, err := hex.DecodeString(t.MAC)
	if err != nil || !hmac.Equal(want, got) {
		return dns.ErrSig
	}
	return nil
}

// pack makes the octets of a message, signed when there is a key. It returns the MAC too, which the
// reply's covers (RFC 8945 section 5.4.1). The message itself is left as it was, so that it may be
// packed again with another ID and time.
func (s *signer) pack(m *dns.Msg, now time.Time) (wire []byte, mac string, err error) {
	if s == nil {
		wire, err = m.Pack()
		return wire, "", err
	}
	c := m.Copy()
	c.SetTsig(s.name, s.algorithm.name, fudge, now.Unix())
	return dns.TsigGenerateWithProvider(c, s, "", false)
}

// errUnsigned says that a reply to a signed request bears no signature.
var errUnsigned = errors.New("the reply is not signed although the request was")

// verify checks a reply to a signed request. NOTAUTH replies cannot be checked (the server may not
// have the key); they are never good news, and callers treat them as a failure alone.
func (s *signer) verify(wire []byte, reply *dns.Msg, requestMAC string, now time.Time) error {
	if s == nil || reply.Rcode == dns.RcodeNotAuth {
		return nil
	}
	t := reply.IsTsig()
	if t == nil || t.Error != dns.RcodeSuccess {
		return errUnsigned
	}
	// The library checks the MAC first and the time, by the system's clock, last: its ErrTime
	// means a good MAC, and the time is ours to compare.
	if err := dns.TsigVerifyWithProvider(wire, s, requestMAC, false); err != nil && !errors.Is(err, dns.ErrTime) {
		return fmt.Errorf("the signature of the reply is wrong: %w", err)
	}
	if skew := int64(t.TimeSigned) - now.Unix(); skew > fudge || skew < -fudge {
		return fmt.Errorf("the reply was signed %s away from this machine's clock", roughly(time.Duration(skew)*time.Second))
	}
	return nil
}
