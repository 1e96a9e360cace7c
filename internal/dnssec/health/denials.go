package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// borne is how many iterations every resolver computes: BIND 9.20, Knot Resolver and PowerDNS Recursor no more since
// CVE-2023-50868.
const borne = 50

// hashing are parameters of NSEC3. The salt is in hexadecimal digits.
type hashing struct {
	hash       uint8
	iterations uint16
	salt       string
}

func (h hashing) String() string {
	return fmt.Sprintf("hash %d, iterations %d, salt %q", h.hash, h.iterations, h.salt)
}

// denials judges NSEC and NSEC3: their parameters, what stands at the apex, and whether servers agree. That the
// proofs hold is a matter of signatures.
func (l *look) denials() {
	kinds, params := map[string]bool{}, map[string]bool{}
	for _, s := range l.servers {
		if s.keys == nil || s.stripped {
			continue
		}
		kind, of := l.denial(s)
		if s.excepted() {
			continue
		}
		if kind != "" {
			kinds[kind] = true
		}
		if len(of) > 0 {
			params[list(of)] = true
		}
	}
	if len(kinds) > 1 {
		l.addZone(DenialDiffers, "some servers of %s prove absence with NSEC and others with NSEC3: give all of them the same copy of the zone", l.Zone)
	}
	if len(params) > 1 {
		l.addZone(NSEC3Differs, "the servers of %s differ in the parameters of NSEC3 (%s): give all of them the same copy of the zone", l.Zone, strings.ReplaceAll(list(params), ", h", " / h"))
	}
}

// denial looks at one server. It returns the kind of its proofs and its NSEC3 parameters.
func (l *look) denial(s *server) (string, map[string]bool) {
	nsec, params := false, map[string]bool{}
	for _, r := range s.Stream {
		if !r.speaks() {
			continue
		}
		for _, rr := range both(r.Msg) {
			switch n := rr.(type) {
			case *dns.NSEC:
				nsec = true
			case *dns.NSEC3:
				l.flags(s, n.Flags)
				params[l.hashing(s, hashing{n.Hash, n.Iterations, n.Salt})] = true
			case *dns.NSEC3PARAM:
				params[l.hashing(s, hashing{n.Hash, n.Iterations, n.Salt})] = true
			}
		}
		l.negative(s, &r)
	}
	l.apex(s)
	switch {
	case nsec && len(params) > 0:
		l.add(DenialMixed, s, "it proves absence in the zone %s with NSEC and with NSEC3 at once: resolvers may refuse either; sign the zone again with one of them", l.Zone)
		return "", params
	case nsec:
		return "NSEC", nil
	case len(params) > 0:
		return "NSEC3", params
	}
	return "", nil
}

// both are the records of the answer and the authority section.
func both(m *dns.Msg) []dns.RR { return append(slices.Clone(m.Answer), m.Ns...) }

func (l *look) flags(s *server, flags uint8) {
	if flags&^1 != 0 {
		l.add(NSEC3Flags, s, "NSEC3 of %s has flags that are not assigned: validators ignore such records; sign the zone again", l.Zone)
	}
	if flags&1 != 0 && dns.CountLabel(l.Zone) > 1 {
		l.add(NSEC3OptOut, s, "NSEC3 of %s opts out: that is for large zones of delegations; below this one unsigned names can be slipped in", l.Zone)
	}
}

// hashing judges parameters, and returns them for comparison.
func (l *look) hashing(s *server, h hashing) string {
	switch {
	case h.iterations > dnssec.MaxIterations:
		l.add(NSEC3IterationsExcessive, s, "NSEC3 of %s has more than %d extra iterations: many resolvers refuse to hash so often, and take what it proves for insecure, or fail; set iterations to 0", l.Zone, dnssec.MaxIterations)
	case h.iterations > borne:
		l.add(NSEC3Iterations, s, "NSEC3 of %s has more than %d extra iterations: some resolvers do not hash so often, and take what it proves for insecure; set iterations to 0", l.Zone, borne)
	case h.iterations > 0:
		l.add(NSEC3Iterations, s, "NSEC3 of %s has extra iterations: they cost every resolver and protect nothing; set iterations to 0", l.Zone)
	}
	if h.salt != "" {
		l.add(NSEC3Salt, s, "NSEC3 of %s has a salt: it protects nothing; set an empty salt", l.Zone)
	}
	if h.hash != dns.SHA1 {
		l.add(NSEC3Hash, s, "NSEC3 of %s has hash algorithm %d: only 1 (SHA-1) exists, and validators ignore others; sign the zone again", l.Zone, h.hash)
	}
	return h.String()
}

// negative looks for the SOA that belongs into a negative answer.
func (l *look) negative(s *server, r *Reply) {
	if len(r.Msg.Answer) > 0 || l.cut(r, dns.CanonicalName(r.Name)) {
		return
	}
	if len(find(r.Msg.Ns, l.Zone, dns.TypeSOA)) == 0 {
		l.add(DenialWithoutSOA, s, "its answer that there is no %s lacks the SOA record of %s: resolvers do not cache it; mend the server", r.subject(), l.Zone)
	}
}

// apex looks at the NSEC, NSEC3 and NSEC3PARAM records of the zone's own name.
func (l *look) apex(s *server) {
	for _, of := range []struct{ qtype, alone uint16 }{{dns.TypeNSEC, dns.TypeNSEC}, {dns.TypeNSEC3PARAM, dns.TypeNSEC3PARAM}} {
		m := s.authoritative(l.Zone, of.qtype)
		if m == nil {
			continue
		}
		at, elsewhere := 0, 0
		for _, rr := range m.Answer {
			switch {
			case rr.Header().Rrtype != of.alone:
			case dns.CanonicalName(rr.Header().Name) == l.Zone:
				at++
			default:
				elsewhere++
			}
		}
		what := dns.TypeToString[of.alone]
		if at > 1 {
			l.add(DenialMultiple, s, "there are several %s records at %s, where one belongs: sign the zone again", what, l.Zone)
		}
		if elsewhere > 0 {
			l.add(DenialMisplaced, s, "it answers a query for %s of %s with one of another name: sign the zone again", what, l.Zone)
		}
	}
	l.noNSEC(s)
	l.types(s)
}

// noNSEC looks at the proof that the apex has no NSEC record, or no NSEC3PARAM record: one record that stands there.
func (l *look) noNSEC(s *server) {
	for _, qtype := range []uint16{dns.TypeNSEC, dns.TypeNSEC3PARAM} {
		m := s.authoritative(l.Zone, qtype)
		if m == nil || len(m.Answer) > 0 {
			continue
		}
		for _, kind := range []uint16{dns.TypeNSEC, dns.TypeNSEC3} {
			here, there := l.count(m.Ns, kind)
			what := dns.TypeToString[kind]
			if here+there > 1 {
				l.add(DenialMultiple, s, "there are several %s records in the proof that %s has no %s, where one belongs: sign the zone again", what, l.Zone, dns.TypeToString[qtype])
			}
			if here == 0 && there > 0 {
				l.add(DenialMisplaced, s, "the %s record in the proof that %s has no %s is that of another name: sign the zone again", what, l.Zone, dns.TypeToString[qtype])
			}
		}
	}
}

// count counts the NSEC or NSEC3 records of the apex and those of other names. Too many iterations are not
// made here either.
func (l *look) count(section []dns.RR, kind uint16) (here, there int) {
	for _, rr := range section {
		n, hashed := rr.(*dns.NSEC3)
		switch {
		case rr.Header().Rrtype != kind || hashed && n.Iterations > dnssec.MaxIterations:
		case l.standsAtApex(rr):
			here++
		default:
			there++
		}
	}
	return here, there
}

func (l *look) standsAtApex(rr dns.RR) bool {
	switch n := rr.(type) {
	case *dns.NSEC:
		return dns.CanonicalName(n.Hdr.Name) == l.Zone
	case *dns.NSEC3:
		return n.Iterations <= dnssec.MaxIterations && n.Match(l.Zone)
	}
	return false
}

// types compares the type lists of the apex with what the server answers for it.
func (l *look) types(s *server) {
	has, lacks := map[uint16]bool{}, map[uint16]bool{}
	for _, r := range s.Stream {
		if r.speaks() && dns.CanonicalName(r.Name) == l.Zone {
			found := len(find(r.Msg.Answer, l.Zone, r.Type)) > 0
			has[r.Type], lacks[r.Type] = found, len(r.Msg.Answer) == 0
			if len(signaturesOf(r.Msg.Answer, l.Zone, r.Type)) > 0 {
				has[dns.TypeRRSIG] = true
			}
		}
	}
	for _, r := range s.Stream {
		if !r.speaks() {
			continue
		}
		for _, rr := range both(r.Msg) {
			if l.standsAtApex(rr) {
				l.typesOf(s, rr, has, lacks)
			}
		}
	}
}

func (l *look) typesOf(s *server, rr dns.RR, has, lacks map[uint16]bool) {
	var bitmap []uint16
	kind := rr.Header().Rrtype
	switch n := rr.(type) {
	case *dns.NSEC:
		bitmap = n.TypeBitMap
	case *dns.NSEC3:
		bitmap = n.TypeBitMap
	}
	wrong := map[string]bool{}
	for qtype := range has {
		listed := slices.Contains(bitmap, qtype)
		if listed && lacks[qtype] || !listed && has[qtype] {
			wrong[dns.TypeToString[qtype]] = true
		}
	}
	if len(wrong) > 0 {
		l.add(DenialTypes, s, "the %s record of %s tells otherwise than its answers which of these types are there: %s; resolvers may deny records that exist; sign the zone again", dns.TypeToString[kind], l.Zone, list(wrong))
	}
}
