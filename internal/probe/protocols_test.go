package probe

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// said are the commands of each protocol, in their order.
var saidBy = map[Protocol][]string{
	SMTP:        {"EHLO dane-operator.invalid", "STARTTLS", "EHLO dane-operator.invalid", "QUIT"},
	SMTPS:       {"QUIT"},
	IMAP:        {"a1 CAPABILITY", "a2 STARTTLS", "a3 LOGOUT"},
	IMAPS:       {"a3 LOGOUT"},
	POP3:        {"CAPA", "STLS", "QUIT"},
	POP3S:       {"QUIT"},
	ManageSieve: {"CAPABILITY", "STARTTLS", "LOGOUT"},
}

// TestProtocols checks what is found by each protocol, and every word that is said on the way.
func TestProtocols(t *testing.T) {
	answer := func(command, text string) func(*words) { return func(w *words) { w.answers[command] = text } }
	greeting := func(text string) func(*words) { return func(w *words) { w.greeting = text } }
	for _, tc := range []struct {
		reason   string
		protocol Protocol
		change   func(*words)
	}{
		{"a usual server", SMTP, nil},
		{"a usual server", IMAP, nil},
		{"a usual server", IMAPS, nil},
		{"a usual server", POP3, nil},
		{"a usual server", POP3S, nil},
		{"a usual server", ManageSieve, nil},
		{"a greeting without capabilities", IMAP, greeting("* OK IMAP4rev1 Service Ready\r\n")},
		{"a greeting in small letters", IMAP, greeting("* ok hello\r\n")},
		{"a greeting of nothing but its status", IMAP, greeting("* OK\r\n")},
		{"capabilities in several responses", IMAP, answer("a1 CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE\r\n* CAPABILITY STARTTLS\r\na1 OK\r\n")},
		{"capability in small letters", IMAP, answer("a1 CAPABILITY", "* capability imap4rev1 starttls\r\na1 ok done\r\n")},
		{"more blanks than need be", IMAP, answer("a1 CAPABILITY", "* CAPABILITY IMAP4rev1  STARTTLS \r\na1 OK done\r\n")},
		{"lines that end in LF alone", IMAP, answer("a1 CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\na1 OK done\n")},
		{"a status beside the answer", IMAP, answer("a1 CAPABILITY", "* OK [ALERT] down at {40}\r\n* NO low disk\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n")},
		{"a literal beside the answer, with what looks like the answer", IMAP, answer("a1 CAPABILITY", "* ID (\"name\" {11}\r\na1 BAD no\r\n \"os\" {1}\r\nx)\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n")},
		{"a literal of nothing", IMAP, answer("a1 CAPABILITY", "* ID {0}\r\n\r\n* CAPABILITY STARTTLS\r\na1 OK\r\n")},
		{"something untagged before the leave to begin TLS", IMAP, answer("a2 STARTTLS", "* OK still here\r\na2 OK go\r\n")},
		{"a server that does not let log in before TLS", POP3, answer("CAPA", "+OK Capability list follows\r\nSTLS\r\nIMPLEMENTATION x\r\n.\r\n")},
		{"capability in small letters", POP3, answer("CAPA", "+OK\r\nstls\r\n.\r\n")},
		{"capability with an argument", POP3, answer("CAPA", "+OK\r\nSTLS now\r\n.\r\n")},
		{"greeting of the status alone", POP3, greeting("+OK\r\n")},
		{"lines that end in LF alone", POP3, answer("CAPA", "+OK\nSTLS\n.\n")},
		{"capability in small letters", ManageSieve, answer("CAPABILITY", "\"starttls\"\r\nok\r\n")},
		{"a greeting that is not asked again", ManageSieve, greeting("OK\r\n")},
		{"capability with a value", ManageSieve, answer("CAPABILITY", "\"STARTTLS\" \"\"\r\nOK\r\n")},
		{"capability as a literal", ManageSieve, answer("CAPABILITY", "{8}\r\nSTARTTLS\r\nOK\r\n")},
		{"capability as a literal of the client's form", ManageSieve, answer("CAPABILITY", "{8+}\r\nSTARTTLS\r\nOK\r\n")},
		{"a value as a literal, with what looks like the end", ManageSieve, answer("CAPABILITY", "\"SIEVE\" {12}\r\nfileinto\r\nNO\r\n\"STARTTLS\"\r\nOK\r\n")},
		{"a name and a value as literals", ManageSieve, answer("CAPABILITY", "{5}\r\nSIEVE {8}\r\nfileinto\r\n\"STARTTLS\"\r\nOK\r\n")},
		{"quotes and backslashes in a value", ManageSieve, answer("CAPABILITY", "\"IMPLEMENTATION\" \"a \\\"b\\\" \\\\\"\r\n\"STARTTLS\"\r\nOK\r\n")},
		{"braces within quotes are no literal", ManageSieve, answer("CAPABILITY", "\"IMPLEMENTATION\" \"a {5}\"\r\n\"STARTTLS\"\r\nOK\r\n")},
		{"an escaped name", ManageSieve, answer("CAPABILITY", "\"START\\TLS\"\r\nOK\r\n")},
		{"a response code and its text as a literal", ManageSieve, answer("STARTTLS", "OK (TAG \"x\") {2}\r\ngo\r\n")},
		{"a response code right behind the status", ManageSieve, answer("STARTTLS", "OK(WARNINGS) \"go\"\r\n")},
		{"TLS 1.2 alone", IMAP, func(w *words) { w.tls.MaxVersion = tls.VersionTLS12 }},
		{"TLS 1.3 alone", POP3, func(w *words) { w.tls.MinVersion = tls.VersionTLS13 }},
	} {
		t.Run(string(tc.protocol)+": "+tc.reason, func(t *testing.T) {
			w := usualWords(tc.protocol)
			if tc.change != nil {
				tc.change(&w)
			}
			s := start(t, w.talk)
			got := newDialer(Options{}).Probe(context.Background(), s.targetOf(tc.protocol))
			if got.Outcome != Presented || got.Message != "" {
				t.Fatalf("got %s: %s", got.Outcome, got.Message)
			}
			sameChain(t, got, w.tls.Certificates[0])
			if heard := s.protocol(); !slices.Equal(heard, saidBy[tc.protocol]) {
				t.Errorf("the server heard %q", heard)
			}
			if sni := s.state(t).ServerName; sni != host {
				t.Errorf("SNI was %q", sni)
			}
		})
	}
}

// TestWithinTLS checks that the chain counts, whatever is said when TLS stands.
func TestWithinTLS(t *testing.T) {
	for _, tc := range []struct {
		reason   string
		protocol Protocol
		change   func(*words)
		heard    []string
	}{
		{"no answer to LOGOUT that is one", IMAP, func(w *words) { w.answers["a3 LOGOUT"] = "?\r\n" }, saidBy[IMAP]},
		{"a greeting that refuses", IMAPS, func(w *words) { w.greeting = "* BYE too many connections\r\n" }, nil},
		{"a greeting that logs in", IMAPS, func(w *words) { w.greeting = "* PREAUTH hello\r\n" }, nil},
		{"a greeting that refuses", POP3S, func(w *words) { w.greeting = "-ERR too many connections\r\n" }, saidBy[POP3S]},
		{"a greeting that is no POP3", POP3S, func(w *words) { w.greeting = "220 ESMTP\r\n" }, nil},
		{"no capabilities that are any", ManageSieve, func(w *words) { w.secure = "?\r\n" }, []string{"CAPABILITY", "STARTTLS"}},
		{"a line without end", ManageSieve, func(w *words) { w.secure = strings.Repeat("x", maxLine+1) }, []string{"CAPABILITY", "STARTTLS"}},
	} {
		t.Run(string(tc.protocol)+": "+tc.reason, func(t *testing.T) {
			w := usualWords(tc.protocol)
			tc.change(&w)
			s := start(t, w.talk)
			got := newDialer(Options{}).Probe(context.Background(), s.targetOf(tc.protocol))
			if got.Outcome != Presented || len(got.Chain) != 3 {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
			if heard := s.protocol(); !slices.Equal(heard, tc.heard) {
				t.Errorf("the server heard %q", heard)
			}
		})
	}
}

// TestKeyTypesOfEachProtocol checks that either certificate can be asked for by every protocol.
func TestKeyTypesOfEachProtocol(t *testing.T) {
	p := pki()
	for protocol := range saidBy {
		if protocol == SMTPS { // it has a test of its own
			continue
		}
		for ask, want := range map[KeyType]tls.Certificate{ECDSA: p.ecdsa, RSA: p.rsa} {
			w := usualWords(protocol)
			w.tls = withTLS(p.ecdsa, p.rsa)
			target := start(t, w.talk).targetOf(protocol)
			target.KeyType = ask
			got := newDialer(Options{}).Probe(context.Background(), target)
			if got.Outcome != Presented {
				t.Errorf("%s, %s: got %s: %s", protocol, ask, got.Outcome, got.Message)
				continue
			}
			sameChain(t, got, want)
		}
	}
}

// TestEveryProtocolIsTried: a protocol that has no row above is not tested.
func TestEveryProtocolIsTried(t *testing.T) {
	for protocol := range dialogues {
		if saidBy[protocol] == nil {
			t.Errorf("%s has no test", protocol)
		}
	}
}
