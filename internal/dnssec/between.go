package dnssec

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// cutLimit is how long it is looked for zone cuts that nobody has shown.
const cutLimit = 5 * time.Second

// nothingBetween makes sure that the signer is the zone of the piece, and not one above it (RFC 4035
// section 5.3.1), where a delegation was seen in between: a parent may have signed the same name before it
// was delegated.
func (l *lookup) nothingBetween(ctx context.Context, signer string, f *finding) *Error {
	cut, sees := l.source.deepest(f.top(), l.now)
	if !sees {
		return l.provedBetween(ctx, signer, f)
	}
	if !below(signer, cut) {
		return nil
	}
	z := l.zoneOf(ctx, cut)
	if z.err == nil && z.keys.zone != signer {
		return wrongSigner(signer, z.keys.zone, f)
	}
	return z.err
}

// provedBetween is nothingBetween by way of recursive servers, which show no delegations. Each name in between is asked for
// DS records, as on the way down from the trust anchor, and what these prove counts: that there is a zone, signed or not.
// Where they prove nothing, the signature of the zone above counts: that zone could as well have handed out other DS records.
func (l *lookup) provedBetween(ctx context.Context, signer string, f *finding) *Error {
	if !below(signer, f.top()) {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, cutLimit)
	defer stop()
	z := l.zoneOf(ctx, f.top())
	deepest := signer
	for zone := range l.passed {
		if below(deepest, zone) && dns.IsSubDomain(zone, f.top()) {
			deepest = zone
		}
	}
	if deepest != signer {
		return wrongSigner(signer, deepest, f)
	}
	// A denial of too many iterations, or out of an opt-out range, proves no cut: only that none is proven.
	if z.err != nil && (z.err.Reason == UnsignedDelegation || z.err.Reason == Unsupported) {
		return z.err
	}
	return nil
}

func wrongSigner(signer, zone string, f *finding) *Error {
	return fail(WrongSigner, f.owner()+" "+typeText(f.qtype), "the signature is by %s, and the name is in the zone %s", signer, zone).in(zone).from(f.server, f.extended...)
}
