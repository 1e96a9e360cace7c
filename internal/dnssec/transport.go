package dnssec

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Transport asks one name server one question and gives its whole answer: what is truncated over UDP
// is asked again over TCP. An error says why there is no answer. It is used by many goroutines.
type Transport interface {
	Exchange(ctx context.Context, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error)
}

// Network is the transport of real networks: UDP, and TCP for what is truncated.
type Network struct {
	// Timeout of one exchange; zero for three seconds.
	Timeout time.Duration
	// TCP asks over TCP at once.
	TCP bool
	// Turn, when it is set, waits before each message until the server may get another one. An error, which is then
	// that of the context, keeps the message from being sent.
	Turn func(ctx context.Context, server netip.AddrPort) error
}

// ErrNoTurn is wrapped by the errors of a Transport that sent nothing: the server has had as many messages as it may
// get, so that nothing is known of it.
var ErrNoTurn = errors.New("no turn to ask came in time")

// Exchange implements Transport.
func (n *Network) Exchange(ctx context.Context, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	if !n.TCP {
		m, err := n.over(ctx, "udp", server, question)
		if err == nil && !m.Truncated {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ask %s: %w", server, errors.Join(ctx.Err(), err))
		}
	}
	return n.over(ctx, "tcp", server, question)
}

func (n *Network) over(ctx context.Context, network string, server netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	if n.Turn != nil {
		if err := n.Turn(ctx, server); err != nil {
			return nil, fmt.Errorf("ask %s over %s: %w: %w", server, network, ErrNoTurn, err)
		}
	}
	timeout := n.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	client := &dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
	m, _, err := client.ExchangeContext(ctx, question, server.String())
	if err != nil {
		return nil, fmt.Errorf("ask %s over %s: %w", server, network, err)
	}
	return m, nil
}

// udpSize is the size of UDP answers that passes every network (https://www.dnsflagday.net/2020/).
const udpSize = 1232

// question asks for a name and type with the DNSSEC records. A forwarder is to recurse, and to give
// what it has without judging it (CD, RFC 4035 section 3.2.2).
func question(name string, qtype uint16, forward bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired, m.CheckingDisabled = forward, forward
	m.SetEdns0(udpSize, true)
	return m
}
