package servers

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Stub is a zone that a resolver asks certain servers for, with its trust anchor.
type Stub struct {
	Zone    string
	Servers []netip.AddrPort
	// DS is RDATA in presentation form; empty for an unsigned zone.
	DS string
	// Below says that the zone is validated by way of the one above, and not by DS.
	Below bool
	// Bogus says that it does not validate: nobody waits for an answer.
	Bogus bool
}

// Resolver is a validating resolver.
type Resolver struct {
	*daemon
	// Addr is Address as a field.
	Addr netip.AddrPort
}

// ResolverOptions say what a resolver is like.
type ResolverOptions struct {
	// Address and Port to listen on; default 127.0.0.1 and a free port. Port 53, for programs that
	// know no other, needs root or a network namespace.
	Address string
	Port    uint16
	Stubs   []Stub
	// Extra lines of unbound's server section.
	Extra []string
}

// StubOf is the stub of a primary's zone, with all the servers that serve it.
func StubOf(p *Primary, secondaries ...*Secondary) Stub {
	s := Stub{Zone: p.Zone, DS: p.DS, Servers: []netip.AddrPort{p.Addr}}
	for _, of := range secondaries {
		s.Servers = append(s.Servers, of.Addr)
	}
	return s
}

// StartUnbound starts unbound, which validates the stub zones by their trust anchors and knows
// nothing else of the world.
func StartUnbound(t testing.TB, o ResolverOptions) *Resolver {
	t.Helper()
	d := newDaemon(t, "unbound", "unbound", o.Address)
	if o.Port != 0 {
		d.addr = netip.AddrPortFrom(d.addr.Addr(), o.Port)
	}
	r := &Resolver{daemon: d, Addr: d.addr}
	d.file("unbound.conf", r.conf(o))
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "unbound.conf")}
	d.ready = func() error { return r.answers(o.Stubs) }
	d.Start()
	return r
}

// answers says whether every stub zone resolves, and validates if it has an anchor.
func (r *Resolver) answers(stubs []Stub) error {
	for _, s := range stubs {
		if s.Bogus {
			continue
		}
		m, err := Ask(r.Addr, s.Zone, dns.TypeSOA, true)
		switch {
		case err != nil:
			return err
		case len(m.Answer) == 0:
			return errors.New("no answer for " + s.Zone)
		case s.DS != "" && !m.AuthenticatedData:
			return errors.New("no validated answer for " + s.Zone)
		}
	}
	return nil
}

func (r *Resolver) conf(o ResolverOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
  interface: %[1]s@%[2]d
  access-control: %[1]s/8 allow
  directory: %[3]q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 1
  num-threads: 1
  do-ip6: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  target-fetch-policy: "0 0 0 0 0"
  root-hints: ""
`, r.Addr.Addr(), r.Addr.Port(), r.dir)
	for _, s := range o.Stubs {
		if top := topLabel(s.Zone); top == "test." || top == "invalid." {
			fmt.Fprintf(&b, "  local-zone: %q nodefault\n", top)
		}
		if s.Below {
			continue
		}
		if s.DS == "" {
			fmt.Fprintf(&b, "  domain-insecure: %q\n", s.Zone)
			continue
		}
		fmt.Fprintf(&b, "  trust-anchor: \"%s DS %s\"\n", s.Zone, s.DS)
	}
	for _, line := range o.Extra {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprint(&b, "remote-control:\n  control-enable: no\n")
	for _, s := range o.Stubs {
		fmt.Fprintf(&b, "stub-zone:\n  name: %q\n  stub-no-cache: no\n", s.Zone)
		for _, addr := range s.Servers {
			fmt.Fprintf(&b, "  stub-addr: %s@%d\n", addr.Addr(), addr.Port())
		}
	}
	return b.String()
}

func topLabel(name string) string {
	labels := dns.SplitDomainName(name)
	if len(labels) == 0 {
		return "."
	}
	return labels[len(labels)-1] + "."
}
