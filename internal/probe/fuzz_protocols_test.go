package probe

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// Write takes whatever the client says.
func (s *stream) Write(b []byte) (int, error) { return len(b), nil }

// FuzzIMAP, FuzzPOP3 and FuzzManageSieve check what a server can do up to the leave to begin TLS.
func FuzzIMAP(f *testing.F)        { fuzzBegin(f, IMAP, "STARTTLS") }
func FuzzPOP3(f *testing.F)        { fuzzBegin(f, POP3, "STLS") }
func FuzzManageSieve(f *testing.F) { fuzzBegin(f, ManageSieve, "TLS") }

// fuzzBegin checks that a dialogue does not panic, takes no more than the limits, shows nothing that is
// not fit to be shown, and begins no TLS that was not offered.
func fuzzBegin(f *testing.F, protocol Protocol, keyword string) {
	w := usualWords(protocol)
	usual := w.greeting + w.answers["a1 CAPABILITY"] + w.answers["CAPA"] + w.answers[w.begin]
	for _, text := range append([]string{
		usual, usual + "injected\r\n",
		"* OK\r\n* ID {4}\r\nx\r\ny\r\n* CAPABILITY STARTTLS\r\na1 OK\r\na2 OK\r\n",
		"\"A\" {3}\r\nx\"y \"b\"\r\n{8+}\r\nSTARTTLS\r\n\"c\\\"d\\\\\"\r\nOK (X) {2}\r\nhi\r\nOK\r\n",
		"* X {99999999999999999999}\r\n", "\"A\" {16385}\r\n", "* PREAUTH x\r\n", "BYE \x1b\r\n",
		strings.Repeat("x", maxLine+1), strings.Repeat("\"X\"\r\n", maxLines),
	}, banners...) {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, says []byte, endless bool) {
		conn := &stream{says: says, endless: endless}
		err := dialogues[protocol].begin(newTalk(conn), "")
		if conn.read > maxBytes {
			t.Errorf("%d octets were read", conn.read)
		}
		// What is said again and again may have the word where its end meets its beginning.
		offered := bytes.ToUpper(bytes.Repeat(says, maxLine/max(1, len(says))+2))
		if err == nil && !bytes.Contains(offered, []byte(keyword)) && !bytes.Contains(offered, []byte(`\`)) {
			t.Error("TLS is begun, and the server has not offered it")
		}
		var refused *failure
		switch {
		case errors.As(err, &refused):
			_, said, _ := strings.Cut(refused.message, "; it said: ")
			if refused.outcome != Unreachable && refused.outcome != NoTLS || hasControl(refused.message) || len(said) > 512 {
				t.Errorf("got %s: %q", refused.outcome, refused.message)
			}
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Errorf("got %v", err)
		}
	})
}

// FuzzLeave checks what a server can do within TLS, when its chain is known and the farewell is said.
func FuzzLeave(f *testing.F) {
	for i, protocol := range leaving {
		w := usualWords(protocol)
		f.Add(byte(i), []byte(w.secure+w.greeting+w.answers["a3 LOGOUT"]+w.answers["LOGOUT"]+w.answers["QUIT"]), false)
		for _, text := range banners {
			f.Add(byte(i), []byte(text), true)
		}
	}
	f.Add(byte(0), bytes.Repeat([]byte("250-x\r\n"), maxLines+1), true)
	f.Add(byte(3), []byte("{16384}\r\n"), true)
	f.Fuzz(func(t *testing.T, which byte, says []byte, endless bool) {
		conn := &stream{says: says, endless: endless}
		dialogues[leaving[int(which)%len(leaving)]].leave(newTalk(conn), "dane-operator.invalid")
		if conn.read > maxBytes {
			t.Errorf("%d octets were read", conn.read)
		}
	})
}

// leaving are the protocols in an order, for the fuzzer.
var leaving = []Protocol{SMTP, SMTPS, IMAP, IMAPS, POP3, POP3S, ManageSieve}
