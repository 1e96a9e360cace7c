package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// tree is a private root, the zone test. on two servers, and an installation of its own that knows the root's anchor
// and a resolver, and nothing else of the tree. Servers answer at port 53 of addresses of their own, as the world's do.
type tree struct {
	t               *testing.T
	root, parent    *servers.Primary
	parentSecondary *servers.Secondary
	resolver        *servers.Resolver
	lab             *lab.Lab
	at              map[string]netip.Addr
}

// forgetful has a resolver see a change soon.
var forgetful = []string{`local-zone: "test." nodefault`, "cache-max-ttl: 2", "cache-max-negative-ttl: 1", "val-bogus-ttl: 1", "prefetch: no"}

// plant starts everything but the zone of the site.
func plant(t *testing.T) *tree {
	t.Helper()
	tr := &tree{t: t, at: map[string]netip.Addr{}}
	for _, name := range []string{"root", "parent1", "parent2", "ns1", "ns2", "ns3"} {
		tr.at[name] = servers.PublicAddress(t)
	}
	tr.parent = servers.StartPrimary(t, servers.BIND, servers.Options{
		Zone: "test.", NegativeTTL: 1, Grants: []string{"grant tlsa-key name example.test. DS;"},
		Nameservers: map[string]string{"ns1": tr.at["parent1"].String(), "ns2": tr.at["parent2"].String()},
	})
	tr.parentSecondary = servers.StartNSDSecondary(t, tr.parent, "")
	tr.root = servers.StartPrimary(t, servers.Knot, servers.Options{
		Zone: ".", NegativeTTL: 1, Nameservers: map[string]string{"ns1": tr.at["root"].String()},
		Records: []string{
			"test. 2 NS ns1.test.", "test. 2 NS ns2.test.", "ns1.test. 2 A " + tr.at["parent1"].String(), "ns2.test. 2 A " + tr.at["parent2"].String(),
			"test. 2 DS " + tr.parent.DS,
		},
	})
	tr.public("root", tr.root.Addr)
	tr.public("parent1", tr.parent.Addr)
	tr.public("parent2", tr.parentSecondary.Addr)
	tr.resolver = servers.StartUnbound(t, servers.ResolverOptions{
		Address: servers.PublicAddress(t).String(), Port: 53, Extra: forgetful,
		Stubs: []servers.Stub{{Zone: ".", Servers: []netip.AddrPort{servers.AtPort53(tr.at["root"])}, DS: tr.root.DS}},
	})
	tr.install()
	return tr
}

func (tr *tree) public(name string, to netip.AddrPort) {
	servers.StartPublic(tr.t, tr.at[name], to)
}

// install starts a cluster, cert-manager, and an operator that is told of the root and the resolver.
func (tr *tree) install() {
	tr.t.Helper()
	anchors := filepath.Join(tr.t.TempDir(), "root.ds")
	tr.must(os.WriteFile(anchors, []byte(". DS "+tr.root.DS+"\n"), 0o600))
	var err error
	tr.lab, err = lab.Start(context.Background(), lab.Options{Namespace: "tree", Operator: operator.Options{
		Args: []string{"--resolvers", tr.resolver.Addr.String(), "--trust-anchors", anchors},
	}})
	tr.must(err)
	tr.t.Cleanup(func() {
		if tr.t.Failed() {
			tr.t.Log(tr.lab.Operator.Tail(60))
		}
		tr.must(tr.lab.Stop())
	})
}

func (tr *tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// grown is what the primary of a site in the tree is like: its servers have addresses in the zone, and what caches keep
// of it they keep for two seconds, keys and DS records as well.
func (tr *tree) grown(_ *site, o *servers.Options) {
	o.Nameservers = map[string]string{"ns1": tr.at["ns1"].String(), "ns2": tr.at["ns2"].String(), "ns3": tr.at["ns3"].String()}
	o.Rolling = &servers.Rolling{Lifetime: 24 * 3600, Parents: []netip.AddrPort{tr.parent.Addr}}
}

// delegate has the zone of a site delegated.
func (tr *tree) delegate(s *site) {
	tr.t.Helper()
	for name, server := range map[string]netip.AddrPort{"ns1": s.primary.Addr, "ns2": s.other.Addr, "ns3": s.nsd.Addr} {
		tr.public(name, server)
	}
	var commands []string
	for _, name := range []string{"ns1", "ns2", "ns3"} {
		commands = append(commands, fmt.Sprintf("add %s. 2 NS %s.%s.", zoneName, name, zoneName), fmt.Sprintf("add %s.%s. 2 A %s", name, zoneName, tr.at[name]))
	}
	tr.parent.Admin(append(commands, dsOf(zoneName+".", s.primary.DS))...)
	tr.parentSecondary.CatchUp()
}

// entered has the zone above give these DS records of a zone in place of those that it gives.
func (tr *tree) entered(above *servers.Primary, zone, rdata string) {
	tr.t.Helper()
	above.Admin("delete "+zone+" DS", dsOf(zone, rdata))
	if above == tr.parent {
		tr.parentSecondary.CatchUp()
	}
}

func dsOf(zone, rdata string) string { return fmt.Sprintf("add %s 2 DS %s", zone, rdata) }
