package probe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"strings"
	"testing"
)

// record is a TLS record.
func record(kind byte, body string) string {
	header := []byte{kind, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(body)))
	return string(header) + body
}

// TestBrokenHandshakes checks servers that answer a ClientHello with something else than a handshake.
func TestBrokenHandshakes(t *testing.T) {
	const alert, handshake, data = 21, 22, 23
	for _, tc := range []struct {
		reason string
		says   string
		text   string
	}{
		{"plain text", "250 this is no TLS\r\n", "first record does not look like a TLS handshake"},
		{"zeros", strings.Repeat("\x00", 1<<16), "first record does not look like a TLS handshake"},
		{"data before the handshake", record(data, "220 hello"), "tls: "},
		{"a message of no known type", record(handshake, "\xc8\x00\x00\x01x"), "tls: "},
		{"a ServerHello that is cut", record(handshake, "\x02\x00\x00\x02\x03\x03"), "tls: "},
		{"a message longer than may be", record(handshake, "\x02\xff\xff\xff"), "exceeds maximum"},
		{"warnings without end", strings.Repeat(record(alert, "\x01\x5a"), 1<<12), "too many"},
		{"empty records without end", strings.Repeat(record(handshake, ""), 1<<12), "unexpected message"},
		{"an alert", record(alert, "\x02\x50"), "remote error: tls: internal error"},
		{"an alert that nobody knows", record(alert, "\x02\xee"), "remote error: tls: alert(238)"},
		{"an end at once", record(alert, "\x01\x00"), "EOF"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.at = func(p *peer, now stage) bool {
				if now == atHandshake {
					p.say(tc.says)
				}
				return now == atHandshake
			}
			got := start(t, m.startTLS).probe(Options{})
			if got.Outcome != HandshakeFailed || !strings.HasPrefix(got.Message, "the TLS handshake failed: ") ||
				!strings.Contains(got.Message, tc.text) || hasControl(got.Message) || got.Chain != nil {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestAlerts checks which alerts say that there is no key of the type asked for. All others leave open
// what the server would present.
func TestAlerts(t *testing.T) {
	for _, tc := range []struct {
		reason string
		alert  byte
		want   Outcome
	}{
		{"handshake_failure", 40, NoSuchKeyType},
		{"protocol_version", 70, NoSuchKeyType},
		{"insufficient_security", 71, NoSuchKeyType},
		{"unexpected_message", 10, HandshakeFailed},
		{"bad_certificate", 42, HandshakeFailed},
		{"decode_error", 50, HandshakeFailed},
		{"internal_error", 80, HandshakeFailed},
		{"unrecognized_name", 112, HandshakeFailed},
		{"one that nobody knows", 238, HandshakeFailed},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.at = func(p *peer, now stage) bool {
				if now == atHandshake {
					p.say(record(21, string([]byte{2, tc.alert})))
				}
				return now == atHandshake
			}
			s := start(t, m.startTLS)
			for ask, want := range map[KeyType]Outcome{AnyKey: HandshakeFailed, ECDSA: tc.want, RSA: tc.want} {
				target := s.target()
				target.KeyType = ask
				if got := newDialer(Options{}).Probe(context.Background(), target); got.Outcome != want {
					t.Errorf("%s: got %s: %s", ask, got.Outcome, got.Message)
				}
			}
		})
	}
}

// TestChainLimits checks that what costs too much to judge is not taken over.
func TestChainLimits(t *testing.T) {
	garbage := pki().ecdsa
	garbage.Certificate = [][]byte{garbage.Certificate[0], []byte("no certificate\x1b[31m")}
	for _, tc := range []struct {
		reason string
		chain  tls.Certificate
		want   Outcome
		text   string
	}{
		{"a leaf alone", tls.Certificate{Certificate: pki().ecdsa.Certificate[:1], PrivateKey: pki().ecdsa.PrivateKey}, Presented, ""},
		{"as many certificates as may be", longChain(maxChain), Presented, ""},
		{"one certificate too many", longChain(maxChain + 1), HandshakeFailed, "the server presented more than 16 certificates"},
		{"a certificate of more than 64 KiB", pki().big, HandshakeFailed, "the server presented a certificate of more than 64 KiB"},
		{"a certificate that is none", garbage, HandshakeFailed, "the TLS handshake failed: tls: failed to parse certificate from server: x509: malformed certificate"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.tls = withTLS(tc.chain)
			got := start(t, m.startTLS).probe(Options{})
			if got.Outcome != tc.want || got.Message != tc.text {
				t.Fatalf("got %s: %s", got.Outcome, got.Message)
			}
			if tc.want == Presented {
				sameChain(t, got, tc.chain)
			} else if got.Chain != nil {
				t.Error("there is a chain all the same")
			}
		})
	}
}
