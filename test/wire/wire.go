// Package wire holds the proxies that tests put between the operator and what it talks to: DNS in front of
// a name server, and API in front of the API server. They do to messages what networks do, and worse, and
// they count what the operator does outside itself, so that a test can kill it at any of that (Effects).
package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Counts are what a DNS proxy has taken since it started.
type Counts struct {
	// Connections that were opened by TCP.
	Connections int
	// Queries and Updates that arrived; Probes are updates that change nothing. All are counted when they
	// arrive, whatever becomes of them.
	Queries, Updates, Probes int
}

// Sum is everything that a name server has to deal with.
func (c Counts) Sum() int { return c.Connections + c.Queries + c.Updates + c.Probes }

// DNS stands between the operator and a name server, by UDP and TCP at one port. It passes messages on
// one by one, as they are, until a fault is set.
type DNS struct {
	// Addr is where it listens.
	Addr netip.AddrPort
	// Effects, when set before the first message, counts the updates that change something.
	Effects *Effects

	upstream string
	stream   net.Listener
	packets  net.PacketConn

	mu     sync.Mutex
	fault  Fault
	lifted chan struct{} // closed when the fault changes
	counts Counts
	closed bool
	open   map[net.Conn]struct{}
}

// StartDNS starts a proxy in front of a name server (host:port), on a free port of an address. Stop ends it.
func StartDNS(upstream string, at netip.AddrPort) (*DNS, error) {
	stream, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("listen for DNS by TCP: %w", err)
	}
	packets, err := net.ListenPacket("udp", at.String())
	if err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("listen for DNS by UDP: %w", err)
	}
	p := &DNS{
		Addr: at, upstream: upstream, stream: stream, packets: packets,
		fault: passes{}, lifted: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	go p.acceptStreams()
	go p.takePackets()
	return p, nil
}

// Set makes the proxy do something else to messages from now on; nil: nothing. What a fault holds back goes on.
func (p *DNS) Set(f Fault) {
	if f == nil {
		f = passes{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.lifted)
	p.lifted = make(chan struct{})
}

// Counts are what has arrived so far.
func (p *DNS) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Stop ends the proxy and all connections through it.
func (p *DNS) Stop() {
	p.Set(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	_, _ = p.stream.Close(), p.packets.Close()
	for c := range p.open {
		_ = c.Close()
	}
}

// now is the fault of now, and what is closed when it ends.
func (p *DNS) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.lifted
}

// note counts a message and says whether it is an update that changes something.
func (p *DNS) note(request []byte) (changes bool) {
	m := new(dns.Msg)
	if err := m.Unpack(request); err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Opcode != dns.OpcodeUpdate:
		p.counts.Queries++
	case len(m.Ns) == 0: // RFC 2136 section 2.2: the update section
		p.counts.Probes++
	default:
		p.counts.Updates++
		return true
	}
	return false
}

// track keeps a connection to be closed by Stop; it says no when the proxy has ended.
func (p *DNS) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *DNS) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// errCut ends a connection on which nothing more is to come.
var errCut = errors.New("the fault ends this connection")

// patience is how long the name server may take: longer than the operator waits.
const patience = 30 * time.Second

// exchange has one request answered by the name server. An update goes through Effects, and is not
// answered when that has ended the operator.
func (p *DNS) exchange(request []byte, changes bool, ask func([]byte) ([]byte, error)) (reply []byte, err error) {
	if p.Effects == nil || !changes {
		return ask(request)
	}
	if !p.Effects.Do("UPDATE", func() { reply, err = ask(request) }) {
		return nil, errCut
	}
	return reply, err
}
