package probe

import (
	"strings"
	"testing"
	"time"
)

// hasControl says whether text has anything but printable ASCII.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// TestHostileServers checks what is said of servers that do not get as far as TLS, without a word that
// changes from try to try.
func TestHostileServers(t *testing.T) {
	line := func(n int) string { return "220-" + strings.Repeat("x", n-6) + "\r\n" }
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
		want   Outcome
		text   string
	}{
		{"no STARTTLS", func(m *mail) { m.ehlo = "250-mx1\r\n250 PIPELINING\r\n" }, NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"},
		{"no extension", func(m *mail) { m.ehlo = "250 mx1\r\n" }, NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"},
		{"the keyword is part of another", func(m *mail) { m.ehlo = "250-mx1\r\n250 XSTARTTLS\r\n" }, NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"},
		{"the keyword was taken out on the way", func(m *mail) { m.ehlo = "250-mx1\r\n250 XXXXXXXA\r\n" }, NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"},
		{"STARTTLS is refused", func(m *mail) { m.starttls = "454 4.7.0 TLS not available\r\n" }, NoTLS, "the server refuses STARTTLS; it said: 454 4.7.0 TLS not available"},
		{"plain text behind the reply to STARTTLS", func(m *mail) { m.starttls += "250 injected\r\n" }, NoTLS, "plain text stood behind the reply to STARTTLS: somebody on the way injects commands"},
		{"one octet behind the reply to STARTTLS", func(m *mail) { m.starttls += "x" }, NoTLS, "plain text stood behind the reply to STARTTLS: somebody on the way injects commands"},
		{"a greeting that refuses", func(m *mail) { m.greeting = "554 no service\r\n" }, Unreachable, "the server does not greet; it said: 554 no service"},
		{"a greeting that refuses in several lines", func(m *mail) { m.greeting = "554-no service\r\n554 ask postmaster\r\n" }, Unreachable, "the server does not greet; it said: 554-no service"},
		{"a greeting for later", func(m *mail) { m.greeting = "421 too many connections\r\n" }, Unreachable, "the server does not greet; it said: 421 too many connections"},
		{"EHLO is refused", func(m *mail) { m.ehlo = "502 not implemented\r\n" }, Unreachable, "the server refuses EHLO; it said: 502 not implemented"},
		{"HTTP", func(m *mail) { m.greeting = "HTTP/1.1 400 Bad Request\r\n" }, Unreachable, "the server does not speak SMTP; it said: HTTP/1.1 400 Bad Request"},
		{"IMAP", func(m *mail) { m.greeting = "* OK Dovecot ready.\r\n" }, Unreachable, "the server does not speak SMTP; it said: * OK Dovecot ready."},
		{"POP3 looks like a reply of one line", func(m *mail) { m.greeting = "+OK Dovecot ready.\r\n" }, Unreachable, "the server does not speak SMTP; it said: +OK Dovecot ready."},
		{"SSH looks like a reply of several lines", func(m *mail) { m.greeting = "SSH-2.0-OpenSSH_9.6\r\n" }, Unreachable, "the server does not speak SMTP; it said: SSH-2.0-OpenSSH_9.6"},
		{"an empty line", func(m *mail) { m.greeting = "\r\n" }, Unreachable, "the server does not speak SMTP; it said: "},
		{"two digits", func(m *mail) { m.greeting = "22\r\n" }, Unreachable, "the server does not speak SMTP; it said: 22"},
		{"no blank behind the code", func(m *mail) { m.greeting = "220ESMTP\r\n" }, Unreachable, "the server does not speak SMTP; it said: 220ESMTP"},
		{"a line as long as may be", func(m *mail) { m.greeting = line(maxLine) + "554 so far\r\n" }, Unreachable, "the server does not greet; it said: 220-" + strings.Repeat("x", 508)},
		{"a line too long", func(m *mail) { m.greeting = line(maxLine+1) + "220 ESMTP\r\n" }, Unreachable, "the server sent a line of more than 2048 octets"},
		{"a line without end", func(m *mail) { m.greeting = strings.Repeat("x", 1<<20) }, Unreachable, "the server sent a line of more than 2048 octets"},
		{"as many lines as may be", func(m *mail) { m.greeting = strings.Repeat("554-no\r\n", maxLines-1) + "554 so far\r\n" }, Unreachable, "the server does not greet; it said: 554-no"},
		{"too many lines", func(m *mail) { m.greeting = strings.Repeat("220-more\r\n", maxLines) + "220 ESMTP\r\n" }, Unreachable, "the server sent a reply of more than 128 lines"},
		{"a reply without end", func(m *mail) { m.ehlo = strings.Repeat("250-more\r\n", 1<<17) }, Unreachable, "the server sent a reply of more than 128 lines"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			tc.mail(&m)
			got := start(t, m.startTLS).probe(Options{})
			if got.Outcome != tc.want || got.Message != tc.text || got.Chain != nil {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestBudget checks that what a server says before TLS is limited as a whole too, over all replies.
func TestBudget(t *testing.T) {
	reply := func(code string, octets int) string {
		const long = 1024
		text := ""
		for ; octets > long; octets -= long {
			text += code + "-" + strings.Repeat("x", long-6) + "\r\n"
		}
		return text + code + " " + strings.Repeat("x", octets-6) + "\r\n"
	}
	m := usual()
	fixed := len(m.ehlo) + len(m.starttls)
	for _, tc := range []struct {
		reason string
		octets int
		want   Outcome
	}{
		{"as much as may be", maxBytes, Presented},
		{"one octet more", maxBytes + 1, Unreachable},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			m.greeting = reply("220", tc.octets-fixed)
			got := start(t, m.startTLS).probe(Options{})
			if got.Outcome != tc.want {
				t.Errorf("got %s: %s", got.Outcome, got.Message)
			}
		})
	}
}

// TestWhatServersSayIsCleaned checks that nothing of a server reaches a terminal or a log as it is.
func TestWhatServersSayIsCleaned(t *testing.T) {
	dirt := "\x1b[31mred\x1b[0m \x07\x00\t\r\x7f\x9b2J b\xc3\xbccher \xe2\x80\xae"
	shown := "?[31mred?[0m ??????2J b??cher ???"
	for _, tc := range []struct {
		reason string
		mail   func(m *mail, text string)
		before string
	}{
		{"no SMTP", func(m *mail, text string) { m.greeting = "?" + text }, "the server does not speak SMTP; it said: ?"},
		{"greeting", func(m *mail, text string) { m.greeting = "554 " + text }, "the server does not greet; it said: 554 "},
		{"reply to EHLO", func(m *mail, text string) { m.ehlo = "550 " + text }, "the server refuses EHLO; it said: 550 "},
		{"reply to STARTTLS", func(m *mail, text string) { m.starttls = "454 " + text }, "the server refuses STARTTLS; it said: 454 "},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			tc.mail(&m, dirt+strings.Repeat("x", 1000)+"\r\n")
			got := start(t, m.startTLS).probe(Options{})
			if !strings.HasPrefix(got.Message, tc.before+shown+"xxx") || hasControl(got.Message) {
				t.Errorf("got %q", got.Message)
			}
			if _, said, _ := strings.Cut(got.Message, "it said: "); len(said) != 512 {
				t.Errorf("%d bytes of what the server said are shown", len(said))
			}
		})
	}
}

// TestSilence checks the limit of time that the Dialer itself has. The stages of a talk at which time can
// run out have a test of their own, where the test says when.
func TestSilence(t *testing.T) {
	m := usual()
	m.at = func(*peer, stage) bool { return true }
	s := start(t, m.startTLS)
	got := s.probe(Options{Timeout: 300 * time.Millisecond})
	want := s.addr().String() + ": the connection stands, and no answer comes in time" + mayWait
	if got.Outcome != Unreachable || got.Message != want {
		t.Errorf("got %s: %s", got.Outcome, got.Message)
	}
}
