package dnssec

import (
	"context"

	"github.com/miekg/dns"
)

// Path looks whether anything can be validated from here: whether the zone of the trust anchor that a name is judged by
// shows a signed record, and proves that there is none of another type. An error is not about the name: whoever is asked
// does not answer, or does not hand on what DNSSEC needs, or the clock or the trust anchors are wrong. It is nil, too,
// where the name is that zone itself: then nothing above it could tell who is to blame.
func (v *Validator) Path(ctx context.Context, name string) *Error {
	name = dns.CanonicalName(name)
	zone, ok := anchorZone(name, v.config.Anchors)
	if ok && zone == name {
		return nil
	}
	if !ok {
		zone = name // the lookup says that there is no anchor
	}
	// There are networks that let no question for TLSA pass.
	for _, qtype := range []uint16{dns.TypeSOA, dns.TypeTLSA} {
		if r := v.Lookup(ctx, zone, qtype); r.State == Bogus || r.State == Indeterminate {
			return r.Cause
		}
	}
	return nil
}
