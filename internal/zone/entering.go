package zone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// enter asks for the DS records of a zone, validated from a trust anchor down, and says how long they count.
func enter(ctx context.Context, zone string, r Resolver) (entry, time.Duration) {
	got := r.LookupDS(ctx, zone)
	switch {
	case len(got.Hops) > 0 && got.Hops[0].State == dnssec.Secure:
		// Whatever is found where the alias leads belongs to another name.
		return entry{err: notDelegated(zone, fmt.Sprintf("its parent proves that the name is an alias of %s, and no zone", got.Hops[0].Target))}, got.TTL
	case got.State == dnssec.Secure && got.Kind == dnssec.Data:
		return entry{ds: dsOf(got.RRs), parent: got.Zone, ttl: got.SignedTTL, above: got.Above}, got.TTL
	case got.State == dnssec.Secure:
		return entry{err: withoutDS(ctx, zone, r), above: got.Above}, got.TTL
	}
	return entry{err: alsoSaid(advise(zone, got.Cause), got)}, got.TTL
}

// alsoSaid adds the extended errors of an insecure answer where its cause is from elsewhere: the cause tells its own.
func alsoSaid(err *dnssec.Error, got dnssec.Result) *dnssec.Error {
	if got.State == dnssec.Insecure && len(got.Extended) > 0 && err.Server != got.Server {
		err.Detail += fmt.Sprintf("; server %s, which gave the answer, says: %s", got.Server, strings.Join(got.Extended, "; "))
	}
	return err
}

// withoutDS tells apart zones that are delegated without DNSSEC and names that are not delegated at all.
func withoutDS(ctx context.Context, zone string, r Resolver) *dnssec.Error {
	state := r.ZoneKeys(ctx, zone)
	switch {
	case state.Cause == nil:
		// Its servers differ, as while they take over a change: who asks the one that has none sees an unsigned
		// zone, however many others have them.
		return &dnssec.Error{Reason: dnssec.UnsignedDelegation, Zone: zone, Subject: zone + " DS", Detail: "one answer of the parent's servers proves that the zone has no DS record, and another gives some: its servers differ; while they do, senders may take the zone for unsigned"}
	case state.Cause.Reason == dnssec.NoZone:
		return notDelegated(zone, state.Cause.Detail)
	}
	return advise(zone, state.Cause)
}

// notDelegated says that nobody who starts from the trust anchor gets to the zone.
func notDelegated(zone, why string) *dnssec.Error {
	return &dnssec.Error{Reason: dnssec.NoAnchor, Subject: zone, Detail: fmt.Sprintf(
		"the zone is not delegated below the trust anchor in use (%s): have its parent delegate it, or, for a zone that only some resolvers know, set spec.dnssec.trustAnchors to its DS record", why)}
}

// advise says of what was found on the way to a zone whose it is and what to do.
func advise(zone string, cause *dnssec.Error) *dnssec.Error {
	if cause == nil {
		return interrupted(zone)
	}
	out := *cause
	if out.Subject == ". DNSKEY" && (out.Reason == dnssec.NoSignature || out.Reason == dnssec.NoKeys) {
		return withoutSignatures(cause)
	}
	switch out.State() {
	case dnssec.Insecure:
		out.Detail += insecureAdvice(zone, cause)
	case dnssec.Bogus:
		out.Detail += bogusAdvice(zone, cause)
	default:
		out.Detail += unreachableAdvice(cause)
	}
	return &out
}

// unreachableAdvice tells apart that nobody can be asked and that who was asked says what is wrong.
func unreachableAdvice(cause *dnssec.Error) string {
	switch {
	case cause.Reason != dnssec.Unreachable:
		return ""
	case len(cause.Extended) > 0:
		return "; what the server says of it is for whoever runs that server, or the zone, to mend"
	}
	return "; see that the operator can send DNS queries (port 53, UDP and TCP) to servers outside, or give it --resolvers"
}

// withoutSignatures is that even the root's keys come without: no zone is to blame for that.
func withoutSignatures(cause *dnssec.Error) *dnssec.Error {
	return &dnssec.Error{Reason: dnssec.Unreachable, Subject: cause.Subject, Server: cause.Server, Extended: cause.Extended,
		Detail: "answers of the root servers, or of the resolver asked in their place, come without signatures: something on the way intercepts DNS (port 53), or drops DNSSEC records; give the operator --resolvers that pass signatures on, or trust anchors of the zone itself (--trust-anchors or spec.dnssec.trustAnchors)"}
}

func insecureAdvice(zone string, cause *dnssec.Error) string {
	switch at := causeZone(cause); {
	case cause.Reason != dnssec.UnsignedDelegation && cause.Reason != dnssec.OptOut:
		return fmt.Sprintf("; so the zone %s counts as unsigned, and senders ignore TLSA records in it", zone)
	case at == zone:
		return "; senders ignore TLSA records in it: sign it, and hand its DS records (status.dnssec.cds, or the signer's) to the parent"
	default:
		return fmt.Sprintf("; so %s is insecure too, and senders ignore TLSA records in it: whoever runs %s has to sign it and to have DS records put into the zone above", zone, at)
	}
}

// causeZone is the zone or name that a cause is about: its owner, without the type.
func causeZone(cause *dnssec.Error) string {
	name, _, _ := strings.Cut(cause.Subject, " ")
	return name
}

func bogusAdvice(zone string, cause *dnssec.Error) string {
	if cause.Zone == "" || cause.Zone == zone {
		return ""
	}
	return fmt.Sprintf("; the fault is in the zone %s, above %s: its operator has to mend it, and resolvers refuse everything in %s until then", cause.Zone, zone, zone)
}

// blameParent says what to do where the keys of a server do not fit the DS records that the parent has.
func (e entry) blameParent(zone string, err error) error {
	var found *dnssec.Error
	if e.parent == "" || !errors.As(err, &found) {
		return err
	}
	out := *found
	switch out.Reason {
	case dnssec.AnchorMismatch:
		out.Detail += fmt.Sprintf("; if its keys are the right ones, the parent zone %s is to blame: have it replace the DS records of %s by those of the keys (status.dnssec.cds); resolvers refuse everything in %s until then", e.parent, zone, zone)
	case dnssec.NoKeys:
		out.Detail += fmt.Sprintf("; sign it again with the keys of the DS records, or have the parent zone %s remove these; resolvers refuse everything in %s until then", e.parent, zone)
	}
	return &out
}
