package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// dsWriter changes the DS RRset of one zone at the primary of its parent, by the discipline of writer:
// it looks what stands, guards what it sends by that, and believes what it reads back alone.
type dsWriter struct {
	*writer
	change DSChange
	// last is the RRset that the primary showed last.
	last []*dns.DS
}

func newDSWriter(opts Options, cfg Config, c DSChange) *dsWriter {
	w := &dsWriter{writer: newWriter(opts, cfg, nil), change: c}
	w.who.owner, w.who.kind = c.Child, dns.TypeDS
	return w
}

func (w *dsWriter) write(ctx context.Context) Result {
	defer w.close()
	o := w.run(ctx)
	r := Result{Class: o.class, Message: o.message, Retryable: o.retryable, At: w.opts.Clock.Now()}
	if o.class == Applied || o.class == Unchanged {
		r.Message, r.Retryable = "", false
	}
	return r
}

func (w *dsWriter) run(ctx context.Context) outcome {
	zone := w.who.zone
	switch {
	case w.session == nil:
		return w.problem
	case w.change.Child == zone || !dns.IsSubDomain(zone, w.change.Child):
		return outcome{class: NotInZone, message: fmt.Sprintf("%s is not below the zone %s: nothing was sent", w.change.Child, zone)}
	}
	if o := w.look(ctx); o.class != "" {
		return o
	}
	switch {
	case sameDS(w.last, w.change.Want):
		return outcome{class: Unchanged}
	case !sameDS(w.last, w.change.Expect):
		return w.conflict()
	}
	if o := w.checkNameservers(ctx); o.class != "" {
		return o
	}
	w.who.keyKnown = w.who.key != ""
	w.opts.Logger.V(1).Info("update DS", "server", w.who.server, "zone", w.change.Child, "records", len(w.change.Want))
	r := w.session.askAnew(ctx, dsMessage(zone, w.change))
	o := classify(w.who, r, w.opts.Clock.Now())
	switch {
	case o.class == Applied:
		return w.readBack(ctx)
	case o.prerequisite || o.ambiguous || r.err != nil:
		return w.afterDoubt(ctx, o)
	}
	return o
}

// look reads the DS RRset at the primary; the class of the outcome is empty when that went well.
func (w *dsWriter) look(ctx context.Context) outcome {
	r := w.session.askAll(ctx, []*dns.Msg{query(w.change.Child, dns.TypeDS)})[0]
	got, o := readStored(w.who, dns.TypeDS, r, w.opts.Clock.Now())
	if o.class != "" {
		if o.unclear {
			o = w.explained(ctx, o)
		}
		return o
	}
	if o, bad := misplaced(w.who, got); bad {
		return o
	}
	w.last = dsOf(got.data())
	return outcome{}
}

// checkNameservers looks whether the delegation at the primary is the one that the change is for; the class of
// the outcome is empty when it is. Nobody signs the NS records of a delegation (RFC 4035 section 2.2), so what
// was read from public servers may be forged: here the update key vouches for the answer.
func (w *dsWriter) checkNameservers(ctx context.Context) outcome {
	if len(w.change.Nameservers) == 0 {
		return outcome{}
	}
	r := w.session.askAll(ctx, []*dns.Msg{query(w.change.Child, dns.TypeNS)})[0]
	if r.err != nil {
		return classifyQuery(w.who, r, w.opts.Clock.Now())
	}
	if err := checkHeader(w.who.zone, w.change.Child, r.msg); err != nil {
		return outcome{class: ServerFailure, retryable: true, message: fmt.Sprintf("%s: %v", w.who.server, err)}
	}
	got, want := nameServers(delegationNS(w.change.Child, r.msg)), slices.Sorted(slices.Values(w.change.Nameservers))
	if slices.Equal(got, want) {
		return outcome{}
	}
	return outcome{class: Conflict, retryable: true, message: fmt.Sprintf(
		"%s delegates %s to the name servers %s, and the public servers of the zone %s delegate it to %s, whose word the first DS records would rest on: nothing was written; wait until the zone transfer is through, or find out who forges these answers",
		w.who.server, w.change.Child, namesText(got), w.who.zone, namesText(want))}
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// explained has an update that changes nothing tell why a query was refused.
func (w *dsWriter) explained(ctx context.Context, o outcome) outcome {
	r := w.session.askAll(ctx, []*dns.Msg{probeMessage(w.who.zone)})[0]
	if told := classify(w.who, r, w.opts.Clock.Now()); told.class == NotPrimary || told.class == NotPermitted {
		return told
	}
	return o
}

// afterDoubt looks what became of an update that was refused for what stands there, or of which it is
// not known whether it was carried out.
func (w *dsWriter) afterDoubt(ctx context.Context, o outcome) outcome {
	w.session.close()
	if unread := w.look(ctx); unread.class != "" {
		return outcome{class: o.class, retryable: true, message: fmt.Sprintf(
			"%s; it may have been carried out all the same, and the DS records of %s could not be read back: %s", o.message, w.change.Child, unread.message)}
	}
	switch {
	case sameDS(w.last, w.change.Want):
		return outcome{class: Applied}
	case !sameDS(w.last, w.change.Expect):
		return w.conflict()
	}
	return o
}

// readBack makes sure that NOERROR was meant. A server that still shows the old RRset may only be late.
func (w *dsWriter) readBack(ctx context.Context) outcome {
	pause := 20 * time.Millisecond
	for waited := time.Duration(0); ; waited, pause = waited+pause, 2*pause {
		if o := w.look(ctx); o.class != "" {
			o.message, o.retryable = "the update was acknowledged and could not be read back: "+o.message, true
			return o
		}
		switch {
		case sameDS(w.last, w.change.Want):
			return outcome{class: Applied}
		case !sameDS(w.last, w.change.Expect) || waited >= w.opts.ReadBackFor:
			return w.notStored()
		}
		w.session.close()
		if !w.wait(ctx, pause) {
			return outcome{class: Unreachable, retryable: true, message: silenceText(ctx.Err())}
		}
	}
}

func (w *dsWriter) conflict() outcome {
	return outcome{class: Conflict, retryable: true, message: fmt.Sprintf(
		"%s shows the DS records %s for %s where %s were expected: somebody else changed them; nothing was overwritten",
		w.who.server, dsText(w.last), w.change.Child, dsText(w.change.Expect))}
}

func (w *dsWriter) notStored() outcome {
	return outcome{class: NotStored, retryable: true, message: fmt.Sprintf(
		"%s said NOERROR and shows the DS records %s for %s instead of %s: see its log, and look for a delegation that lacks its NS records, for an update policy that drops records without a word (PowerDNS: lua-dnsupdate-policy-script), and for somebody else who writes",
		w.who.server, dsText(w.last), w.change.Child, dsText(w.change.Want))}
}

// dsMessage replaces the DS RRset of a zone if it is still the one expected.
func dsMessage(zone string, c DSChange) *dns.Msg {
	m := new(dns.Msg)
	m.SetUpdate(zone)
	m.Compress = true
	swap(m, dns.RR_Header{Name: c.Child, Rrtype: dns.TypeDS, Class: dns.ClassINET}, dsRecords(c.Child, c.Expect, 0), dsRecords(c.Child, c.Want, c.TTL))
	return m
}

func dsRecords(owner string, set []*dns.DS, ttl time.Duration) []dns.RR {
	out := make([]dns.RR, 0, len(set))
	for _, ds := range set {
		c := *ds
		c.Hdr = dns.RR_Header{Name: owner, Rrtype: dns.TypeDS, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
		out = append(out, &c)
	}
	return out
}

// dsWords are DS records as sorted text, for comparison.
func dsWords(set []*dns.DS) []string {
	var out []string
	for _, ds := range set {
		out = append(out, dnssec.PresentDS(ds))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func sameDS(a, b []*dns.DS) bool { return slices.Equal(dsWords(a), dsWords(b)) }

func dsText(set []*dns.DS) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(dsWords(set), ", ")
}
