package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrDiscovery is wrapped by every error of finding a zone's servers by its delegation.
var ErrDiscovery = errors.New("the zone's servers could not be found by its delegation")

// finder finds the servers of one zone: those that the parent names, with its glue, and those that
// the zone itself names, at every address that anybody gives for them. Resolvers only say where to
// begin; what they say is never taken for the answer of a server.
type finder struct {
	opts      Options
	cfg       Config
	zone      string
	resolvers []string
	// ignore lists servers that the user excepted: what is not known of them holds nothing up.
	ignore []string
	// addrs gathers addresses by server name, names in order of discovery.
	addrs map[string][]netip.Addr
	names []string
	// unresolved says by name why addresses may be missing, silent by address which servers did not say
	// what servers they know of.
	unresolved map[string]error
	// above are the servers of the parent zone that told of the delegation, and those beside them.
	above  []netip.Addr
	silent map[netip.AddrPort]string
	// lead is the longest TTL of the records that name the servers and their addresses, of those that the parent and the
	// zone itself gave: what a resolver gives has grown old.
	lead time.Duration
}

func newFinder(opts Options, cfg Config) *finder {
	return &finder{
		opts: opts, cfg: cfg, zone: cfg.Zone, resolvers: cfg.Resolvers, ignore: cfg.Ignore,
		addrs: map[string][]netip.Addr{}, unresolved: map[string]error{}, silent: map[netip.AddrPort]string{},
	}
}

// discover finds the servers of a zone. The error says what went wrong where, and that a zone whose
// parent cannot be asked needs its servers listed. With an *incomplete, some servers were found.
func discover(ctx context.Context, opts Options, cfg Config) ([]Server, error) {
	f, err := discoverBy(ctx, opts, cfg)
	return f.servers(), err
}

// discoverBy is discover that returns all that it has found; nothing when the error is no *incomplete.
func discoverBy(ctx context.Context, opts Options, cfg Config) (*finder, error) {
	f := newFinder(opts, cfg)
	if err := f.run(ctx); err != nil {
		return newFinder(opts, cfg), fmt.Errorf("%w: %w; for a private zone, list every server: spec.nameservers.discovery: Static, with addresses", ErrDiscovery, err)
	}
	return f, f.lack()
}

func (f *finder) run(ctx context.Context) error {
	if err := f.useResolvers(); err != nil {
		return err
	}
	parent, servers, err := f.parent(ctx)
	if err != nil {
		return err
	}
	if err := f.askParent(ctx, parent, servers); err != nil {
		return err
	}
	for _, name := range f.names {
		f.lookUp(ctx, name)
	}
	f.askChildren(ctx)
	return nil
}

// useResolvers takes those of the system where none are configured.
func (f *finder) useResolvers() error {
	if len(f.resolvers) > 0 {
		return nil
	}
	var err error
	f.resolvers, err = systemResolvers()
	return err
}

// systemResolvers are those of /etc/resolv.conf.
func systemResolvers() ([]string, error) {
	const path = "/etc/resolv.conf"
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("no resolver is configured and %s cannot be read: set --resolvers", path)
	}
	var out []string
	for _, s := range conf.Servers {
		out = append(out, withPort(s))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no resolver is configured and %s names none: set --resolvers", path)
	}
	return out, nil
}

// SystemResolvers are the addresses of those of /etc/resolv.conf; none when it cannot be read.
func SystemResolvers() []netip.AddrPort {
	texts, err := systemResolvers()
	if err != nil {
		return nil
	}
	var out []netip.AddrPort
	for _, text := range texts {
		if at, err := netip.ParseAddrPort(text); err == nil {
			out = append(out, at)
		}
	}
	return out
}

func withPort(resolver string) string {
	if addr, err := netip.ParseAddr(strings.Trim(resolver, "[]")); err == nil {
		return netip.AddrPortFrom(addr, dnsPort).String()
	}
	if !strings.Contains(resolver, ":") {
		return fmt.Sprintf("%s:%d", resolver, dnsPort)
	}
	return resolver
}

// parent finds the closest zone above and the addresses of its servers.
func (f *finder) parent(ctx context.Context) (string, []netip.Addr, error) {
	if f.zone == "." {
		return "", nil, errors.New("the root zone has no parent")
	}
	for name := up(f.zone); ; name = up(name) {
		m, err := f.resolve(ctx, name, dns.TypeNS)
		if err != nil {
			return "", nil, err
		}
		var addrs []netip.Addr
		names := nameServers(find(m.Answer, name, dns.TypeNS).set)
		for _, ns := range names {
			// One that answers will do.
			found, _ := f.addresses(ctx, ns)
			addrs = append(addrs, found...)
		}
		if len(addrs) > 0 {
			return name, addrs, nil
		}
		if len(names) > 0 {
			return "", nil, fmt.Errorf("no address of the servers of the parent zone %s was found by way of the resolver %s", name, strings.Join(f.resolvers, ", "))
		}
		if name == "." {
			return "", nil, fmt.Errorf("the resolver %s knows no servers of any zone above %s", strings.Join(f.resolvers, ", "), f.zone)
		}
	}
}

// up is the name without its first label.
func up(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// maxReferrals is how many zones may lie between the parent that the resolver knows and the zone.
const maxReferrals = 8

// askParent takes the NS set and glue from the first of the parent's servers that answers.
func (f *finder) askParent(ctx context.Context, parent string, servers []netip.Addr) error {
	for range maxReferrals {
		m, at := f.firstAnswer(ctx, servers)
		if m == nil {
			return fmt.Errorf("none of the servers of the parent zone %s answers; the last said: %s", parent, at)
		}
		set := find(append(slices.Clone(m.Answer), m.Ns...), f.zone, dns.TypeNS).set
		if len(set) > 0 {
			f.add(set, m.Extra)
			f.above = slices.Clone(servers)
			return nil
		}
		// The delegation may go by way of a zone that the resolver did not tell of.
		next, below := f.referral(parent, m)
		if next == "" {
			return fmt.Errorf("%s, a server of the parent zone %s, has no NS records for %s: the zone is not delegated there", at, parent, f.zone)
		}
		parent, servers = next, below
		if len(servers) == 0 {
			return fmt.Errorf("the servers of %s, between the parent and %s, have no addresses in the referral", next, f.zone)
		}
	}
	return fmt.Errorf("there are more than %d delegations above %s", maxReferrals, f.zone)
}

// firstAnswer asks servers one after the other for the zone's NS set. It returns the answer and who
// gave it, or no answer and what the last one said.
func (f *finder) firstAnswer(ctx context.Context, servers []netip.Addr) (*dns.Msg, string) {
	said := "nothing"
	for _, addr := range servers {
		e := publicEndpoint(f.opts, f.cfg, addr)
		r := sweepSession(f.opts, f.zone, e).askOnce(ctx, query(f.zone, dns.TypeNS))
		switch {
		case r.err != nil:
			said = e.address + ": " + silenceText(r.err)
		case r.msg.Rcode != dns.RcodeSuccess && r.msg.Rcode != dns.RcodeNameError:
			said = e.address + ": " + rcodeText(r.msg.Rcode)
		default:
			return r.msg, e.address
		}
	}
	return nil, said
}

// referral finds a delegation to a zone between parent and zone, with the addresses of its servers.
func (f *finder) referral(parent string, m *dns.Msg) (string, []netip.Addr) {
	for _, rr := range m.Ns {
		owner := dns.CanonicalName(rr.Header().Name)
		if rr.Header().Rrtype != dns.TypeNS || owner == parent || !dns.IsSubDomain(parent, owner) || !dns.IsSubDomain(owner, f.zone) {
			continue
		}
		var addrs []netip.Addr
		for _, ns := range nameServers(find(m.Ns, owner, dns.TypeNS).set) {
			addrs = append(addrs, glue(ns, m.Extra)...)
		}
		return owner, addrs
	}
	return "", nil
}

// add takes in an NS set and the addresses that came with it.
func (f *finder) add(set, extra []dns.RR) {
	f.keep(set)
	for _, ns := range nameServers(set) {
		if !slices.Contains(f.names, ns) {
			f.names = append(f.names, ns)
		}
		f.addGlue(ns, extra)
	}
}

// addGlue takes in the addresses of a server that a message gives.
func (f *finder) addGlue(name string, section []dns.RR) {
	f.addrs[name] = append(f.addrs[name], glue(name, section)...)
	f.keep(find(section, name, dns.TypeA).set)
	f.keep(find(section, name, dns.TypeAAAA).set)
}

// keep notes how long caches keep records. A TTL of zero is told from none at all.
func (f *finder) keep(set []dns.RR) {
	for _, rr := range set {
		f.lead = max(f.lead, seconds(rr.Header().Ttl), time.Second)
	}
}

func nameServers(set []dns.RR) []string {
	var out []string
	for _, rr := range set {
		if ns, ok := rr.(*dns.NS); ok {
			out = append(out, dns.CanonicalName(ns.Ns))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func glue(name string, extra []dns.RR) []netip.Addr {
	return append(addrsOf(find(extra, name, dns.TypeA).set), addrsOf(find(extra, name, dns.TypeAAAA).set)...)
}

// lookUp adds what the resolvers say of a server's addresses.
func (f *finder) lookUp(ctx context.Context, name string) {
	found, err := f.addresses(ctx, name)
	f.addrs[name] = append(f.addrs[name], found...)
	if err != nil {
		f.unresolved[name] = err
	}
}

// addresses asks the resolvers. With an error there may be more than those given; that there are none
// of a kind is an answer.
func (f *finder) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m, err := f.resolve(ctx, name, qtype)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		out = append(out, addrsOf(m.Answer)...)
	}
	return out, failed
}

// servers lists what was found, each address once.
func (f *finder) servers() []Server {
	var out []Server
	seen := map[netip.Addr]bool{}
	for _, name := range f.names {
		for _, addr := range f.addrs[name] {
			if addr = addr.Unmap(); !seen[addr] {
				seen[addr] = true
				out = append(out, Server{Name: strings.TrimSuffix(name, "."), Addr: netip.AddrPortFrom(addr, dnsPort)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Server) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.Addr.Compare(b.Addr)) })
	return out
}

// resolve asks the resolvers in turn, by UDP and, when that brings nothing whole, by TCP.
func (f *finder) resolve(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	said := "nothing"
	for _, resolver := range f.resolvers {
		for _, protocol := range []Protocol{UDP, TCP} {
			m := query(name, qtype)
			m.RecursionDesired = true
			s := sweepSession(f.opts, f.zone, endpoint{name: resolver, address: withPort(resolver), protocol: protocol})
			r := s.askOnce(ctx, m)
			if r.err != nil {
				said = fmt.Sprintf("%s: %s", resolver, silenceText(r.err))
				continue
			}
			if r.msg.Rcode == dns.RcodeSuccess || r.msg.Rcode == dns.RcodeNameError {
				return r.msg, nil
			}
			said = fmt.Sprintf("%s: %s", resolver, rcodeText(r.msg.Rcode))
			break
		}
	}
	return nil, fmt.Errorf("no resolver answers a query for %s %s; the last said: %s", name, dns.TypeToString[qtype], said)
}
