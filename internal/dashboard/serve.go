package dashboard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Server serves a page. It is run by the manager, on every replica.
type Server struct {
	Page *Page
	// Address to listen on.
	Address string
	// CertDir has tls.crt and tls.key, which are read again when they change. Empty: a certificate is signed by itself. It
	// is not looked at where the page is served without TLS.
	CertDir string
}

// endGrace is how long requests in flight are waited for at the end.
const endGrace = 5 * time.Second

// Loopback says that an address is reached from within its pod alone: by kubectl port-forward, and without TLS.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: those who stand by show the same.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("--dashboard-address: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	if s.Page.o.Secure {
		config, err := s.tlsConfig(ctx)
		if err != nil {
			_ = listener.Close()
			return err
		}
		listener = tls.NewListener(listener, config)
	}
	server := &http.Server{
		Handler: s.Page, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	server.RegisterOnShutdown(s.Page.Close)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the page: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

// tlsConfig speaks HTTP/1.1 alone: HTTP/2 would let anybody who reaches the port open many streams before he is asked who
// he is (CVE-2023-44487).
func (s *Server) tlsConfig(ctx context.Context) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if s.CertDir == "" {
		cert, key, err := certutil.GenerateSelfSignedCertKeyWithFixtures("localhost", []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, nil, "")
		if err != nil {
			return nil, fmt.Errorf("sign a certificate for the page: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("sign a certificate for the page: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
		return config, nil
	}
	watcher, err := certwatcher.New(filepath.Join(s.CertDir, "tls.crt"), filepath.Join(s.CertDir, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("--dashboard-cert-dir: %w", err)
	}
	config.GetCertificate = watcher.GetCertificate
	// It ends with ctx; what it cannot read leaves the certificate before in use, and it logs that.
	go func() { _ = watcher.Start(ctx) }()
	return config, nil
}
