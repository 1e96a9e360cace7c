package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// exchangeTimeout is how long a server is waited for before the next is asked.
const exchangeTimeout = 2 * time.Second

// newValidator makes what validates from trust anchors down. It asks the servers of --resolvers where that
// is set. Otherwise it iterates from the root servers, or, where none gives signed answers, asks the
// system's resolvers. The flags have been checked before.
func newValidator(o *options, anchors []dnssec.Anchor) *dnssec.Validator {
	config := dnssec.Config{
		Anchors: anchors, Transport: &dnssec.Network{Timeout: exchangeTimeout}, Now: time.Now,
		Stubs: map[string][]netip.AddrPort{".": dnssec.RootServers()},
	}
	switch {
	case len(o.resolvers) > 0:
		config.FindForwarders = func(ctx context.Context) ([]netip.AddrPort, error) { return addressesOf(ctx, o.resolvers) }
	default:
		config.Fallback = zone.SystemResolvers()
	}
	v, err := dnssec.New(config)
	if err != nil {
		panic(err) // a programming error: there are a clock, a transport, and servers to begin with
	}
	return v
}

// maxValidators is how many sets of trust anchors have validators at once.
const maxValidators = 64

// validators makes one validator for each set of trust anchors: zones that have the same share what is known
// of the zones above them.
type validators struct {
	options *options

	mu   sync.Mutex
	made map[string]*dnssec.Validator
}

func (v *validators) of(anchors []dnssec.Anchor) zone.Resolver {
	var words []string
	for _, ds := range anchors {
		words = append(words, ds.Hdr.Name+" "+dnssec.PresentDS(ds))
	}
	slices.Sort(words)
	key := strings.Join(words, "\n")
	v.mu.Lock()
	defer v.mu.Unlock()
	made, ok := v.made[key]
	if !ok {
		if v.made == nil || len(v.made) >= maxValidators {
			v.made = map[string]*dnssec.Validator{}
		}
		made = newValidator(v.options, anchors)
		v.made[key] = made
	}
	return made
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
