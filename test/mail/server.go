// Package mail is a small mail server for the demo and for tests: it greets, offers STARTTLS, and
// takes its certificate from a source that it asks again and again, as a server does whose Secret
// the kubelet refreshes late. It accepts no mail.
package mail

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// Source returns the PEM chain and key that the server should present; both are empty while there
// are none.
type Source func() (certificate, key []byte)

// Server is a running mail server.
type Server struct {
	// Addr is host:port.
	Addr string

	server  *smtp.Server
	current atomic.Pointer[tls.Certificate]
	stop    chan struct{}
}

// errNoCertificate makes a handshake fail before the first certificate is there.
var errNoCertificate = errors.New("no certificate yet")

// Start listens on addr. A new certificate is presented reloadDelay after the source showed it.
func Start(addr string, source Source, reloadDelay time.Duration) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return Serve(listener, source, reloadDelay), nil
}

// Serve does as Start does, with a listener that is there; Stop closes it.
func Serve(listener net.Listener, source Source, reloadDelay time.Duration) *Server {
	s := &Server{Addr: listener.Addr().String(), stop: make(chan struct{})}
	s.server = smtp.NewServer(Refusing)
	s.server.Domain = "mail.test"
	s.server.ReadTimeout, s.server.WriteTimeout = 10*time.Second, 10*time.Second
	s.server.ErrorLog = log.New(io.Discard, "", 0) // probes break connections off
	s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
	go func() { _ = s.server.Serve(listener) }()
	go s.reload(source, reloadDelay)
	return s
}

// Stop ends the server.
func (s *Server) Stop() {
	close(s.stop)
	_ = s.server.Close()
}

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.current.Load(); c != nil {
		return c, nil
	}
	return nil, errNoCertificate
}

// reload asks the source five times a second.
func (s *Server) reload(source Source, delay time.Duration) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last []byte
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		certificate, key := source()
		if len(certificate) == 0 || len(key) == 0 || bytes.Equal(certificate, last) {
			continue
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			continue // half-way through a change
		}
		last = certificate
		time.AfterFunc(delay, func() { s.current.Store(&pair) })
	}
}

// Refusing is a backend that takes no mail.
var Refusing smtp.Backend = refusing{}

type refusing struct{}

// NewSession refuses every session that goes beyond EHLO.
func (refusing) NewSession(*smtp.Conn) (smtp.Session, error) { return session{}, nil }

type session struct{ smtp.Session }

// Reset has nothing to do.
func (session) Reset() {}

// Logout has nothing to do.
func (session) Logout() error { return nil }

// Mail refuses every sender.
func (session) Mail(string, *smtp.MailOptions) error {
	return &smtp.SMTPError{Code: 550, Message: "no mail here"}
}
