package zone

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// target is one address to ask in a round.
type target struct {
	Server
	endpoint endpoint
	// primary marks the update server.
	primary bool
	// problem says why it cannot be asked at all; empty when it can.
	problem string
	// hidden says that it is asked for updates alone: no NS set need name it.
	hidden bool
	// lead and former as LeadTTL and FormerUntil in ServerHealth.
	lead   time.Duration
	former time.Time
}

// isFormer says that the zone does not name the server any more.
func (t target) isFormer() bool { return !t.former.IsZero() }

// targets are the addresses of a round: the public servers, those that caches may still take for such, and the primary
// if it is not among them. A server is asked once, whatever number of names it has. The discovery error is given back
// for those who report it; it also stands as a target that cannot be asked, since a server that is
// not known may serve anything.
func (k *knowledge) targets(ctx context.Context, cfg Config) ([]target, error) {
	var out []target
	var discovery error
	for _, addr := range cfg.Static {
		out = addTarget(cfg, out, Server{Addr: addr}, endpoint{address: addr.String(), protocol: TCP})
	}
	if cfg.Delegation {
		var found []Server
		found, discovery = k.discovered(ctx, cfg)
		for _, s := range found {
			out = addTarget(cfg, out, s, foundEndpoint(k.opts, cfg, s.Addr, TCP))
		}
	}
	beside := k.called(cfg, out, discovery == nil)
	if discovery = hold(out, discovery); discovery != nil {
		out = append(out, target{Server: Server{Name: cfg.Zone}, problem: discovery.Error()})
	}
	if cfg.Primary != "" {
		out = k.addPrimary(ctx, cfg, out)
	}
	out = k.addRostered(cfg, out, beside)
	slices.SortStableFunc(out, func(a, b target) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Addr.Compare(b.Addr))
	})
	return out, discovery
}

// addTarget adds a server that is not there yet.
func addTarget(cfg Config, list []target, s Server, e endpoint) []target {
	if slices.ContainsFunc(list, func(t target) bool { return t.Addr == s.Addr }) {
		return list
	}
	s.Ignored, e.name = ignored(cfg.Ignore, s), serverText(s)
	return append(list, target{Server: s, endpoint: e, problem: e.forbidden})
}

// addRostered adds what the roster has beside the servers of a round, and says of all how long caches keep what leads to
// them. A former server that is the update server now is asked as that.
func (k *knowledge) addRostered(cfg Config, list []target, beside []rostered) []target {
	for _, m := range beside {
		n, e := len(list), foundEndpoint(k.opts, cfg, m.Addr, TCP)
		if m.configured {
			e.forbidden = ""
		}
		if list = addTarget(cfg, list, m.Server, e); len(list) > n && !m.named {
			list[n].former = m.until
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range list {
		list[i].lead = k.roster.lead(list[i].Addr)
	}
	return list
}

// called tells the roster of the public servers of a round, and returns those that are to be asked beside them.
func (k *knowledge) called(cfg Config, list []target, whole bool) []rostered {
	var named []Server
	for _, t := range list {
		named = append(named, t.Server)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	lead := k.apexLead
	if cfg.Delegation {
		lead = k.found.lead
	}
	return k.roster.call(cfg, named, lead, whole, k.opts.Clock.Now())
}

// addPrimary marks the primary among the public servers, or adds it, asked as updates are sent.
func (k *knowledge) addPrimary(ctx context.Context, cfg Config, list []target) []target {
	e, err := primaryEndpoint(cfg)
	if err != nil {
		return append(list, target{Server: Server{Name: cfg.Primary}, primary: true, hidden: true, problem: err.Error()})
	}
	host, portText, _ := net.SplitHostPort(cfg.Primary)
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return append(list, target{Server: Server{Name: cfg.Primary}, primary: true,
			problem: fmt.Sprintf("the update server %q has no port number", cfg.Primary)})
	}
	addrs, err := k.resolve(ctx, host)
	if err != nil || len(addrs) == 0 {
		return append(list, target{Server: Server{Name: host}, primary: true, problem: fmt.Sprintf(
			"the update server's name %s cannot be resolved: name it by address, or mend the DNS of this machine", host)})
	}
	marked := false
	for i := range list {
		if slices.Contains(addrs, list[i].Addr.Addr()) && samePort(list[i].Addr.Port(), uint16(port), e.protocol) {
			list[i].primary, marked = true, true
		}
	}
	if marked {
		return list
	}
	s := Server{Addr: netip.AddrPortFrom(addrs[0], uint16(port))}
	if host != addrs[0].String() {
		s.Name = host
	}
	s.Ignored = ignored(cfg.Ignore, s)
	return append(list, target{Server: s, endpoint: e, primary: true, hidden: true})
}

// samePort says whether a public address and the update address are one server: with TLS, updates
// go to another port than queries.
func samePort(public, update uint16, p Protocol) bool {
	return public == update || p == TLS && public == dnsPort
}

func (k *knowledge) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.opts.DialTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// ignored says whether the user excepted the server, by name, address, or address and port.
func ignored(list []string, s Server) bool {
	for _, entry := range list {
		entry = strings.TrimSpace(entry)
		if s.Name != "" && dns.CanonicalName(entry) == dns.CanonicalName(s.Name) {
			return true
		}
		if at, err := netip.ParseAddrPort(entry); err == nil && at == s.Addr {
			return true
		}
		if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil && addr.Unmap() == s.Addr.Addr() {
			return true
		}
	}
	return false
}

// serverText names a server for people.
func serverText(s Server) string {
	switch {
	case !s.Addr.IsValid():
		return s.Name
	case s.Name == "":
		return s.Addr.String()
	}
	return fmt.Sprintf("%s (%s)", strings.TrimSuffix(s.Name, "."), s.Addr)
}
