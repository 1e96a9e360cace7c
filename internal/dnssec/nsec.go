package dnssec

import (
	"bytes"
	"strings"

	"github.com/miekg/dns"
)

// canonicalCompare orders names as RFC 4034 section 6.1 does: label by label from the right, each as
// lower-case octets.
func canonicalCompare(a, b string) int {
	la, lb := wireLabels(a), wireLabels(b)
	for i := 1; i <= min(len(la), len(lb)); i++ {
		if c := bytes.Compare(la[len(la)-i], lb[len(lb)-i]); c != 0 {
			return c
		}
	}
	return len(la) - len(lb)
}

// wireLabels are the labels of a name as octets, escapes resolved, in lower case.
func wireLabels(name string) [][]byte {
	buf := make([]byte, 256)
	end, err := dns.PackDomainName(dns.CanonicalName(name), buf, 0, nil, false)
	if err != nil {
		return nil
	}
	var out [][]byte
	for i := 0; i < end && buf[i] != 0; i += int(buf[i]) + 1 {
		out = append(out, buf[i+1:i+1+int(buf[i])])
	}
	return out
}

// nsecCovers says whether the name lies strictly between owner and next name of the NSEC, and the
// NSEC may speak for it: one of a DNAME, or of the parent's side of a cut, says nothing of names below.
func nsecCovers(n *dns.NSEC, name string) bool {
	owner, next := dns.CanonicalName(n.Hdr.Name), dns.CanonicalName(n.NextDomain)
	if dns.IsSubDomain(owner, name) && owner != name {
		if parentSide(n.TypeBitMap) || hasType(n.TypeBitMap, dns.TypeDNAME) {
			return false
		}
	}
	if canonicalCompare(owner, name) >= 0 {
		return false
	}
	// The last NSEC of a zone points back to the apex.
	return canonicalCompare(name, next) < 0 || canonicalCompare(next, owner) <= 0
}

// nsecNoName proves NXDOMAIN: the name does not exist, nor a wildcard at the closest encloser.
func (p *proof) nsecNoName(name string) bool {
	for _, n := range p.nsec {
		// A next name below it would make it an empty non-terminal: it exists.
		if !nsecCovers(n, name) || dns.IsSubDomain(name, n.NextDomain) {
			continue
		}
		wildcard := wildcardAt(encloser(n, name))
		for _, w := range p.nsec {
			if nsecCovers(w, wildcard) {
				return true
			}
		}
	}
	return false
}

// nsecNoData proves that the name exists without the type, as itself, as an empty non-terminal, or
// by a wildcard without the type.
func (p *proof) nsecNoData(zone, name string, qtype uint16) bool {
	for _, n := range p.nsec {
		if dns.CanonicalName(n.Hdr.Name) == name && deniesType(n.TypeBitMap, name, qtype) {
			return true
		}
		if !nsecCovers(n, name) {
			continue
		}
		if dns.IsSubDomain(name, n.NextDomain) {
			return true
		}
		wildcard := wildcardAt(encloser(n, name))
		for _, w := range p.nsec {
			if dns.CanonicalName(w.Hdr.Name) == wildcard && dns.IsSubDomain(zone, wildcard) && deniesType(w.TypeBitMap, name, qtype) {
				return true
			}
		}
	}
	return false
}

// nsecExpands proves that the name does not exist, and that the closest of its ancestors that does is
// the parent of the wildcard, which has so many labels.
func (p *proof) nsecExpands(name string, labels int) bool {
	for _, n := range p.nsec {
		if nsecCovers(n, name) && dns.CountLabel(encloser(n, name)) == labels {
			return true
		}
	}
	return false
}

// encloser is the closest existing ancestor of a name that an NSEC covers.
func encloser(n *dns.NSEC, name string) string {
	a := dns.CompareDomainName(name, n.Hdr.Name)
	b := dns.CompareDomainName(name, n.NextDomain)
	return suffix(name, max(a, b))
}

func wildcardAt(name string) string { return "*." + strings.TrimPrefix(name, ".") }
