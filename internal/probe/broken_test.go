package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestBrokenConnections checks what is said when a connection ends at each stage, closed or reset. The
// message must not change from try to try: no port of this side may stand in it.
func TestBrokenConnections(t *testing.T) {
	for _, tc := range []struct {
		reason string
		end    func(*peer)
		at     stage
		want   Outcome
		// text has ADDR where the address of the server stands.
		text string
	}{
		{"closed instead of a greeting", (*peer).close, atGreeting, Unreachable, "ADDR: the server closed the connection" + mayWait},
		{"closed instead of a reply to EHLO", (*peer).close, atEHLO, Unreachable, "ADDR: the server closed the connection"},
		{"closed instead of a reply to STARTTLS", (*peer).close, atSTARTTLS, Unreachable, "ADDR: the server closed the connection"},
		{"closed within the handshake", (*peer).close, atHandshake, HandshakeFailed, "the TLS handshake failed: EOF"},
		{"closed when the chain is known", (*peer).close, atSecure, Presented, ""},
		{"closed instead of a reply to QUIT", (*peer).close, atQUIT, Presented, ""},
		{"closed within a line", func(p *peer) { p.say("220 half"); p.close() }, atGreeting, Unreachable, "ADDR: the server closed the connection"},
		{"closed within a reply", func(p *peer) { p.say("250-half\r\n"); p.close() }, atEHLO, Unreachable, "ADDR: the server closed the connection"},
		{"reset instead of a reply to EHLO", (*peer).reset, atEHLO, Unreachable, "ADDR: read: connection reset by peer"},
		{"reset instead of a reply to STARTTLS", (*peer).reset, atSTARTTLS, Unreachable, "ADDR: read: connection reset by peer"},
		{"reset within the handshake", (*peer).reset, atHandshake, HandshakeFailed, "the TLS handshake failed: read: connection reset by peer"},
		{"reset when the chain is known", (*peer).reset, atSecure, Presented, ""},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.at = func(p *peer, now stage) bool {
				if now == tc.at {
					tc.end(p)
				}
				return now == tc.at
			}
			s := start(t, m.startTLS)
			got := s.probe(Options{})
			text := strings.ReplaceAll(tc.text, "ADDR", s.addr().String())
			if got.Outcome != tc.want || got.Message != text || (got.Chain != nil) != (tc.want == Presented) {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestConnectionRefused dials the client's end of a connection: the port is taken, and nobody listens.
func TestConnectionRefused(t *testing.T) {
	s := start(t, func(*peer) {})
	c, err := net.Dial("tcp", s.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	target := s.target()
	target.Addr = netip.MustParseAddrPort(c.LocalAddr().String())
	got := newDialer(Options{}).Probe(context.Background(), target)
	if got.Outcome != Unreachable || got.Message != target.Addr.String()+": connect: connection refused" {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}
