package delegation_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// The name servers of the child, by names in zones of their own.
const (
	firstNS  = "ns1.alpha.test."
	secondNS = "ns2.beta.test."
)

// tree is a rig below a private root. Every zone in it is signed, and the chain from the root leads to each but the
// child. Nobody is given the anchor of any other zone.
type tree struct {
	*rig
	root *servers.Presigned
	// top is the zone test., below which the others are.
	top *servers.Primary
	// signalling are the servers of the zones that the child's name servers have their names in: on BIND and on Knot.
	signalling map[string]*servers.Primary
}

func newTree(t *testing.T, parent, child servers.Make) *tree {
	t.Helper()
	alpha := servers.StartPrimary(t, servers.BIND, servers.Options{Zone: "alpha.test.", NegativeTTL: 1})
	beta := servers.StartPrimary(t, servers.Knot, servers.Options{Zone: "beta.test.", NegativeTTL: 1, Nameservers: map[string]string{"ns2": "127.0.0.1"}})
	tr := &tree{rig: &rig{T: t}, signalling: map[string]*servers.Primary{firstNS: alpha, secondNS: beta}}
	tr.parent = servers.StartPrimary(t, parent, servers.Options{
		Zone: parentApex, Grants: grants[parent], NegativeTTL: 1,
		Records: []string{"child 2 NS " + firstNS, "child 2 NS " + secondNS},
	})
	tr.parentSecondary = servers.StartNSDSecondary(t, tr.parent, "")
	tr.child = servers.StartPrimary(t, child, servers.Options{
		Zone: childApex, Records: []string{"www A 192.0.2.1"}, Nameservers: map[string]string{firstNS: "", secondNS: ""},
		Rolling: &servers.Rolling{Lifetime: 3600, Parents: []netip.AddrPort{tr.parent.Addr}},
	})
	tr.childSecondary = servers.StartBINDSecondary(t, tr.child, "")
	tr.top = servers.StartPrimary(t, servers.Knot, servers.Options{Zone: "test.", NegativeTTL: 1, Records: delegated(tr.parent, alpha, beta)})
	tr.root = servers.StartPresigned(t, ".", delegated(tr.top))
	tr.resolve(
		servers.Stub{Zone: ".", Servers: []netip.AddrPort{tr.root.Addr}, DS: tr.root.DS},
		below(servers.StubOf(tr.top)), below(servers.StubOf(alpha)), below(servers.StubOf(beta)),
		below(servers.StubOf(tr.parent, tr.parentSecondary)), below(servers.StubOf(tr.child, tr.childSecondary)))
	return tr
}

// delegated are the records that delegate zones with their DS records; the TTLs are short, so that a change shows
// soon.
func delegated(zones ...*servers.Primary) []string {
	var out []string
	for _, p := range zones {
		out = append(out, fmt.Sprintf("%[1]s 2 NS ns1.%[1]s", p.Zone), fmt.Sprintf("ns1.%s 2 A 127.0.0.1", p.Zone), fmt.Sprintf("%s 2 DS %s", p.Zone, p.DS))
	}
	return out
}

func below(s servers.Stub) servers.Stub {
	s.DS, s.Below = "", true
	return s
}

// resolve starts what looks names up in the tree: a resolver that validates from the root, which the test watches,
// and the operator's actors of the parent and the child.
func (tr *tree) resolve(stubs ...servers.Stub) {
	tr.Helper()
	tr.resolver = servers.StartUnbound(tr.T, servers.ResolverOptions{
		Stubs: stubs, Extra: forgetful,
	})
	anchor := tr.anchor(tr.root.DS, ".")
	config := dnssec.Config{
		Anchors: []dnssec.Anchor{anchor}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: time.Now,
		Stubs: map[string][]netip.AddrPort{},
	}
	for _, s := range stubs {
		config.Stubs[s.Zone] = s.Servers
	}
	v, err := dnssec.New(config)
	if err != nil {
		tr.Fatal(err)
	}
	options := zone.Options{NewResolver: func([]dnssec.Anchor) zone.Resolver { return v }}
	tr.parentActor = tr.actorBelow(tr.parent, tr.parentSecondary, anchor, options)
	tr.childActor = tr.actorBelow(tr.child, tr.childSecondary, anchor, options)
}

// asked are the CDS and CDNSKEY records that the child shows, once it does.
func (tr *tree) asked() []dns.RR {
	tr.Helper()
	var out []dns.RR
	servers.Eventually(tr, "the child asks for its first DS records", func() error {
		tr.poke()
		time.Sleep(300 * time.Millisecond)
		out = nil
		for _, qtype := range []uint16{dns.TypeCDS, dns.TypeCDNSKEY} {
			m, err := servers.Ask(tr.child.Addr, childApex, qtype, false)
			if err != nil {
				return err
			}
			before := len(out)
			for _, rr := range m.Answer {
				if rr.Header().Rrtype == qtype {
					out = append(out, rr)
				}
			}
			if len(out) == before {
				return fmt.Errorf("it has no %s records", dns.TypeToString[qtype])
			}
		}
		return nil
	})
	return out
}

// signals has a name server's operator publish these records as its signal, and no others.
func (tr *tree) signals(ns string, set []dns.RR) {
	tr.Helper()
	name := delegation.SignalName(childApex, ns)
	commands := []string{"delete " + name + " CDS", "delete " + name + " CDNSKEY"}
	for _, rr := range set {
		rdata := strings.TrimPrefix(rr.String(), rr.Header().String())
		commands = append(commands, fmt.Sprintf("add %s 2 %s %s", name, dns.TypeToString[rr.Header().Rrtype], rdata))
	}
	tr.signalling[ns].Admin(commands...)
}

// entered has test. give a zone below it these DS records, or none.
func (tr *tree) entered(name string, rdata ...string) {
	tr.Helper()
	commands := []string{"delete " + name + " DS"}
	for _, ds := range rdata {
		commands = append(commands, fmt.Sprintf("add %s 2 DS %s", name, ds))
	}
	tr.top.Admin(commands...)
}
