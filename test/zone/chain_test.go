package zone_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// grown is a private tree: a root and a top zone on servers of their own, and zones below on servers of every
// make. The operator's code is given the anchor of the root and where servers are, and nothing else.
type grown struct {
	*testing.T
	top   *servers.Primary
	root  dnssec.Anchor
	stubs map[string][]netip.AddrPort
	v     *dnssec.Validator
}

// child is a zone of the tree.
type child struct {
	zone string
	addr netip.AddrPort
	// ds is the RDATA of the DS record that its parent has; empty for none.
	ds string
}

// delegated are the records of the top zone for its children; TTLs are short, so that a change shows soon.
func delegated(children ...child) []string {
	var out []string
	for _, c := range children {
		label := strings.TrimSuffix(c.zone, ".top.")
		out = append(out, fmt.Sprintf("%s 2 NS ns1.%s", label, label), fmt.Sprintf("ns1.%s 2 A 127.0.0.1", label))
		if c.ds != "" {
			out = append(out, fmt.Sprintf("%s 2 DS %s", label, c.ds))
		}
	}
	return out
}

func grow(t *testing.T, children ...child) *grown {
	t.Helper()
	g := &grown{T: t, stubs: map[string][]netip.AddrPort{}}
	g.top = servers.StartPrimary(t, servers.Knot, servers.Options{Zone: "top.", Records: delegated(children...), NegativeTTL: 1})
	expired := servers.StartPresigned(t, "late.", delegatedBy("mx.late.", children[0].ds), "-s", "20250101000000", "-e", "20250201000000")
	root := servers.StartPresigned(t, ".", []string{
		"top NS ns1.top", "ns1.top A 127.0.0.1", "top DS " + g.top.DS,
		"late NS ns1.late", "ns1.late A 127.0.0.1", "late DS " + expired.DS,
	})
	g.root = g.anchor(root.DS, ".")
	g.stubs["."], g.stubs["top."], g.stubs["late."] = at(root.Addr), at(g.top.Addr), at(expired.Addr)
	for _, c := range children {
		g.stubs[c.zone] = at(c.addr)
	}
	var err error
	g.v, err = dnssec.New(dnssec.Config{Anchors: []dnssec.Anchor{g.root}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: time.Now, Stubs: g.stubs})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func delegatedBy(name, ds string) []string {
	return []string{name + " NS ns1." + name, "ns1." + name + " A 127.0.0.1", name + " DS " + ds}
}

func at(addr netip.AddrPort) []netip.AddrPort { return []netip.AddrPort{addr} }

func (g *grown) anchor(rdata, owner string) dnssec.Anchor {
	g.Helper()
	ds, err := dnssec.ParseDS(rdata, owner)
	if err != nil {
		g.Fatal(err)
	}
	return ds
}

// actor is the operator's actor of a zone.
func (g *grown) actor(name string, addr netip.AddrPort) *zone.Actor {
	g.Helper()
	a := zone.NewActor(
		// There is no resolver, and so no parent's servers are found.
		zone.Config{Zone: name, Static: at(addr), Anchors: []dnssec.Anchor{g.root}, Resolvers: []string{"127.0.0.1:9"}},
		zone.Options{NewResolver: func([]dnssec.Anchor) zone.Resolver { return g.v }})
	g.Cleanup(func() { a.Close(g.Context()) })
	return a
}

// is waits until the zone has a state, and a message with these parts. TTLs have to pass, and no more.
func (g *grown) is(a *zone.Actor, name string, want dnssec.State, parts ...string) {
	g.Helper()
	servers.Eventually(g, fmt.Sprintf("%s is %s", name, want), func() error {
		looks := make(chan zone.Health, 1)
		a.Check(func(h zone.Health) { looks <- h })
		d := (<-looks).DNSSEC
		if d.State != want {
			return fmt.Errorf("it is %s: %s", d.State, d.Message)
		}
		for _, part := range parts {
			if !strings.Contains(d.Message, part) {
				return fmt.Errorf("%q does not say %q", d.Message, part)
			}
		}
		return nil
	})
}

// signed sweeps a TLSA owner of the zone and says whether what is served of it validates.
func (g *grown) signed(a *zone.Actor, name string, want bool) {
	g.Helper()
	sweeps := make(chan zone.Sweep, 1)
	a.Sweep("_25._tcp.mx."+name, func(s zone.Sweep) { sweeps <- s })
	for _, of := range (<-sweeps).Answers {
		if !of.Reachable || of.Signed != want {
			g.Errorf("%s: %+v, want signed: %t", name, of, want)
		}
	}
}

// TestOperatorBelowARoot: given the root's anchor alone, the operator finds out of zones on servers of every make
// whether senders can validate them, and who is to blame where they cannot.
func TestOperatorBelowARoot(t *testing.T) {
	var children []child
	for _, m := range servers.Makes {
		p := servers.StartPrimary(t, m, servers.Options{Zone: strings.ToLower(string(m)) + ".top.", NSEC3: m == servers.Knot})
		children = append(children, child{p.Zone, p.Addr, p.DS})
	}
	presigned := servers.StartPresigned(t, "nsd.top.", nil)
	below := servers.StartPresigned(t, "below.open.top.", nil)
	open := servers.StartStaticNSD(t, []servers.StaticZone{{Name: "open.top.", Text: "$ORIGIN open.top.\n$TTL 2\n@ SOA ns1 hostmaster 1 3600 600 86400 1\n@ NS ns1\nns1 A 127.0.0.1\n" +
		strings.Join(delegatedBy("below", below.DS), "\n") + "\n"}})
	children = append(children, child{presigned.Zone, presigned.Addr, presigned.DS}, child{"open.top.", open.Address(), ""})
	g := grow(t, children...)
	for _, c := range children[:len(children)-1] {
		a := g.actor(c.zone, c.addr)
		g.is(a, c.zone, dnssec.Secure)
		g.signed(a, c.zone, true)
	}
	unsigned := g.actor("open.top.", open.Address())
	g.is(unsigned, "open.top.", dnssec.Insecure, "the parent zone top. proves that it has no DS record of open.top.")
	g.signed(unsigned, "open.top.", false)
	g.is(g.actor(below.Zone, below.Addr), below.Zone, dnssec.Insecure, "open.top. DS", "whoever runs open.top. has to sign it")
	g.is(g.actor("mx.late.", children[0].addr), "mx.late.", dnssec.Bogus, "zone late.: server "+g.stubs["late."][0].String(), "the fault is in the zone late.")
	hidden := servers.StartPresigned(t, "hidden.top.", nil)
	g.is(g.actor(hidden.Zone, hidden.Addr), hidden.Zone, dnssec.Indeterminate, "is not delegated below the trust anchor", "spec.dnssec.trustAnchors", hidden.DS)
}

// TestDSThatIsWrong: the parent is blamed, and its repair is noticed.
func TestDSThatIsWrong(t *testing.T) {
	p := servers.StartPrimary(t, servers.BIND, servers.Options{Zone: "bind.top."})
	g := grow(t, child{p.Zone, p.Addr, p.DS})
	a := g.actor(p.Zone, p.Addr)
	g.is(a, p.Zone, dnssec.Secure)
	wrong := "12345 13 2 " + strings.Repeat("AB", 32)
	g.top.Admin("delete bind.top. DS", "add bind.top. 2 DS "+wrong)
	g.is(a, p.Zone, dnssec.Bogus, p.Addr.String(), "bind.top. DNSKEY: no key of the zone matches a DS record at its parent ("+wrong+")", "the parent zone top. is to blame")
	g.signed(a, p.Zone, false)
	g.top.Admin("delete bind.top. DS", "add bind.top. 2 DS "+p.DS)
	g.is(a, p.Zone, dnssec.Secure)
	g.signed(a, p.Zone, true)
	g.top.Admin("delete bind.top. DS")
	g.is(a, p.Zone, dnssec.Insecure, "the parent zone top. proves that it has no DS record of bind.top.")
	parent := g.actor("top.", g.top.Addr)
	sweeps := make(chan zone.DSSweep, 1)
	parent.SweepDS(p.Zone, func(s zone.DSSweep) { sweeps <- s })
	for _, of := range (<-sweeps).Answers {
		if of.State != dnssec.Secure || of.Problem != "" || len(of.DS) != 0 {
			t.Errorf("what the parent says, by way of the root: %+v", of)
		}
	}
}
