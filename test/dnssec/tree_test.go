package dnssec_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/test/servers"
)

// tree is a private root with three top zones on one server, and all zones of the table on another.
type tree struct {
	make   string
	rootDS *dns.DS
	zones  map[string]netip.AddrPort
	// validating resolves and validates; plain only resolves.
	validating, plain *servers.Resolver
	// iterating and forwarding are the validator under test.
	iterating, forwarding *dnssec.Validator
}

// built are all zones, made once and served by every make.
type built struct {
	root *zone
	tops []servers.StaticZone
	// children by the make of their server.
	children map[string][]servers.StaticZone
}

// makes of servers.
var makes = []string{"BIND", "NSD"}

func (b *built) add(only string, z servers.StaticZone) {
	for _, name := range makes {
		if only == "" || only == name {
			b.children[name] = append(b.children[name], z)
		}
	}
}

// topSigning is how the zones under the root are signed.
var topSigning = map[string]signing{"lab": p256, "hash": nsec3, "opt": optOut}

func buildZones(t *testing.T) built {
	t.Helper()
	delegations := map[string]*strings.Builder{"lab": {}, "hash": {}, "opt": {}}
	out := built{children: map[string][]servers.StaticZone{}}
	for _, b := range table {
		under := b.parent()
		z := b.build(t)
		out.add(b.only, z.static())
		if strings.HasSuffix(b.name, ".sub") {
			out.add(b.only, servers.StaticZone{Name: "sub." + z.name, Text: "$ORIGIN sub." + z.name + "\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.9\n"})
		}
		fmt.Fprintf(delegations[under], "%[1]s NS ns.%[1]s\nns.%[1]s A 127.0.0.1\n", b.label)
		for _, ds := range b.dsOf(z) {
			fmt.Fprintf(delegations[under], "%s DS %d %d %d %s\n", b.label, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
		}
	}
	root := "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns.\nns. A 127.0.0.1\n"
	for name, sign := range topSigning {
		z := newZone(t, name+".", "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"+delegations[name].String(), sign)
		out.tops = append(out.tops, z.static())
		ds := z.key.ToDS(dns.SHA256)
		root += fmt.Sprintf("%[1]s NS ns.%[1]s\nns.%[1]s A 127.0.0.1\n%[1]s DS %[2]d %[3]d %[4]d %[5]s\n", name, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	}
	out.root = newZone(t, ".", root, p256)
	out.tops = append(out.tops, out.root.static())
	return out
}

func (b brokenness) parent() string {
	if b.under == "" {
		return "lab"
	}
	return b.under
}

func (b brokenness) zone() string { return b.label + "." + b.parent() + "." }

func (b brokenness) question() string { return b.name + "." + b.zone() }

func (b brokenness) build(t *testing.T) *zone {
	t.Helper()
	if b.unsigned {
		return &zone{t: t, name: b.zone(), rrs: parse(t, "$ORIGIN "+b.zone()+"\n"+content)}
	}
	z := newZone(t, b.zone(), content, b.sign)
	if b.breakIt != nil {
		b.breakIt(z)
	}
	return z
}

func (b brokenness) dsOf(z *zone) []*dns.DS {
	switch {
	case b.ds != nil:
		return b.ds(z)
	case b.unsigned:
		return nil
	}
	return []*dns.DS{z.key.ToDS(dns.SHA256)}
}

// plant starts the servers of a tree, with the zones of the table on a server of one make.
func plant(t *testing.T, name string, zones built, parents, children netip.AddrPort) *tree {
	t.Helper()
	tr := &tree{make: name, rootDS: zones.root.key.ToDS(dns.SHA256), zones: map[string]netip.AddrPort{}}
	for _, z := range zones.tops {
		tr.zones[z.Name] = parents
	}
	for _, z := range zones.children[name] {
		tr.zones[z.Name] = children
	}
	tr.validating = servers.StartTreeResolver(t, tr.zones, dnssec.PresentDS(tr.rootDS))
	tr.plain = servers.StartTreeResolver(t, tr.zones, "")
	stubs := map[string][]netip.AddrPort{}
	for zone, addr := range tr.zones {
		stubs[zone] = []netip.AddrPort{addr}
	}
	config := dnssec.Config{Anchors: []dnssec.Anchor{tr.rootDS}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: time.Now}
	config.Stubs = stubs
	tr.iterating = newValidator(t, config)
	config.Forwarders = []netip.AddrPort{tr.plain.Addr}
	tr.forwarding = newValidator(t, config)
	return tr
}

func newValidator(t *testing.T, c dnssec.Config) *dnssec.Validator {
	t.Helper()
	v, err := dnssec.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
