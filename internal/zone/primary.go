package zone

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// stored is what the primary shows at one owner.
type stored struct {
	records []tlsa.Record
	ttl     time.Duration
	// synthesized says that it comes from a wildcard: nothing stands at the owner itself.
	synthesized bool
	// problem says why it could not be read, or why the owner must not be written; its class is
	// empty when all is well.
	problem outcome
}

func (s stored) known() bool { return s.problem.class == "" }

// own is the RRset that prerequisites see.
func (s stored) own() []tlsa.Record {
	if s.synthesized {
		return nil
	}
	return s.records
}

// shows says whether this is exactly the RRset and TTL wanted. The change is normalized.
func (s stored) shows(c Change) bool {
	if len(c.Want) == 0 {
		return len(s.own()) == 0
	}
	return slices.Equal(s.records, c.Want) && s.ttl == c.TTL.Truncate(time.Second)
}

// asked is one question about an owner, and what its answer shows.
type asked struct {
	owner string
	msg   *dns.Msg
	read  reading
	// problem says why the answer cannot be used; its class is empty when it can.
	problem outcome
}

// aboutTLSA asks for the TLSA RRset of an owner, with its signatures where they are needed: a server that
// signs on the fly answers much sooner without.
func aboutTLSA(owner string, signatures bool) asked {
	m := query(owner, dns.TypeTLSA)
	m.IsEdns0().SetDo(signatures)
	return asked{owner: owner, msg: m}
}

func (q asked) stored(w who) stored {
	if q.problem.class != "" {
		return stored{problem: q.problem}
	}
	w.owner = q.owner
	return standing(w, q.read)
}

// ask puts questions to the primary and reads the answers. Questions are signed like updates: with
// views, the key chooses what is seen.
func (w *writer) ask(ctx context.Context, questions []asked) {
	if len(questions) == 0 {
		return
	}
	msgs := make([]*dns.Msg, len(questions))
	for i, q := range questions {
		msgs[i] = q.msg
	}
	about := w.who
	for i, r := range w.session.askMany(ctx, w.packets, msgs) {
		q := &questions[i]
		about.owner = q.owner
		q.read, q.problem = readStored(about, q.msg.Question[0].Qtype, r, w.opts.Clock.Now())
	}
}

// place finds out what zone the owners belong to where the answers for their TLSA RRsets leave it open.
// The SOA tells it, even when the same server serves the zone below.
func (w *writer) place(ctx context.Context, questions []asked) {
	var open []int
	var more []asked
	for i, q := range questions {
		if q.problem.class == "" && !tellsZone(w.who.zone, q.read) {
			open = append(open, i)
			more = append(more, aboutTLSA(q.owner, true), asked{owner: q.owner, msg: query(q.owner, dns.TypeSOA)})
		}
	}
	if len(open) == 0 {
		return
	}
	w.ask(ctx, more)
	for j, i := range open {
		records, soa := more[2*j], more[2*j+1]
		questions[i] = records
		switch {
		case records.problem.class != "":
		case soa.problem.class != "":
			questions[i].problem = soa.problem
		default:
			questions[i].read.cut = cmp.Or(records.read.cut, apexOf(w.who.zone, soa.read))
		}
	}
}

// readStored reads one answer about an owner; the class of the outcome is empty when it can be read.
func readStored(w who, qtype uint16, r reply, now time.Time) (reading, outcome) {
	if r.err != nil || r.msg.Rcode == dns.RcodeNotAuth {
		return reading{}, classifyQuery(w, r, now)
	}
	got, err := readAnswer(w.zone, w.owner, qtype, r.msg)
	if err != nil {
		return got, queryProblem(w, got, r.msg, err)
	}
	return got, outcome{}
}

// tellsZone says whether an answer shows what zone the name belongs to: a denial by its SOA, which
// readAnswer has compared, and data by who signed it.
func tellsZone(zone string, r reading) bool {
	if r.alias != "" {
		return false
	}
	if r.denied {
		return slices.ContainsFunc(r.authority, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeSOA && dns.CanonicalName(rr.Header().Name) == zone
		})
	}
	sigs := r.signatures()
	return len(sigs) > 0 && !slices.ContainsFunc(sigs, func(sig *dns.RRSIG) bool { return dns.CanonicalName(sig.SignerName) != zone })
}

// standing is what an answer shows of an owner where a TLSA record can stand.
func standing(w who, r reading) stored {
	if p, bad := misplaced(w, r); bad {
		return stored{problem: p}
	}
	return stored{records: records(r.data()), ttl: answerTTL(r), synthesized: r.synthesized}
}

// answerTTL is zero for a denial: its TTL is not that of an RRset.
func answerTTL(r reading) time.Duration {
	if r.denied {
		return 0
	}
	return r.ttl
}

// apexOf finds a zone below ours whose apex answered the SOA question itself.
func apexOf(zone string, place reading) string {
	if len(place.data()) == 0 || place.alias != "" {
		return ""
	}
	if owner := dns.CanonicalName(place.data()[0].Header().Name); owner != zone {
		return owner
	}
	return ""
}

// misplaced refuses owners where a TLSA record cannot stand, or would not be seen. Servers say
// NOERROR to it and do nothing.
func misplaced(w who, r reading) (outcome, bool) {
	switch {
	case r.cut != "":
		return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
			"%s says that %s is not in the zone %s but in %s, which is delegated from it: make a DNSZone for %s, or remove the delegation", w.server, w.owner, w.zone, r.cut, r.cut)}, true
	case r.alias == "":
		return outcome{}, false
	case r.aliasAt == w.owner:
		return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
			"%s says that %s is an alias (CNAME) of %s, so that nothing can be published there: remove the CNAME, or manage the records at its target", w.server, w.owner, r.alias)}, true
	}
	return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
		"%s says that %s is below %s, which is an alias (DNAME): its answers come from %s; remove the DNAME, or manage the records there", w.server, w.owner, r.aliasAt, r.alias)}, true
}

// classifyQuery is classify for the questions that go with an update.
func classifyQuery(w who, r reply, now time.Time) outcome {
	switch {
	case r.msg == nil:
		return classifySilence(w, r.err)
	case r.msg.Rcode == dns.RcodeNotAuth:
		o := classifyNotAuth(w, r.msg, now)
		// PowerDNS says NOTAUTH alone to a query whose signature it does not accept.
		o.unclear = o.class == NotPrimary && w.key != ""
		return o
	case r.msg.Rcode == dns.RcodeServerFailure || r.msg.Rcode == dns.RcodeRefused:
		_, err := readAnswer(w.zone, w.owner, dns.TypeTLSA, r.msg)
		return queryProblem(w, reading{}, r.msg, err)
	}
	return outcome{class: UnsignedReply, retryable: true, message: fmt.Sprintf(
		"%s answered a signed query for %s with something that cannot be believed: %v; look for something between here and the server that rewrites DNS (a proxy, a forwarder)", w.server, w.owner, r.err)}
}

// queryProblem classifies an answer that readAnswer refused.
func queryProblem(w who, r reading, m *dns.Msg, err error) outcome {
	message := fmt.Sprintf("%s: %v", w.server, err)
	switch {
	case r.cut != "":
		return outcome{class: OwnerIsAlias, message: message}
	case r.alias != "":
		return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
			"%s says that %s is an alias of %s, so that nothing can be published there: remove the alias, or manage the records at its target", w.server, w.owner, r.alias)}
	case m.Rcode == dns.RcodeServerFailure:
		return outcome{class: ServerFailure, retryable: true, message: message}
	case m.Rcode == dns.RcodeRefused:
		return outcome{class: NotPermitted, unclear: true, message: message}
	case m.Rcode == dns.RcodeSuccess && !m.Authoritative:
		return outcome{class: NotPrimary, message: fmt.Sprintf(
			"%s does not serve the zone %s: it answers without authority; set spec.update.nameserver to the primary of the zone", w.server, w.zone)}
	}
	return outcome{class: ServerFailure, retryable: true, message: message}
}
