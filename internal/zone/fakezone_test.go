package zone

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// update carries out an UPDATE (RFC 2136 section 3).
func (s *fakeServer) update(f fault, req, m *dns.Msg, signed bool) {
	now := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	for {
		most := s.most.Load()
		if now <= most || s.most.CompareAndSwap(most, now) {
			break
		}
	}
	if s.gate != nil {
		<-s.gate
	}
	if f == behave {
		s.mu.Lock()
		s.updates = append(s.updates, req)
		s.mu.Unlock()
	}
	if len(s.keys) > 0 && !signed {
		m.Rcode = dns.RcodeRefused
		return
	}
	if req.Question[0].Name != s.zone {
		m.Rcode = dns.RcodeNotAuth
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Rcode = s.prerequisites(req.Answer); m.Rcode != dns.RcodeSuccess || f == ignoreUpdate {
		return
	}
	if s.refuse != nil {
		for _, rr := range req.Ns {
			if code := s.refuse(rr.Header().Name); code != 0 {
				m.Rcode = code
				return
			}
		}
	}
	if f == applyLate {
		time.AfterFunc(150*time.Millisecond, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.apply(req.Ns)
		})
		return
	}
	s.apply(req.Ns)
}

func (s *fakeServer) prerequisites(section []dns.RR) int {
	want := map[setKey][]dns.RR{}
	for _, rr := range section {
		h := rr.Header()
		id := setKey{dns.CanonicalName(h.Name), h.Rrtype}
		switch {
		case h.Ttl != 0:
			return dns.RcodeFormatError
		case h.Class == dns.ClassNONE && len(s.sets[id]) > 0:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			want[id] = append(want[id], rr)
		}
	}
	for id, set := range want {
		if !slices.Equal(dataOf(set), dataOf(s.sets[id])) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// dataOf is the RDATA of an RRset as sorted text.
func dataOf(set []dns.RR) []string {
	var out []string
	for _, rr := range set {
		out = append(out, strings.ToLower(strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.Sort(out)
	return out
}

func (s *fakeServer) apply(section []dns.RR) {
	for _, rr := range section {
		h := rr.Header()
		id := setKey{dns.CanonicalName(h.Name), h.Rrtype}
		if len(s.sets[setKey{id.name, dns.TypeCNAME}]) > 0 {
			continue
		}
		if h.Class == dns.ClassANY {
			delete(s.sets, id)
			continue
		}
		if s.capCount > 0 && len(s.sets[id]) >= s.capCount {
			continue
		}
		stored := dns.Copy(rr)
		stored.Header().Name = id.name
		if s.capTTL > 0 {
			stored.Header().Ttl = min(stored.Header().Ttl, s.capTTL)
		}
		s.sets[id] = append(s.sets[id], stored)
	}
	s.serial++
}

// answer answers a query from the zone, with signatures and denials made on the spot.
func (s *fakeServer) answer(req, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Authoritative = true
	q := req.Question[0]
	name := dns.CanonicalName(q.Name)
	if !dns.IsSubDomain(s.zone, name) {
		m.Rcode, m.Authoritative = dns.RcodeRefused, false
		return
	}
	if s.referral(name, q.Qtype, m) {
		return
	}
	for range 8 {
		if set := s.sets[setKey{name, q.Qtype}]; len(set) > 0 {
			m.Answer = append(m.Answer, s.signed(set)...)
			return
		}
		next := s.alias(name, m)
		if next == "" || !dns.IsSubDomain(s.zone, next) {
			break
		}
		name = next
	}
	s.deny(name, m)
}

// referral answers from the parent's side of a zone cut. DS at the cut is the parent's own.
func (s *fakeServer) referral(name string, qtype uint16, m *dns.Msg) bool {
	for id, set := range s.sets {
		if qtype == dns.TypeDS && id.name == name {
			continue
		}
		if !s.recursive && id.kind == dns.TypeNS && id.name != s.zone && dns.IsSubDomain(s.zone, id.name) && dns.IsSubDomain(id.name, name) {
			m.Authoritative = false
			m.Ns = set
			for _, rr := range set {
				m.Extra = append(m.Extra, s.sets[setKey{rr.(*dns.NS).Ns, dns.TypeA}]...)
			}
			return true
		}
	}
	return false
}

func (s *fakeServer) alias(name string, m *dns.Msg) string {
	for id, set := range s.sets {
		if d, ok := set[0].(*dns.DNAME); ok && id.name != name && dns.IsSubDomain(id.name, name) {
			target := strings.TrimSuffix(name, id.name) + d.Target
			m.Answer = append(m.Answer, s.signed(set)...)
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(name, dns.TypeCNAME, d.Hdr.Ttl), Target: target})
			return target
		}
	}
	set := s.sets[setKey{name, dns.TypeCNAME}]
	if len(set) == 0 {
		return ""
	}
	m.Answer = append(m.Answer, s.signed(set)...)
	return set[0].(*dns.CNAME).Target
}

// deny proves a denial with a minimally covering NSEC at the name itself.
func (s *fakeServer) deny(name string, m *dns.Msg) {
	apex := s.zone
	for up, end := 0, false; s.recursive && !end; up, end = dns.NextLabel(name, up) {
		if len(s.sets[setKey{name[up:], dns.TypeSOA}]) > 0 {
			apex = name[up:]
			break
		}
	}
	m.Ns = append(m.Ns, s.signed(s.sets[setKey{apex, dns.TypeSOA}])...)
	if s.optOut {
		m.Ns = append(m.Ns, s.signed([]dns.RR{optOutOf(apex)})...)
		return
	}
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for id := range s.sets {
		if id.name == name {
			types = append(types, id.kind)
		}
	}
	slices.Sort(types)
	m.Ns = append(m.Ns, s.signed([]dns.RR{&dns.NSEC{Hdr: header(name, dns.TypeNSEC, 30), NextDomain: "\\000." + name, TypeBitMap: types}})...)
}

func (s *fakeServer) signed(set []dns.RR) []dns.RR {
	out := slices.Clone(set)
	if s.signer == nil {
		return out
	}
	by := s.signAs
	if by == "" {
		by = s.zone
	}
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Ttl: set[0].Header().Ttl},
		Algorithm: s.dnskey.Algorithm, KeyTag: s.dnskey.KeyTag(), SignerName: by,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(14 * 24 * time.Hour).Unix()),
	}
	kind := set[0].Header().Rrtype
	if s.before != nil {
		s.before(kind, sig)
	}
	if err := sig.Sign(s.signer, set); err != nil {
		s.t.Error(err)
	}
	if s.after != nil {
		s.after(kind, sig)
	}
	if s.also != nil {
		out = append(out, s.also(kind)...)
	}
	return append(out, sig)
}

// optOutOf is the NSEC3 record of a zone of one name, whose gap may hold any number of unsigned delegations.
func optOutOf(apex string) *dns.NSEC3 {
	hash := dns.HashName(apex, dns.SHA1, 0, "")
	return &dns.NSEC3{
		Hdr: header(strings.ToLower(hash)+"."+apex, dns.TypeNSEC3, 30), Hash: dns.SHA1, Flags: 1, HashLength: 20, NextDomain: hash,
		TypeBitMap: []uint16{dns.TypeNS, dns.TypeSOA, dns.TypeRRSIG, dns.TypeDNSKEY},
	}
}
