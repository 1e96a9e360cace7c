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

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// exchangeTimeout is how long a server is waited for before the next is asked.
const exchangeTimeout = 2 * time.Second

// make makes what validates from trust anchors down. It asks the servers of --resolvers where that
// is set. Otherwise it iterates from the root servers, or, where none gives signed answers, asks the
// system's resolvers. Each of them is asked no more than the ceiling lets through. The flags have been checked before.
func (v *validators) make(anchors []dnssec.Anchor) *dnssec.Validator {
	o := v.options
	config := dnssec.Config{
		Anchors: anchors, Transport: &dnssec.Network{Timeout: exchangeTimeout, Turn: v.ceiling.Wait}, Now: time.Now,
		Stubs: map[string][]netip.AddrPort{".": dnssec.RootServers()}, Allowed: v.allowed,
	}
	switch {
	case len(o.resolvers) > 0:
		config.FindForwarders = func(ctx context.Context) ([]netip.AddrPort, error) { return addressesOf(ctx, o.resolvers) }
	default:
		config.Fallback = zone.SystemResolvers()
	}
	made, err := dnssec.New(config)
	if err != nil {
		panic(err) // a programming error: there are a clock, a transport, and servers to begin with
	}
	return made
}

// maxValidators is how many sets of trust anchors have validators at once.
const maxValidators = 256

// validators makes one validator for each set of trust anchors: all who have the same share what is known of the
// zones above theirs. Nobody else keeps one, so that this bounds them all.
type validators struct {
	options *options
	// ceiling is shared with the zones; nil for none. So are the networks allowed.
	ceiling *zone.Ceiling
	allowed []netip.Prefix
	// trust are the operator's own anchors, which most zones go by.
	trust *controllers.Trust

	mu   sync.Mutex
	made map[string]*validator
	// uses counts up, and orders them.
	uses uint64
}

type validator struct {
	*dnssec.Validator
	// used is when it was given last.
	used uint64
}

// of gives the validator of a set of anchors. Those who hold it longer than it is kept may use it on.
func (v *validators) of(anchors []dnssec.Anchor) zone.Resolver {
	key := setOf(anchors)
	v.mu.Lock()
	defer v.mu.Unlock()
	made, ok := v.made[key]
	if !ok {
		v.room()
		made = &validator{Validator: v.make(anchors)}
		v.made[key] = made
	}
	v.uses++
	made.used = v.uses
	return made.Validator
}

// room has the set go that was used least recently, where there are too many, but never the operator's own: whoever
// may create DNSZones can make any number of sets, and most zones would lose what is known. The caller holds the lock.
func (v *validators) room() {
	if v.made == nil {
		v.made = map[string]*validator{}
	}
	if len(v.made) < maxValidators {
		return
	}
	operators, _ := v.trust.Anchors()
	own, oldest := setOf(operators), ""
	for key, made := range v.made {
		if key != own && (oldest == "" || made.used < v.made[oldest].used) {
			oldest = key
		}
	}
	delete(v.made, oldest)
}

// setOf is a text that is the same for the same anchors, in whatever order.
func setOf(anchors []dnssec.Anchor) string {
	var words []string
	for _, ds := range anchors {
		words = append(words, ds.Hdr.Name+" "+dnssec.PresentDS(ds))
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), "\n")
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
