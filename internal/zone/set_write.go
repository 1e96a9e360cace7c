package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// setChange is one whole RRset in place of another at an owner: compare-and-swap.
type setChange struct {
	// owner is absolute and in lower case.
	owner string
	kind  uint16
	// expect is the RRset that the primary must still have, want the RRset afterwards; their owners and TTLs do not count.
	expect, want []dns.RR
	// ttl of the RRset afterwards. With keepTTL an RRset that stands keeps the TTL that it has. The server may lower it:
	// nothing rests on it here.
	ttl     time.Duration
	keepTTL bool
}

// setWriter changes one RRset of any type at the primary, by the discipline of writer: it looks what stands, guards what
// it sends by that, and believes what it reads back alone.
type setWriter struct {
	*writer
	change setChange
	// last is the RRset that the primary showed last, with its TTL.
	last    []dns.RR
	lastTTL time.Duration
	// ahead is asked before anything is sent; a class ends the change. Nil asks nothing.
	ahead func(context.Context) outcome
	// hint says what else may keep a change that was acknowledged from being stored.
	hint string
}

func newSetWriter(opts Options, cfg Config, c setChange) *setWriter {
	w := &setWriter{writer: newWriter(opts, cfg, nil), change: c}
	w.who.owner, w.who.kind = c.owner, c.kind
	return w
}

func (w *setWriter) write(ctx context.Context) Result {
	defer w.close()
	o := w.run(ctx)
	r := Result{Class: o.class, Message: o.message, Retryable: o.retryable, At: w.opts.Clock.Now()}
	if o.class == Applied || o.class == Unchanged {
		r.Message, r.Retryable = "", false
	}
	return r
}

func (w *setWriter) run(ctx context.Context) outcome {
	if w.session == nil {
		return w.problem
	}
	if o := w.look(ctx); o.class != "" {
		return o
	}
	switch {
	case sameSet(w.last, w.change.want):
		return outcome{class: Unchanged}
	case !sameSet(w.last, w.change.expect):
		return w.conflict()
	}
	if w.ahead != nil {
		if o := w.ahead(ctx); o.class != "" {
			return o
		}
	}
	w.who.keyKnown = w.who.key != ""
	w.opts.Logger.V(1).Info("update", "type", w.who.kindText(), "server", w.who.server, "owner", w.change.owner, "records", len(w.change.want))
	r := w.session.askAnew(ctx, w.message())
	o := classify(w.who, r, w.opts.Clock.Now())
	switch {
	case o.class == Applied:
		return w.readBack(ctx)
	case o.prerequisite || o.ambiguous || r.err != nil:
		return w.afterDoubt(ctx, o)
	}
	return o
}

// look reads the RRset at the primary; the class of the outcome is empty when that went well.
func (w *setWriter) look(ctx context.Context) outcome {
	r := w.session.askAll(ctx, []*dns.Msg{query(w.change.owner, w.change.kind)})[0]
	got, o := readStored(w.who, w.change.kind, r, w.opts.Clock.Now())
	if o.class != "" {
		if o.unclear {
			o = w.explained(ctx, o)
		}
		return o
	}
	if o, bad := misplaced(w.who, got); bad {
		return o
	}
	w.last, w.lastTTL = got.data(), answerTTL(got)
	if got.synthesized {
		// It comes from a wildcard: nothing stands at the owner itself.
		w.last, w.lastTTL = nil, 0
	}
	return outcome{}
}

// explained has an update that changes nothing tell why a query was refused.
func (w *setWriter) explained(ctx context.Context, o outcome) outcome {
	r := w.session.askAll(ctx, []*dns.Msg{probeMessage(w.who.zone)})[0]
	if told := classify(w.who, r, w.opts.Clock.Now()); told.class == NotPrimary || told.class == NotPermitted {
		return told
	}
	return o
}

// afterDoubt looks what became of an update that was refused for what stands there, or of which it is
// not known whether it was carried out.
func (w *setWriter) afterDoubt(ctx context.Context, o outcome) outcome {
	w.session.close()
	if unread := w.look(ctx); unread.class != "" {
		return outcome{class: o.class, retryable: true, message: fmt.Sprintf(
			"%s; it may have been carried out all the same, and the %s records of %s could not be read back: %s", o.message, w.who.kindText(), w.change.owner, unread.message)}
	}
	switch {
	case sameSet(w.last, w.change.want):
		return outcome{class: Applied}
	case !sameSet(w.last, w.change.expect):
		return w.conflict()
	}
	return o
}

// readBack makes sure that NOERROR was meant. A server that still shows the old RRset may only be late.
func (w *setWriter) readBack(ctx context.Context) outcome {
	pause := 20 * time.Millisecond
	for waited := time.Duration(0); ; waited, pause = waited+pause, 2*pause {
		if o := w.look(ctx); o.class != "" {
			o.message, o.retryable = "the update was acknowledged and could not be read back: "+o.message, true
			return o
		}
		switch {
		case sameSet(w.last, w.change.want):
			return outcome{class: Applied}
		case !sameSet(w.last, w.change.expect) || waited >= w.opts.ReadBackFor:
			return w.notStored()
		}
		w.session.close()
		if !w.wait(ctx, pause) {
			return outcome{class: Unreachable, retryable: true, message: silenceText(ctx.Err())}
		}
	}
}

func (w *setWriter) conflict() outcome {
	return outcome{class: Conflict, retryable: true, message: fmt.Sprintf(
		"%s shows the %s records %s for %s where %s were expected: somebody else changed them; nothing was overwritten",
		w.who.server, w.who.kindText(), setText(w.last), w.change.owner, setText(w.change.expect))}
}

func (w *setWriter) notStored() outcome {
	return outcome{class: NotStored, retryable: true, message: fmt.Sprintf(
		"%s said NOERROR and shows the %s records %s for %s instead of %s: see its log, and look for %san update policy that drops records without a word (PowerDNS: lua-dnsupdate-policy-script), and for somebody else who writes",
		w.who.server, w.who.kindText(), setText(w.last), w.change.owner, setText(w.change.want), w.hint)}
}

// message replaces the RRset if it is still the one expected.
func (w *setWriter) message() *dns.Msg {
	c, ttl := w.change, w.change.ttl
	if c.keepTTL && len(w.last) > 0 {
		ttl = w.lastTTL
	}
	m := new(dns.Msg)
	m.SetUpdate(w.who.zone)
	m.Compress = true
	swap(m, dns.RR_Header{Name: c.owner, Rrtype: c.kind, Class: dns.ClassINET}, placed(c.owner, c.expect, 0), placed(c.owner, c.want, ttl))
	return m
}

// placed are records at an owner with a TTL.
func placed(owner string, set []dns.RR, ttl time.Duration) []dns.RR {
	out := make([]dns.RR, 0, len(set))
	for _, rr := range set {
		c := dns.Copy(rr)
		*c.Header() = dns.RR_Header{Name: owner, Rrtype: rr.Header().Rrtype, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
		out = append(out, c)
	}
	return out
}

// setWords are records as sorted text without owner and TTL, for comparison.
func setWords(set []dns.RR) []string {
	var out []string
	for _, rr := range set {
		out = append(out, rdata(rr))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rdata is the data of a record as it stands in a zone file, with the names in it in lower case (RFC 4343).
func rdata(rr dns.RR) string {
	if mx, ok := rr.(*dns.MX); ok {
		c := *mx
		c.Mx = dns.CanonicalName(c.Mx)
		rr = &c
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

func sameSet(a, b []dns.RR) bool { return slices.Equal(setWords(a), setWords(b)) }

// shownText is how much of an RRset is shown: it may be long, and somebody else's.
const shownText = 400

func setText(set []dns.RR) string {
	if len(set) == 0 {
		return "none"
	}
	text := strings.Join(setWords(set), ", ")
	if len(text) > shownText {
		return fmt.Sprintf("%s... (%d in all)", text[:shownText], len(set))
	}
	return text
}
