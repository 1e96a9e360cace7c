package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
)

// TestKeyTypes checks that each certificate of a server can be asked for by itself.
func TestKeyTypes(t *testing.T) {
	p := pki()
	only12 := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	only13 := func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }
	for _, tc := range []struct {
		reason  string
		server  *tls.Config
		change  func(*tls.Config)
		ask     KeyType
		want    tls.Certificate
		version uint16
	}{
		{"both, asked for ECDSA", withTLS(p.ecdsa, p.rsa), nil, ECDSA, p.ecdsa, tls.VersionTLS12},
		{"both, asked for RSA", withTLS(p.ecdsa, p.rsa), nil, RSA, p.rsa, tls.VersionTLS12},
		{"both, the other one first, asked for ECDSA", withTLS(p.rsa, p.ecdsa), nil, ECDSA, p.ecdsa, tls.VersionTLS12},
		{"both, the other one first, asked for RSA", withTLS(p.rsa, p.ecdsa), nil, RSA, p.rsa, tls.VersionTLS12},
		{"Any is what the server prefers: ECDSA", withTLS(p.ecdsa, p.rsa), nil, AnyKey, p.ecdsa, tls.VersionTLS13},
		{"Any is what the server prefers: RSA", withTLS(p.rsa, p.ecdsa), nil, AnyKey, p.rsa, tls.VersionTLS13},
		{"no key type is Any", withTLS(p.rsa, p.ecdsa), nil, "", p.rsa, tls.VersionTLS13},
		{"Any of TLS 1.2 alone, ECDSA", withTLS(p.ecdsa), only12, AnyKey, p.ecdsa, tls.VersionTLS12},
		{"Any of TLS 1.2 alone, RSA", withTLS(p.rsa), only12, AnyKey, p.rsa, tls.VersionTLS12},
		{"Any of TLS 1.3 alone, ECDSA", withTLS(p.ecdsa), only13, AnyKey, p.ecdsa, tls.VersionTLS13},
		{"Any of TLS 1.3 alone, RSA", withTLS(p.rsa), only13, AnyKey, p.rsa, tls.VersionTLS13},
		{"the only one, asked for it: ECDSA", withTLS(p.ecdsa), nil, ECDSA, p.ecdsa, tls.VersionTLS12},
		{"the only one, asked for it: RSA", withTLS(p.rsa), nil, RSA, p.rsa, tls.VersionTLS12},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.tls = tc.server
			if tc.change != nil {
				tc.change(m.tls)
			}
			for protocol, script := range map[Protocol]func(*peer){SMTP: m.startTLS, SMTPS: m.implicitTLS} {
				s := start(t, script)
				target := s.target()
				target.Protocol, target.KeyType = protocol, tc.ask
				got := newDialer(Options{}).Probe(context.Background(), target)
				if got.Outcome != Presented {
					t.Errorf("%s: got %s: %s", protocol, got.Outcome, got.Message)
					continue
				}
				sameChain(t, got, tc.want)
				if v := s.state(t).Version; v != tc.version {
					t.Errorf("%s: spoke %s", protocol, tls.VersionName(v))
				}
			}
		})
	}
}

// TestNoSuchKeyType checks that a server without a key of the type is told from one whose handshake fails
// for another cause: the first is known to the rule, and the second may yet present any key.
func TestNoSuchKeyType(t *testing.T) {
	p := pki()
	broken := withTLS()
	broken.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("disk full") }
	// Go's server says unrecognized_name when it is given no certificate.
	nameless := withTLS()
	nameless.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
	only13 := withTLS(p.ecdsa, p.rsa)
	only13.MinVersion = tls.VersionTLS13
	old := withTLS(p.ecdsa)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, tc := range []struct {
		reason string
		server *tls.Config
		ask    KeyType
		want   Outcome
		text   string
	}{
		{"ECDSA alone, asked for RSA", withTLS(p.ecdsa), RSA, NoSuchKeyType, "no certificate with a key of this type"},
		{"RSA alone, asked for ECDSA", withTLS(p.rsa), ECDSA, NoSuchKeyType, "no certificate with a key of this type"},
		{"TLS 1.3 alone cannot be asked for ECDSA", only13, ECDSA, NoSuchKeyType, "or speaks TLS 1.3 alone"},
		{"TLS 1.3 alone cannot be asked for RSA", only13, RSA, NoSuchKeyType, "or speaks TLS 1.3 alone"},
		{"a server with a fault of its own says nothing of its keys", broken, RSA, HandshakeFailed, "internal error"},
		{"a server that does not know the name says nothing of its keys", nameless, ECDSA, HandshakeFailed, "unrecognized name"},
		{"a fault with Any", broken, AnyKey, HandshakeFailed, "remote error: tls: internal error"},
		{"no version in common with Any", old, AnyKey, HandshakeFailed, "remote error: tls: protocol version not supported"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.tls = tc.server
			s := start(t, m.startTLS)
			target := s.target()
			target.KeyType = tc.ask
			got := newDialer(Options{}).Probe(context.Background(), target)
			if got.Outcome != tc.want || !strings.Contains(got.Message, tc.text) || got.Chain != nil {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}
