package dnssec

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// cutLimit is how long one lookup looks for zone cuts that nobody has shown, for all names on its way together.
const cutLimit = 5 * time.Second

// nothingBetween makes sure that the signer is the zone of the piece, and not one above it (RFC 4035
// section 5.3.1), where a delegation was seen in between: a parent may have signed the same name before it
// was delegated.
func (l *lookup) nothingBetween(ctx context.Context, signer string, f *finding) *Error {
	cut, sees := l.source.deepest(f.top(), l.now)
	if !sees || l.unreferred {
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
// Where it was not looked to the end, nothing is known.
func (l *lookup) provedBetween(ctx context.Context, signer string, f *finding) *Error {
	if !below(signer, f.top()) {
		return nil
	}
	walk := l.walker()
	ctx, stop := context.WithTimeout(ctx, cutLimit-walk.spent)
	defer stop()
	began := l.config.Now()
	z := walk.zoneOf(ctx, f.top())
	walk.spent += l.config.Now().Sub(began)
	deepest := signer
	for zone := range l.passed {
		if below(deepest, zone) && dns.IsSubDomain(zone, f.top()) {
			deepest = zone
		}
	}
	if deepest != signer {
		return wrongSigner(signer, deepest, f)
	}
	return z.cutBy(signer, f, walk.ended(ctx, z.err))
}

// cutBy is why a zone may not speak for a piece below it, as far as a walk down to that has shown; nil where it may. Ended
// says what broke the walk off, and is empty if nothing did.
func (z link) cutBy(signer string, f *finding, ended string) *Error {
	switch {
	case z.err == nil:
		return nil
	case z.err.Reason == UnsignedDelegation, z.delegated && below(signer, z.err.Zone):
		return z.err
	case ended != "":
		return fail(Unreachable, f.owner()+" "+typeText(f.qtype),
			"the signature is by %s, and whether the name is in a zone of its own below that could not be found out: %s", signer, ended).
			in(signer).from(f.server, f.extended...)
	}
	// A denial of too many iterations, or out of an opt-out range, proves no cut: only that none is proven.
	return nil
}

// walker is the part of a lookup that looks for zone cuts which nobody has shown. What it finds is the lookup's, and what
// that takes is counted apart: a long name is to leave the question itself enough, and to cost no more than a question.
func (l *lookup) walker() *lookup {
	if l.cuts == nil {
		own := *l
		own.work, own.messages = newQueryWork(), 0
		l.cuts = &own
	}
	return l.cuts
}

// ended says what broke a walk off that ended with an error; empty if it came to an end of its own.
func (l *lookup) ended(ctx context.Context, err *Error) string {
	switch {
	case err == nil:
		return ""
	case l.messages > maxMessages:
		return fmt.Sprintf("it takes more than %d messages", maxMessages)
	case err.Reason == TooMuchWork:
		return err.Error()
	case ctx.Err() != nil:
		return "the answers do not come in time"
	}
	return ""
}

func wrongSigner(signer, zone string, f *finding) *Error {
	return fail(WrongSigner, f.owner()+" "+typeText(f.qtype), "the signature is by %s, and the name is in the zone %s", signer, zone).in(zone).from(f.server, f.extended...)
}
