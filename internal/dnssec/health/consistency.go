package health

import (
	"strings"
	"time"

	"github.com/miekg/dns"
)

// patience is how long a server may be behind the others.
const patience = 10 * time.Minute

// Lagging says for each server whether it shows an older serial than another. Only servers with the same
// primary (SOA MNAME) are compared: several providers that sign one zone number it each for themselves.
func Lagging(zone string, servers []Server) []bool {
	newest := map[string]uint32{}
	soas := make([]*dns.SOA, len(servers))
	for i := range servers {
		// The primary that nobody else sees may number what it has not signed.
		m := servers[i].authoritative(zone, dns.TypeSOA)
		if m == nil || servers[i].Hidden {
			continue
		}
		for _, rr := range find(m.Answer, zone, dns.TypeSOA) {
			soas[i] = rr.(*dns.SOA)
		}
		if soas[i] == nil {
			continue
		}
		primary := dns.CanonicalName(soas[i].Ns)
		if have, ok := newest[primary]; !ok || older(have, soas[i].Serial) {
			newest[primary] = soas[i].Serial
		}
	}
	out := make([]bool, len(servers))
	for i, soa := range soas {
		out[i] = soa != nil && older(soa.Serial, newest[dns.CanonicalName(soa.Ns)])
	}
	return out
}

// older compares serials (RFC 1982).
func older(a, b uint32) bool { return int32(a-b) < 0 }

// consistency compares the servers with each other, and with the parent.
func (l *look) consistency() {
	keySets, nsSets, named := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range l.servers {
		if !s.BehindSince.IsZero() && l.Now.Sub(s.BehindSince) >= patience {
			l.add(SerialSpread, s, "it has been showing an older version (SOA serial) of the zone %s than other servers: see why it gets no new copies (NOTIFY, transfers, TSIG)", l.Zone)
		}
		if s.excepted() {
			continue
		}
		if s.keys != nil {
			set := map[string]bool{}
			for _, rr := range s.dnskeys {
				set[keyText(rr.(*dns.DNSKEY))] = true
			}
			keySets[list(set)] = true
		}
		if m := s.authoritative(l.Zone, dns.TypeNS); m != nil {
			names := nameServers(find(m.Answer, l.Zone, dns.TypeNS))
			nsSets[list(names)] = true
			for name := range names {
				named[name] = true
			}
		}
	}
	if len(keySets) > 1 {
		l.addZone(KeysDiffer, "the servers of %s show different DNSKEY sets: normal for as long as a change of keys takes to spread; else give all of them the same copy of the zone", l.Zone)
	}
	if len(nsSets) > 1 {
		l.addZone(NSDiffers, "the servers of %s show different NS sets: give all of them the same copy of the zone", l.Zone)
	}
	l.parentNS(named)
}

func keyText(key *dns.DNSKEY) string {
	words := strings.Fields(key.String())
	return strings.Join(words[len(words)-4:], " ")
}

func nameServers(set []dns.RR) map[string]bool {
	out := map[string]bool{}
	for _, rr := range set {
		if ns, ok := rr.(*dns.NS); ok {
			out[dns.CanonicalName(ns.Ns)] = true
		}
	}
	return out
}

// parentNS compares the NS set of the parent with that of the zone.
func (l *look) parentNS(named map[string]bool) {
	parent := map[string]bool{}
	for i := range l.Parents {
		m := l.Parents[i].NS.Msg
		if m == nil {
			continue
		}
		// A server of both zones answers for the child.
		if len(find(m.Answer, l.Zone, dns.TypeNS)) > 0 && m.Authoritative {
			continue
		}
		for name := range nameServers(find(both(m), l.Zone, dns.TypeNS)) {
			parent[name] = true
		}
	}
	if len(parent) == 0 || len(named) == 0 {
		return
	}
	var problems []string
	if only := without(parent, named); len(only) > 0 {
		problems = append(problems, "only the parent names "+list(only))
	}
	if only := without(named, parent); len(only) > 0 {
		problems = append(problems, "only the zone names "+list(only))
	}
	if len(problems) > 0 {
		l.addZone(NSMismatch, "the NS records of %s at its parent are not those in the zone: %s; make them the same", l.Zone, strings.Join(problems, ", "))
	}
}

func without(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for word := range a {
		if !b[word] {
			out[word] = true
		}
	}
	return out
}
