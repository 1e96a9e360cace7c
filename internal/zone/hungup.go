package zone

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// secureConn is a connection on which the TLS handshake is over. With TLS 1.3 that is before the server has
// looked at the client's certificate, and a server that wants another one ends the connection instead of
// answering: some with an alert, named without a word.
type secureConn struct {
	net.Conn
	heard bool
}

func (c *secureConn) Read(octets []byte) (int, error) {
	n, err := c.Conn.Read(octets)
	if n == 0 && !c.heard && hungUp(err) {
		err = &hungUpError{err}
	}
	c.heard = c.heard || n > 0
	return n, err
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || alertOf(err) != nil
}

// alertOf is the TLS alert that a server has sent; nil without one. crypto/tls has no type for it.
func alertOf(err error) error {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return alert.Err
	}
	return nil
}

// hungUpError is the end of a connection before the first answer.
type hungUpError struct{ err error }

func (e *hungUpError) Error() string {
	return fmt.Sprintf("it ended the connection after the TLS handshake, without an answer (%s): if it wants a certificate of its clients, name one that it accepts in spec.update.tls.clientCertSecretRef", e.why())
}

// why leaves out the addresses of network errors, whose port changes.
func (e *hungUpError) why() string {
	alert := alertOf(e.err)
	switch {
	case alert != nil:
		return cleanText(alert.Error())
	case errors.Is(e.err, syscall.ECONNRESET):
		return "connection reset"
	}
	return "connection closed"
}

func (e *hungUpError) Unwrap() error { return e.err }
