package probe

import (
	"context"
	"crypto/tls"
	"slices"
	"testing"
)

// TestSTARTTLS checks what is found and every word that is said on the way.
func TestSTARTTLS(t *testing.T) {
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
	}{
		{"a usual server", nil},
		{"greeting of several lines", func(m *mail) { m.greeting = "220-mx1.example.com\r\n220-no spam here\r\n220 ESMTP\r\n" }},
		{"greeting of the code alone", func(m *mail) { m.greeting = "220\r\n" }},
		{"reply to EHLO of one line beside the name", func(m *mail) { m.ehlo = "250-mx1.example.com\r\n250 STARTTLS\r\n" }},
		{"STARTTLS in the middle of many lines", func(m *mail) { m.ehlo = "250-mx1\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250-DSN\r\n250 CHUNKING\r\n" }},
		{"keyword in small letters", func(m *mail) { m.ehlo = "250-mx1.example.com\r\n250 starttls\r\n" }},
		{"keyword in mixed letters", func(m *mail) { m.ehlo = "250-mx1.example.com\r\n250 StartTLS\r\n" }},
		{"blank behind the keyword", func(m *mail) { m.ehlo = "250-mx1.example.com\r\n250 STARTTLS \r\n" }},
		{"lines that end in LF alone", func(m *mail) { m.greeting, m.ehlo = "220 mx1\n", "250-mx1\n250 STARTTLS\n" }},
		{"reply to STARTTLS of several lines", func(m *mail) { m.starttls = "220-go\r\n220 ahead\r\n" }},
		{"another reply to the second EHLO", func(m *mail) { m.secure = "250 mx1\r\n" }},
		{"TLS 1.2 alone", func(m *mail) { m.tls.MaxVersion = tls.VersionTLS12 }},
		{"TLS 1.3 alone", func(m *mail) { m.tls.MinVersion = tls.VersionTLS13 }},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			if tc.mail != nil {
				tc.mail(&m)
			}
			s := start(t, m.startTLS)
			got := s.probe(Options{})
			if got.Outcome != Presented || got.Message != "" || got.Target != s.target() {
				t.Fatalf("got %s: %s", got.Outcome, got.Message)
			}
			sameChain(t, got, m.tls.Certificates[0])
			said := []string{"EHLO dane-operator.invalid", "STARTTLS", "EHLO dane-operator.invalid", "QUIT"}
			if heard := s.protocol(); !slices.Equal(heard, said) {
				t.Errorf("the server heard %q", heard)
			}
			if sni := s.state(t).ServerName; sni != host {
				t.Errorf("SNI was %q", sni)
			}
		})
	}
}

// TestRefusalWithinTLS checks that the talk ends there, and that the chain is known all the same.
func TestRefusalWithinTLS(t *testing.T) {
	for _, tc := range []struct {
		reason string
		secure string
	}{
		{"EHLO is refused", "502 5.5.1 no\r\n"},
		{"the server shuts down", "421 4.3.2 closing\r\n"},
		{"what it says is no SMTP", "?\r\n"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.secure = tc.secure
			s := start(t, m.startTLS)
			if got := s.probe(Options{}); got.Outcome != Presented || len(got.Chain) != 3 {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			said := []string{"EHLO dane-operator.invalid", "STARTTLS", "EHLO dane-operator.invalid"}
			if heard := s.protocol(); !slices.Equal(heard, said) {
				t.Errorf("the server heard %q", heard)
			}
		})
	}
}

// TestNames checks the name in EHLO and the name in SNI, which are not the same thing.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		reason     string
		helo, host string
		ehlo, sni  string
	}{
		{"names as they are configured", "probe.example.net", "mx2.example.org", "EHLO probe.example.net", "mx2.example.org"},
		{"no name for EHLO", "", host, "EHLO dane-operator.invalid", host},
		{"SNI has no final dot", "probe.example.net", host + ".", "EHLO probe.example.net", host},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			s := start(t, usual().startTLS)
			target := s.target()
			target.Host = tc.host
			got := newDialer(Options{HELO: tc.helo}).Probe(context.Background(), target)
			if got.Outcome != Presented {
				t.Fatalf("got %s: %s", got.Outcome, got.Message)
			}
			if heard := s.protocol(); !slices.Equal(heard, []string{tc.ehlo, "STARTTLS", tc.ehlo, "QUIT"}) {
				t.Errorf("the server heard %q", heard)
			}
			if sni := s.state(t).ServerName; sni != tc.sni {
				t.Errorf("SNI was %q", sni)
			}
		})
	}
}
