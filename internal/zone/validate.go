package zone

import (
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// validate checks every piece on the way through an answer with the keys of the same server's answer, all of them within
// the work of one answer. It returns when
// the first signature in play runs out, that over the keys and those that were not needed included.
func validate(keys *dnssec.Keys, r reading, now time.Time) (time.Time, error) {
	first := keys.Signature().Expiration
	keys = keys.OneAnswer()
	for i := range r.pieces {
		until, err := keys.Check(r.pieces[i], now)
		if err != nil {
			return time.Time{}, err
		}
		first = earlier(first, until)
		for _, sig := range r.pieces[i].Signatures() {
			first = earlier(first, dnssec.SerialTime(sig.Expiration, now))
		}
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
