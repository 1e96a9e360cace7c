package probe

import (
	"context"
	"slices"
	"testing"
)

// TestImplicitTLS checks that the chain is what counts, whatever is said within TLS.
func TestImplicitTLS(t *testing.T) {
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
		heard  []string
	}{
		{"a usual server", nil, []string{"QUIT"}},
		{"greeting of several lines", func(m *mail) { m.greeting = "220-mx1\r\n220 ESMTP\r\n" }, []string{"QUIT"}},
		{"a server that does not greet", func(m *mail) { m.greeting = "554 go away\r\n" }, []string{"QUIT"}},
		{"a greeting that is no SMTP", func(m *mail) { m.greeting = "* OK IMAP4rev1\r\n" }, nil},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			if tc.mail != nil {
				tc.mail(&m)
			}
			s := start(t, m.implicitTLS)
			target := s.target()
			target.Protocol = SMTPS
			got := newDialer(Options{}).Probe(context.Background(), target)
			if got.Outcome != Presented || got.Message != "" {
				t.Fatalf("got %s: %s", got.Outcome, got.Message)
			}
			sameChain(t, got, m.tls.Certificates[0])
			if heard := s.protocol(); !slices.Equal(heard, tc.heard) {
				t.Errorf("the server heard %q", heard)
			}
			if sni := s.state(t).ServerName; sni != host {
				t.Errorf("SNI was %q", sni)
			}
		})
	}
}

// TestImplicitTLSAgainstPlainText checks that a server with STARTTLS on the port is told from one that is down.
func TestImplicitTLSAgainstPlainText(t *testing.T) {
	s := start(t, usual().startTLS)
	target := s.target()
	target.Protocol = SMTPS
	got := newDialer(Options{}).Probe(context.Background(), target)
	if got.Outcome != HandshakeFailed || got.Chain != nil {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}

// TestUnknownProtocol checks that nothing is dialled for a protocol that has no dialogue.
func TestUnknownProtocol(t *testing.T) {
	s := start(t, usual().startTLS)
	target := s.target()
	target.Protocol = "Gopher"
	got := newDialer(Options{}).Probe(context.Background(), target)
	if got.Outcome != Unreachable || got.Message != "protocol Gopher is not probed by this version" || s.connections() != 0 {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}
