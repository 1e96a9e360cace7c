package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// seen is what one server says of the zone as a whole.
type seen struct {
	health ServerHealth
	// keySet is the DNSKEY RRset as one text, for comparison; empty when it was not read. keyTTL is how
	// long a cache keeps it.
	keySet  string
	keyTTL  time.Duration
	dnskeys []*dns.DNSKEY
	cds     []string
	// err says why the DNSKEY RRset does not validate, nil when it does.
	err     error
	expires time.Time
	primary bool
	// apexLead is the TTL of its own NS records; zero when it gave none.
	apexLead time.Duration
	// asked is all that it was asked and said.
	asked health.Server
}

// check looks at the zone as a whole. Sweeps are not compared with what it has found before noteLook is told.
func (k *knowledge) check(ctx context.Context, cfg Config) (Health, lookedAt) {
	k.forgetServers()
	k.chain.forget()
	list, discovery := k.targets(ctx, cfg)
	e := k.entry(ctx, cfg)
	found := make([]seen, len(list))
	owners := k.remembered.checked(cfg.Zone, k.opts.Clock.Now())
	out := Health{Owners: len(owners)}
	if len(owners) == 0 {
		owners = k.remembered.mailOwners()
	}
	each(len(list)+1, func(i int) {
		if i == len(list) {
			k.opts.try(aServer, cfg.Primary, func() { out.PrimaryAccepts = probePrimary(ctx, k.opts, cfg) }, func() {
				out.PrimaryAccepts = resultInDoubt(cfg, k.opts.Clock.Now())
			})
			return
		}
		k.tryServer(&list[i], func() {
			if list[i].isFormer() {
				found[i] = k.lookFormer(ctx, cfg, list[i])
				return
			}
			found[i] = k.look(ctx, cfg, e, list[i], owners)
		})
	})
	if discovery != nil {
		out.Discovery = discovery.Error()
	}
	former := slices.DeleteFunc(slices.Clone(found), func(f seen) bool { return !f.isFormer() })
	found = slices.DeleteFunc(found, seen.isFormer)
	k.noteApexLead(found)
	k.remembered.noteMX(cfg.Zone, found)
	// What stands for servers that are not known was not asked; Discovery tells of it.
	asked := slices.DeleteFunc(slices.Clone(found), func(f seen) bool { return !f.health.Addr.IsValid() })
	report := k.findings(ctx, cfg, e, owners, asked, former)
	out.Signer = k.remembered.signerHabit()
	out.OwnersWaiting = k.remembered.complete(&report, owners, asked, k.opts.Clock.Now())
	out.Findings = report.Findings
	for i, f := range asked {
		if f.primary && f.health.Reachable {
			out.Serial = f.health.Serial
		}
		f.health.SignaturesExpire = report.Expire[i]
		out.Servers = append(out.Servers, f.health)
	}
	for _, f := range former {
		out.Servers = append(out.Servers, f.health)
	}
	out.DNSSEC = k.zoneDNSSEC(cfg, e, found)
	if at := report.SignaturesExpire; !at.IsZero() && (out.DNSSEC.SignaturesExpire.IsZero() || at.Before(out.DNSSEC.SignaturesExpire)) {
		out.DNSSEC.SignaturesExpire = at
	}
	out.At = k.opts.Clock.Now()
	return out, lookOf(cfg, e, found)
}

func (s seen) isFormer() bool { return !s.health.FormerUntil.IsZero() }

// noteApexLead notes how long caches keep the NS records that the zone gives itself: where its servers are listed, no
// discovery tells.
func (k *knowledge) noteApexLead(found []seen) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lead time.Duration
	for _, f := range found {
		lead = max(lead, f.apexLead)
	}
	k.apexLead = cmp.Or(lead, k.apexLead)
}

// probePrimary sends an update that changes nothing, signed like every other.
func probePrimary(ctx context.Context, opts Options, cfg Config) Result {
	e, err := primaryEndpoint(cfg)
	if err != nil {
		return Result{Class: ConfigError, Message: fmt.Sprintf("zone %s: %v", cfg.Zone, err), At: opts.Clock.Now()}
	}
	s := primarySession(opts, e)
	s.turn = newTurn(opts, cfg.Zone, e)
	defer s.close()
	r := s.ask(ctx, probeMessage(cfg.Zone))[0]
	o := classify(whoOf(cfg), r, opts.Clock.Now())
	return Result{Class: o.class, Message: o.message, Retryable: o.retryable, At: opts.Clock.Now()}
}

// look asks one server about the zone, and about some of the owners that are looked after.
func (k *knowledge) look(ctx context.Context, cfg Config, e entry, t target, owners []string) seen {
	out := seen{health: ServerHealth{Server: t.Server, Message: t.problem, LeadTTL: t.lead}, primary: t.primary}
	questions := healthQuestions(cfg.Zone, owners)
	if t.problem != "" {
		out.err = errors.New(t.problem)
		out.asked = observed(t, questionary{apex: questions.apex[:1]}, []reply{{err: out.err}})
		return out
	}
	s := sweepSession(k.opts, cfg.Zone, t.endpoint)
	defer s.close()
	var beside sync.WaitGroup
	var packet *health.Reply
	beside.Go(func() { k.opts.try(aServer, t.endpoint.name, func() { packet = k.packet(ctx, cfg, t) }, func() {}) })
	replies := s.askAll(ctx, questions.all())
	// Now, and not at the end: the packet needs a connection of its own to the same address. Whoever held one while
	// waiting for another would, with as many zones on a server as it may have connections, wait for ever.
	s.close()
	beside.Wait()
	out.asked = observed(t, questions, replies)
	out.asked.Packet = packet
	out.readSOA(cfg, replies[0])
	out.readKeys(cfg, replies[1])
	out.readCDS(cfg, replies[2])
	_, out.apexLead = answered(cfg, dns.TypeNS, replies[slices.Index(apexTypes, dns.TypeNS)])
	keys, err := k.keysFrom(cfg, e, replies[1])
	if err != nil {
		out.err = err
		return out
	}
	out.expires, out.err = k.soaSigned(cfg, keys, replies[0])
	return out
}

// soaSigned makes sure that the keys sign the zone's data too, and not only themselves.
func (k *knowledge) soaSigned(cfg Config, keys *dnssec.Keys, r reply) (time.Time, error) {
	if r.err != nil {
		return time.Time{}, errors.New("no answer: " + silenceText(r.err))
	}
	got, err := readAnswer(cfg.Zone, cfg.Zone, dns.TypeSOA, r.msg)
	if err != nil {
		return time.Time{}, err
	}
	return validate(keys, got, k.opts.Clock.Now())
}

func (s *seen) readSOA(cfg Config, r reply) {
	if r.err != nil {
		s.health.Message = "no answer: " + silenceText(r.err)
		return
	}
	got, err := readAnswer(cfg.Zone, cfg.Zone, dns.TypeSOA, r.msg)
	if err != nil {
		s.health.Message = err.Error()
		return
	}
	if len(got.data()) == 0 {
		s.health.Message = fmt.Sprintf("it serves no SOA record for %s: that is not a zone there", cfg.Zone)
		return
	}
	if soa, ok := got.data()[0].(*dns.SOA); ok {
		s.health.Reachable, s.health.Serial = true, soa.Serial
	}
}

func (s *seen) readKeys(cfg Config, r reply) {
	set, cached := answered(cfg, dns.TypeDNSKEY, r)
	for _, rr := range set {
		if key, ok := rr.(*dns.DNSKEY); ok {
			s.dnskeys, s.keyTTL = append(s.dnskeys, key), cached
		}
	}
	slices.SortFunc(s.dnskeys, func(a, b *dns.DNSKEY) int {
		return cmp.Or(cmp.Compare(a.KeyTag(), b.KeyTag()), cmp.Compare(a.PublicKey, b.PublicKey))
	})
	for _, key := range s.dnskeys {
		s.keySet += strconv.Itoa(int(key.Flags)) + " " + strconv.Itoa(int(key.Algorithm)) + " " + key.PublicKey + "\n"
	}
}

func (s *seen) readCDS(cfg Config, r reply) {
	set, _ := answered(cfg, dns.TypeCDS, r)
	for _, rr := range set {
		if cds, ok := rr.(*dns.CDS); ok {
			s.cds = append(s.cds, dnssec.PresentDS(&cds.DS))
		}
	}
}

// answered is the RRset at the apex of a reply, if there is one, and how long it may be cached.
func answered(cfg Config, qtype uint16, r reply) ([]dns.RR, time.Duration) {
	if r.err != nil {
		return nil, 0
	}
	got, err := readAnswer(cfg.Zone, cfg.Zone, qtype, r.msg)
	if err != nil {
		return nil, 0
	}
	return got.data(), got.cacheTTL
}
