package zone

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// A check asks every server apexTypes over one connection, SOA by packet, and hostQuestions for each of
// checkedOwners: 24 questions at the most. Where no owner is known it asks for a name that is not there. The servers of the parent are asked two questions each, no more
// than maxParents of them and no more often than every parentEvery.
const (
	maxParents  = 8
	parentEvery = 5 * time.Minute
)

// apexTypes are asked of the zone itself. The first three are what the state of the zone is judged by.
var apexTypes = []uint16{dns.TypeSOA, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeNS, dns.TypeNSEC, dns.TypeNSEC3PARAM, dns.TypeMX}

// questionary is what a check asks a server: about the zone, and about each of some owners.
type questionary struct {
	apex  []*dns.Msg
	hosts [][]*dns.Msg
}

func healthQuestions(zone string, owners []string) questionary {
	var out questionary
	for _, qtype := range apexTypes {
		out.apex = append(out.apex, query(zone, qtype))
	}
	if beside := absent + "." + strings.TrimPrefix(zone, "."); len(owners) == 0 && fits(beside) {
		out.apex = append(out.apex, query(beside, dns.TypeA))
	}
	for _, owner := range owners {
		out.hosts = append(out.hosts, hostQuestions(zone, owner))
	}
	return out
}

// absent is a label that no zone has, so that its absence has to be proved.
const absent = "_nonexistent"

func fits(name string) bool {
	_, ok := dns.IsDomainName(name)
	return ok
}

// all are the questions in one row.
func (q questionary) all() []*dns.Msg { return slices.Concat(q.apex, slices.Concat(q.hosts...)) }

// hostQuestions look at one TLSA owner: its records, the denial of A there and of a name beside it, as
// resolvers and internet.nl meet them, and the addresses of the host, if it is in the zone: a sender that cannot look
// them up does not deliver (RFC 7672 section 2.2).
func hostQuestions(zone, owner string) []*dns.Msg {
	labels := dns.SplitDomainName(owner)
	beside := strings.Join(append([]string{absent}, labels[1:]...), ".") + "."
	out := []*dns.Msg{query(owner, dns.TypeTLSA), query(owner, dns.TypeA), query(beside, dns.TypeA)}
	host := labels
	for len(host) > 0 && strings.HasPrefix(host[0], "_") {
		host = host[1:]
	}
	if name := strings.Join(host, ".") + "."; len(host) > 0 && len(host) < len(labels) && dns.IsSubDomain(zone, name) {
		out = append(out, query(name, dns.TypeA), query(name, dns.TypeAAAA))
	}
	return out
}

// observed is what a server said, in the order of all the questions, for the judgement of the zone's health.
func observed(t target, questions questionary, replies []reply) health.Server {
	out := health.Server{Label: serverText(t.Server), Ignored: t.Ignored, Hidden: t.hidden}
	out.Stream = observedReplies(questions.apex, replies)
	replies = replies[len(questions.apex):]
	for _, of := range questions.hosts {
		out.Hosts = append(out.Hosts, observedReplies(of, replies))
		replies = replies[len(of):]
	}
	return out
}

func observedReplies(questions []*dns.Msg, replies []reply) []health.Reply {
	var out []health.Reply
	for i, q := range questions {
		out = append(out, observedReply(q, replies[i]))
	}
	return out
}

func observedReply(q *dns.Msg, r reply) health.Reply {
	out := health.Reply{Name: q.Question[0].Name, Type: q.Question[0].Qtype, Msg: r.msg}
	if r.err != nil {
		out.Msg, out.Problem = nil, silenceText(r.err)
	}
	return out
}

// packet asks a server for its SOA over UDP. It is nil where that says nothing: the update server is asked
// as updates go, and a reply that is cut short is one.
func (k *knowledge) packet(ctx context.Context, cfg Config, t target) *health.Reply {
	if t.endpoint.protocol != TCP || t.endpoint.signer != nil {
		return nil
	}
	e := t.endpoint
	e.protocol = UDP
	s := sweepSession(k.opts, cfg.Zone, e)
	defer s.close()
	q := query(cfg.Zone, dns.TypeSOA)
	r := s.ask(ctx, q)[0]
	if errors.Is(r.err, errTooShort) {
		return nil
	}
	out := observedReply(q, r)
	return &out
}

// remembered is what findings need from one look to the next.
type remembered struct {
	mu sync.Mutex
	// owners that are looked at in turn.
	owners rotation
	// mx are the hosts of the zone's MX records that are in the zone, as last seen.
	mx []string
	// signer and when it makes signatures anew.
	signer health.SignerWatch
	// behind is since when a server has been showing an older serial than others.
	behind map[netip.AddrPort]time.Time
	// parents of the zone, and when they were asked.
	parents    []health.Parent
	parentZone string
	parentsAt  time.Time
}

// swept notes owners that are looked after.
func (r *remembered) swept(owners []string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners.swept(owners, now)
}

// checked are the owners that a check looks at.
func (r *remembered) checked(zone string, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owners.next(zone, now)
}

// mailOwners are where TLSA records of the zone's own MX hosts would be, for a zone in which nobody looks after any: senders
// ask for them, and a host whose lack of them is not proved gets no mail (RFC 7672 section 2.2).
func (r *remembered) mailOwners() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, host := range r.mx[:min(len(r.mx), checkedOwners)] {
		if owner := "_25._tcp." + host; fits(owner) {
			out = append(out, owner)
		}
	}
	return out
}

// noteMX remembers the hosts that servers name in the zone's MX records, those of least preference first.
func (r *remembered) noteMX(zone string, servers []seen) {
	first := map[string]uint16{}
	told := false
	for _, s := range servers {
		told = told || s.health.Reachable
		for host, preference := range mxHosts(zone, s.asked.Stream) {
			if was, known := first[host]; !known || preference < was {
				first[host] = preference
			}
		}
	}
	if !told {
		return // nobody said that there are none
	}
	hosts := slices.SortedFunc(maps.Keys(first), func(a, b string) int {
		return cmp.Or(cmp.Compare(first[a], first[b]), strings.Compare(a, b))
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mx = hosts
}

// mxHosts are the hosts in a zone that its MX records name, and the preference of each. The null MX is none.
func mxHosts(zone string, replies []health.Reply) map[string]uint16 {
	out := map[string]uint16{}
	for _, reply := range replies {
		if reply.Type != dns.TypeMX || reply.Msg == nil {
			continue
		}
		for _, rr := range reply.Msg.Answer {
			if mx, ok := rr.(*dns.MX); ok && mx.Mx != "." && dns.IsSubDomain(zone, mx.Mx) {
				out[dns.CanonicalName(mx.Mx)] = mx.Preference
			}
		}
	}
	return out
}

// complete adds to a report what was found at owners that it does not cover, keeps what it tells of those that it does,
// and says how many no look has covered yet.
func (r *remembered) complete(report *health.Report, owners []string, servers []seen, now time.Time) (waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners.note(keptOwners(owners, *report, servers, now))
	r.owners.complete(report, servers)
	return r.owners.waiting
}

// habit notes the signatures of a look, and says what is known of the signer by now.
func (r *remembered) habit(o health.Observations) health.Habit {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signer.Look(o)
	return r.signer.Habit
}

// signerHabit is what is known of the signer.
func (r *remembered) signerHabit() health.Habit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signer.Habit
}

// lag notes which servers are behind, and says of each since when.
func (r *remembered) lag(found []seen, lagging []bool, now time.Time) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.behind
	r.behind = map[netip.AddrPort]time.Time{}
	out := make([]time.Time, len(found))
	for i, f := range found {
		if !lagging[i] {
			continue
		}
		if out[i] = before[f.health.Addr]; out[i].IsZero() {
			out[i] = now
		}
		r.behind[f.health.Addr] = out[i]
	}
	return out
}

// findings judges what was seen, and says of each server when its first signature runs out.
func (k *knowledge) findings(ctx context.Context, cfg Config, e entry, owners []string, found, former []seen) health.Report {
	now := k.opts.Clock.Now()
	o := health.Observations{Now: now, Zone: cfg.Zone, Anchors: cfg.Anchors, DS: e.ds, Cache: k.cache, Parents: k.parents(ctx, cfg, e), Owners: owners}
	for _, f := range found {
		o.Servers = append(o.Servers, f.asked)
	}
	for _, f := range former {
		o.Former = append(o.Former, f.asked)
	}
	for i, since := range k.remembered.lag(found, health.Lagging(cfg.Zone, o.Servers), now) {
		o.Servers[i].BehindSince = since
	}
	o.Habit = k.remembered.habit(o)
	return health.Judge(o)
}
