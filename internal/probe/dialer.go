package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
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

// failure is how a probe ended without a chain.
type failure struct {
	outcome Outcome
	message string
}

func (f *failure) Error() string { return f.message }

// Probe connects once. See Prober.
func (d *Dialer) Probe(ctx context.Context, target Target) (result Result) {
	result = Result{Target: target, Start: d.o.Clock.Now()}
	defer func() {
		// A certificate that makes a parser panic must not end the operator.
		if p := recover(); p != nil {
			result.Outcome, result.Message, result.Chain = HandshakeFailed, "what the server sent could not be handled", nil
		}
		result.End = d.o.Clock.Now()
	}()
	chain, err := d.collect(ctx, target)
	var f *failure
	switch {
	case err == nil:
		result.Outcome, result.Chain = Presented, chain
	case errors.As(err, &f):
		result.Outcome, result.Message = f.outcome, f.message
	default:
		result.Outcome, result.Message = Unreachable, fmt.Sprintf("%s: %s", target.Addr, describe(err))
	}
	return result
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
	if err != nil {
		return nil, err
	}
	defer release()
	chain, err := d.connect(ctx, talk, target)
	var f *failure
	if err != nil && ctx.Err() != nil && !errors.As(err, &f) {
		// The connection was closed from this side, and the error says no more than that.
		return nil, ctx.Err()
	}
	return chain, err
}

// connect dials and talks.
func (d *Dialer) connect(ctx context.Context, talk dialogue, target Target) ([]*x509.Certificate, error) {
	conn, err := d.o.Dial(ctx, "tcp", target.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()                                      //nolint:errcheck // nothing is lost
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // unblocks what reads or writes
	defer stop()
	return talk(ctx, conn, d.o.HELO, tlsConfig(target))
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

// refusals are the alerts of a server that has nothing for the cipher suites and version asked for:
// handshake_failure, protocol_version and insufficient_security. Any other says nothing of its keys.
var refusals = []string{tls.AlertError(40).Error(), tls.AlertError(70).Error(), tls.AlertError(71).Error()}

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
		return &failure{NoSuchKeyType, "the server has no certificate with a key of this type, or speaks TLS 1.3 alone"}
	case alert:
		return &failure{HandshakeFailed, "the TLS handshake failed: " + clean(op.Error())}
	}
	return &failure{HandshakeFailed, "the TLS handshake failed: " + describe(err)}
}

// describe puts a network error into words that do not change from try to try.
func describe(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "no connection in time: the server is down, or the port is blocked on the way (many networks block port 25)"
	case errors.As(err, &op):
		return clean(op.Err.Error())
	default:
		return clean(err.Error())
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
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
