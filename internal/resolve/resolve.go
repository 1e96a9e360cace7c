// Package resolve makes the validator that flags describe: which trust anchors it starts from, and which servers
// it asks.
package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// exchangeTimeout is how long a server is waited for before the next is asked.
const exchangeTimeout = 2 * time.Second

// Options say what a validator starts from and how it asks.
type Options struct {
	// Servers are recursive servers (HOST:PORT) that were checked with CheckServer; none to iterate.
	Servers []string
	Anchors []dnssec.Anchor
	Now     func() time.Time
	// Turn waits until a server may be asked; nil waits for nothing.
	Turn func(ctx context.Context, server netip.AddrPort) error
	// Allowed are networks where name servers are asked that a delegation leads to, beside public addresses.
	Allowed []netip.Prefix
}

// Validator makes what validates from trust anchors down. It asks the recursive servers that are named, if any, and
// never believes them. Otherwise it iterates from the root servers, or, where none gives signed answers, asks the
// system's resolvers.
func Validator(o Options) *dnssec.Validator {
	config := dnssec.Config{
		Anchors: o.Anchors, Transport: &dnssec.Network{Timeout: exchangeTimeout, Turn: o.Turn}, Now: o.Now,
		Stubs: map[string][]netip.AddrPort{".": dnssec.RootServers()}, Allowed: o.Allowed,
	}
	switch {
	case len(o.Servers) > 0:
		config.FindForwarders = func(ctx context.Context) ([]netip.AddrPort, error) { return addressesOf(ctx, o.Servers) }
	default:
		config.Fallback = zone.SystemResolvers()
	}
	v, err := dnssec.New(config)
	if err != nil {
		panic(err) // a programming error: there are a clock, a transport, and servers to begin with
	}
	return v
}

// CheckServer says what is wrong with a HOST:PORT.
func CheckServer(server string) error {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return fmt.Errorf("%q: want HOST:PORT: %w", server, err)
	}
	return nil
}

// addressesOf finds the addresses of HOST:PORT entries; names are looked up by the system. The error is that
// of the first that has none, if none of them has.
func addressesOf(ctx context.Context, entries []string) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	var failed error
	for _, entry := range entries {
		found, err := addressesOfOne(ctx, entry)
		if err != nil && failed == nil {
			failed = err
		}
		out = append(out, found...)
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}

func addressesOfOne(ctx context.Context, entry string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(entry)
	if err != nil {
		return nil, fmt.Errorf("resolver %q: want HOST:PORT: %w", entry, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("resolver %q: want a port number: %w", entry, err)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(port))}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("the address of the resolver %s is not known: %w", entry, err)
	}
	var out []netip.AddrPort
	for _, addr := range addrs {
		out = append(out, netip.AddrPortFrom(addr.Unmap(), uint16(port)))
	}
	return out, nil
}
