package health

import (
	"errors"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// byReason are the codes of what the validator finds.
var byReason = map[dnssec.Reason]Code{
	dnssec.NoSignature: SignatureMissing, dnssec.Expired: SignatureExpired, dnssec.NotYetValid: SignatureNotYetValid,
	dnssec.NoSuchKey: SignatureByUnknownKey, dnssec.BadSignature: SignatureInvalid, dnssec.WrongSigner: SignatureInvalid,
	dnssec.BadRRset: SignatureInvalid, dnssec.TooMuchWork: SignatureInvalid, dnssec.BadProof: DenialUnproven,
}

// advice is what to do, where the validator's words do not say so.
var advice = map[Code]string{
	SignatureMissing:      "sign the zone again, and make the server load it with its signatures",
	SignatureByUnknownKey: "a key was taken out too early, or the server has an old copy; sign the zone again, or give the server the new one",
	SignatureInvalid:      "records and signatures are not of one version of the zone, or were altered; sign the zone again, or give the server a new copy",
	DenialUnproven:        "resolvers refuse such answers, and senders then do not deliver; sign the zone again",
	WildcardUnproven:      "resolvers refuse such answers; sign the zone again",
}

// signatures verifies every RRset and every denial that a server gives with the keys that it shows.
func (l *look) signatures() {
	for _, s := range l.servers {
		if s.keys == nil || s.stripped {
			continue
		}
		for i := range s.asked {
			if r := &s.asked[i]; r.speaks() && dns.IsSubDomain(l.Zone, r.Name) {
				l.verify(s, r)
			}
		}
	}
}

// verify looks at one reply: the RRsets on the way from the question, and the proof if there is nothing.
func (l *look) verify(s *server, r *Reply) {
	name, keys := dns.CanonicalName(r.Name), s.keys.OneAnswer()
	for range len(r.Msg.Answer) + 1 {
		set := find(r.Msg.Answer, name, r.Type)
		if len(set) > 0 {
			l.verifySet(s, keys, r, set)
			return
		}
		alias := l.alias(r, name)
		if alias == nil {
			// At the end of an alias a server may leave it to others to look further.
			if len(r.Msg.Answer) == 0 || len(r.Msg.Ns) > 0 {
				l.verifyDenial(s, keys, r, name)
			}
			return
		}
		l.verifySet(s, keys, r, []dns.RR{alias})
		if name = target(alias, name); !dns.IsSubDomain(l.Zone, name) {
			return
		}
	}
}

// alias is the record that leads on from a name: a DNAME above it, or a CNAME.
func (l *look) alias(r *Reply, name string) dns.RR {
	for _, rr := range r.Msg.Answer {
		owner := dns.CanonicalName(rr.Header().Name)
		if _, ok := rr.(*dns.DNAME); ok && rr.Header().Class == dns.ClassINET && owner != name && dns.IsSubDomain(owner, name) && dns.IsSubDomain(l.Zone, owner) {
			return rr
		}
	}
	if set := find(r.Msg.Answer, name, dns.TypeCNAME); len(set) > 0 {
		return set[0]
	}
	return nil
}

func target(alias dns.RR, name string) string {
	switch rr := alias.(type) {
	case *dns.CNAME:
		return dns.CanonicalName(rr.Target)
	case *dns.DNAME:
		owner := dns.CanonicalName(rr.Hdr.Name)
		return name[:len(name)-len(owner)] + dns.CanonicalName(rr.Target)
	}
	return name
}

func (l *look) verifySet(s *server, keys *dnssec.Keys, r *Reply, set []dns.RR) {
	h := set[0].Header()
	sigs := signaturesOf(r.Msg.Answer, dns.CanonicalName(h.Name), h.Rrtype)
	s.lives = append(s.lives, l.lives(s, set, sigs)...)
	sig, err := keys.Verify(set, sigs, l.Now)
	if err != nil {
		l.invalid(s, err, "")
		return
	}
	if sig.Wildcard {
		if _, err := keys.VerifyExpansion(h.Name, sig, r.Msg.Ns, l.Now); err != nil {
			l.invalid(s, err, WildcardUnproven)
		}
	}
}

func (l *look) verifyDenial(s *server, keys *dnssec.Keys, r *Reply, name string) {
	if !dns.IsSubDomain(l.Zone, name) || l.cut(r, name) {
		return
	}
	for _, set := range rrsets(r.Msg.Ns) {
		h := set[0].Header()
		s.lives = append(s.lives, l.lives(s, set, signaturesOf(r.Msg.Ns, dns.CanonicalName(h.Name), h.Rrtype))...)
	}
	_, err := keys.VerifyDenial(name, r.Type, r.Msg.Rcode == dns.RcodeNameError, r.Msg.Ns, l.Now)
	var e *dnssec.Error
	if errors.As(err, &e) && e.Reason == dnssec.OptOut {
		// What lies in a span of opt-out cannot be denied: resolvers take the answer for insecure.
		return
	}
	if err != nil {
		l.invalid(s, err, DenialUnproven)
	}
}

// cut says whether the authority section tells of a zone between this one and the name: what is below is
// that zone's affair.
func (l *look) cut(r *Reply, name string) bool {
	for _, rr := range r.Msg.Ns {
		owner := dns.CanonicalName(rr.Header().Name)
		if t := rr.Header().Rrtype; (t == dns.TypeNS || t == dns.TypeSOA) && owner != l.Zone && dns.IsSubDomain(l.Zone, owner) && dns.IsSubDomain(owner, name) {
			return true
		}
	}
	return false
}

// invalid notes what the validator found; unproven is the code where the signatures are good and the proof
// is not.
func (l *look) invalid(s *server, err error, unproven Code) {
	var e *dnssec.Error
	if !errors.As(err, &e) {
		return
	}
	code, known := byReason[e.Reason]
	if e.Reason == dnssec.BadProof && unproven != "" {
		code = unproven
	}
	if !known || e.Reason == dnssec.NoSignature && !s.keys.Checkable() {
		return
	}
	text, todo := e.Error(), advice[code]
	if e.Reason == dnssec.TooMuchWork {
		todo = "validators refuse to do so much work; take out what is not in use, and sign the zone again"
	}
	if todo != "" {
		text += "; " + todo
	}
	l.add(code, s, "%s", text)
}

// rrsets splits a section into RRsets, without signatures.
func rrsets(section []dns.RR) [][]dns.RR {
	type key struct {
		name  string
		qtype uint16
	}
	at := map[key]int{}
	var out [][]dns.RR
	for _, rr := range section {
		if rr.Header().Rrtype == dns.TypeRRSIG || rr.Header().Class != dns.ClassINET {
			continue
		}
		k := key{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], rr)
	}
	return out
}
