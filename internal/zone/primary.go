package zone

import (
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

// shows says whether this is exactly the RRset and TTL wanted.
func (s stored) shows(c Change) bool {
	if len(c.Want) == 0 {
		return len(s.own()) == 0
	}
	return slices.Equal(s.records, tlsa.Normalize(c.Want)) && s.ttl == c.TTL.Truncate(time.Second)
}

// readPrimary asks the primary what stands at owners: the TLSA RRset, and the SOA, which tells what
// zone the name belongs to even when the same server serves the zone below. Questions are signed
// like updates: with views, the key chooses what is seen.
func readPrimary(ctx context.Context, s *session, w who, now func() time.Time, owners []string) []stored {
	questions := make([]*dns.Msg, 0, 2*len(owners))
	for _, owner := range owners {
		questions = append(questions, query(owner, dns.TypeTLSA), query(owner, dns.TypeSOA))
	}
	replies := s.askAll(ctx, questions)
	out := make([]stored, len(owners))
	for i, owner := range owners {
		w.owner = owner
		out[i] = readStored(w, owner, replies[2*i], replies[2*i+1], now())
	}
	return out
}

func readStored(w who, owner string, data, soa reply, now time.Time) stored {
	for _, r := range []reply{data, soa} {
		if r.err != nil || r.msg.Rcode == dns.RcodeNotAuth {
			return stored{problem: classifyQuery(w, r, now)}
		}
	}
	place, err := readAnswer(w.zone, owner, dns.TypeSOA, soa.msg)
	if err != nil {
		return stored{problem: queryProblem(w, place, soa.msg, err)}
	}
	if at := apexOf(w.zone, place, soa.msg); at != "" {
		place.cut = at
	}
	r, err := readAnswer(w.zone, owner, dns.TypeTLSA, data.msg)
	if err != nil {
		return stored{problem: queryProblem(w, r, data.msg, err)}
	}
	if p, bad := misplaced(w, owner, place, r); bad {
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
func apexOf(zone string, place reading, m *dns.Msg) string {
	if len(place.data()) == 0 || place.alias != "" {
		return ""
	}
	if owner := dns.CanonicalName(m.Answer[0].Header().Name); owner != zone {
		return owner
	}
	return ""
}

// misplaced refuses owners where a TLSA record cannot stand, or would not be seen. Servers say
// NOERROR to it and do nothing.
func misplaced(w who, owner string, place, data reading) (outcome, bool) {
	for _, r := range []reading{place, data} {
		if r.cut != "" {
			return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
				"%s is not in the zone %s but in %s, which is delegated from it: make a DNSZone for %s, or remove the delegation", owner, w.zone, r.cut, r.cut)}, true
		}
		if r.alias == "" {
			continue
		}
		if r.aliasAt == owner {
			return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
				"%s is an alias (CNAME) of %s, where nothing can be published: remove the CNAME, or manage the records at its target", owner, r.alias)}, true
		}
		return outcome{class: OwnerIsAlias, message: fmt.Sprintf(
			"%s is below %s, which is an alias (DNAME): its answers come from %s; remove the DNAME, or manage the records there", owner, r.aliasAt, r.alias)}, true
	}
	return outcome{}, false
}

// classifyQuery is classify for the questions that go with an update.
func classifyQuery(w who, r reply, now time.Time) outcome {
	switch {
	case r.msg == nil:
		return classifySilence(w, r.err)
	case r.msg.Rcode == dns.RcodeNotAuth:
		return classifyNotAuth(w, r.msg, now)
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
			"%s is an alias of %s, where nothing can be published: remove the alias, or manage the records at its target", w.owner, r.alias)}
	case m.Rcode == dns.RcodeServerFailure:
		return outcome{class: ServerFailure, retryable: true, message: message}
	case m.Rcode == dns.RcodeRefused:
		return outcome{class: NotPermitted, message: message}
	case m.Rcode == dns.RcodeSuccess && !m.Authoritative:
		return outcome{class: NotPrimary, message: fmt.Sprintf(
			"%s does not serve the zone %s: it answers without authority; set spec.update.nameserver to the primary of the zone", w.server, w.zone)}
	}
	return outcome{class: ServerFailure, retryable: true, message: message}
}
