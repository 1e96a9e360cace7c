package zone

import (
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// validate checks every RRset on the way through an answer, or the proof that there is none, with
// the keys of the same server's answer. It returns when the first signature in play runs out, that
// over the keys included.
func validate(keys *dnssec.Keys, r reading, qtype uint16, now time.Time) (time.Time, error) {
	first := keys.Signature().Expiration
	sooner := func(t time.Time) {
		if t.Before(first) {
			first = t
		}
	}
	for _, h := range r.hops {
		sig, err := keys.Verify(h.set, h.sigs, now)
		if err != nil {
			return time.Time{}, err
		}
		sooner(sig.Expiration)
		for _, s := range h.sigs {
			sooner(dnssec.SerialTime(s.Expiration, now))
		}
		if !sig.Wildcard {
			continue
		}
		until, err := keys.VerifyExpansion(h.set[0].Header().Name, sig, r.authority, now)
		if err != nil {
			return time.Time{}, err
		}
		sooner(until)
	}
	if r.denied {
		until, err := keys.VerifyDenial(r.final, qtype, r.nxdomain, r.authority, now)
		if err != nil {
			return time.Time{}, err
		}
		sooner(until)
	}
	return first, nil
}

// unsignedText says why an answer does not count as signed.
func unsignedText(err error) string {
	var e *dnssec.Error
	switch {
	case errors.As(err, &e) && e.State() == dnssec.Indeterminate:
		return "its answer cannot be validated: " + e.Error()
	case e != nil && e.State() == dnssec.Insecure:
		return "its answer is insecure: " + e.Error()
	}
	return "its answer does not validate: " + err.Error()
}

// firstExpiry is when the first signature of an answer runs out, validated or not.
func firstExpiry(m *dns.Msg, now time.Time) time.Time {
	var first time.Time
	for _, rr := range m.Answer {
		if sig, ok := rr.(*dns.RRSIG); ok {
			if at := dnssec.SerialTime(sig.Expiration, now); first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return first
}

// longestValidity is the longest time from inception to expiration among the signatures of an
// answer. The fields wrap; their difference does not (RFC 4034 section 3.1.5).
func longestValidity(m *dns.Msg) time.Duration {
	var longest time.Duration
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if sig, ok := rr.(*dns.RRSIG); ok {
				longest = max(longest, seconds(sig.Expiration-sig.Inception))
			}
		}
	}
	return longest
}
