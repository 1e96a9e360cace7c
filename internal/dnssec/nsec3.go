package dnssec

import (
	"github.com/miekg/dns"
)

// maxIterations beyond which NSEC3 records are not looked at (RFC 9276 section 3.2), and maxHashes
// that one proof may cost (CVE-2023-50868).
const (
	maxIterations = 100
	maxHashes     = 64
)

// hashBudget counts down the NSEC3 hashes of a proof.
type hashBudget int

func (b *hashBudget) spend() bool {
	*b++
	return *b <= maxHashes
}

// match finds the NSEC3 that stands at the name itself.
func (p *proof) match(name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		if p.hashes.spend() && n.Match(name) {
			return n
		}
	}
	return nil
}

// cover finds an NSEC3 in whose gap the name's hash lies. To the DNS library the gap includes the
// record's own hash, which stands for a name that does exist.
func (p *proof) cover(name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		if p.hashes.spend() && n.Cover(name) && !n.Match(name) {
			return n
		}
	}
	return nil
}

// optOut says that names in the gap may exist unsigned (RFC 5155 section 6): no proof of absence.
func optOut(n *dns.NSEC3) bool { return n.Flags&1 == 1 }

func (p *proof) nsec3Covers(name string) bool {
	n := p.cover(name)
	return n != nil && !optOut(n)
}

// closestEncloser finds the longest existing ancestor of the name and proves that the next closer
// name does not exist (RFC 5155 section 8.3).
func (p *proof) closestEncloser(zone, name string) (string, bool) {
	for labels := dns.CountLabel(name) - 1; labels >= dns.CountLabel(zone); labels-- {
		ancestor := suffix(name, labels)
		n := p.match(ancestor)
		if n == nil {
			continue
		}
		cut := hasType(n.TypeBitMap, dns.TypeNS) && !hasType(n.TypeBitMap, dns.TypeSOA)
		if cut || hasType(n.TypeBitMap, dns.TypeDNAME) {
			return "", false
		}
		return ancestor, p.nsec3Covers(suffix(name, labels+1))
	}
	return "", false
}

// nsec3NoName proves NXDOMAIN (RFC 5155 section 8.4).
func (p *proof) nsec3NoName(zone, name string) bool {
	ancestor, ok := p.closestEncloser(zone, name)
	return ok && p.nsec3Covers(wildcardAt(ancestor))
}

// nsec3NoData proves NODATA: at the name (RFC 5155 section 8.5), or at the wildcard (section 8.7).
func (p *proof) nsec3NoData(zone, name string, qtype uint16) bool {
	if n := p.match(name); n != nil {
		return deniesType(n.TypeBitMap, qtype)
	}
	ancestor, ok := p.closestEncloser(zone, name)
	if !ok {
		return false
	}
	n := p.match(wildcardAt(ancestor))
	return n != nil && deniesType(n.TypeBitMap, qtype)
}
