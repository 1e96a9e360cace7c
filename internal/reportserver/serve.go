package reportserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// closeWithin is how long those who are being answered may take when the program ends.
const closeWithin = 15 * time.Second

// Server listens in one way until it is told to stop. It implements manager.Runnable, for every replica.
type Server struct {
	Listener net.Listener
	// HTTP or SMTP is set.
	HTTP *http.Server
	SMTP *smtp.Server
}

// By names the protocol, for people.
func (s *Server) By() string {
	switch {
	case s.HTTP != nil && s.HTTP.TLSConfig != nil:
		return "HTTPS"
	case s.HTTP != nil:
		return "HTTP"
	case s.SMTP.LMTP:
		return "LMTP"
	}
	return "SMTP"
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until ctx ends, and lets those finish who are being answered.
func (s *Server) Start(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() {
		failed <- s.serve()
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("listen for TLS reports on %s: %w", s.Listener.Addr(), err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if s.HTTP != nil {
		return ignoreClosed(s.HTTP.Shutdown(ctx))
	}
	return ignoreClosed(s.SMTP.Shutdown(ctx))
}

func (s *Server) serve() error {
	switch {
	case s.HTTP != nil && s.HTTP.TLSConfig != nil:
		return s.HTTP.ServeTLS(s.Listener, "", "")
	case s.HTTP != nil:
		return s.HTTP.Serve(s.Listener)
	}
	return s.SMTP.Serve(s.Listener)
}

// Reachable is a check of readiness: whether the store answers.
func Reachable(kept *store.Store) func(*http.Request) error {
	return func(r *http.Request) error { return kept.Ping(r.Context()) }
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// NewHTTP is a server for a handler, with bounds for clients that are slow on purpose.
func NewHTTP(handler http.Handler, tlsConfig *tls.Config) *http.Server {
	return &http.Server{
		Handler: handler, TLSConfig: tlsConfig,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// Forgetter takes reports out of the store when they are old. It implements manager.Runnable.
type Forgetter struct {
	Store *store.Store
	// After is how old a report gets.
	After time.Duration
	Clock clock.WithTicker
	Log   logr.Logger
}

// forgetEvery is how often old reports are looked for.
const forgetEvery = time.Hour

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Forgetter) NeedLeaderElection() bool { return false }

// Start looks at once, and then every hour, until ctx ends.
func (f *Forgetter) Start(ctx context.Context) error {
	ticker := f.Clock.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		n, err := f.Store.Prune(ctx, f.Clock.Now().Add(-f.After))
		switch {
		case err != nil && ctx.Err() == nil:
			f.Log.Error(err, "old TLS reports stay; they are tried again in an hour")
		case n > 0:
			f.Log.Info("old TLS reports forgotten", "reports", n)
		}
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return nil
		}
	}
}
