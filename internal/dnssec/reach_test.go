package dnssec

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestForbiddenServers(t *testing.T) {
	public, private := &delegation{}, &delegation{private: true}
	allowed := prefixes("10.1.0.0/16", "fd12::/16", "::1/128", "169.254.0.0/16")
	for _, c := range []struct {
		reason string
		addr   string
		// public and private say whether it is asked below such servers, allowed whether it is below public ones with
		// some networks allowed.
		public, private, allowed bool
	}{
		{"a public address", "198.41.0.4", true, true, true},
		{"a public address of IPv6", "2001:503:ba3e::2:30", true, true, true},
		{"a network of one's own", "10.1.2.3", false, true, true},
		{"the same written as IPv6", "::ffff:10.1.2.3", false, true, true},
		{"a carrier's network", "100.64.1.1", false, true, false},
		{"unique local", "fd12::1", false, true, true},
		{"this machine", "127.0.0.1", false, true, false},
		{"this machine by IPv6", "::1", false, true, true},
		{"metadata", "169.254.169.254", false, false, false},
		{"metadata of IPv6", "fd00:ec2::254", false, false, false},
		{"another's metadata", "100.100.100.200", false, false, false},
		{"link-local", "fe80::1%eth0", false, false, false},
		{"unspecified", "0.0.0.0", false, false, false},
		{"unspecified of IPv6", "::", false, false, false},
		{"multicast", "224.0.0.251", false, false, false},
		{"multicast of IPv6", "ff02::fb", false, false, false},
		{"broadcast", "255.255.255.255", false, false, false},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", false, false, false},
		{"6to4 of metadata", "2002:a9fe:a9fe::1", false, false, false},
		{"Teredo", "2001:0:a9fe:a9fe::1", false, false, false},
		{"another network of one's own", "10.2.2.3", false, true, false},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got := public.forbidden(addr, nil); (got == "") != c.public {
			t.Errorf("%s, below public servers: %q", c.reason, got)
		}
		if got := private.forbidden(addr, nil); (got == "") != c.private {
			t.Errorf("%s, below servers that are not: %q", c.reason, got)
		}
		if got := public.forbidden(addr, allowed); (got == "") != c.allowed {
			t.Errorf("%s, with networks allowed: %q", c.reason, got)
		}
	}
	if private.forbidden(netip.Addr{}, allowed) == "" {
		t.Error("no address at all was let through")
	}
	if got := (&delegation{fixed: true}).forbidden(netip.MustParseAddr("10.0.0.1"), nil); got != "" {
		t.Errorf("a configured server: %s", got)
	}
}

// A zone cannot have messages sent into the network that the validator runs in.
func TestServersOfPrivateNetworks(t *testing.T) {
	const inside = "10.0.0.7"
	for _, c := range []struct {
		reason string
		// root is where iteration begins.
		root string
		// by says how the address comes along: as glue, or as that of a name elsewhere.
		server, glue string
		allowed      []netip.Prefix
		asked        bool
	}{
		{"glue below public servers", rootServer, "ns.bad.test.", "ns.bad.test. 3600 A " + inside, nil, false},
		{"looked up below public servers", rootServer, "inside.example.test.", "", nil, false},
		{"in a network that is allowed", rootServer, "ns.bad.test.", "ns.bad.test. 3600 A " + inside, prefixes("10.0.0.0/8"), true},
		{"below a root that is not public", "10.0.0.1", "ns.bad.test.", "ns.bad.test. 3600 A " + inside, nil, true},
		{"metadata below a root that is not public", "10.0.0.1", "ns.bad.test.", "ns.bad.test. 3600 A 169.254.169.254", prefixes("169.254.0.0/16"), false},
	} {
		w := newWorld(t)
		for key, m := range w.answers {
			if rest, ok := strings.CutPrefix(key, rootServer+" "); ok {
				w.answers[c.root+" "+rest] = m
			}
		}
		m := &dns.Msg{Ns: rrset(t, "bad.test. 3600 NS "+c.server)}
		if c.glue != "" {
			m.Extra = rrset(t, c.glue)
		}
		w.give(testServer, "bad.test.", dns.TypeANY, m)
		w.give(firstServer, "inside.example.test.", dns.TypeA, w.signed(w.example, nil, "inside.example.test. 300 A "+inside))
		r := w.validator(func(c2 *Config) {
			c2.Stubs = map[string][]netip.AddrPort{".": {netip.MustParseAddrPort(c.root + ":53")}}
			c2.Allowed = c.allowed
		}).Lookup(t.Context(), "www.bad.test.", dns.TypeA)
		asked := w.asks()
		if strings.Contains(asked, inside+" ") != c.asked || strings.Contains(asked, "169.254") {
			t.Errorf("%s: asked %s", c.reason, asked)
		}
		if !c.asked && (r.State != Indeterminate || !strings.Contains(r.Cause.Error(), "nothing was sent")) {
			t.Errorf("%s: %s (%v)", c.reason, r.State, r.Cause)
		}
	}
}
