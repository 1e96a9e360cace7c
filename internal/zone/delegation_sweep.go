package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// publicTargets are those that anybody may ask: a hidden primary is nobody's, unless there is no other. One
// that cannot be found is either hidden or asked as a public server.
func publicTargets(list []target) []target {
	list = slices.DeleteFunc(list, func(t target) bool { return t.Ignored })
	if slices.ContainsFunc(list, func(t target) bool { return !t.primary }) {
		list = slices.DeleteFunc(list, func(t target) bool { return t.primary && (t.endpoint.signer != nil || !t.Addr.IsValid()) })
	}
	return list
}

// sweepDS asks every server of the parent for the DS RRset, and whether the zone is delegated at all.
func (k *knowledge) sweepDS(ctx context.Context, cfg Config, child string) DSSweep {
	list, _ := k.targets(ctx, cfg)
	list = publicTargets(list)
	out := DSSweep{Answers: make([]delegation.Parent, len(list))}
	ttls := make([]delegatedTTL, len(list))
	e := k.entry(ctx, cfg)
	k.eachServer(list, func(i int) { out.Answers[i], ttls[i] = k.dsAt(ctx, cfg, e, list[i], child) })
	// A former server that tells of no delegation holds nothing up.
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].isFormer() && out.Answers[i].Problem != "" && out.Answers[i].Problem != unforeseen {
			out.Answers = slices.Delete(out.Answers, i, i+1)
		}
	}
	var longest delegatedTTL
	for _, t := range ttls {
		longest = delegatedTTL{ds: max(longest.ds, t.ds), ns: max(longest.ns, t.ns)}
	}
	out.TTL = cmp.Or(longest.ds, min(longest.ns, firstDSTTL))
	out.At = k.opts.Clock.Now()
	return out
}

// firstDSTTL is the longest TTL that the first DS records of a zone get.
const firstDSTTL = time.Hour

// delegatedTTL are the TTLs of the DS and NS records of a delegation; zero for none.
type delegatedTTL struct{ ds, ns time.Duration }

func (k *knowledge) dsAt(ctx context.Context, cfg Config, e entry, t target, child string) (delegation.Parent, delegatedTTL) {
	out := delegation.Parent{Server: serverText(t.Server), Problem: t.problem, State: dnssec.Indeterminate}
	if t.problem != "" {
		return out, delegatedTTL{}
	}
	if child == cfg.Zone || !dns.IsSubDomain(cfg.Zone, child) {
		out.Problem = fmt.Sprintf("%s is not below the zone %s", child, cfg.Zone)
		return out, delegatedTTL{}
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	defer s.close()
	replies := s.askAll(ctx, []*dns.Msg{query(cfg.Zone, dns.TypeDNSKEY), query(child, dns.TypeDS), query(child, dns.TypeNS)})
	got, problem := readDelegation(cfg.Zone, child, replies[1], replies[2])
	if problem != "" {
		out.Problem = problem
		return out, delegatedTTL{}
	}
	keys, err := k.keysFrom(cfg, e, replies[0])
	if err == nil {
		err = provedDS(keys, got, k.opts.Clock.Now())
	}
	out.DS = dsOf(got.data())
	out.State, out.Message = stateAndReason(err)
	ttl := delegatedTTL{}
	if len(out.DS) > 0 {
		ttl.ds = got.ttl
	}
	names := delegationNS(child, replies[2].msg)
	out.Nameservers = nameServers(names)
	for _, rr := range names {
		ttl.ns = max(ttl.ns, seconds(rr.Header().Ttl))
	}
	return out, ttl
}

// provedDS validates a DS RRset, or that there is none. In an opt-out gap of the zone there is none: a
// delegation with DS records has a NSEC3 record of its own (RFC 5155 section 7.1). What such a gap leaves open
// is whether there is a delegation, and that the NS records have said.
func provedDS(keys *dnssec.Keys, got reading, now time.Time) error {
	_, err := validate(keys, got, now)
	var e *dnssec.Error
	if got.denied && errors.As(err, &e) && e.Reason == dnssec.OptOut {
		return nil
	}
	return err
}

// readDelegation reads the answers of a server of the parent about a zone below.
func readDelegation(parent, child string, ds, ns reply) (reading, string) {
	for _, r := range []reply{ds, ns} {
		if r.err != nil {
			return reading{}, "no answer: " + silenceText(r.err)
		}
	}
	got, err := readAnswer(parent, child, dns.TypeDS, ds.msg)
	switch {
	case err != nil:
		return got, err.Error()
	case got.alias != "":
		return got, fmt.Sprintf("%s is an alias of %s there, and no delegated zone", child, got.alias)
	case len(delegationNS(child, ns.msg)) == 0:
		return got, fmt.Sprintf("it has no NS records for %s: the zone is not delegated from %s; add its NS records to %s, or correct spec.dnssec.delegation.parentZoneRef", child, parent, parent)
	}
	return got, ""
}

// delegationNS are the NS records of a zone that an answer tells of: as a referral, or with authority by a
// server that serves the zone itself too.
func delegationNS(child string, m *dns.Msg) []dns.RR {
	return find(append(slices.Clone(m.Answer), m.Ns...), child, dns.TypeNS).set
}

// sweepKeys asks every server of the zone what it asks its parent for. Those that the zone does not name any more have
// no say in that.
func (k *knowledge) sweepKeys(ctx context.Context, cfg Config) KeySweep {
	list, _ := k.targets(ctx, cfg)
	list = slices.DeleteFunc(publicTargets(list), target.isFormer)
	out := KeySweep{Answers: make([]delegation.Child, len(list))}
	k.eachServer(list, func(i int) { out.Answers[i] = k.requestAt(ctx, cfg, list[i]) })
	out.At = k.opts.Clock.Now()
	return out
}

func (k *knowledge) requestAt(ctx context.Context, cfg Config, t target) delegation.Child {
	out := delegation.Child{Server: serverText(t.Server), Problem: t.problem}
	if t.problem != "" {
		return out
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	defer s.close()
	types := []uint16{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY}
	sets := []*delegation.Set{&out.DNSKEY, &out.CDS, &out.CDNSKEY}
	var questions []*dns.Msg
	for _, qtype := range types {
		questions = append(questions, query(cfg.Zone, qtype))
	}
	replies := s.askAll(ctx, append(questions, query(cfg.Zone, dns.TypeNS)))
	out.Nameservers, out.NameserversProblem = nameserversAt(cfg.Zone, replies[len(types)])
	for i, r := range replies[:len(types)] {
		if r.err != nil {
			out.Problem = "no answer: " + silenceText(r.err)
			return out
		}
		got, err := readAnswer(cfg.Zone, cfg.Zone, types[i], r.msg)
		if err != nil {
			out.Problem = err.Error()
			return out
		}
		if data := got.data(); len(data) > 0 {
			*sets[i] = delegation.Set{Records: data, Signatures: got.signatures()}
		}
	}
	return out
}
