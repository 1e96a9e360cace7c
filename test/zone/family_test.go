package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// family is a zone, its parent and the root, each with servers at port 53 of addresses of their own. The actor is told of
// the root's anchor, a resolver and the update server, and finds everything else by delegations. The resolver and the
// validator are told where the root is.
type family struct {
	*rig
	parent          *servers.Primary
	parentSecondary *servers.Secondary
	// at are the public addresses: those of the zone's servers ns1 (the primary), ns2 (BIND or Knot, at ns2b as well)
	// and ns3 (NSD), and those of others. ways lead there.
	at    map[string]netip.Addr
	ways  map[string]*wire.DNS
	clock *clocktesting.FakeClock
}

// couple are the makes of a parent and of the zone below it.
type couple struct{ parent, child servers.Make }

// onCouples runs a test with each make as the parent, and with each below another.
func onCouples(t *testing.T, test func(t *testing.T, c couple)) {
	t.Helper()
	t.Parallel()
	for _, c := range []couple{{servers.BIND, servers.Knot}, {servers.Knot, servers.PowerDNS}, {servers.PowerDNS, servers.BIND}} {
		t.Run(fmt.Sprintf("%s below %s", c.child, c.parent), func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// newFamily starts everything. The parent names ns1 and ns2, with one address each; the zone names ns3 as well, and
// another address of ns2. With entered the parent has the zone's DS record.
func newFamily(t *testing.T, c couple, entered bool) *family {
	t.Helper()
	return newFamilyOf(t, c, servers.Options{}, entered)
}

// newFamilyOf is newFamily with more said of the parent. One that is not signed has no DS record in the root.
func newFamilyOf(t *testing.T, c couple, parent servers.Options, entered bool) *family {
	t.Helper()
	f := &family{rig: &rig{t: t}, at: map[string]netip.Addr{}, ways: map[string]*wire.DNS{}, clock: clocktesting.NewFakeClock(time.Now())}
	for _, name := range []string{"root", "parent1", "parent2", "ns1", "ns2", "ns2b", "ns3", "ns4"} {
		f.at[name] = servers.PublicAddress(t)
	}
	f.startChild(c.child)
	f.startParent(c.parent, parent, entered)
	records := []string{"test NS ns1.test", "test NS ns2.test", "ns1.test A " + f.at["parent1"].String(), "ns2.test A " + f.at["parent2"].String()}
	if f.parent.DS != "" {
		records = append(records, "test DS "+f.parent.DS)
	}
	root := servers.StartPresigned(t, ".", records)
	f.way("root", root.Addr)
	f.act(root)
	return f
}

func (f *family) way(name string, to netip.AddrPort) {
	f.ways[name] = servers.StartPublic(f.t, f.at[name], to)
}

func (f *family) startChild(m servers.Make) {
	f.primary = servers.StartPrimary(f.t, m, servers.Options{
		Zone: apex, Nameservers: map[string]string{"ns1": f.at["ns1"].String(), "ns2": f.at["ns2"].String(), "ns3": f.at["ns3"].String()},
		Records: []string{"ns2 A " + f.at["ns2b"].String(), "@ MX 10 mx1", "mx1 A 192.0.2.1", "_25._tcp.mx1 60 TLSA 3 1 1 " + record(1).Data},
	})
	other := servers.StartBINDSecondary
	if m == servers.BIND {
		other = servers.StartKnotSecondary
	}
	f.secondaries = []*servers.Secondary{other(f.t, f.primary, ""), servers.StartNSDSecondary(f.t, f.primary, "")}
	f.way("ns1", f.primary.Addr)
	f.way("ns2", f.secondaries[0].Addr)
	f.way("ns2b", f.secondaries[0].Addr)
	f.way("ns3", f.secondaries[1].Addr)
}

func (f *family) startParent(m servers.Make, o servers.Options, entered bool) {
	records := []string{
		"example 2 NS ns1.example", "example 2 NS ns2.example", "ns1.example 2 A " + f.at["ns1"].String(), "ns2.example 2 A " + f.at["ns2"].String(),
	}
	if entered {
		records = append(records, "example 2 DS "+f.primary.DS)
	}
	o.Zone, o.Records, o.NegativeTTL = "test.", records, 1
	o.Nameservers = map[string]string{"ns1": f.at["parent1"].String(), "ns2": f.at["parent2"].String()}
	f.parent = servers.StartPrimary(f.t, m, o)
	f.parentSecondary = servers.StartNSDSecondary(f.t, f.parent, "")
	f.way("parent1", f.parent.Addr)
	f.way("parent2", f.parentSecondary.Addr)
}

// act starts the actor, and what it is told of.
func (f *family) act(root *servers.Presigned) {
	at53 := []netip.AddrPort{servers.AtPort53(f.at["root"])}
	resolver := servers.StartUnbound(f.t, servers.ResolverOptions{
		Stubs: []servers.Stub{{Zone: ".", Servers: at53, DS: root.DS}},
		// It forgets soon.
		Extra: []string{`local-zone: "test." nodefault`, "cache-max-ttl: 2", "cache-max-negative-ttl: 1", "prefetch: no"},
	})
	anchor, err := dnssec.ParseDS(root.DS, ".")
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := dnssec.New(dnssec.Config{
		Anchors: []dnssec.Anchor{anchor}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: f.clock.Now,
		Stubs: map[string][]netip.AddrPort{".": at53},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.config = zone.Config{
		Zone: apex, Primary: servers.AtPort53(f.at["ns1"]).String(), Protocol: zone.TCP,
		TSIG:       &zone.TSIG{Name: f.primary.TSIGName, Algorithm: f.primary.TSIGAlgorithm, Secret: f.primary.TSIGSecret},
		Delegation: true, Resolvers: []string{resolver.Addr.String()}, Anchors: []dnssec.Anchor{anchor},
	}
	f.start(zone.Options{
		Clock: f.clock, QueryTimeout: 10 * time.Second, Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		NewResolver: func([]dnssec.Anchor) zone.Resolver { return v },
	})
}

// zoneChanges has the zone's administrator change it, and all its servers take the change over.
func (f *family) zoneChanges(commands ...string) {
	f.t.Helper()
	f.primary.Admin(commands...)
	for _, s := range f.secondaries {
		s.CatchUp()
	}
}

// parentChanges does the same at the parent.
func (f *family) parentChanges(commands ...string) {
	f.t.Helper()
	f.parent.Admin(commands...)
	f.parentSecondary.CatchUp()
}

// later lets so much time go by that servers are looked for anew, and that the parent is asked again.
func (f *family) later() { f.clock.Step(6 * time.Minute) }

// asked are the public addresses that a sweep asks, whatever they answer, and why it is not green.
func (f *family) asked(want ...tlsa.Record) ([]string, error) {
	f.t.Helper()
	s := f.sweep(mx1)
	var out []string
	for _, a := range s.Answers {
		out = append(out, a.Address)
	}
	slices.Sort(out)
	return out, green(s, want...)
}

// asks wants exactly these servers to be asked, and each of them to show the records.
func (f *family) asks(names []string, want ...tlsa.Record) {
	f.t.Helper()
	got, err := f.asked(want...)
	if wanted := f.addressesOf(names...); !slices.Equal(got, wanted) {
		f.t.Errorf("the sweep asks %v, want %v (%v)", got, wanted, names)
	}
	if err != nil {
		f.t.Errorf("of %v: %v", names, err)
	}
}

func (f *family) addressesOf(names ...string) []string {
	var out []string
	for _, name := range names {
		out = append(out, servers.AtPort53(f.at[name]).String())
	}
	slices.Sort(out)
	return out
}
