package zone

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// sweepSignals asks for the signals of name servers of the zone.
func (k *knowledge) sweepSignals(ctx context.Context, cfg Config, nameservers []string) []delegation.Signal {
	out := make([]delegation.Signal, len(nameservers))
	each(len(nameservers), func(i int) {
		k.opts.try(aServer, nameservers[i], func() { out[i] = k.signalOf(ctx, cfg, nameservers[i]) }, func() {
			out[i] = delegation.Signal{Nameserver: nameservers[i], State: dnssec.Indeterminate, Message: unforeseen}
		})
	})
	return out
}

// signalOf looks at what a name server says of the zone. What goes wrong with one of the two types goes wrong
// with the signal.
func (k *knowledge) signalOf(ctx context.Context, cfg Config, ns string) delegation.Signal {
	out := delegation.Signal{Nameserver: ns, State: dnssec.Indeterminate}
	name := delegation.SignalName(cfg.Zone, ns)
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
		if len(got.Hops) > 0 {
			out.Alias = got.Hops[0].Target
		}
		if out.State = got.State; got.State != dnssec.Secure {
			out.Message = got.Cause.Error()
			return out
		}
		*of.set, out.Zone = got.RRs, got.Zone
		if out.Alias != "" || out.Zone == name {
			return out
		}
	}
	return out
}

// nameserversAt reads what a server of a zone has as its NS records.
func nameserversAt(zone string, r reply) (names []string, problem string) {
	if r.err != nil {
		return nil, "no answer: " + silenceText(r.err)
	}
	got, err := readAnswer(zone, zone, dns.TypeNS, r.msg)
	if err != nil {
		return nil, err.Error()
	}
	return nameServers(got.data()), ""
}
