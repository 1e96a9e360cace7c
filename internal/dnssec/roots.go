package dnssec

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// RootAnchors are the trust anchors of the public root as IANA publishes them
// (https://data.iana.org/root-anchors/root-anchors.xml): KSK-2017 (20326) and KSK-2024 (38696). They
// are a default: the root changes its keys, so what the user gives goes before them.
func RootAnchors() []Anchor {
	digests := map[uint16]string{
		20326: "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d",
		38696: "683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16",
	}
	var out []Anchor
	for _, tag := range []uint16{20326, 38696} {
		out = append(out, &dns.DS{
			Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeDS, Class: dns.ClassINET},
			KeyTag: tag, Algorithm: dns.RSASHA256, DigestType: dns.SHA256, Digest: digests[tag],
		})
	}
	return out
}

// WithRoot are the anchors given, and those of the public root where none of the root is among them.
func WithRoot(anchors []Anchor) []Anchor {
	if len(ofZone(".", anchors)) > 0 {
		return anchors
	}
	return append(slices.Clone(anchors), RootAnchors()...)
}

// RootServers are addresses of the public root servers (https://www.internic.net/domain/named.root):
// where iteration begins when nothing else is given. That they say the truth is proved by RootAnchors.
func RootServers() []netip.AddrPort {
	var out []netip.AddrPort
	for _, text := range []string{
		"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10", "192.5.5.241", "192.112.36.4",
		"198.97.190.53", "192.36.148.17", "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33",
		"2001:503:ba3e::2:30", "2001:500:2f::f", "2001:7fe::53", "2001:7fd::1", "2001:dc3::35",
	} {
		out = append(out, netip.AddrPortFrom(netip.MustParseAddr(text), dnsPort))
	}
	return out
}

// dnsPort is where name servers listen (RFC 1035 section 4.2).
const dnsPort = 53
