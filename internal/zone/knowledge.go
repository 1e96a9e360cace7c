package zone

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// dnsPort is where public servers listen.
const dnsPort = 53

// knowledge is what an actor keeps from one round to the next: the servers found by delegation, the
// signatures already checked, what the primary just showed, and the DNSKEY set seen last. Losing it costs work and nothing else: when
// the keys changed, and which servers the zone has had, is kept by the caller.
type knowledge struct {
	opts  Options
	cache *dnssec.Cache
	// memory of what the primary showed.
	memory *memory
	// packets says whether the primary answers them.
	packets packetPath

	// remembered for findings.
	remembered remembered
	// chain from a trust anchor above the zone.
	chain chain

	mu    sync.Mutex
	found found
	// roster of the servers that the zone has and has had; apexLead is the TTL of the NS records that it gives itself, zero
	// before any was seen.
	roster   roster
	apexLead time.Duration
	// keySet is the DNSKEY set seen last, keyTTL how long caches keep it or the one before it, changedAt
	// when it changed; zero when that is past. Since keySince it has been what it is, be it several sets.
	keySet              string
	keyTTL              time.Duration
	changedAt, keySince time.Time
	// lookedAt is what the newest look at the zone has found.
	lookedAt lookedAt
}

// newKnowledge knows nothing yet; what it finds out for several who ask ends with ctx.
func newKnowledge(ctx context.Context, opts Options) *knowledge {
	return &knowledge{opts: opts, cache: dnssec.NewCache(), memory: newMemory(), chain: chain{clock: opts.Clock, guard: opts.Guard, ctx: ctx}}
}

// entry gives how the zone is entered: by trust anchors of its own, else by the DS records that are found and
// validated from an anchor above it.
func (k *knowledge) entry(ctx context.Context, cfg Config) entry {
	if own := dnssec.AnchorsOf(cfg.Zone, cfg.Anchors); len(own) > 0 {
		return entry{ds: own}
	}
	r := k.resolver(cfg.Zone, cfg)
	if r == nil {
		return entry{err: &dnssec.Error{Reason: dnssec.NoAnchor, Subject: cfg.Zone,
			Detail: "no trust anchor of this zone is configured: set spec.dnssec.trustAnchors to its DS record"}}
	}
	return k.chain.entry(ctx, cfg, r)
}

// resolver validates names from the anchors of a configuration down; nil when none is above the name.
func (k *knowledge) resolver(name string, cfg Config) Resolver {
	if k.opts.NewResolver == nil || len(dnssec.AnchorsAbove(name, cfg.Anchors)) == 0 {
		return nil
	}
	return k.opts.NewResolver(cfg.Anchors)
}

// keysFrom trusts the DNSKEY RRset of one server's own answer. The error is for people.
func (k *knowledge) keysFrom(cfg Config, e entry, r reply) (*dnssec.Keys, error) {
	if e.err != nil {
		return nil, e.err
	}
	if r.err != nil {
		return nil, errors.New("its DNSKEY records could not be read: " + silenceText(r.err))
	}
	got, err := readAnswer(cfg.Zone, cfg.Zone, dns.TypeDNSKEY, r.msg)
	if err != nil {
		return nil, err
	}
	if e.parent == "" {
		return k.cache.KeysFor(cfg.Zone, got.data(), got.signatures(), e.ds, k.opts.Clock.Now())
	}
	keys, err := k.cache.KeysUnder(cfg.Zone, got.data(), got.signatures(), e.ds, k.opts.Clock.Now())
	if err != nil {
		return nil, e.blameParent(cfg.Zone, err)
	}
	return keys, nil
}
