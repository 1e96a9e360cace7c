package probe

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestHostileServersOfEachProtocol checks what is said of servers that do not get as far as TLS.
func TestHostileServersOfEachProtocol(t *testing.T) {
	const (
		noIMAP   = "the server does not speak IMAP; it said: "
		noPOP3   = "the server does not speak POP3; it said: "
		noSieve  = "the server does not speak ManageSieve; it said: "
		longLine = "the server sent a line of more than 2048 octets"
		lines    = "the server sent a reply of more than 128 lines"
		literal  = "the server sent a literal of more than 16384 octets"
		injected = "plain text stood behind the reply to %s: somebody on the way injects commands"
		nothing  = "the server does not offer STARTTLS for IMAP: clients with DANE do not log in"
		noSTLS   = "the server does not offer STLS: POP3 clients with DANE do not log in"
		none     = "the server does not offer STARTTLS for ManageSieve: clients with DANE do not log in"
	)
	answer := func(command, text string) func(*words) { return func(w *words) { w.answers[command] = text } }
	greeting := func(text string) func(*words) { return func(w *words) { w.greeting = text } }
	for _, tc := range []struct {
		reason   string
		protocol Protocol
		change   func(*words)
		want     Outcome
		text     string
	}{
		{"no STARTTLS", IMAP, answer("a1 CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na1 OK done\r\n"), NoTLS, nothing},
		{"no capability at all", IMAP, answer("a1 CAPABILITY", "a1 OK done\r\n"), NoTLS, nothing},
		{"the keyword is part of another", IMAP, answer("a1 CAPABILITY", "* CAPABILITY XSTARTTLS STARTTLSX\r\na1 OK done\r\n"), NoTLS, nothing},
		{"the greeting's capabilities do not count", IMAP, answer("a1 CAPABILITY", "* CAPABILITY IMAP4rev1\r\na1 OK [CAPABILITY STARTTLS] done\r\n"), NoTLS, nothing},
		{"the keyword stands in a literal", IMAP, answer("a1 CAPABILITY", "* ID {25}\r\n* CAPABILITY X STARTTLS\r\n\r\na1 OK\r\n"), NoTLS, nothing},
		{"STARTTLS is refused", IMAP, answer("a2 STARTTLS", "a2 NO TLS not available\r\n"), NoTLS, "the server refuses STARTTLS; it said: a2 NO TLS not available"},
		{"STARTTLS is not known", IMAP, answer("a2 STARTTLS", "a2 BAD what?\r\n"), NoTLS, "the server refuses STARTTLS; it said: a2 BAD what?"},
		{"plain text behind the reply to STARTTLS", IMAP, answer("a2 STARTTLS", "a2 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"), NoTLS, fmt.Sprintf(injected, "STARTTLS")},
		{"one octet behind the reply to STARTTLS", IMAP, answer("a2 STARTTLS", "a2 OK go\r\nx"), NoTLS, fmt.Sprintf(injected, "STARTTLS")},
		{"logged in at once", IMAP, greeting("* PREAUTH IMAP4rev1 server logged in as Smith\r\n"), NoTLS, "the server logs in whoever connects (PREAUTH), and STARTTLS cannot be said after that; it said: * PREAUTH IMAP4rev1 server logged in as Smith"},
		{"a greeting that refuses", IMAP, greeting("* BYE too many connections\r\n"), Unreachable, "the server does not greet; it said: * BYE too many connections"},
		{"a greeting that is no status", IMAP, greeting("* CAPABILITY IMAP4rev1\r\n"), Unreachable, noIMAP + "* CAPABILITY IMAP4rev1"},
		{"a greeting with a tag", IMAP, greeting("a1 OK hello\r\n"), Unreachable, noIMAP + "a1 OK hello"},
		{"SMTP", IMAP, greeting("220 mx1.example.com ESMTP\r\n"), Unreachable, noIMAP + "220 mx1.example.com ESMTP"},
		{"POP3", IMAP, greeting("+OK ready\r\n"), Unreachable, noIMAP + "+OK ready"},
		{"an empty line", IMAP, greeting("\r\n"), Unreachable, noIMAP},
		{"CAPABILITY is refused", IMAP, answer("a1 CAPABILITY", "a1 BAD no\r\n"), Unreachable, "the server refuses CAPABILITY; it said: a1 BAD no"},
		{"another tag", IMAP, answer("a1 CAPABILITY", "a9 OK done\r\n"), Unreachable, "the server does not speak IMAP: it answers CAPABILITY with something else; it said: a9 OK done"},
		{"a continuation", IMAP, answer("a2 STARTTLS", "+ go on\r\n"), Unreachable, "the server does not speak IMAP: it answers STARTTLS with something else; it said: + go on"},
		{"a status that is none", IMAP, answer("a1 CAPABILITY", "a1 MAYBE\r\n"), Unreachable, noIMAP + "a1 MAYBE"},
		{"it goes in the middle of a command", IMAP, answer("a1 CAPABILITY", "* BYE shutting down\r\n"), Unreachable, "the server ends the connection; it said: * BYE shutting down"},
		{"it does not understand", IMAP, answer("a1 CAPABILITY", "* BAD null octet\r\n"), Unreachable, "the server does not understand; it said: * BAD null octet"},
		{"a line too long", IMAP, greeting("* OK " + strings.Repeat("x", maxLine) + "\r\n"), Unreachable, longLine},
		{"a line without end", IMAP, answer("a1 CAPABILITY", strings.Repeat("x", 1<<20)), Unreachable, longLine},
		{"as many lines as may be", IMAP, answer("a1 CAPABILITY", strings.Repeat("* OK\r\n", maxLines-1)+"a1 NO x\r\n"), Unreachable, "the server refuses CAPABILITY; it said: a1 NO x"},
		{"too many lines", IMAP, answer("a1 CAPABILITY", strings.Repeat("* OK\r\n", maxLines)+"a1 NO x\r\n"), Unreachable, lines},
		{"a literal as long as may be", IMAP, answer("a1 CAPABILITY", "* X {16384}\r\n"+strings.Repeat("x", maxLiteral)+"\r\na1 NO x\r\n"), Unreachable, "the server refuses CAPABILITY; it said: a1 NO x"},
		{"a literal too long", IMAP, answer("a1 CAPABILITY", "* X {16385}\r\n"), Unreachable, literal},
		{"a literal of a length that no number holds", IMAP, answer("a1 CAPABILITY", "* X {99999999999999999999999999}\r\n"), Unreachable, literal},
		{"literals without end", IMAP, answer("a1 CAPABILITY", strings.Repeat("* X {1}\r\nx", maxLines+1)), Unreachable, lines},

		{"no STLS", POP3, answer("CAPA", "+OK\r\nTOP\r\n.\r\n"), NoTLS, noSTLS},
		{"no capability at all", POP3, answer("CAPA", "+OK\r\n.\r\n"), NoTLS, noSTLS},
		{"the keyword is part of another", POP3, answer("CAPA", "+OK\r\nXSTLS\r\nSTLSX\r\n.\r\n"), NoTLS, noSTLS},
		{"the keyword is an argument", POP3, answer("CAPA", "+OK STLS\r\nSASL STLS\r\n.\r\n"), NoTLS, noSTLS},
		{"the name that other protocols have for it", POP3, answer("CAPA", "+OK\r\nSTARTTLS\r\n.\r\n"), NoTLS, noSTLS},
		{"STLS is refused", POP3, answer("STLS", "-ERR TLS not available\r\n"), NoTLS, "the server refuses STLS; it said: -ERR TLS not available"},
		{"plain text behind the reply to STLS", POP3, answer("STLS", "+OK go\r\n+OK injected\r\n"), NoTLS, fmt.Sprintf(injected, "STLS")},
		{"a greeting that refuses", POP3, greeting("-ERR [SYS/TEMP] too many connections\r\n"), Unreachable, "the server does not greet; it said: -ERR [SYS/TEMP] too many connections"},
		{"CAPA is refused", POP3, answer("CAPA", "-ERR unknown command\r\n"), Unreachable, "the server refuses CAPA; it said: -ERR unknown command"},
		{"SMTP", POP3, greeting("220 mx1.example.com ESMTP\r\n"), Unreachable, noPOP3 + "220 mx1.example.com ESMTP"},
		{"IMAP", POP3, greeting("* OK ready\r\n"), Unreachable, noPOP3 + "* OK ready"},
		{"no blank behind the status", POP3, greeting("+OKAY\r\n"), Unreachable, noPOP3 + "+OKAY"},
		{"a status in small letters", POP3, greeting("+ok\r\n"), Unreachable, noPOP3 + "+ok"},
		{"an empty line", POP3, greeting("\r\n"), Unreachable, noPOP3},
		{"an answer to STLS that is none", POP3, answer("STLS", "OK\r\n"), Unreachable, noPOP3 + "OK"},
		{"a line too long", POP3, answer("CAPA", "+OK\r\n"+strings.Repeat("x", maxLine+1)+"\r\n.\r\n"), Unreachable, longLine},
		{"as many lines as may be", POP3, answer("CAPA", "+OK\r\n"+strings.Repeat("X\r\n", maxLines-1)+".\r\n"), NoTLS, noSTLS},
		{"too many lines", POP3, answer("CAPA", "+OK\r\n"+strings.Repeat("X\r\n", maxLines)+".\r\n"), Unreachable, lines},
		{"a list without end", POP3, answer("CAPA", "+OK\r\n"+strings.Repeat("X\r\n", 1<<17)), Unreachable, lines},

		{"no STARTTLS", ManageSieve, answer("CAPABILITY", sieveCapabilities("")), NoTLS, none},
		{"no capability at all", ManageSieve, answer("CAPABILITY", "OK\r\n"), NoTLS, none},
		{"the keyword is part of another", ManageSieve, answer("CAPABILITY", "\"XSTARTTLS\"\r\n\"STARTTLS X\"\r\nOK\r\n"), NoTLS, none},
		{"the keyword is a value", ManageSieve, answer("CAPABILITY", "\"SIEVE\" \"STARTTLS\"\r\n\"SASL\" {8}\r\nSTARTTLS\r\nOK\r\n"), NoTLS, none},
		{"STARTTLS is refused", ManageSieve, answer("STARTTLS", "NO \"TLS not available\"\r\n"), NoTLS, "the server refuses STARTTLS; it said: NO \"TLS not available\""},
		{"STARTTLS is refused with a literal", ManageSieve, answer("STARTTLS", "NO (TRYLATER) {4}\r\nbusy\r\n"), NoTLS, "the server refuses STARTTLS; it said: NO (TRYLATER) busy"},
		{"plain text behind the reply to STARTTLS", ManageSieve, answer("STARTTLS", "OK\r\n\"SASL\" \"PLAIN\"\r\n"), NoTLS, fmt.Sprintf(injected, "STARTTLS")},
		{"a greeting that refuses", ManageSieve, greeting("BYE \"too many connections\"\r\n"), Unreachable, "the server does not greet; it said: BYE \"too many connections\""},
		{"a greeting that refers elsewhere", ManageSieve, greeting("BYE (REFERRAL \"sieve://mx2.example.com\") \"over there\"\r\n"), Unreachable, "the server does not greet; it said: BYE (REFERRAL \"sieve://mx2.example.com\") \"over there\""},
		{"a greeting that refuses, behind capabilities", ManageSieve, greeting("\"STARTTLS\"\r\nNO \"not now\"\r\n"), Unreachable, "the server does not greet; it said: NO \"not now\""},
		{"CAPABILITY is refused", ManageSieve, answer("CAPABILITY", "NO \"what?\"\r\n"), Unreachable, "the server refuses CAPABILITY; it said: NO \"what?\""},
		{"SMTP", ManageSieve, greeting("220 mx1.example.com ESMTP\r\n"), Unreachable, noSieve + "220 mx1.example.com ESMTP"},
		{"IMAP", ManageSieve, greeting("* OK ready\r\n"), Unreachable, noSieve + "* OK ready"},
		{"an empty line", ManageSieve, greeting("\r\n"), Unreachable, noSieve},
		{"a quote that does not close", ManageSieve, answer("CAPABILITY", "\"STARTTLS\r\nOK\r\n"), Unreachable, noSieve + "\"STARTTLS"},
		{"a value that does not close", ManageSieve, answer("CAPABILITY", "\"SASL\" \"PLAIN\r\nOK\r\n"), Unreachable, noSieve + "\"SASL\" \"PLAIN"},
		{"a quote that closes escaped", ManageSieve, answer("CAPABILITY", "\"SASL\" \"PLAIN\\\"\r\nOK\r\n"), Unreachable, noSieve + "\"SASL\" \"PLAIN\\\""},
		{"a literal within quotes that do not close", ManageSieve, answer("CAPABILITY", "\"SASL\" \"{5}\r\nOK\r\n"), Unreachable, noSieve + "\"SASL\" \"{5}"},
		{"a brace that is no literal", ManageSieve, answer("CAPABILITY", "{x}\r\nOK\r\n"), Unreachable, noSieve + "{x}"},
		{"a literal without a length", ManageSieve, answer("CAPABILITY", "{+}\r\nOK\r\n"), Unreachable, noSieve + "{+}"},
		{"a line too long", ManageSieve, answer("CAPABILITY", "\"SIEVE\" \""+strings.Repeat("x", maxLine)+"\"\r\n"), Unreachable, longLine},
		{"too many lines", ManageSieve, answer("CAPABILITY", strings.Repeat("\"X\"\r\n", maxLines)+"OK\r\n"), Unreachable, lines},
		{"as many lines as may be", ManageSieve, answer("CAPABILITY", strings.Repeat("\"X\"\r\n", maxLines-1)+"OK\r\n"), NoTLS, none},
		{"a literal as long as may be", ManageSieve, answer("CAPABILITY", "\"SIEVE\" {16384}\r\n"+strings.Repeat("x", maxLiteral)+"\r\nOK\r\n"), NoTLS, none},
		{"a literal too long", ManageSieve, answer("CAPABILITY", "\"SIEVE\" {16385}\r\n"), Unreachable, literal},
		{"literals without end", ManageSieve, answer("CAPABILITY", strings.Repeat("{1}\r\nx", maxLines+1)), Unreachable, lines},
	} {
		t.Run(string(tc.protocol)+": "+tc.reason, func(t *testing.T) {
			w := usualWords(tc.protocol)
			tc.change(&w)
			got := newDialer(Options{}).Probe(context.Background(), start(t, w.talk).targetOf(tc.protocol))
			if got.Outcome != tc.want || got.Message != tc.text || got.Chain != nil {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestBudgetOfLiterals checks that literals count for what a server may say as a whole.
func TestBudgetOfLiterals(t *testing.T) {
	w := usualWords(ManageSieve)
	w.greeting = strings.Repeat("\"SIEVE\" {16384}\r\n"+strings.Repeat("x", maxLiteral)+"\r\n", 5) + "OK\r\n"
	s := start(t, w.talk)
	got := newDialer(Options{}).Probe(context.Background(), s.targetOf(ManageSieve))
	if got.Outcome != Unreachable || got.Message != s.addr().String()+": the server closed the connection" {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}

// TestWhatServersSayIsCleanedInEachProtocol checks that nothing of a server reaches a terminal as it is.
func TestWhatServersSayIsCleanedInEachProtocol(t *testing.T) {
	const dirt, shown = "\x1b[31mred\x07\x00 \xe2\x80\xae", "?[31mred?? ???"
	for _, tc := range []struct {
		protocol Protocol
		change   func(*words)
		before   string
	}{
		{IMAP, func(w *words) { w.greeting = "* BYE " + dirt + "\r\n" }, "* BYE "},
		{IMAP, func(w *words) { w.answers["a2 STARTTLS"] = "a2 NO " + dirt + "\r\n" }, "a2 NO "},
		{IMAP, func(w *words) { w.answers["a1 CAPABILITY"] = dirt + "\r\n" }, ""},
		{POP3, func(w *words) { w.greeting = "-ERR " + dirt + "\r\n" }, "-ERR "},
		{POP3, func(w *words) { w.answers["STLS"] = "-ERR " + dirt + "\r\n" }, "-ERR "},
		{ManageSieve, func(w *words) { w.greeting = "BYE \"" + dirt + "\r\n" }, "BYE \""},
		{ManageSieve, func(w *words) { w.answers["STARTTLS"] = fmt.Sprintf("NO {%d}\r\n%s\r\n", len(dirt), dirt) }, "NO "},
	} {
		w := usualWords(tc.protocol)
		tc.change(&w)
		got := newDialer(Options{}).Probe(context.Background(), start(t, w.talk).targetOf(tc.protocol))
		_, said, _ := strings.Cut(got.Message, "; it said: ")
		if said != tc.before+shown || hasControl(got.Message) {
			t.Errorf("%s: got %q", tc.protocol, got.Message)
		}
	}
}
