package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// inQueue counts the probes of an address, the one that talks among them.
func inQueue(d *Dialer, addr netip.AddrPort) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.busy[addr]; t != nil {
		return t.waiting
	}
	return 0
}

// overlap counts the talks that a server is in at once. A talk ends before the reply to QUIT, so that the
// server has counted it off when the client goes.
type overlap struct {
	mu        sync.Mutex
	now, most int
}

func (o *overlap) at(_ *peer, now stage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch now {
	case atGreeting:
		o.now++
		o.most = max(o.most, o.now)
	case atQUIT:
		o.now--
	}
}

// gate holds servers before their greeting until it is opened.
type gate struct {
	goOn chan struct{}
	open func()
}

func newGate() gate {
	goOn := make(chan struct{})
	return gate{goOn, sync.OnceFunc(func() { close(goOn) })}
}

func (g gate) at(_ *peer, now stage) bool {
	if now == atGreeting {
		<-g.goOn
	}
	return false
}

// TestOneConnectionAtATime lets several probes of one address wait for the first, and looks at both ends.
func TestOneConnectionAtATime(t *testing.T) {
	const probes = 8
	var talks, conns overlap
	gate := newGate()
	defer gate.open()
	m := usual()
	m.at = func(p *peer, now stage) bool {
		talks.at(p, now)
		return gate.at(p, now)
	}
	s := start(t, m.startTLS)
	d := newDialer(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		conns.at(nil, atGreeting)
		return &hooked{Conn: c, closed: func() { conns.at(nil, atQUIT) }}, err
	}})
	results := make(chan Result, probes)
	for i := range probes {
		target := s.target()
		target.KeyType = []KeyType{AnyKey, ECDSA}[i%2]
		target.Host = strings.Repeat("x", i+1) + ".example.com"
		if i%4 > 1 {
			// The same address in another notation.
			target.Addr = netip.AddrPortFrom(netip.AddrFrom16(target.Addr.Addr().As16()), target.Addr.Port())
		}
		go func() { results <- d.Probe(context.Background(), target) }()
	}
	eventually(t, "all in the queue", func() bool { return inQueue(d, s.addr()) == probes })
	eventually(t, "the first connection", func() bool { return s.connections() > 0 })
	gate.open()
	for range probes {
		if got := wait(t, "a result", results); got.Outcome != Presented {
			t.Errorf("got %s: %s", got.Outcome, got.Message)
		}
	}
	if talks.most != 1 || conns.most != 1 || s.connections() != probes {
		t.Errorf("%d talks and %d connections at once, %d connections in all", talks.most, conns.most, s.connections())
	}
	nothingLeft(t, d)
}

// TestTwoAddressesAtATime has two servers that greet only when both have a connection.
func TestTwoAddressesAtATime(t *testing.T) {
	gate := newGate()
	defer gate.open()
	m := usual()
	m.at = gate.at
	one, two := start(t, m.startTLS), start(t, m.startTLS)
	d, results := newDialer(Options{}), make(chan Result, 2)
	for _, s := range []*server{one, two} {
		go func() { results <- d.Probe(context.Background(), s.target()) }()
	}
	eventually(t, "a connection to each", func() bool { return one.connections() == 1 && two.connections() == 1 })
	gate.open()
	for range 2 {
		if got := wait(t, "a result", results); got.Outcome != Presented {
			t.Errorf("got %s: %s", got.Outcome, got.Message)
		}
	}
	nothingLeft(t, d)
}

// TestTurnsEnd checks that an address is free again however a probe of it ended.
func TestTurnsEnd(t *testing.T) {
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
		want   Outcome
	}{
		{"presented", nil, Presented},
		{"no TLS", func(m *mail) { m.ehlo = "250 mx1\r\n" }, NoTLS},
		{"handshake failed", func(m *mail) { m.tls = withTLS(longChain(maxChain + 1)) }, HandshakeFailed},
		{"unreachable", func(m *mail) { m.greeting = "554 no\r\n" }, Unreachable},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			if tc.mail != nil {
				tc.mail(&m)
			}
			s, d := start(t, m.startTLS), newDialer(Options{})
			for range 2 {
				if got := d.Probe(context.Background(), s.target()); got.Outcome != tc.want {
					t.Errorf("got %s: %s", got.Outcome, got.Message)
				}
			}
			nothingLeft(t, d)
		})
	}
}
