package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// dialogue talks to a server until TLS stands, and returns the chain. IMAP, POP3 and ManageSieve
// have their place in the table below.
type dialogue func(ctx context.Context, conn net.Conn, helo string, config *tls.Config) ([]*x509.Certificate, error)

var dialogues = map[Protocol]dialogue{
	SMTP:  smtpStartTLS,
	SMTPS: smtpImplicitTLS,
}

// Limits on a reply (RFC 5321 section 4.5.3.1 asks for 512 octets a line; some servers send more).
const (
	maxLine  = 2048
	maxLines = 128
	maxBytes = 64 << 10
)

// smtpTalk reads and writes SMTP within limits.
type smtpTalk struct {
	conn   net.Conn
	reader *bufio.Reader
}

func newSMTPTalk(conn net.Conn) *smtpTalk {
	return &smtpTalk{conn: conn, reader: bufio.NewReaderSize(io.LimitReader(conn, maxBytes), maxLine)}
}

// reply reads one reply and returns its code and lines.
func (t *smtpTalk) reply() (string, []string, error) {
	var lines []string
	for len(lines) < maxLines {
		line, err := t.reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", nil, &failure{Unreachable, "the server sent a line of more than 2048 octets"}
		}
		if err != nil {
			return "", nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if !isReply(text) {
			return "", nil, &failure{Unreachable, "the server does not speak SMTP; it said: " + clean(text)}
		}
		lines = append(lines, text)
		if len(text) == 3 || text[3] == ' ' {
			return text[:3], lines, nil
		}
	}
	return "", nil, &failure{Unreachable, fmt.Sprintf("the server sent a reply of more than %d lines", maxLines)}
}

// isReply says whether a line begins with a code. "SSH-2.0" is none, and no line comes after it.
func isReply(line string) bool {
	if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '-'
}

// command sends a line and reads the reply.
func (t *smtpTalk) command(line string) (string, []string, error) {
	if _, err := io.WriteString(t.conn, line+"\r\n"); err != nil {
		return "", nil, err
	}
	return t.reply()
}

// greet reads the greeting and says EHLO.
func (t *smtpTalk) greet(helo string) ([]string, error) {
	code, lines, err := t.reply()
	if err != nil {
		return nil, err
	}
	if code != "220" {
		return nil, &failure{Unreachable, "the server does not greet; it said: " + clean(lines[0])}
	}
	return t.ehlo(helo)
}

func (t *smtpTalk) ehlo(helo string) ([]string, error) {
	code, lines, err := t.command("EHLO " + helo)
	if err != nil {
		return nil, err
	}
	if code != "250" {
		return nil, &failure{Unreachable, "the server refuses EHLO; it said: " + clean(lines[0])}
	}
	return lines, nil
}

// smtpStartTLS is SMTP with STARTTLS (RFC 3207), up to QUIT. No mail is begun.
func smtpStartTLS(ctx context.Context, conn net.Conn, helo string, config *tls.Config) ([]*x509.Certificate, error) {
	talk := newSMTPTalk(conn)
	extensions, err := talk.greet(helo)
	if err != nil {
		return nil, err
	}
	if !offersStartTLS(extensions) {
		return nil, &failure{NoTLS, "the server does not offer STARTTLS: senders with DANE do not deliver"}
	}
	code, lines, err := talk.command("STARTTLS")
	if err != nil {
		return nil, err
	}
	if code != "220" {
		return nil, &failure{NoTLS, "the server refuses STARTTLS; it said: " + clean(lines[0])}
	}
	if talk.reader.Buffered() > 0 {
		return nil, &failure{NoTLS, "plain text stood behind the reply to STARTTLS: somebody on the way injects commands"}
	}
	secure, chain, err := handshake(ctx, conn, config)
	if err != nil {
		return nil, err
	}
	quit(newSMTPTalk(secure), helo)
	return chain, nil
}

// smtpImplicitTLS is SMTP within TLS from the start (RFC 8314).
func smtpImplicitTLS(ctx context.Context, conn net.Conn, _ string, config *tls.Config) ([]*x509.Certificate, error) {
	secure, chain, err := handshake(ctx, conn, config)
	if err != nil {
		return nil, err
	}
	talk := newSMTPTalk(secure)
	if _, _, err := talk.reply(); err == nil {
		_, _, _ = talk.command("QUIT")
	}
	return chain, nil
}

// quit says EHLO again, as a sender does after STARTTLS, and takes its leave. The chain is known by
// then, so that what the server says is of no account.
func quit(talk *smtpTalk, helo string) {
	if _, err := talk.ehlo(helo); err == nil {
		_, _, _ = talk.command("QUIT")
	}
}

func offersStartTLS(lines []string) bool {
	for _, l := range lines {
		if len(l) > 4 && strings.EqualFold(strings.TrimSpace(l[4:]), "STARTTLS") {
			return true
		}
	}
	return false
}
