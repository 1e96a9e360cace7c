package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
)

// failure is how a probe ended without a chain.
type failure struct {
	outcome Outcome
	message string
}

// errSilent ends a handshake that the server ended without an alert, when a key type was asked for.
var errSilent = errors.New("the server closed the connection within the TLS handshake")

func (f *failure) Error() string { return f.message }

// refusals are the alerts of a server that has nothing for the cipher suites and version asked for:
// handshake_failure, protocol_version and insufficient_security. Any other says nothing of its keys.
var refusals = []string{tls.AlertError(40).Error(), tls.AlertError(70).Error(), tls.AlertError(71).Error()}

// noSuchKeyType is what is said of such a server.
const noSuchKeyType = "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"

func handshakeFailure(ctx context.Context, err error, config *tls.Config) error {
	// An alert from the server is told by the text alone: its type is not exported.
	var op *net.OpError
	alert := errors.As(err, &op) && op.Op == "remote error"
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &failure{HandshakeFailed, "the TLS handshake did not end in time"}
	case ctx.Err() != nil:
		return ctx.Err()
	case alert && config.CipherSuites != nil && slices.Contains(refusals, op.Err.Error()):
		return &failure{NoSuchKeyType, noSuchKeyType}
	case alert:
		return &failure{HandshakeFailed, "the TLS handshake failed: " + clean(op.Error())}
	case config.CipherSuites != nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return errSilent
	}
	var no tls.RecordHeaderError
	if errors.As(err, &no) {
		return &failure{HandshakeFailed, "the TLS handshake failed: " + describe(err) + "; it begins with: " + clean(string(no.RecordHeader[:]))}
	}
	return &failure{HandshakeFailed, "the TLS handshake failed: " + describe(err)}
}

// dialFailure says why there is no connection, in words that do not change from try to try. A port that is
// blocked on the way looks like a server that is down, so that neither is claimed.
func dialFailure(ctx context.Context, err error, target Target) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() == nil && !isTimeout(err):
		return &failure{Unreachable, fmt.Sprintf("%s: %s", target.Addr, describe(err))}
	case target.Addr.Port() == 25:
		return &failure{Unreachable, fmt.Sprintf("%s: no connection in time: the server is down, or port 25 is blocked on the way, as it is in many networks", target.Addr)}
	}
	return &failure{Unreachable, fmt.Sprintf("%s: no connection in time: the server is down, or the port is blocked on the way", target.Addr)}
}

// talkFailure says why there is a connection and no chain.
func talkFailure(ctx context.Context, err error, target Target, heard bool) error {
	var f *failure
	switch {
	case errors.Is(err, errSilent):
		return err
	case errors.As(err, &f):
	case errors.Is(ctx.Err(), context.Canceled):
		// The connection was closed from this side, and the error says no more than that.
		return ctx.Err()
	case ctx.Err() != nil || isTimeout(err):
		f = &failure{Unreachable, fmt.Sprintf("%s: the connection stands, and no answer comes in time", target.Addr)}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		f = &failure{Unreachable, fmt.Sprintf("%s: the server closed the connection", target.Addr)}
	default:
		f = &failure{Unreachable, fmt.Sprintf("%s: %s", target.Addr, describe(err))}
	}
	return &failure{f.outcome, f.message + proxyHint(target, f, heard)}
}

// describe puts a network error into words that do not change from try to try: no port of this side
// stands in them.
func describe(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return clean(op.Err.Error())
	}
	return clean(err.Error())
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// clean makes text from outside fit to be shown: printable ASCII, at most 512 bytes.
func clean(text string) string {
	out := make([]byte, 0, min(len(text), 512))
	for i := 0; i < len(text) && len(out) < 512; i++ {
		c := text[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		out = append(out, c)
	}
	return string(out)
}
