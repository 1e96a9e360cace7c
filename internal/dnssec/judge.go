package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// endsAt says that an alias is itself what was asked for: a CNAME made from a DNAME.
func (p *Piece) endsAt(qtype uint16) bool { return p.dname && qtype == dns.TypeCNAME }

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

// Check validates a piece of a server's own answer with the zone's keys. It returns when the first of the signatures runs out. The error is an *Error; its State says
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
