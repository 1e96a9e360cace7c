package probe

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// stream is a connection to a server that says what it is given, once or without end.
type stream struct {
	net.Conn
	says    []byte
	endless bool
	rest    []byte
	read    int
}

func (s *stream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if len(s.says) == 0 || s.read > 0 && !s.endless {
			return 0, io.EOF
		}
		s.rest = s.says
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	s.read += n
	return n, nil
}

// banners are what servers say first, some of them by mistake.
var banners = []string{
	"220 mx1.example.com ESMTP Postfix (Debian/GNU)\r\n",
	"220-mx1.example.com ESMTP Postfix\r\n220 mx1.example.com ESMTP Postfix\r\n",
	"220 mx1.example.com ESMTP Exim 4.97.1 Mon, 01 Jun 2026 12:00:00 +0000\r\n",
	"220-box.example.com ESMTP Exim 4.97.1 #2 \r\n220-We do not authorize the use of this system to transport unsolicited, \r\n220 and/or bulk e-mail.\r\n",
	"220 mx1.example.com ESMTP Sendmail 8.18.1/8.18.1; Mon, 1 Jun 2026 12:00:00 GMT\r\n",
	"220 mx1.example.com Microsoft ESMTP MAIL Service ready at Mon, 1 Jun 2026 12:00:00 +0000\r\n",
	"220 mx.google.com ESMTP a640c23a62f3a-b2f4d5e6f7asi123456 - gsmtp\r\n",
	"220 mx1.example.com ESMTP OpenSMTPD\r\n",
	"220 ****************************0**2**\r\n",
	"250-mx1.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n",
	"421 4.7.0 mx1.example.com Error: too many connections from 192.0.2.1\r\n",
	"554-mx1.example.com\r\n554 Your access to this mail system has been rejected due to poor reputation\r\n",
	"550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org\r\n",
	"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13\r\n",
	"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS] Dovecot ready.\r\n",
	"+OK Dovecot ready. <1a2b.3c4d@mx1.example.com>\r\n",
	"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n",
	"\x15\x03\x01\x00\x02\x02\x46",
	"220 \x1b[2J\x07\x00\xff\r\n",
	"220\n",
	"",
}

// FuzzReply checks what a server can do to the reader of replies: it does not panic, takes no more than the
// limits, and shows nothing that is not fit to be shown.
func FuzzReply(f *testing.F) {
	for _, b := range banners {
		f.Add([]byte(b), false)
		f.Add([]byte(b), true)
	}
	f.Add(bytes.Repeat([]byte("x"), maxLine+1), false)
	f.Add(bytes.Repeat([]byte("220-x\r\n"), maxLines), false)
	f.Add([]byte("220 "+strings.Repeat("x", 1000)+"\n"), true)
	f.Fuzz(func(t *testing.T, says []byte, endless bool) {
		conn := &stream{says: says, endless: endless}
		talk := newTalk(conn)
		// Lines of what is said again and again go over from its end to its beginning.
		again := bytes.Repeat(says, maxLine/max(1, len(says))+2)
		for {
			code, lines, err := smtpReply(talk)
			if err != nil {
				checkRefusal(t, err)
				break
			}
			checkReply(t, again, code, lines)
		}
		if conn.read > maxBytes {
			t.Errorf("%d octets were read", conn.read)
		}
	})
}

// checkRefusal checks that what is shown of a server is cleaned; what is not shown is an end of the connection.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var f *failure
	if !errors.As(err, &f) {
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
		return
	}
	_, said, _ := strings.Cut(f.message, "it said: ")
	if f.outcome != Unreachable || hasControl(f.message) || len(said) > 512 {
		t.Errorf("got %s: %q", f.outcome, f.message)
	}
}

// checkReply checks that a reply is what the server said, and has the form of one.
func checkReply(t *testing.T, says []byte, code string, lines []string) {
	t.Helper()
	if len(lines) == 0 || len(lines) > maxLines || len(code) != 3 || strings.Trim(code, "0123456789") != "" {
		t.Fatalf("code %q in %d lines", code, len(lines))
	}
	for i, line := range lines {
		last := len(line) == 3 || line[3] == ' '
		if last != (i == len(lines)-1) || len(line) > maxLine {
			t.Errorf("line %d of %d: %q", i+1, len(lines), line)
		}
		if !bytes.Contains(says, []byte(line)) {
			t.Errorf("the server did not say %q", line)
		}
		if shown := clean(line); hasControl(shown) || len(shown) > 512 {
			t.Errorf("%q is shown as %q", line, shown)
		}
	}
	if code != lines[len(lines)-1][:3] {
		t.Errorf("code %s of %q", code, lines)
	}
}
