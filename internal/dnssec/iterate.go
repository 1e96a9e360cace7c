package dnssec

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxReferrals from the top to a name, maxDepth of questions for the addresses of servers within
	// others, and maxServers of a zone that are asked.
	maxReferrals = 40
	maxDepth     = 4
	maxServers   = 8
	// maxZones whose servers are kept, and for how long at the most.
	maxZones      = 20_000
	maxServersTTL = 24 * time.Hour
)

// delegation is where the servers of a zone are. Nothing of it is trusted: a wrong one can only
// keep answers away.
type delegation struct {
	zone  string
	addrs []netip.AddrPort
	// names of the servers, those whose addresses were not given along first.
	names []string
	until time.Time
	// fixed ones are configured; private ones, or those above them, have servers that are not public.
	fixed, private bool
	// ds is what the parent said of the DS records when it referred to the zone, and dsUntil how long
	// that may be used.
	ds      reply
	dsUntil time.Time
}

// iterator finds answers itself, from the servers of the top zones down.
type iterator struct {
	port uint16

	mu    sync.Mutex
	zones map[string]delegation
}

func newIterator(c Config) *iterator {
	it := &iterator{port: c.Port, zones: map[string]delegation{}}
	for zone, addrs := range c.Stubs {
		zone = dns.CanonicalName(zone)
		it.zones[zone] = delegation{zone: zone, addrs: addrs, fixed: true, private: amongPrivate(addrs)}
	}
	return it
}

// closest is the known delegation nearest above a name. DS records are the parent's to give.
func (it *iterator) closest(name string, qtype uint16, now time.Time) (delegation, bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if qtype == dns.TypeDS && name != "." {
		name = parent(name)
	}
	for {
		if d, ok := it.zones[name]; ok && (d.fixed || now.Before(d.until)) {
			return d, true
		}
		if name == "." {
			return delegation{}, false
		}
		name = parent(name)
	}
}

func (it *iterator) deepest(name string, now time.Time) (string, bool) {
	if d, ok := it.closest(name, dns.TypeA, now); ok {
		return d.zone, true
	}
	return ".", true
}

func (it *iterator) keep(d delegation) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.zones[d.zone].fixed {
		return
	}
	if len(it.zones) >= maxZones {
		for zone, d := range it.zones {
			if !d.fixed {
				delete(it.zones, zone)
			}
		}
	}
	it.zones[d.zone] = d
}

func (it *iterator) find(ctx context.Context, l *lookup, name string, qtype uint16, accept func(reply) *Error) *Error {
	if qtype == dns.TypeDS && !l.renewed[name] {
		if r, ok := it.referredDS(name, l.now); ok && accept(r) == nil {
			return nil
		}
	}
	at, ok := it.closest(name, qtype, l.now)
	if !ok {
		return fail(Unreachable, name, "no server is known for this name or a zone above it")
	}
	for range maxReferrals {
		next, err := it.askZone(ctx, l, at, name, qtype, accept)
		if next == nil {
			return err
		}
		it.keep(*next)
		at = *next
	}
	return fail(Unreachable, name, "more than %d referrals", maxReferrals)
}

// askZone asks the servers of one zone, one after the other, until one refers to a zone below, or
// gives an answer that is accepted.
func (it *iterator) askZone(ctx context.Context, l *lookup, at delegation, name string, qtype uint16, accept func(reply) *Error) (*delegation, *Error) {
	var worst *Error
	addrs, names := slices.Clone(at.addrs), at.names
	for asked := 0; asked < maxServers; asked++ {
		for asked >= len(addrs) && len(names) > 0 {
			for _, addr := range it.resolve(ctx, l, names[0]) {
				if !slices.Contains(addrs, addr) {
					addrs = append(addrs, addr)
				}
			}
			names = names[1:]
		}
		if asked >= len(addrs) {
			break
		}
		server := addrs[asked]
		m, err := l.askServer(ctx, at, server, question(name, qtype, false))
		if err == nil {
			if next := it.referral(m, at.zone, name, qtype, l.now); next != nil {
				next.private = at.private
				next.keepDS(m, server.String(), l.now)
				return next, nil
			}
			if err = accept(reply{m, server.String()}); err == nil {
				return nil, nil
			}
		}
		if worst = telling(worst, err); ctx.Err() != nil {
			break // nobody waits for what the others would say
		}
	}
	if worst == nil {
		worst = fail(Unreachable, name+" "+typeText(qtype), "no address of a server is found").in(at.zone)
	}
	return nil, worst
}

// askServer asks a server of a zone, if it may be asked.
func (l *lookup) askServer(ctx context.Context, at delegation, server netip.AddrPort, q *dns.Msg) (*dns.Msg, *Error) {
	if why := at.forbidden(server.Addr(), l.config.Allowed); why != "" && !l.config.anywhere {
		return nil, fail(Unreachable, q.Question[0].Name+" "+typeText(q.Question[0].Qtype), "%s", why).in(at.zone).from(server.String())
	}
	m, err := l.exchange(ctx, server, q)
	if err != nil {
		err = err.in(at.zone)
	}
	return m, err
}

// referral reads a message that gives no answer and knows servers of a zone nearer to the name.
func (it *iterator) referral(m *dns.Msg, zone, name string, qtype uint16, now time.Time) *delegation {
	if len(m.Answer) > 0 || m.Rcode != dns.RcodeSuccess {
		return nil
	}
	d := delegation{}
	ttl := uint32(maxServersTTL / time.Second)
	for _, rr := range m.Ns {
		owner := dns.CanonicalName(rr.Header().Name)
		ns, ok := rr.(*dns.NS)
		if rr.Header().Rrtype == dns.TypeSOA {
			return nil
		}
		// The DS of a zone is not asked of the zone itself.
		if !ok || !below(zone, owner) || !dns.IsSubDomain(owner, name) || qtype == dns.TypeDS && owner == name {
			continue
		}
		d.zone, ttl = owner, min(ttl, ns.Hdr.Ttl)
		it.addServer(&d, m, zone, dns.CanonicalName(ns.Ns))
	}
	if d.zone == "" {
		return nil
	}
	d.until = now.Add(time.Duration(ttl) * time.Second)
	return &d
}

// referredDS is what the parent said of a zone's DS records when it referred to it.
func (it *iterator) referredDS(zone string, now time.Time) (reply, bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	d, ok := it.zones[zone]
	return d.ds, ok && d.ds.msg != nil && now.Before(d.dsUntil)
}

// keepDS keeps what a referral says of DS records (RFC 4035 section 3.1.4), as an answer to the
// question for them.
func (d *delegation) keepDS(referral *dns.Msg, server string, now time.Time) {
	m := new(dns.Msg)
	m.SetQuestion(d.zone, dns.TypeDS)
	ttl := uint32(maxServersTTL / time.Second)
	for _, rr := range referral.Ns {
		switch kind := coveredType(rr); {
		case kind == dns.TypeDS && dns.CanonicalName(rr.Header().Name) == d.zone:
			m.Answer = append(m.Answer, rr)
		case proves(kind):
			m.Ns = append(m.Ns, rr)
		default:
			continue
		}
		ttl = min(ttl, rr.Header().Ttl)
	}
	if len(m.Answer)+len(m.Ns) > 0 {
		d.ds, d.dsUntil = reply{m, server}, now.Add(time.Duration(ttl)*time.Second)
	}
}

// addServer takes a server's addresses from the message if its zone may know them. Its name is kept
// all the same: what comes along with a referral may be out of date, or half of it.
func (it *iterator) addServer(d *delegation, m *dns.Msg, zone, server string) {
	if slices.Contains(d.names, server) || len(d.names) >= maxServers {
		return
	}
	var glue []netip.Addr
	if dns.IsSubDomain(zone, server) {
		glue = addresses(m.Extra, server)
	}
	for _, addr := range glue {
		d.addrs = append(d.addrs, netip.AddrPortFrom(addr, it.port))
	}
	if len(glue) > 0 {
		d.names = append(d.names, server)
		return
	}
	// Those without addresses are looked up first.
	d.names = slices.Insert(d.names, 0, server)
}

// addresses are those that a section gives of a host, IPv4 first.
func addresses(section []dns.RR, host string) []netip.Addr {
	var out []netip.Addr
	for _, rr := range section {
		if dns.CanonicalName(rr.Header().Name) != host {
			continue
		}
		switch a := rr.(type) {
		case *dns.A:
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out = append(out, addr)
			}
		case *dns.AAAA:
			if addr, ok := netip.AddrFromSlice(a.AAAA); ok {
				out = append(out, addr)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return out
}

// resolve finds the addresses of a name server, unvalidated, once for a question of the caller. While
// it looks for them, they are none: a server that is known by a name in its own zone alone is not found.
func (it *iterator) resolve(ctx context.Context, l *lookup, server string) []netip.AddrPort {
	if found, ok := l.servers[server]; ok || l.depth >= maxDepth {
		return found
	}
	l.servers[server] = nil
	l.depth++
	defer func() { l.depth-- }()
	var out []netip.AddrPort
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, addr := range it.resolveType(ctx, l, server, qtype) {
			out = append(out, netip.AddrPortFrom(addr, it.port))
		}
	}
	l.servers[server] = out
	return out
}

func (it *iterator) resolveType(ctx context.Context, l *lookup, name string, qtype uint16) []netip.Addr {
	for range maxHops {
		var found []netip.Addr
		target := ""
		err := it.find(ctx, l, name, qtype, func(r reply) *Error {
			found = addresses(r.msg.Answer, name)
			if p, err := readPiece(r.msg, name, qtype, "."); err == nil {
				target = p.target
			}
			return nil
		})
		if err != nil || target == "" || len(found) > 0 {
			return found
		}
		name = target
	}
	return nil
}
