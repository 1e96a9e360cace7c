package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/guard"
)

// Options say how a Dialer probes.
type Options struct {
	// Clock tells when a probe began and ended. Default: the real clock.
	Clock clock.PassiveClock
	// Timeout for one probe as a whole. Default 20s.
	Timeout time.Duration
	// HELO is the name in EHLO. Default "dane-operator.invalid".
	HELO string
	// AllowCIDRs are networks that may be probed beside public addresses.
	AllowCIDRs []netip.Prefix
	// Guard is told of panics, none of which comes out of a Dialer. Default: nobody is told.
	Guard *guard.Guard
	// Dial opens a connection to an address. Default: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dialer is a Prober. It keeps one connection at a time to each address.
type Dialer struct {
	o  Options
	mu sync.Mutex
	// busy holds a token for each address that is being probed.
	busy map[netip.AddrPort]*turn
}

type turn struct {
	slot    chan struct{}
	waiting int
}

// New makes a Dialer.
func New(o Options) *Dialer {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Second
	}
	if o.HELO == "" {
		o.HELO = "dane-operator.invalid"
	}
	if o.Guard == nil {
		o.Guard = guard.Silent()
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return &Dialer{o: o, busy: map[netip.AddrPort]*turn{}}
}

// Limits on what a server may send.
const (
	maxChain       = 16
	maxCertificate = 64 << 10
)

// Probe connects once. See Prober.
func (d *Dialer) Probe(ctx context.Context, target Target) Result {
	result := Result{Target: target, Start: d.o.Clock.Now()}
	// A certificate that makes a parser panic must not end the operator.
	if !d.o.Guard.Do(guard.Probe, func() { d.probe(ctx, &result) }, "host", target.Host, "address", target.Addr.String()) {
		result.Outcome, result.Message, result.Chain = HandshakeFailed, "what the server sent could not be handled", nil
	}
	result.End = d.o.Clock.Now()
	return result
}

// probe fills in what came of it.
func (d *Dialer) probe(ctx context.Context, result *Result) {
	target := result.Target
	chain, err := d.collect(ctx, target)
	var f *failure
	switch {
	case err == nil:
		result.Outcome, result.Chain = Presented, chain
	case errors.As(err, &f):
		result.Outcome, result.Message = f.outcome, f.message
	default:
		// Only the end of the context is left.
		result.Outcome, result.Message = Unreachable, fmt.Sprintf("%s: %s", target.Addr, clean(err.Error()))
	}
}

// collect connects and returns the chain.
func (d *Dialer) collect(ctx context.Context, target Target) ([]*x509.Certificate, error) {
	if why := forbidden(target.Addr.Addr(), target.Trusted, d.o.AllowCIDRs); why != "" {
		return nil, &failure{Forbidden, why}
	}
	talk, ok := dialogues[target.Protocol]
	if !ok {
		return nil, &failure{Unreachable, fmt.Sprintf("protocol %s is not probed by this version", target.Protocol)}
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	release, err := d.takeTurn(ctx, target.Addr)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &failure{Unreachable, fmt.Sprintf("%s: not probed: other probes of the address, one after the other, took all the time there is", target.Addr)}
	}
	if err != nil {
		return nil, err
	}
	defer release()
	chain, err := d.connect(ctx, talk, target)
	if errors.Is(err, errSilent) {
		return d.confirm(ctx, talk, target)
	}
	return chain, err
}

// confirm finds out why a server ended a handshake without an alert when it was asked for a key type.
// Dovecot does so where it has no such key, and any server does when it goes down. If it
// does the same again, and in between shows a certificate to a client that takes any, it is the key.
func (d *Dialer) confirm(ctx context.Context, talk dialogue, target Target) ([]*x509.Certificate, error) {
	anyKey := target
	anyKey.KeyType = AnyKey
	if _, err := d.connect(ctx, talk, anyKey); err != nil {
		return nil, &failure{HandshakeFailed, errSilent.Error() + ", and did not show any certificate either when it was tried again"}
	}
	chain, err := d.connect(ctx, talk, target)
	if errors.Is(err, errSilent) {
		return nil, &failure{NoSuchKeyType, noSuchKeyType}
	}
	return chain, err
}

// connect dials and talks.
func (d *Dialer) connect(ctx context.Context, talk dialogue, target Target) ([]*x509.Certificate, error) {
	conn, err := d.o.Dial(ctx, "tcp", target.Addr.String())
	if err != nil {
		return nil, dialFailure(ctx, err, target)
	}
	defer conn.Close()                                      //nolint:errcheck // nothing is lost
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // unblocks what reads or writes
	defer stop()
	ear := &hearing{Conn: conn}
	if err := target.Proxy.send(ear); err != nil {
		return nil, talkFailure(ctx, err, target, ear.heard)
	}
	chain, err := talk.run(ctx, ear, d.o.HELO, tlsConfig(target))
	if err != nil {
		return nil, talkFailure(ctx, err, target, ear.heard)
	}
	return chain, nil
}

// takeTurn waits until no other probe connects to the address, in whichever notation.
func (d *Dialer) takeTurn(ctx context.Context, addr netip.AddrPort) (func(), error) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	d.mu.Lock()
	t, ok := d.busy[addr]
	if !ok {
		t = &turn{slot: make(chan struct{}, 1)}
		d.busy[addr] = t
	}
	t.waiting++
	d.mu.Unlock()
	leave := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(d.busy, addr)
		}
	}
	select {
	case t.slot <- struct{}{}:
		return func() { <-t.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// tlsConfig asks for what a DANE sender asks for: SNI is the TLSA base domain. The chain is
// collected and not judged here. A key type can be forced with TLS 1.2 alone, by its cipher suites.
func tlsConfig(target Target) *tls.Config {
	c := &tls.Config{ServerName: target.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // judged by internal/tlsa
	switch target.KeyType {
	case RSA:
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	case ECDSA:
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}
	}
	return c
}

// handshake does TLS on a connection and returns the chain.
func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, []*x509.Certificate, error) {
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, nil, handshakeFailure(ctx, err, config)
	}
	chain := secure.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return nil, nil, &failure{HandshakeFailed, "the server presented no certificate"}
	}
	if len(chain) > maxChain {
		return nil, nil, &failure{HandshakeFailed, fmt.Sprintf("the server presented more than %d certificates", maxChain)}
	}
	for _, c := range chain {
		if len(c.Raw) > maxCertificate {
			return nil, nil, &failure{HandshakeFailed, "the server presented a certificate of more than 64 KiB"}
		}
	}
	return secure, chain, nil
}
