package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/emersion/go-smtp"
)

// mailServers is one listener that is the mail server of every host: it presents, by SNI, what the host
// serves now.
type mailServers struct {
	port   int32
	server *smtp.Server
}

func startMail(hosts []*host) (*mailServers, error) {
	byName := make(map[string]*host, len(hosts))
	for _, h := range hosts {
		byName[h.name] = h
	}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return nil, err
	}
	s := smtp.NewServer(refusing{})
	s.Domain = "mail.bench"
	s.ReadTimeout, s.WriteTimeout = 30*time.Second, 30*time.Second
	s.ErrorLog = log.New(io.Discard, "", 0) // probes break connections off
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		h := byName[hello.ServerName]
		if h == nil {
			return nil, fmt.Errorf("no host %q", hello.ServerName)
		}
		h.probed.Store(true)
		return h.served.Load(), nil
	}}
	go func() { _ = s.Serve(listener) }()
	return &mailServers{port: int32(port), server: s}, nil
}

func (m *mailServers) stop() {
	if m != nil {
		_ = m.server.Close()
	}
}

// refusing is a backend that takes no mail.
type refusing struct{}

// NewSession refuses every session that goes beyond EHLO.
func (refusing) NewSession(*smtp.Conn) (smtp.Session, error) { return session{}, nil }

type session struct{ smtp.Session }

// Reset has nothing to do.
func (session) Reset() {}

// Logout has nothing to do.
func (session) Logout() error { return nil }
