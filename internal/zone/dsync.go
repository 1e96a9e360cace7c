package zone

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// typeDSYNC and schemeNotify are the type of DSYNC records and the one way of telling that they know
// (RFC 9859 section 2). The DNS library has neither.
const (
	typeDSYNC    uint16 = 66
	schemeNotify byte   = 1
)

// lookAtParent finds the parent zone by way of the resolvers, asks all of its servers for the DS RRset,
// and looks for DSYNC records. Both are validated where a trust anchor leads to the parent. It is for people, and for a
// notification, which changes nothing but when the parent looks.
func (k *knowledge) lookAtParent(ctx context.Context, cfg Config) ParentLook {
	f := newFinder(k.opts, cfg)
	out := f.lookAtParent(ctx, k.validating(cfg))
	out.At = k.opts.Clock.Now()
	return out
}

// validating is what validates answers of the parent; nil where nobody can. A zone with trust anchors of its own says that
// it is not entered by way of its parent, which may be one that only some resolvers know.
func (k *knowledge) validating(cfg Config) Resolver {
	if len(dnssec.AnchorsOf(cfg.Zone, cfg.Anchors)) > 0 {
		return nil
	}
	return k.resolver(cfg.Zone, cfg)
}

func (f *finder) lookAtParent(ctx context.Context, r Resolver) ParentLook {
	if err := f.useResolvers(); err != nil {
		return ParentLook{Problem: err.Error()}
	}
	parent, addrs, err := f.parent(ctx)
	if err != nil {
		return ParentLook{Problem: err.Error()}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	out := ParentLook{Zone: parent, Answers: make([]delegation.Parent, len(addrs))}
	keys := dnssec.ZoneState{State: dnssec.Indeterminate}
	if r != nil {
		keys = r.ZoneKeys(ctx, parent)
	}
	each(len(addrs), func(i int) {
		f.opts.try(aServer, addrs[i].String(), func() { out.Answers[i] = f.dsAt(ctx, keys, parent, addrs[i]) }, func() {
			out.Answers[i] = delegation.Parent{Server: addrs[i].String(), State: dnssec.Indeterminate, Problem: unforeseen}
		})
	})
	if out.Targets, err = f.targets(ctx, r); err != nil {
		out.TargetsProblem = err.Error()
	}
	return out
}

// dsAt asks one server of a parent that is somebody else's, and validates what it says with the parent's keys.
func (f *finder) dsAt(ctx context.Context, by dnssec.ZoneState, parent string, addr netip.Addr) delegation.Parent {
	e := publicEndpoint(f.opts, f.cfg, addr)
	out := delegation.Parent{Server: e.address, State: by.State, Message: "it was not validated"}
	if by.Cause != nil {
		out.Message = by.Cause.Error()
	}
	s := sweepSession(f.opts, f.zone, e)
	defer s.close()
	replies := s.askAll(ctx, []*dns.Msg{query(f.zone, dns.TypeDS), query(f.zone, dns.TypeNS)})
	got, problem := readDelegation(parent, f.zone, replies[0], replies[1])
	out.Problem, out.DS = problem, dsOf(got.data())
	if problem == "" && by.Keys != nil {
		out.State, out.Message = stateAndReason(provedDS(by.Keys, got, f.opts.Clock.Now()))
	}
	return out
}

// targets finds whom to notify of a change of the zone's CDS records (RFC 9859 section 4.1). An error says
// that it could not be found out; no target and no error, that the parent wants to hear of none.
func (f *finder) targets(ctx context.Context, r Resolver) ([]NotifyTarget, error) {
	name := firstDSYNC(f.zone)
	var asked []string
	for name != "" && !slices.Contains(asked, name) {
		asked = append(asked, name)
		m, err := f.resolve(ctx, name, typeDSYNC)
		if err != nil {
			return nil, err
		}
		if found := readDSYNC(m.Answer); len(found) > 0 {
			return validTargets(ctx, r, name, found)
		}
		name = nextDSYNC(f.zone, name, m)
	}
	return nil, nil
}

// validTargets are the targets that DSYNC records at a name give, as they validate. Found are those that a resolver told of,
// which count where nobody can validate. That there are none is not validated: who hides them delays the parent, and no more.
func validTargets(ctx context.Context, r Resolver, name string, found []NotifyTarget) ([]NotifyTarget, error) {
	if r == nil {
		return found, nil
	}
	got := r.Lookup(ctx, name, typeDSYNC)
	switch got.State {
	case dnssec.Secure, dnssec.Insecure:
		return readDSYNC(got.RRs), nil
	}
	return nil, fmt.Errorf("the DSYNC records at %s are not used, and nobody is notified: %w", name, got.Cause)
}

const dsyncLabel = "_dsync"

// firstDSYNC is where to look first: the label stands after the first one of the zone.
func firstDSYNC(zone string) string {
	labels := dns.SplitDomainName(zone)
	if len(labels) == 0 {
		return ""
	}
	return dsyncName(labels, 1)
}

// dsyncName puts the label behind the first n labels.
func dsyncName(labels []string, n int) string {
	return dns.Fqdn(strings.Join(slices.Concat(labels[:n], []string{dsyncLabel}, labels[n:]), "."))
}

// nextDSYNC is where to look when there is nothing at a name: right before the parent's own labels, where
// the SOA of the answer tells that those begin later; then at the parent, for all of its zones. It is empty
// when that was the last place.
func nextDSYNC(zone, asked string, negative *dns.Msg) string {
	labels := dns.SplitDomainName(asked)
	at := slices.Index(labels, dsyncLabel)
	rest := labels[at+1:]
	for _, rr := range negative.Ns {
		apex := rr.Header().Name
		if rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(apex, zone) && dns.CountLabel(apex) < len(rest) {
			own := dns.SplitDomainName(zone)
			return dsyncName(own, len(own)-dns.CountLabel(apex))
		}
	}
	if at > 0 {
		return dsyncName(rest, 0)
	}
	return ""
}

// readDSYNC picks the targets of NOTIFY for CDS out of DSYNC records, sorted.
func readDSYNC(answer []dns.RR) []NotifyTarget {
	var out []NotifyTarget
	for _, rr := range answer {
		unknown, ok := rr.(*dns.RFC3597)
		if !ok || rr.Header().Rrtype != typeDSYNC {
			continue
		}
		if t, ok := parseDSYNC(unknown.Rdata); ok {
			t.Owner = dns.CanonicalName(rr.Header().Name)
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b NotifyTarget) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
	out = slices.Compact(out)
	return out[:min(len(out), mostTargets)]
}

// mostTargets and mostTargetAddresses are how many targets of a parent are told, and at how many addresses of each at the most: a
// parent has one or two, and one that names thousands would have us write to whomever it likes.
const mostTargets, mostTargetAddresses = 8, 8

// parseDSYNC reads the RDATA of a DSYNC record in hex: type (2 octets), scheme (1), port (2), and the
// target's name, uncompressed. It says no to other types and schemes.
func parseDSYNC(rdata string) (NotifyTarget, bool) {
	octets, err := hex.DecodeString(rdata)
	if err != nil || len(octets) < 6 || binary.BigEndian.Uint16(octets) != dns.TypeCDS || octets[2] != schemeNotify {
		return NotifyTarget{}, false
	}
	target, end, err := dns.UnpackDomainName(octets, 5)
	t := NotifyTarget{Host: dns.CanonicalName(target), Port: binary.BigEndian.Uint16(octets[3:])}
	return t, err == nil && end == len(octets) && target != "." && t.Port != 0
}

// notifyParent sends NOTIFY(CDS) to the addresses of a target until one takes it (RFC 9859 section 4.2).
func notifyParent(ctx context.Context, opts Options, cfg Config, to NotifyTarget) (out Result) {
	f := newFinder(opts, cfg)
	out = Result{Class: Unreachable, Retryable: true}
	defer func() { out.At = opts.Clock.Now() }()
	about := fmt.Sprintf("the parent zone of %s wants to hear of changes at %s port %d (%s DSYNC)", cfg.Zone, to.Host, to.Port, to.Owner)
	if err := f.useResolvers(); err != nil {
		out.Message = err.Error()
		return out
	}
	addrs, err := f.addresses(ctx, to.Host)
	if len(addrs) == 0 {
		out.Message = fmt.Sprintf("%s, and no address of it was found", about)
		if err != nil {
			out.Message += ": " + err.Error()
		}
		return out
	}
	for _, addr := range addrs[:min(len(addrs), mostTargetAddresses)] {
		// The port is the record's to choose: that the user names the address says nothing of what is there.
		e := foundEndpoint(opts, Config{}, netip.AddrPortFrom(addr.Unmap(), to.Port), UDP)
		r := sweepSession(opts, cfg.Zone, e).askOnce(ctx, notification(cfg.Zone))
		switch {
		case r.err != nil:
			out.Message = fmt.Sprintf("%s; %s does not acknowledge a notification: %s", about, e.address, silenceText(r.err))
		case r.msg.Rcode != dns.RcodeSuccess:
			out = Result{Class: NotPermitted, Retryable: true, Message: fmt.Sprintf("%s; %s answers a notification with %s%s", about, e.address, rcodeText(r.msg.Rcode), edeText(r.msg))}
		default:
			return Result{Class: Applied}
		}
	}
	return out
}

// notification says that the CDS RRset of a zone has changed (RFC 1996, RFC 9859 section 3).
func notification(zone string) *dns.Msg {
	m := new(dns.Msg)
	m.SetNotify(zone)
	m.Question[0].Qtype = dns.TypeCDS
	return m
}
