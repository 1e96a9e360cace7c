package probe

import (
	"context"
	"strings"
	"sync"
	"testing"
)

// TestSilentRefusal has servers that end a handshake without an alert, as Dovecot does, at some of the
// connections of one probe: a key type is missing only if that is what makes the difference.
func TestSilentRefusal(t *testing.T) {
	p := pki()
	const (
		talks  = "talks"
		closes = "closes"
		resets = "resets"
	)
	for _, tc := range []struct {
		reason string
		ask    KeyType
		// does is what the server does at each connection.
		does []string
		want Outcome
		text string
	}{
		{"it closes whenever it is asked for the type", ECDSA, []string{closes, talks, closes}, NoSuchKeyType, "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"},
		{"it resets whenever it is asked for the type", ECDSA, []string{resets, talks, resets}, NoSuchKeyType, "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"},
		{"it went down", ECDSA, []string{closes, closes}, HandshakeFailed, "the server closed the connection within the TLS handshake, and did not show any certificate either when it was tried again"},
		{"it was down for a moment", RSA, []string{closes, talks, talks}, Presented, ""},
		{"it was asked for no type", AnyKey, []string{closes}, HandshakeFailed, "the TLS handshake failed: EOF"},
		{"it says why", ECDSA, []string{talks}, NoSuchKeyType, "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"},
		{"it says why the second time", ECDSA, []string{closes, talks, talks}, NoSuchKeyType, "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			var mu sync.Mutex
			tried := 0
			m := usual()
			m.tls = withTLS(p.rsa)
			m.at = func(peer *peer, now stage) bool {
				if now != atHandshake {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				does := "too much"
				if tried < len(tc.does) {
					does = tc.does[tried]
				}
				switch tried++; does {
				case closes:
					peer.close()
				case resets:
					peer.reset()
				}
				return does != talks
			}
			s := start(t, m.startTLS)
			target := s.target()
			target.KeyType = tc.ask
			got := newDialer(Options{}).Probe(context.Background(), target)
			if got.Outcome != tc.want || got.Message != tc.text || (got.Chain != nil) != (tc.want == Presented) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			if n := s.connections(); n != len(tc.does) {
				t.Errorf("%d connections were made", n)
			}
		})
	}
}

// TestSilentRefusalOfAnything: a server that ends every handshake has no key type missing.
func TestSilentRefusalOfAnything(t *testing.T) {
	m := usual()
	m.at = func(p *peer, now stage) bool {
		if now == atHandshake {
			p.close()
		}
		return now == atHandshake
	}
	for _, protocol := range []Protocol{SMTP, SMTPS} {
		script := m.startTLS
		if protocol == SMTPS {
			script = m.implicitTLS
		}
		target := start(t, script).targetOf(protocol)
		target.KeyType = RSA
		got := newDialer(Options{}).Probe(context.Background(), target)
		if got.Outcome != HandshakeFailed || !strings.HasPrefix(got.Message, "the server closed the connection within the TLS handshake") {
			t.Errorf("%s: got %s: %s", protocol, got.Outcome, got.Message)
		}
	}
}
