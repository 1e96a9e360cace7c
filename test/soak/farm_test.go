package soak

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// farm is a zone with its name servers: a primary, a secondary of another make, and a proxy in front of each, through
// which the operator reaches them. Senders ask them directly.
type farm struct {
	make      servers.Make
	hosts     []*host
	primary   *servers.Primary
	secondary *servers.Secondary
	// updates is the way of the operator's updates, and looks that of its questions to the secondary.
	updates, looks *wire.DNS
}

var secondaryOf = map[servers.Make]func(testing.TB, *servers.Primary, string) *servers.Secondary{
	servers.BIND: servers.StartNSDSecondary, servers.Knot: servers.StartBINDSecondary, servers.PowerDNS: servers.StartKnotSecondary,
}

func (f *farm) name() string { return strings.ToLower(string(f.make)) }
func (f *farm) zone() string { return f.name() + ".test" }

func (f *farm) start(w *world) {
	w.Helper()
	var records []string
	for _, h := range f.hosts {
		records = append(records, strings.TrimSuffix(h.name, "."+f.zone())+" 60 A 127.0.0.1")
	}
	f.primary = servers.StartPrimary(w, f.make, servers.Options{Zone: f.zone() + ".", Records: records})
	f.secondary = secondaryOf[f.make](w, f.primary, "")
	f.updates, f.looks = proxy(w, f.primary.Addr), proxy(w, f.secondary.Addr)
}

func proxy(w *world, upstream netip.AddrPort) *wire.DNS {
	w.Helper()
	at := netip.AddrPortFrom(upstream.Addr(), servers.FreePort(w, upstream.Addr().String()))
	p, err := wire.StartDNS(upstream.String(), at)
	w.must(err)
	w.Cleanup(p.Stop)
	return p
}

// reach is how the operator reaches the zone.
func (f *farm) reach() lab.Zone {
	return lab.Zone{
		Name: f.zone(), Primary: f.updates.Addr.String(), Servers: []string{f.primary.Addr.String(), f.looks.Addr.String()},
		TSIGName: f.primary.TSIGName, TSIGSecret: f.primary.TSIGSecret, DS: f.primary.DS,
	}
}

// authoritative are the servers that senders' resolvers ask.
func (f *farm) authoritative() []netip.AddrPort {
	return []netip.AddrPort{f.primary.Addr, f.secondary.Addr}
}

// foreign is a record that nobody's key matches, as a person might write one by hand.
func foreign(owner string) string {
	return fmt.Sprintf("%s 5 TLSA 3 1 1 %s", owner, strings.Repeat("0f", 32))
}
