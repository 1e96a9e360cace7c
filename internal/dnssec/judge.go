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

// endsAt says that an alias is itself what was asked for: a CNAME made from a DNAME.
func (p *Piece) endsAt(qtype uint16) bool { return p.dname && qtype == dns.TypeCNAME }

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

func (f *finding) fail(err *Error) {
	f.state, f.cause, f.zone = err.State(), err, ""
	if f.state == Insecure {
		f.ttl = plainTTL(f.set, f.authority)
	}
}

// plainTTL is the TTL of an RRset, or of a denial, that nothing signs.
func plainTTL(set, authority []dns.RR) time.Duration {
	var ttl uint32
	for i, rr := range set {
		if i == 0 || rr.Header().Ttl < ttl {
			ttl = rr.Header().Ttl
		}
	}
	if len(set) > 0 {
		return time.Duration(ttl) * time.Second
	}
	for _, rr := range authority {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl = min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	return time.Duration(ttl) * time.Second
}

// Check validates a piece of a server's own answer with the zone's keys, as Judge does with each of those on the way
// through an answer. It returns when the first of the signatures runs out. The error is an *Error; its State says
// what the piece is then.
func (k *Keys) Check(p Piece, now time.Time) (time.Time, error) {
	f := finding{Piece: p}
	if err := k.verifyPiece(&f, now, k.budget()); err != nil {
		return time.Time{}, err
	}
	return f.expires, nil
}

// verifyPiece checks a piece with the keys of its zone.
func (k *Keys) verifyPiece(f *finding, now time.Time, w *work) *Error {
	if f.ofParent() && f.name == k.zone {
		return fail(WrongSigner, f.name+" DS", "DS records and proofs that there is none are the parent zone's, and this is signed by the zone itself")
	}
	if len(f.set) == 0 {
		return k.verifyDenied(f, now, w)
	}
	sig, err := k.verify(f.set, f.sigs, now, w)
	if err != nil {
		return err
	}
	f.expires, f.ttl, f.signedTTL = sig.Expiration, cacheable(f.set, sig, now), sig.OrigTTL
	if !sig.Wildcard {
		return nil
	}
	if f.dname {
		// RFC 6672 section 3.3 leaves it undefined; no server makes it.
		return fail(BadAlias, f.owner()+" DNAME", "the DNAME is made from a wildcard")
	}
	p, err := k.expansion(f.owner(), sig, f.authority, now, w)
	if err != nil {
		return err
	}
	f.limitBy(p)
	return nil
}

// verifyDenied checks the proof of a denial. What counts is what the records prove: some servers say
// NXDOMAIN of a name that exists without data.
func (k *Keys) verifyDenied(f *finding, now time.Time, w *work) *Error {
	p, err := k.proofOf(f.name, f.qtype, f.authority, now, w)
	if err != nil {
		return err
	}
	f.expires, f.ttl = p.expires, p.ttl
	out := p.denies(k.zone, f.name, f.qtype, f.kind == NXDomain)
	if out != proved && f.kind == NXDomain && p.denies(k.zone, f.name, f.qtype, false) == proved {
		out, f.kind = proved, NoData
	}
	return p.conclude(out)
}

func (f *finding) limitBy(p *proof) {
	f.ttl = min(f.ttl, p.ttl)
	if p.expires.Before(f.expires) {
		f.expires = p.expires
	}
}
