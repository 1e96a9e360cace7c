package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// sweepSignals asks for the signal of every name server that is not below the zone itself: those could say
// nothing that the zone does not say.
func (k *knowledge) sweepSignals(ctx context.Context, cfg Config) []delegation.Signal {
	if k.opts.NewResolver == nil {
		return nil
	}
	names := k.outside(ctx, cfg)
	out := make([]delegation.Signal, len(names))
	each(len(names), func(i int) { out[i] = k.signalOf(ctx, cfg, names[i]) })
	return out
}

// outside are the names in the NS sets that the zone's servers show, but for those below the zone.
func (k *knowledge) outside(ctx context.Context, cfg Config) []string {
	list, _ := k.targets(ctx, cfg)
	list = publicTargets(list)
	var mu sync.Mutex
	var out []string
	each(len(list), func(i int) {
		if list[i].problem != "" {
			return
		}
		s := sweepSession(k.opts, cfg.Zone, list[i].endpoint)
		defer s.close()
		r := s.ask(ctx, query(cfg.Zone, dns.TypeNS))[0]
		if r.err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, nameServers(find(r.msg.Answer, cfg.Zone, dns.TypeNS).set)...)
	})
	out = slices.DeleteFunc(out, func(ns string) bool { return dns.IsSubDomain(cfg.Zone, ns) })
	slices.Sort(out)
	return slices.Compact(out)
}

// signalOf looks at the name that RFC 9615 section 2 makes of a zone and a name server.
func (k *knowledge) signalOf(ctx context.Context, cfg Config, ns string) delegation.Signal {
	out := delegation.Signal{Nameserver: strings.TrimSuffix(ns, "."), State: dnssec.Indeterminate}
	name := "_dsboot." + cfg.Zone + "_signal." + ns
	if _, ok := dns.IsDomainName(name); !ok {
		out.Message = fmt.Sprintf("the name %s is too long", name)
		return out
	}
	r := k.resolver(name, cfg)
	if r == nil {
		out.Message = fmt.Sprintf("no trust anchor is configured for %s or a zone above it", name)
		return out
	}
	for _, of := range []struct {
		qtype uint16
		set   *[]dns.RR
	}{{dns.TypeCDS, &out.CDS}, {dns.TypeCDNSKEY, &out.CDNSKEY}} {
		got := r.Lookup(ctx, name, of.qtype)
		if out.State = got.State; got.State != dnssec.Secure {
			out.Message = got.Cause.Error()
			return out
		}
		*of.set = got.RRs
	}
	return out
}
