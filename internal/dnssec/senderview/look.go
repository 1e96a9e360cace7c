package senderview

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const (
	// maxHosts is how many mail servers are looked at: those that senders try first.
	maxHosts = 16
	// hostsAtOnce is how many of the hosts given to LookAt are looked up at once.
	hostsAtOnce = 4
)

// Resolver looks up and validates, as *dnssec.Validator does.
type Resolver interface {
	Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result
}

// Record is a TLSA record. The name lets packages that may not import the DNS library judge records.
type Record = *dns.TLSA

// Judge says how many TLSA records senders can use, and what the addresses of a host present by them. The
// records stand at a base domain; names are those that a certificate may have with usage 2.
type Judge func(host, base string, names []string, records []Record) (usable int, endpoints []Endpoint)

// Look looks up what the view of a domain needs, in the order in which senders do, and no more: TLSA
// records are asked for where addresses are secure alone (RFC 7672 section 2.2.2). Failures are part of
// what it finds.
func Look(ctx context.Context, r Resolver, name string, port uint16, judge Judge) Domain {
	d := lookMX(ctx, r, name, port)
	d.Exchanges = d.Exchanges[:min(len(d.Exchanges), maxHosts)]
	if d.unroutable() {
		return d
	}
	hosts := d.Exchanges
	if !d.MX.has() {
		hosts = []string{d.Name}
	}
	for _, host := range hosts {
		if host != "" { // a null MX is no host
			d.Hosts = append(d.Hosts, d.lookHost(ctx, r, host, judge))
		}
	}
	return d
}

// LookAt is Look for the hosts given instead of those that MX records name: some of them may be named by
// none. See ViewAt. Several are looked up at once, so that some whose servers are silent do not hold up the rest;
// the judge is called by many goroutines.
func LookAt(ctx context.Context, r Resolver, name string, port uint16, hosts []string, judge Judge) Domain {
	d := lookMX(ctx, r, name, port)
	if d.unroutable() {
		return d
	}
	found, failed := make([]Host, len(hosts)), make([]any, len(hosts))
	turns := make(chan struct{}, hostsAtOnce)
	var all sync.WaitGroup
	for i, host := range hosts {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			failed[i] = dnssec.Panicked(func() { found[i] = d.lookHost(ctx, r, plain(host), judge) })
		})
	}
	all.Wait()
	for _, problem := range failed {
		if problem != nil {
			panic(problem) // where the caller can deal with it
		}
	}
	d.Hosts = found
	return d
}

// Apex looks up the SOA record of a zone. Where that does not come to anything, what was found missing or
// broken in the zone says nothing: its servers are out of reach, the resolvers leave signatures out, or they
// know another tree of zones.
func Apex(ctx context.Context, r Resolver, zone string) dnssec.Result {
	return r.Lookup(ctx, dns.Fqdn(zone), dns.TypeSOA)
}

// Addresses are those of a host as senders find them, each once; aliases are followed.
func Addresses(ctx context.Context, r Resolver, host string) []netip.Addr {
	var out []netip.Addr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, rr := range r.Lookup(ctx, dns.Fqdn(host), qtype).RRs {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if addr, ok := netip.AddrFromSlice(ip); ok && !slices.Contains(out, addr.Unmap()) {
				out = append(out, addr.Unmap())
			}
		}
	}
	return out
}

func lookMX(ctx context.Context, r Resolver, name string, port uint16) Domain {
	d := Domain{Name: plain(name), Port: cmp.Or(port, smtpPort)}
	mx := r.Lookup(ctx, dns.Fqdn(d.Name), dns.TypeMX)
	d.MX, d.Exchanges = From(mx), exchanges(mx.RRs)
	return d
}

// unroutable says that nobody can know where mail for the domain goes.
func (d Domain) unroutable() bool { return d.MX.failed() || d.MX.Kind == dnssec.NXDomain }

// exchanges are the hosts of MX records, the preferred ones first, each once.
func exchanges(rrs []dns.RR) []string {
	var records []*dns.MX
	for _, rr := range rrs {
		if mx, ok := rr.(*dns.MX); ok {
			records = append(records, mx)
		}
	}
	slices.SortFunc(records, func(a, b *dns.MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(plain(a.Mx), plain(b.Mx)))
	})
	var out []string
	for _, mx := range records {
		if name := plain(mx.Mx); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (d Domain) lookHost(ctx context.Context, r Resolver, name string, judge Judge) Host {
	h := Host{Name: name}
	h.A = From(r.Lookup(ctx, dns.Fqdn(name), dns.TypeA))
	h.AAAA = From(r.Lookup(ctx, dns.Fqdn(name), dns.TypeAAAA))
	found, none := addresses(h)
	if none != nil {
		return h
	}
	bases, _ := baseDomains(h, found)
	for _, base := range bases {
		t := d.lookTLSA(ctx, r, name, base, judge)
		h.TLSA = append(h.TLSA, t)
		if t.Answer.failed() || t.Answer.has() && t.Answer.secure() {
			break
		}
	}
	return h
}

func (d Domain) lookTLSA(ctx context.Context, r Resolver, host, base string, judge Judge) TLSA {
	result := r.Lookup(ctx, fmt.Sprintf("_%d._tcp.%s", d.Port, dns.Fqdn(base)), dns.TypeTLSA)
	t := TLSA{Base: base, Answer: From(result)}
	if !t.Answer.has() || !t.Answer.secure() {
		return t
	}
	var records []*dns.TLSA
	for _, rr := range result.RRs {
		if record, ok := rr.(*dns.TLSA); ok {
			records = append(records, record)
		}
	}
	t.Usable, t.Endpoints = judge(host, base, ReferenceNames(d, base), records)
	return t
}
