package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Limits on what a server may say before TLS, and again within it. RFC 5321 section 4.5.3.1 asks for 512
// octets a line, RFC 2449 section 4 for 512 and RFC 9051 section 4 for 8192 at the least on the side of
// the server; what servers really say before a login is far shorter than the limit here.
const (
	maxLine    = 2048
	maxLines   = 128
	maxLiteral = 16 << 10
	maxBytes   = 64 << 10
)

// talk reads lines and writes commands, within limits. Every protocol here is made of lines.
type talk struct {
	conn   net.Conn
	reader *bufio.Reader
}

func newTalk(conn net.Conn) *talk {
	return &talk{conn: conn, reader: bufio.NewReaderSize(io.LimitReader(conn, maxBytes), maxLine)}
}

// line reads one line without its end, which is CRLF or LF alone.
func (t *talk) line() (string, error) {
	line, err := t.reader.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", &failure{Unreachable, fmt.Sprintf("the server sent a line of more than %d octets", maxLine)}
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// literal reads the octets of a literal, whose length the server has told in the line before.
func (t *talk) literal(size int) (string, error) {
	if size > maxLiteral {
		return "", &failure{Unreachable, fmt.Sprintf("the server sent a literal of more than %d octets", maxLiteral)}
	}
	octets := make([]byte, size)
	_, err := io.ReadFull(t.reader, octets)
	return string(octets), err
}

// say sends a line.
func (t *talk) say(line string) error {
	_, err := io.WriteString(t.conn, line+"\r\n")
	return err
}

// nothingBehind checks that the server's leave to begin TLS is the last that it has said: what somebody
// on the way puts behind it would be taken for something said within TLS (CVE-2011-0411).
func (t *talk) nothingBehind(command string) error {
	if t.reader.Buffered() > 0 {
		return &failure{NoTLS, "plain text stood behind the reply to " + command + ": somebody on the way injects commands"}
	}
	return nil
}

// tooManyLines is the failure of a server that does not come to an end.
func tooManyLines() error {
	return &failure{Unreachable, fmt.Sprintf("the server sent a reply of more than %d lines", maxLines)}
}

// said is a failure that shows what the server said.
func said(outcome Outcome, what, line string) error {
	return &failure{outcome, what + "; it said: " + clean(line)}
}

// trailingLiteral is the length of the literal that a line announces at its end, as {n} or {n+}
// (RFC 9051 section 4.3, RFC 5804 section 4). A number that no server means is one over the limit.
func trailingLiteral(line string) (int, bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	digits := strings.TrimSuffix(line[open+1:len(line)-1], "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	size := 0
	for _, d := range digits {
		size = min(10*size+int(d-'0'), maxLiteral+1)
	}
	return size, true
}

// cutWord splits a line at its first blank.
func cutWord(line string) (word, rest string) {
	word, rest, _ = strings.Cut(line, " ")
	return word, rest
}

// listed says whether a keyword is among words, in whichever case.
func listed(words []string, keyword string) bool {
	for _, w := range words {
		if strings.EqualFold(w, keyword) {
			return true
		}
	}
	return false
}
