package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// Judge validates a server's own answer to a question in the zone, with the zone's keys: every
// RRset on the way through it, or the proof that there is none. It follows aliases as long as they
// stay in the zone and the answer does not end; Kind is Alias when one leads on. Neither AA nor
// whether the server should have answered at all is looked at.
func (k *Keys) Judge(m *dns.Msg, name string, qtype uint16, now time.Time) Result {
	name = dns.CanonicalName(name)
	out := newResult(name, qtype)
	extended := ExtendedErrors(m)
	w := k.budget()
	for range maxHops {
		f := k.judgePiece(m, out.Final, qtype, now, w)
		f.extended, extended = extended, nil
		out.add(f)
		if f.kind != Alias || f.endsAt(qtype) || !dns.IsSubDomain(k.zone, f.target) || !k.says(m, f.target, qtype) {
			return out
		}
	}
	out.State, out.Cause = Bogus, fail(TooMuchWork, name, "there are more than %d aliases", maxHops).in(k.zone)
	return out
}

// says whether a message has anything to say of a name: the end of an alias is often left out. A denial
// comes with the SOA (RFC 2308 section 3); NSEC records alone may belong to an alias made from a wildcard.
func (k *Keys) says(m *dns.Msg, name string, qtype uint16) bool {
	p, err := readPiece(m, name, qtype, k.zone)
	if err != nil || len(p.set) > 0 {
		return true
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return true
		}
	}
	return false
}

func (k *Keys) judgePiece(m *dns.Msg, name string, qtype uint16, now time.Time, w *work) finding {
	p, err := readPiece(m, name, qtype, k.zone)
	f := finding{Piece: p, state: Secure, zone: k.zone}
	if err == nil {
		err = k.verifyPiece(&f, now, w)
	}
	if err != nil {
		f.fail(err.in(k.zone))
	}
	return f
}
