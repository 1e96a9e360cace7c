package ns

import (
	"slices"

	"github.com/miekg/dns"
)

// updatable are the types that updates may write.
var updatable = []uint16{dns.TypeTLSA, dns.TypeMX, dns.TypeTXT}

// update applies a dynamic update (RFC 2136) as a whole or not at all, and returns the rcode.
func (s *Server) update(m *dns.Msg, signed bool) int {
	if len(m.Question) != 1 || dns.CanonicalName(m.Question[0].Name) != s.zone.Name || !s.primary {
		return dns.RcodeNotAuth
	}
	if !signed {
		return dns.RcodeRefused
	}
	z := s.zone
	z.mu.Lock()
	defer z.mu.Unlock()
	if rcode := z.prerequisites(m.Answer); rcode != dns.RcodeSuccess {
		return rcode
	}
	for _, rr := range m.Ns {
		h := rr.Header()
		if !dns.IsSubDomain(z.Name, dns.CanonicalName(h.Name)) {
			return dns.RcodeNotZone
		}
		if !slices.Contains(updatable, h.Rrtype) {
			return dns.RcodeRefused
		}
	}
	before := z.snapshot()
	for _, rr := range m.Ns {
		z.apply(rr)
	}
	if !sameData(before.data, z.data) {
		z.changed()
	}
	return dns.RcodeSuccess
}

// prerequisites checks the prerequisite section (RFC 2136 section 3.2).
func (z *Zone) prerequisites(section []dns.RR) int { //nolint:gocyclo // a case for each kind of the RFC
	wanted := map[string][]dns.RR{}
	for _, rr := range section {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		set := z.data[name][h.Rrtype]
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY && len(z.data[name]) == 0:
			return dns.RcodeNameError
		case h.Class == dns.ClassANY && h.Rrtype != dns.TypeANY && len(set) == 0:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY && len(z.data[name]) > 0:
			return dns.RcodeYXDomain
		case h.Class == dns.ClassNONE && h.Rrtype != dns.TypeANY && len(set) > 0:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			id := name + dns.TypeToString[h.Rrtype]
			wanted[id] = append(wanted[id], rr)
		}
	}
	for _, set := range wanted {
		h := set[0].Header()
		if !sameSet(set, z.data[dns.CanonicalName(h.Name)][h.Rrtype]) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

func sameSet(a, b []dns.RR) bool {
	within := func(x dns.RR, set []dns.RR) bool {
		return slices.ContainsFunc(set, func(y dns.RR) bool { return dns.IsDuplicate(x, y) })
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x dns.RR) bool { return !within(x, b) })
}

// apply carries out one line of the update section (RFC 2136 section 3.4.2).
func (z *Zone) apply(rr dns.RR) {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	types := z.data[name]
	if len(types[dns.TypeCNAME]) > 0 || z.data.above(name) != nil {
		return // as real servers do: NOERROR, and nothing happens
	}
	switch h.Class {
	case dns.ClassANY:
		delete(types, h.Rrtype)
	case dns.ClassNONE:
		if types == nil {
			break
		}
		types[h.Rrtype] = slices.DeleteFunc(slices.Clone(types[h.Rrtype]), func(have dns.RR) bool {
			c := dns.Copy(rr)
			c.Header().Class = dns.ClassINET
			return dns.IsDuplicate(have, c)
		})
	default:
		z.put(rr)
		// An RRset has one TTL (RFC 2181 section 5.2). Older snapshots keep theirs.
		for i, have := range z.data[name][h.Rrtype] {
			same := dns.Copy(have)
			same.Header().Ttl = h.Ttl
			z.data[name][h.Rrtype][i] = same
		}
	}
	if len(z.data[name][h.Rrtype]) == 0 {
		delete(z.data[name], h.Rrtype)
	}
	if len(z.data[name]) == 0 {
		delete(z.data, name)
	}
}

// sameData compares what is served, TTLs included.
func sameData(a, b rrsets) bool {
	if len(a) != len(b) {
		return false
	}
	for name, types := range a {
		if len(types) != len(b[name]) {
			return false
		}
		for kind, set := range types {
			other := b[name][kind]
			if !sameSet(set, other) || len(set) > 0 && set[0].Header().Ttl != other[0].Header().Ttl {
				return false
			}
		}
	}
	return true
}
