package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// dialogue is how one protocol is spoken. Nobody logs in, and nothing is asked for beside TLS.
type dialogue struct {
	// begin talks until the server has given leave to begin TLS. Nil for the protocols that start with
	// it (RFC 8314 section 3).
	begin func(t *talk, helo string) error
	// leave says farewell within TLS, so that the server's log shows no break. The chain is known by
	// then, and what the server says is of no account.
	leave func(t *talk, helo string)
}

var dialogues = map[Protocol]dialogue{
	SMTP:        {smtpStartTLS, smtpLeave},
	SMTPS:       {nil, smtpsLeave},
	IMAP:        {imapStartTLS, imapLeave},
	IMAPS:       {nil, imapsLeave},
	POP3:        {pop3StartTLS, pop3Leave},
	POP3S:       {nil, pop3sLeave},
	ManageSieve: {sieveStartTLS, sieveLeave},
}

// run talks on a connection and returns the chain.
func (d dialogue) run(ctx context.Context, conn net.Conn, helo string, config *tls.Config) ([]*x509.Certificate, error) {
	if d.begin != nil {
		if err := d.begin(newTalk(conn), helo); err != nil {
			return nil, err
		}
	}
	secure, chain, err := handshake(ctx, conn, config)
	if err != nil {
		return nil, err
	}
	d.leave(newTalk(secure), helo)
	return chain, nil
}
