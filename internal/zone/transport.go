package zone

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// ErrConfig is wrapped by errors that only another configuration can mend.
var ErrConfig = errors.New("the configuration cannot be used")

// endpoint is where and how one server is spoken to.
type endpoint struct {
	// name for messages: the server's name or address.
	name     string
	address  string
	protocol Protocol
	tls      *tls.Config
	signer   *signer
	// forbidden says why nothing may be sent there; empty when something may.
	forbidden string
}

// primaryEndpoint is the update server of a configuration. The error wraps ErrConfig.
func primaryEndpoint(cfg Config) (endpoint, error) {
	e := endpoint{name: cfg.Primary, address: cfg.Primary, protocol: cfg.Protocol}
	if e.protocol == "" {
		e.protocol = TCP
	}
	host, _, err := net.SplitHostPort(cfg.Primary)
	if err != nil {
		return e, fmt.Errorf("%w: the update server %q is not HOST:PORT", ErrConfig, cfg.Primary)
	}
	if e.signer, err = newSigner(cfg.TSIG); err != nil {
		return e, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	switch e.protocol {
	case TCP, UDP:
	case TLS:
		if e.tls, err = clientTLS(cfg.TLS, host); err != nil {
			return e, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	default:
		return e, fmt.Errorf("%w: protocol %q is not TCP, UDP or TLS", ErrConfig, cfg.Protocol)
	}
	return e, nil
}

// clientTLS is DNS over TLS as RFC 9103 section 8 profiles it, with TLS 1.2 let in for the servers of today.
func clientTLS(t *TLSConfig, host string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"}, ServerName: host}
	if t == nil {
		return out, nil
	}
	if t.ServerName != "" {
		out.ServerName = t.ServerName
	}
	if len(t.CABundle) > 0 {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(t.CABundle) {
			return nil, errors.New("the CA bundle holds no PEM certificate")
		}
	}
	if len(t.ClientCert) == 0 && len(t.ClientKey) == 0 {
		return out, nil
	}
	pair, err := tls.X509KeyPair(t.ClientCert, t.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("the client certificate and key cannot be used: %w", err)
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}

// connect opens a connection. Waiting until no more than so many are open to the address counts against ctx
// alone, connecting against timeout too.
func connect(ctx context.Context, opts Options, e endpoint, timeout time.Duration) (net.Conn, error) {
	if e.forbidden != "" {
		return nil, &forbiddenError{e.forbidden}
	}
	release, err := opts.Connections.acquire(ctx, e.address)
	if err != nil {
		return nil, fmt.Errorf("all %d connections to %s are busy: %w", maxConnections, e.address, err)
	}
	opened := false
	defer func() {
		if !opened { // after a panic, too
			release()
		}
	}()
	conn, err := connectNow(ctx, opts.Dial, e, timeout)
	if err != nil {
		return nil, err
	}
	opened = true
	return &limitedConn{Conn: conn, release: release}, nil
}

func connectNow(ctx context.Context, dial DialFunc, e endpoint, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	network := "tcp"
	if e.protocol == UDP {
		network = "udp"
	}
	conn, err := dial(ctx, network, e.address)
	if err != nil {
		return nil, err
	}
	conn = acking(conn)
	if e.protocol != TLS {
		return conn, nil
	}
	secure := tls.Client(conn, e.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, tlsError(err)
	}
	return &secureConn{Conn: secure}, nil
}

// noTLSError is a handshake that met a server which speaks no TLS there.
type noTLSError struct{ err error }

func (e *noTLSError) Error() string {
	return fmt.Sprintf("it does not answer TLS at this port (%s): name the one that takes DNS over TLS, often 853, or set spec.update.protocol to TCP", whyNoTLS(e.err))
}

func (e *noTLSError) Unwrap() error { return e.err }

func whyNoTLS(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no reply in time"
	}
	return cleanText(err.Error())
}

// tlsError says what a failed handshake means: a server that speaks no TLS closes the connection, or waits
// for the rest of what it takes for a long message.
func tlsError(err error) error {
	var record tls.RecordHeaderError
	for _, silent := range []error{io.EOF, syscall.ECONNRESET, context.DeadlineExceeded} {
		if errors.Is(err, silent) {
			return &noTLSError{silent}
		}
	}
	if errors.As(err, &record) {
		return &noTLSError{record}
	}
	return fmt.Errorf("TLS: %w", err)
}
