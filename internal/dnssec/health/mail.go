package health

import (
	"strings"

	"github.com/miekg/dns"
)

// manyTLSA is how many records at one name still fit well into an answer (RFC 7671 section 10.1.1).
const manyTLSA = 6

// mail judges the TLSA and MX records that were asked for.
func (l *look) mail() {
	for _, s := range l.servers {
		hosts := map[string]bool{}
		for i := range s.Stream {
			r := &s.Stream[i]
			if !r.speaks() {
				continue
			}
			switch r.Type {
			case dns.TypeTLSA:
				l.tlsa(s, r)
			case dns.TypeMX:
				for _, rr := range r.Msg.Answer {
					if mx, ok := rr.(*dns.MX); ok {
						hosts[dns.CanonicalName(mx.Mx)] = true
					}
				}
			}
		}
		for host := range hosts {
			if m := s.authoritative(host, dns.TypeA); m != nil && len(find(m.Answer, host, dns.TypeCNAME)) > 0 {
				l.add(MXIsAlias, s, "the MX host %s is an alias (CNAME): senders look for TLSA records at other names than you think; name the host itself in MX", host)
			}
		}
	}
}

func (l *look) tlsa(s *server, r *Reply) {
	total := 0
	for _, rr := range r.Msg.Answer {
		t, ok := rr.(*dns.TLSA)
		if !ok {
			continue
		}
		total++
		switch {
		case malformed(t):
			l.add(TLSAMalformed, s, "the TLSA record \"%d %d %d ...\" at %s has unknown parameters, or data of the wrong length: it matches nothing; remove it", t.Usage, t.Selector, t.MatchingType, r.Name)
		case t.Usage < 2 && strings.HasPrefix(r.Name, "_25."):
			l.add(TLSAUsagePKIX, s, "a TLSA record at %s has usage %d: senders of mail do not use it; publish usage 3", r.Name, t.Usage)
		}
	}
	if total > manyTLSA {
		l.add(TLSATooMany, s, "there are more than %d TLSA records at %s: answers get too large for some paths; remove those of old keys", manyTLSA, r.Name)
	}
}

// malformed says whether a record cannot match anything (RFC 6698 section 2.1).
func malformed(t *dns.TLSA) bool {
	if t.Usage > 3 || t.Selector > 1 {
		return true
	}
	switch digits := len(t.Certificate); t.MatchingType {
	case 0:
		return digits == 0
	case 1:
		return digits != 64
	case 2:
		return digits != 128
	}
	return true
}
