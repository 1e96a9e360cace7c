package probe

import (
	"fmt"
	"net/netip"
)

// never are networks that are not probed whatever is allowed: link-local and metadata addresses,
// multicast, the unspecified address, broadcast, and the transition networks that embed an IPv4
// address (IPv4-compatible, IPv4-translated, 6to4, Teredo, NAT64), through which a forbidden one could
// be reached.
var never = prefixes("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32",
	"::/96", "::ffff:0:0:0/96", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")

// private are networks that are probed as endpoints of a Service alone, or when they are allowed.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// special are networks that are probed when they are allowed.
var special = prefixes("127.0.0.0/8", "::1/128", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10")

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// forbidden says why an address may not be connected to; empty when it may. It is asked about the
// address itself, after every resolution.
func forbidden(addr netip.Addr, trusted bool, allowed []netip.Prefix) string {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid() || contains(never, addr) && addr != netip.IPv6Loopback():
		return fmt.Sprintf("%s is a link-local, metadata or multicast address, which is never probed", addr)
	case contains(allowed, addr):
		return ""
	case contains(private, addr) && trusted:
		return ""
	case contains(private, addr) || contains(special, addr):
		return fmt.Sprintf("%s is not a public address: name the Service in probe.serviceRef, or start the operator with --probe-allow-cidr for its network", addr)
	}
	return ""
}

// MayDial says whether an address that stands in records of a zone may be connected to: a public one, or one in the
// networks allowed. Whoever has a domain can write any address into it.
func MayDial(addr netip.Addr, allowed []netip.Prefix) bool {
	return forbidden(addr, false, allowed) == ""
}
