package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// writeDS changes the DS RRset of one zone at the primary of its parent.
func writeDS(ctx context.Context, opts Options, cfg Config, c DSChange) Result {
	if zone := whoOf(cfg).zone; c.Child == zone || !dns.IsSubDomain(zone, c.Child) {
		return Result{Class: NotInZone, At: opts.Clock.Now(), Message: fmt.Sprintf("%s is not below the zone %s: nothing was sent", c.Child, zone)}
	}
	w := newSetWriter(opts, cfg, setChange{owner: c.Child, kind: dns.TypeDS, expect: dsRecords(c.Expect), want: dsRecords(c.Want), ttl: c.TTL})
	w.hint = "a delegation that lacks its NS records, for "
	w.ahead = func(ctx context.Context) outcome { return w.checkNameservers(ctx, c) }
	return w.write(ctx)
}

// checkNameservers looks whether the delegation at the primary is the one that the change is for; the class of
// the outcome is empty when it is. Nobody signs the NS records of a delegation (RFC 4035 section 2.2), so what
// was read from public servers may be forged: here the update key vouches for the answer.
func (w *setWriter) checkNameservers(ctx context.Context, c DSChange) outcome {
	if len(c.Nameservers) == 0 {
		return outcome{}
	}
	r := w.session.askAll(ctx, []*dns.Msg{query(c.Child, dns.TypeNS)})[0]
	if r.err != nil {
		return classifyQuery(w.who, r, w.opts.Clock.Now())
	}
	if err := checkHeader(w.who.zone, c.Child, r.msg); err != nil {
		return outcome{class: ServerFailure, retryable: true, message: fmt.Sprintf("%s: %v", w.who.server, err)}
	}
	got, want := nameServers(delegationNS(c.Child, r.msg)), slices.Sorted(slices.Values(c.Nameservers))
	if slices.Equal(got, want) {
		return outcome{}
	}
	return outcome{class: Conflict, retryable: true, message: fmt.Sprintf(
		"%s delegates %s to the name servers %s, and the public servers of the zone %s delegate it to %s, whose word the first DS records would rest on: nothing was written; wait until the zone transfer is through, or find out who forges these answers",
		w.who.server, c.Child, namesText(got), w.who.zone, namesText(want))}
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// dsRecords are DS records as an RRset.
func dsRecords(set []*dns.DS) []dns.RR {
	out := make([]dns.RR, 0, len(set))
	for _, ds := range set {
		c := *ds
		c.Hdr.Rrtype = dns.TypeDS
		out = append(out, &c)
	}
	return out
}
