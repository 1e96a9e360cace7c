package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// proof holds the validated records of an answer's authority section.
type proof struct {
	subject string
	nsec    []*dns.NSEC
	nsec3   []*dns.NSEC3
	// slow counts NSEC3 records with more iterations than are computed, strange those that say what nobody knows,
	// astray the NSEC records that lead out of the zone.
	slow, strange, astray int
	// expires is when the first signature of it runs out; ttl how long it may be kept. Both count once limited says
	// so: a TTL may be zero.
	expires time.Time
	ttl     time.Duration
	limited bool
	// work of the answer or the question that it is part of, what is left of that of this proof, and whether more was
	// needed.
	work      *work
	left      int
	exhausted bool
}

// VerifyDenial checks that the authority section of an answer proves that there is no RRset of the
// type at the name (NODATA, RFC 4035 section 5.4, RFC 5155 section 8.5), or with nxdomain that there is no
// such name. It returns when the first of the signatures runs out. The error is an *Error; its State
// is Insecure when an unsigned delegation may be in between (opt-out).
func (k *Keys) VerifyDenial(name string, qtype uint16, nxdomain bool, authority []dns.RR, now time.Time) (time.Time, error) {
	p, err := k.proofOf(dns.CanonicalName(name), qtype, authority, now, k.budget())
	if err != nil {
		return time.Time{}, err
	}
	if err := p.conclude(p.denies(k.zone, dns.CanonicalName(name), qtype, nxdomain)); err != nil {
		return time.Time{}, err
	}
	return p.expires, nil
}

func (k *Keys) proofOf(name string, qtype uint16, authority []dns.RR, now time.Time, w *work) (*proof, *Error) {
	subject := name + " " + typeText(qtype) + " (denial)"
	if !dns.IsSubDomain(k.zone, name) {
		return nil, fail(WrongSigner, subject, "the name is not below the zone %s", k.zone)
	}
	return k.validateAuthority(subject, authority, now, w)
}

// denies says whether the records prove what the answer says.
func (p *proof) denies(zone, name string, qtype uint16, nxdomain bool) outcome {
	switch {
	case len(p.nsec) > 0 && nxdomain:
		return provedIf(p.nsecNoName(name))
	case len(p.nsec) > 0:
		return provedIf(p.nsecNoData(zone, name, qtype))
	case nxdomain:
		return p.nsec3NoName(zone, name)
	default:
		return p.nsec3NoData(zone, name, qtype)
	}
}

// conclude makes an error of an outcome that is not a full proof.
func (p *proof) conclude(out outcome) *Error {
	switch {
	case p.exhausted:
		return fail(TooMuchWork, p.subject, "the NSEC3 proofs of the answer take more hashing than is done (CVE-2023-50868): sign the zone without iterations (RFC 9276)")
	case out == proved:
		return nil
	case out == optedOut:
		return fail(OptOut, p.subject, "the name is in an opt-out gap of the zone, where it may be delegated without DNSSEC")
	case p.slow > 0:
		return fail(Iterations, p.subject, "the NSEC3 records have more than %d iterations: sign the zone with none (RFC 9276)", MaxIterations)
	default:
		return fail(BadProof, p.subject, "the NSEC or NSEC3 records of the answer do not prove it: the server's copy of the zone is incomplete or altered")
	}
}

// VerifyExpansion checks that the authority section proves what an answer made from a wildcard
// needs: that no closer name exists (RFC 4035 section 5.3.4, RFC 5155 section 8.8). That the name itself
// does not is not enough: a host keeps the wildcard of its zone away from all names below it.
func (k *Keys) VerifyExpansion(name string, sig Signature, authority []dns.RR, now time.Time) (time.Time, error) {
	p, err := k.expansion(dns.CanonicalName(name), sig, authority, now, k.budget())
	if err != nil {
		return time.Time{}, err
	}
	return p.expires, nil
}

func (k *Keys) expansion(name string, sig Signature, authority []dns.RR, now time.Time, w *work) (*proof, *Error) {
	// Other records there may belong to the end of an alias in another zone.
	var own []dns.RR
	for _, rr := range authority {
		if kind := coveredType(rr); kind != dns.TypeSOA && dns.IsSubDomain(k.zone, rr.Header().Name) {
			own = append(own, rr)
		}
	}
	p, err := k.validateAuthority(name+" (wildcard)", own, now, w)
	if err != nil {
		return nil, err
	}
	out := provedIf(p.nsecExpands(name, int(sig.Labels)))
	if len(p.nsec) == 0 {
		out = p.nsec3Covers(suffix(name, int(sig.Labels)+1))
	}
	if err := p.conclude(out); err != nil {
		return nil, err
	}
	return p, nil
}

// coveredType is the type of a record, or the one that a signature covers.
func coveredType(rr dns.RR) uint16 {
	if sig, ok := rr.(*dns.RRSIG); ok {
		return sig.TypeCovered
	}
	return rr.Header().Rrtype
}

// validateAuthority verifies the SOA, NSEC and NSEC3 RRsets of an authority section. Where an alias leads into another
// zone, its proofs may stand beside those of this one: they prove nothing here, and do no harm.
func (k *Keys) validateAuthority(subject string, authority []dns.RR, now time.Time, w *work) (*proof, *Error) {
	p := &proof{subject: subject, work: w, left: maxHashing}
	sets, sigs := groupRRsets(authority)
	if len(sets) > 2*maxChecks {
		return nil, fail(TooMuchWork, subject, "the answer holds %d RRsets of proof", len(sets))
	}
	var elsewhere *Error
	for _, set := range sets {
		over := sigsOver(set[0].Header().Name, sigs)
		sig, err := k.verify(set, over, now, w)
		if err != nil && k.ofAnotherZone(set, over) {
			elsewhere = err
			continue
		}
		if err != nil {
			return nil, err
		}
		if sig.Wildcard && set[0].Header().Rrtype != dns.TypeSOA {
			return nil, fail(BadProof, subject, "a record of the proof is itself made from a wildcard")
		}
		p.add(k, set)
		ttl := cacheable(set, sig, now)
		if soa, ok := set[0].(*dns.SOA); ok {
			// RFC 2308 section 5.
			ttl = min(ttl, time.Duration(soa.Minttl)*time.Second)
		}
		p.limit(sig, ttl)
	}
	if err := p.unusable(); err != nil {
		return nil, mostTelling(err, elsewhere)
	}
	return p, nil
}

// mostTelling is why there is no proof: where all that is there is another zone's, that.
func mostTelling(err, elsewhere *Error) *Error {
	if err.Reason == NoSignature && elsewhere != nil {
		return elsewhere
	}
	return err
}

// ofAnotherZone says whether an RRset is signed, and by other zones than this one alone.
func (k *Keys) ofAnotherZone(set []dns.RR, over []*dns.RRSIG) bool {
	signed := false
	for _, sig := range over {
		if sig.TypeCovered != set[0].Header().Rrtype {
			continue
		}
		if dns.CanonicalName(sig.SignerName) == k.zone {
			return false
		}
		signed = true
	}
	return signed
}

// unusable says why the records of a proof, each of them signed, prove nothing together; nil when they may.
func (p *proof) unusable() *Error {
	none := len(p.nsec) == 0 && len(p.nsec3) == 0 && p.slow == 0
	switch {
	case p.mixed():
		return fail(BadProof, p.subject, "the NSEC3 records of the answer are of several chains (RFC 5155 section 8.2)")
	case none && p.strange > 0:
		return fail(BadProof, p.subject, "the NSEC3 records of the answer have a hash algorithm or flags that are not assigned, and are ignored (RFC 5155 section 8)")
	case none && p.astray > 0:
		return fail(BadProof, p.subject, "the NSEC records of the answer lead out of the zone, and prove nothing in it: sign the zone again")
	case none:
		return fail(NoSignature, p.subject, "there is no signed proof (NSEC or NSEC3) in the answer")
	}
	return nil
}

func (p *proof) limit(sig Signature, ttl time.Duration) {
	if !p.limited || sig.Expiration.Before(p.expires) {
		p.expires = sig.Expiration
	}
	if !p.limited || ttl < p.ttl {
		p.ttl = ttl
	}
	p.limited = true
}

func (p *proof) add(k *Keys, set []dns.RR) {
	for _, rr := range set {
		switch n := rr.(type) {
		case *dns.NSEC:
			// One that leads out of the zone says nothing that the zone may say.
			if !dns.IsSubDomain(k.zone, n.NextDomain) {
				p.astray++
				continue
			}
			p.nsec = append(p.nsec, n)
		case *dns.NSEC3:
			switch {
			// Flags that nobody knows, as hash algorithms, may change what it says (RFC 5155 sections 8.1 and 8.2).
			case n.Hash != dns.SHA1 || n.Flags&^optOutFlag != 0:
				p.strange++
			case n.Iterations > max(MaxIterations, k.iterations):
				p.slow++
			// Its owner is a hash and the apex (RFC 5155 section 3).
			case dns.CanonicalName(parent(n.Hdr.Name)) == k.zone:
				p.nsec3 = append(p.nsec3, n)
			}
		}
	}
}

// groupRRsets splits a section into the RRsets that matter to a proof, and the signatures.
func groupRRsets(section []dns.RR) (sets [][]dns.RR, sigs []*dns.RRSIG) {
	type key struct {
		name string
		kind uint16
	}
	at := map[key]int{}
	for _, rr := range section {
		if sig, ok := rr.(*dns.RRSIG); ok {
			sigs = append(sigs, sig)
			continue
		}
		switch rr.Header().Rrtype {
		case dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3:
		default:
			continue
		}
		id := key{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		i, ok := at[id]
		if !ok {
			i = len(sets)
			at[id] = i
			sets = append(sets, nil)
		}
		sets[i] = append(sets[i], rr)
	}
	return sets, sigs
}

func sigsOver(owner string, sigs []*dns.RRSIG) []*dns.RRSIG {
	var out []*dns.RRSIG
	owner = dns.CanonicalName(owner)
	for _, sig := range sigs {
		if dns.CanonicalName(sig.Hdr.Name) == owner {
			out = append(out, sig)
		}
	}
	return out
}

// hasType says whether the type bit map lists a type.
func hasType(bitmap []uint16, wanted uint16) bool {
	for _, t := range bitmap {
		if t == wanted {
			return true
		}
	}
	return false
}

// parentSide says that a record is the parent's at a zone cut, which says nothing of the child.
func parentSide(bitmap []uint16) bool {
	return hasType(bitmap, dns.TypeNS) && !hasType(bitmap, dns.TypeSOA)
}

// deniesType says whether a record that stands at the name itself, or at a wildcard for it, denies
// the type: neither the type nor CNAME is there, and it is of the right side of a zone cut. DS is the
// parent's (RFC 4035 section 5.4); only the root has no other side.
func deniesType(bitmap []uint16, name string, qtype uint16) bool {
	switch {
	case hasType(bitmap, qtype), hasType(bitmap, dns.TypeCNAME):
		return false
	case qtype == dns.TypeDS:
		return !hasType(bitmap, dns.TypeSOA) || name == "."
	default:
		return !parentSide(bitmap)
	}
}
