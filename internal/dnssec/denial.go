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
	// expires is when the first signature of it runs out.
	expires time.Time
	hashes  hashBudget
}

// VerifyDenial checks that the authority section of an answer proves that there is no RRset of the
// type at the name (NODATA, RFC 4035 section 5.4, RFC 5155 section 8.5), or with nxdomain that there is no
// such name. It returns when the first of the signatures runs out. The error is an *Error.
func (k *Keys) VerifyDenial(name string, qtype uint16, nxdomain bool, authority []dns.RR, now time.Time) (time.Time, error) {
	name = dns.CanonicalName(name)
	p, err := k.validateAuthority(name+" "+dns.TypeToString[qtype]+" (denial)", authority, now)
	if err != nil {
		return time.Time{}, err
	}
	var ok bool
	switch {
	case len(p.nsec) > 0 && nxdomain:
		ok = p.nsecNoName(name)
	case len(p.nsec) > 0:
		ok = p.nsecNoData(k.zone, name, qtype)
	case nxdomain:
		ok = p.nsec3NoName(k.zone, name)
	default:
		ok = p.nsec3NoData(k.zone, name, qtype)
	}
	if !ok {
		return time.Time{}, fail(BadProof, p.subject, "the NSEC or NSEC3 records of the answer do not prove it: the server's copy of the zone is incomplete or altered")
	}
	return p.expires, nil
}

// VerifyExpansion checks that the authority section proves what an answer made from a wildcard
// needs: that no closer name exists (RFC 4035 section 5.3.4, RFC 5155 section 8.8). That the name itself
// does not is not enough: a host keeps the wildcard of its zone away from all names below it.
func (k *Keys) VerifyExpansion(name string, sig Signature, authority []dns.RR, now time.Time) (time.Time, error) {
	name = dns.CanonicalName(name)
	p, err := k.validateAuthority(name+" (wildcard)", authority, now)
	if err != nil {
		return time.Time{}, err
	}
	ok := p.nsecExpands(name, int(sig.Labels))
	if len(p.nsec) == 0 {
		ok = p.nsec3Covers(suffix(name, int(sig.Labels)+1))
	}
	if !ok {
		return time.Time{}, fail(BadProof, p.subject, "nothing proves that the wildcard applies to this name")
	}
	return p.expires, nil
}

// validateAuthority verifies the SOA, NSEC and NSEC3 RRsets of an authority section.
func (k *Keys) validateAuthority(subject string, authority []dns.RR, now time.Time) (*proof, error) {
	p := &proof{subject: subject}
	sets, sigs := groupRRsets(authority)
	if len(sets) > 2*maxChecks {
		return nil, fail(TooMuchWork, subject, "the answer holds %d RRsets of proof", len(sets))
	}
	for _, set := range sets {
		sig, err := k.Verify(set, sigs, now)
		if err != nil {
			return nil, err
		}
		if sig.Wildcard && set[0].Header().Rrtype != dns.TypeSOA {
			return nil, fail(BadProof, subject, "a record of the proof is itself made from a wildcard")
		}
		if p.expires.IsZero() || sig.Expiration.Before(p.expires) {
			p.expires = sig.Expiration
		}
		p.add(set)
	}
	if len(p.nsec) == 0 && len(p.nsec3) == 0 {
		return nil, fail(NoSignature, subject, "there is no signed proof (NSEC or NSEC3) in the answer")
	}
	return p, nil
}

func (p *proof) add(set []dns.RR) {
	for _, rr := range set {
		switch n := rr.(type) {
		case *dns.NSEC:
			p.nsec = append(p.nsec, n)
		case *dns.NSEC3:
			if n.Hash == dns.SHA1 && n.Iterations <= maxIterations {
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

// hasType says whether the type bit map lists a type.
func hasType(bitmap []uint16, wanted uint16) bool {
	for _, t := range bitmap {
		if t == wanted {
			return true
		}
	}
	return false
}

// deniesType says whether a record that stands at the name itself denies the type: neither the
// type nor CNAME is there, and it is not the parent's side of a zone cut.
func deniesType(bitmap []uint16, qtype uint16) bool {
	if hasType(bitmap, qtype) || hasType(bitmap, dns.TypeCNAME) {
		return false
	}
	return qtype == dns.TypeDS || !hasType(bitmap, dns.TypeNS) || hasType(bitmap, dns.TypeSOA)
}

// suffix is the last n labels of a name.
func suffix(name string, n int) string {
	offsets := dns.Split(name)
	switch {
	case n <= 0:
		return "."
	case n >= len(offsets):
		return name
	}
	return name[offsets[len(offsets)-n]:]
}
