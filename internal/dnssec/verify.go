package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// Signature is what is worth knowing of the RRSIG that validated an RRset.
type Signature struct {
	Inception, Expiration time.Time
	// OrigTTL is the TTL that was signed: the most that a validating cache may keep (RFC 4035
	// section 5.3.3).
	OrigTTL time.Duration
	KeyTag  uint16
	// Wildcard says that the RRset was made from a wildcard: then the answer must also prove that
	// no closer name exists (RFC 4035 section 5.3.4). Labels is the RRSIG's count.
	Wildcard bool
	Labels   uint8
}

// Verify checks an RRset with the zone's keys (RFC 4035 section 5.3): signer and place of the
// owner, validity period, and the signature itself. One good signature is enough. The error is an
// *Error for the signature that came furthest.
func (k *Keys) Verify(rrset []dns.RR, sigs []*dns.RRSIG, now time.Time) (Signature, error) {
	sig, err := k.verify(rrset, sigs, now, k.budget())
	if err != nil {
		return Signature{}, err
	}
	return sig, nil
}

func (k *Keys) verify(rrset []dns.RR, sigs []*dns.RRSIG, now time.Time, w *work) (Signature, *Error) {
	if !dns.IsRRset(rrset) {
		return Signature{}, fail(BadRRset, k.zone, "the answer is not one RRset")
	}
	if k.excess != nil {
		// Each gets its own: who reports it may add to it.
		e := *k.excess
		return Signature{}, &e
	}
	subject := rrset[0].Header().Name + " " + dns.TypeToString[rrset[0].Header().Rrtype]
	sigs = covering(rrset[0].Header().Rrtype, sigs)
	if len(sigs) > MaxSignatures {
		return Signature{}, fail(TooMuchWork, subject, "there are %d signatures over it; at most %d are looked at", len(sigs), MaxSignatures)
	}
	worst := fail(NoSignature, subject, "there is no signature (RRSIG) over it by %s", k.zone)
	budget := min(maxChecks, w.checks)
	allowed := budget
	defer func() { w.checks -= allowed - budget }()
	for _, sig := range sigs {
		good, err := k.verifyOne(subject, rrset, sig, now, &budget)
		if err == nil {
			return good, nil
		}
		if err.Reason == TooMuchWork {
			return Signature{}, err
		}
		if progress(err.Reason) >= progress(worst.Reason) {
			worst = err
		}
	}
	return Signature{}, worst
}

// covering are the signatures over records of a type.
func covering(kind uint16, sigs []*dns.RRSIG) []*dns.RRSIG {
	var out []*dns.RRSIG
	for _, sig := range sigs {
		if sig.TypeCovered == kind {
			out = append(out, sig)
		}
	}
	return out
}

// progress orders reasons by how far the check came, so that the most telling one is reported.
func progress(r Reason) int {
	for i, known := range []Reason{NoSignature, BadRRset, WrongSigner, NoSuchKey, BadSignature, NotYetValid, Expired} {
		if r == known {
			return i
		}
	}
	return 0
}

func (k *Keys) verifyOne(subject string, rrset []dns.RR, sig *dns.RRSIG, now time.Time, budget *int) (Signature, *Error) {
	if err := k.fits(subject, rrset, sig); err != nil {
		return Signature{}, err
	}
	keys := k.keys[keyID{sig.KeyTag, sig.Algorithm}]
	switch {
	case k.checkOf(sig.Algorithm) == nil:
		// The zone has keys that can be checked, so this one makes nothing insecure: who takes the
		// other signatures away would otherwise get rid of DNSSEC (RFC 6840 section 5.11).
		return Signature{}, fail(NoSignature, subject, "the signature is of algorithm %d, which cannot be checked here, and there is none by the keys of the zone that can", sig.Algorithm)
	case len(keys) == 0:
		return Signature{}, fail(NoSuchKey, subject, "the signature is by key %d, which is not among the zone's trusted keys", sig.KeyTag)
	case len(keys) > maxKeysPerTag:
		return Signature{}, fail(TooMuchWork, subject, "%d keys have tag %d; at most %d are looked at", len(keys), sig.KeyTag, maxKeysPerTag)
	}
	// Signatures that have run out may stand beside good ones, and are to cost those none of the checks that are made.
	if err := inPeriod(subject, sig, now); err != nil {
		return Signature{}, err
	}
	if err := k.verifyWith(subject, rrset, sig, keys, budget); err != nil {
		return Signature{}, err
	}
	return signatureOf(rrset, sig, now), nil
}

// fits checks what needs no cryptography. The DNS library compares signer and owner as strings: to
// it "evilexample.com" ends in "example.com".
func (k *Keys) fits(subject string, rrset []dns.RR, sig *dns.RRSIG) *Error {
	owner := rrset[0].Header().Name
	signer := dns.CanonicalName(sig.SignerName)
	switch {
	case dns.CanonicalName(sig.Hdr.Name) != dns.CanonicalName(owner) || sig.Hdr.Class != rrset[0].Header().Class:
		return fail(BadRRset, subject, "the signature has another owner or class")
	case signer != k.zone:
		return fail(WrongSigner, subject, "the signature is by %s, not by the zone %s", signer, k.zone)
	case !dns.IsSubDomain(k.zone, owner):
		return fail(WrongSigner, subject, "the name is not below the zone %s that signed it", k.zone)
	case int(sig.Labels) > dns.CountLabel(owner):
		return fail(BadRRset, subject, "the signature is for a longer name")
	}
	return nil
}

func (k *Keys) verifyWith(subject string, rrset []dns.RR, sig *dns.RRSIG, keys []*dns.DNSKEY, budget *int) *Error {
	id, cacheable := checkID(rrset, sig)
	for _, key := range keys {
		if cacheable && k.checked.good(id.under(key)) {
			return nil
		}
		if *budget == 0 {
			return fail(TooMuchWork, subject, "it takes more signature checks than are made (%d for one RRset, %d for one question)", maxChecks, maxQueryChecks)
		}
		*budget--
		if k.checkOf(sig.Algorithm)(sig, key, rrset) == nil {
			if cacheable {
				k.checked.add(id.under(key))
			}
			return nil
		}
	}
	return fail(BadSignature, subject, "the signature by key %d does not verify", sig.KeyTag)
}

// inPeriod compares in serial number arithmetic (RFC 1982): the fields wrap in 2106.
func inPeriod(subject string, sig *dns.RRSIG, now time.Time) *Error {
	at := uint32(now.Unix())
	switch {
	case int32(sig.Expiration-sig.Inception) < 0:
		return fail(BadRRset, subject, "the signature by key %d ends before it begins", sig.KeyTag)
	case int32(at-sig.Inception) < 0:
		return fail(NotYetValid, subject, "the signature by key %d is not valid yet: compare the clocks of the signer and of this machine", sig.KeyTag)
	case int32(sig.Expiration-at) < 0:
		return fail(Expired, subject, "the signature by key %d has expired: the zone must be signed again", sig.KeyTag)
	}
	return nil
}

func signatureOf(rrset []dns.RR, sig *dns.RRSIG, now time.Time) Signature {
	owner := rrset[0].Header().Name
	labels := dns.CountLabel(owner)
	if len(owner) > 1 && owner[:2] == "*." {
		labels--
	}
	return Signature{
		Inception: SerialTime(sig.Inception, now), Expiration: SerialTime(sig.Expiration, now),
		OrigTTL: time.Duration(sig.OrigTtl) * time.Second, KeyTag: sig.KeyTag,
		Wildcard: int(sig.Labels) < labels, Labels: sig.Labels,
	}
}

// SerialTime is the instant nearest to now that an RRSIG's 32-bit time field can mean (RFC 4034
// section 3.1.5).
func SerialTime(field uint32, now time.Time) time.Time {
	at := now.Unix()
	return time.Unix(at+int64(int32(field-uint32(at))), 0).UTC()
}

// cacheable is how long a validated RRset may be kept (RFC 4035 section 5.3.3): neither longer than
// its TTL and the one that was signed, nor than its signature lives.
func cacheable(set []dns.RR, sig Signature, now time.Time) time.Duration {
	ttl := min(sig.OrigTTL, sig.Expiration.Sub(now))
	for _, rr := range set {
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
	}
	return max(ttl, 0)
}
