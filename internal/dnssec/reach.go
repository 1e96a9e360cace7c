package dnssec

import (
	"fmt"
	"net/netip"
	"slices"
)

// never are networks where no name server is asked, whatever is allowed: link-local and metadata addresses, multicast,
// the unspecified address, broadcast, and the transition networks that embed an IPv4 address, through which a forbidden
// one could be reached.
var never = prefixes("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32",
	"::/96", "::ffff:0:0:0/96", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")

// private are networks that are not the public Internet's.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "192.0.0.0/24",
	"198.18.0.0/15", "::1/128", "fc00::/7", "fec0::/10")

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// Forbidden says why nothing is sent to a server whose address stands in records of a zone; empty when it may be asked.
// Whoever has a domain can write any address into it, and would have messages sent into the network that this
// program runs in. So such servers are asked on public addresses alone, and in the networks allowed.
func Forbidden(addr netip.Addr, allowed []netip.Prefix) string {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid() || within(never, addr) && addr != netip.IPv6Loopback():
		return fmt.Sprintf("nothing was sent: %s is a link-local, metadata or multicast address, where no name server is asked", addr)
	case within(private, addr) && !within(allowed, addr):
		return fmt.Sprintf("nothing was sent: %s is not a public address; if a name server is meant to be there, start the operator with --probe-allow-cidr for its network", addr)
	}
	return ""
}

// forbidden is Forbidden for a server that a delegation leads to. Servers that are not public may be asked below
// others that are not, which somebody configured.
func (d *delegation) forbidden(addr netip.Addr, allowed []netip.Prefix) string {
	switch {
	case d.fixed && addr.IsValid():
		return ""
	case d.private:
		allowed = private
	}
	return Forbidden(addr, allowed)
}

// amongPrivate says whether servers, which are configured, are in networks that are not public.
func amongPrivate(addrs []netip.AddrPort) bool {
	return slices.ContainsFunc(addrs, func(at netip.AddrPort) bool { return within(private, at.Addr().Unmap()) })
}
