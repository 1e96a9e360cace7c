package dnssec

import (
	"strings"

	"github.com/miekg/dns"
)

// outcome is how far a proof of absence reaches. The order is that of trust.
type outcome int

const (
	unproved outcome = iota
	// optedOut: there may be an unsigned delegation (RFC 5155 section 6), so it is insecure.
	optedOut
	proved
)

func provedIf(ok bool) outcome {
	if ok {
		return proved
	}
	return unproved
}

// hashed identifies a hash that was computed.
type hashed struct {
	name, salt string
	iterations uint16
}

// hash gives the hash of a name by the parameters of a record, as long as the answer and the question may cost that.
func (p *proof) hash(name string, n *dns.NSEC3) string {
	id := hashed{name, n.Salt, n.Iterations}
	if h, ok := p.work.hashes[id]; ok {
		return h
	}
	cost := int(n.Iterations) + 1
	if cost > min(p.left, p.work.hashing) {
		p.exhausted = true
		return ""
	}
	p.left -= cost
	p.work.hashing -= cost
	h := dns.HashName(name, n.Hash, n.Iterations, n.Salt)
	p.work.hashes[id] = h
	return h
}

// mixed says that the records have different parameters, so that a proof could be pieced together
// from chains of different times.
func (p *proof) mixed() bool {
	for _, n := range p.nsec3 {
		if n.Iterations != p.nsec3[0].Iterations || n.Salt != p.nsec3[0].Salt {
			return true
		}
	}
	return false
}

// ownerHash is the first label of a record's name.
func ownerHash(n *dns.NSEC3) string {
	label, _, _ := strings.Cut(n.Hdr.Name, ".")
	return strings.ToUpper(label)
}

// match finds the NSEC3 that stands at the name itself.
func (p *proof) match(name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		if h := p.hash(name, n); h != "" && h == ownerHash(n) {
			return n
		}
	}
	return nil
}

// cover finds an NSEC3 in whose gap the name's hash lies.
func (p *proof) cover(name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		h, owner, next := p.hash(name, n), ownerHash(n), strings.ToUpper(n.NextDomain)
		if h == "" || h == owner {
			continue
		}
		between := owner < h && h < next
		// The last record of the chain points back to the first; that of a chain of one to itself.
		around := next <= owner && (h > owner || h < next)
		if between || around {
			return n
		}
	}
	return nil
}

// optOutFlag says that unsigned delegations may be in the gap (RFC 5155 section 3.1.2.1).
const optOutFlag = 1

func (p *proof) nsec3Covers(name string) outcome {
	switch n := p.cover(name); {
	case n == nil:
		return unproved
	case n.Flags&optOutFlag != 0:
		return optedOut
	default:
		return proved
	}
}

// closestEncloser finds the longest existing ancestor of the name, and proves that the next closer
// name does not exist (RFC 5155 section 8.3).
func (p *proof) closestEncloser(zone, name string) (string, outcome) {
	for labels := dns.CountLabel(name) - 1; labels >= dns.CountLabel(zone); labels-- {
		ancestor := suffix(name, labels)
		n := p.match(ancestor)
		if n == nil {
			continue
		}
		if parentSide(n.TypeBitMap) || hasType(n.TypeBitMap, dns.TypeDNAME) {
			return "", unproved
		}
		return ancestor, p.nsec3Covers(suffix(name, labels+1))
	}
	return "", unproved
}

// nsec3NoName proves NXDOMAIN (RFC 5155 section 8.4).
func (p *proof) nsec3NoName(zone, name string) outcome {
	ancestor, out := p.closestEncloser(zone, name)
	if out == unproved || p.nsec3Covers(wildcardAt(ancestor)) == unproved {
		return unproved
	}
	return out
}

// nsec3NoData proves NODATA: at the name (RFC 5155 section 8.5), at the wildcard (section 8.7), or by
// opt-out, when the name may be an unsigned delegation or lie above one (section 8.6).
func (p *proof) nsec3NoData(zone, name string, qtype uint16) outcome {
	if n := p.match(name); n != nil {
		return provedIf(deniesType(n.TypeBitMap, name, qtype))
	}
	ancestor, out := p.closestEncloser(zone, name)
	if out == unproved {
		return unproved
	}
	if n := p.match(wildcardAt(ancestor)); n != nil {
		if deniesType(n.TypeBitMap, name, qtype) {
			return out
		}
		return unproved
	}
	if out == proved {
		return unproved
	}
	return optedOut
}
