package dnssec_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/test/servers"
	"github.com/dane-operator/dane-operator/test/wire"
)

// forest is a private root, below it a branch on servers of each make with each kind of denial, and below each branch
// the leaves. Every server answers at port 53 of an address of its own: nobody who is told of the root needs to be
// told of anything else.
type forest struct {
	*testing.T
	root     netip.Addr
	anchor   *dns.DS
	branches []*branch
	// places are where leaves are served: the farm on NSD, the barn on BIND.
	places map[string]netip.Addr
	zones  map[string][]servers.StaticZone
}

// branch is a zone below the root.
type branch struct {
	name   string
	optOut bool
	ds     string
	// at are the addresses of its servers. The primary answers at both, until secondary takes its place: a server of
	// another make, which opt-out branches alone have.
	at                 [2]netip.Addr
	primary, secondary servers.Server
	ways               []*wire.DNS
	// byNSD says that NSD answers.
	byNSD bool
}

// serve has one server answer at the addresses of the branch, and no other.
func (b *branch) serve(t *testing.T, server servers.Server) {
	t.Helper()
	for _, way := range b.ways {
		way.Stop()
	}
	b.ways, b.byNSD = nil, strings.Contains(server.Name(), "NSD")
	for _, at := range b.at {
		b.ways = append(b.ways, servers.StartPublic(t, at, server.Address()))
	}
}

// leaf is a zone below each branch.
type leaf struct {
	label, why string
	// ns are its name servers, relative to the branch unless they end with a dot; those in the leaf with the place
	// where they are.
	ns string
	// unsigned leaves have no DS records; foreign ones have that of a key that is not theirs.
	unsigned, foreign bool
	// shared leaves are served by the branch's own server.
	shared bool
	want   dnssec.State
	// gap says that with opt-out nothing is hashed of the name above it.
	gap bool
	// once: it is below opt-out branches alone, which refer in all ways; what it tries does not depend on the denial.
	once bool
	// delv is asked too, which takes as long as ten other questions.
	delv bool
}

// wanted is what the validator and delv say of a host in it. They ask for the DS records of each name on the way, and
// NSD leaves out of its answer the NSEC3 record that covers a name in an opt-out gap, if that has names below it. Whoever
// believes what a referral says of the name below, as unbound does, does not ask.
func (l leaf) wanted(b *branch) dnssec.State {
	if l.gap && b.optOut && b.byNSD {
		return bogus
	}
	return l.want
}

var leaves = []leaf{
	{label: "in", why: "a name server in the zone itself, with glue", ns: "ns.in@farm", delv: true, want: secure},
	{label: "sibling", why: "a name server in the zone beside it", ns: "ns.in", once: true, want: secure},
	{label: "far", why: "a name server in another branch, whose address the parent does not know", ns: "ns.farm.", once: true, want: secure},
	{label: "two", why: "two name servers of different makes", ns: "ns.two@farm other.two@barn", once: true, want: secure},
	{label: "deep.ent", why: "below a name without records", ns: "ns.deep.ent@farm", want: secure},
	{label: "open", why: "no DS record", ns: "ns.open@farm", unsigned: true, delv: true, want: insecure},
	{label: "deep.gap", why: "no DS record, below a name without records", ns: "ns.deep.gap@farm", unsigned: true, gap: true, delv: true, want: insecure},
	{label: "foreign", why: "a DS record of another key", ns: "ns.foreign@farm", foreign: true, once: true, want: bogus},
	{label: "both", why: "on the server of its parent, which has the DS record", ns: "ns1", shared: true, want: secure},
	{label: "bothopen", why: "on the server of its parent, without DS record", ns: "ns1", shared: true, unsigned: true, delv: true, want: insecure},
}

// leaves are those below a branch.
func (b *branch) leaves() []leaf {
	return slices.DeleteFunc(slices.Clone(leaves), func(l leaf) bool { return l.once && !b.optOut })
}

func (l leaf) zone(b *branch) string { return l.label + "." + b.name }

// server is a name server of a leaf, with the place where it is; that is empty for one in another zone.
type server struct{ name, place string }

func (l leaf) servers(b *branch) []server {
	var out []server
	for _, word := range strings.Fields(l.ns) {
		name, place, _ := strings.Cut(word, "@")
		if !dns.IsFqdn(name) {
			name += "." + b.name
		}
		out = append(out, server{name, place})
	}
	return out
}

// nsText are the NS records of a leaf with the addresses that belong to it.
func (f *forest) nsText(l leaf, b *branch) string {
	var out strings.Builder
	for _, s := range l.servers(b) {
		fmt.Fprintf(&out, "%s 300 NS %s\n", l.zone(b), s.name)
		if s.place != "" {
			fmt.Fprintf(&out, "%s 300 A %s\n", s.name, f.places[s.place])
		}
	}
	return out.String()
}

// build makes the zone of a leaf.
func (f *forest) build(l leaf, b *branch) *zone {
	f.Helper()
	text := "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\nwww A 192.0.2.1\n" + f.nsText(l, b)
	if l.unsigned {
		return &zone{t: f.T, name: l.zone(b), rrs: parse(f.T, "$ORIGIN "+l.zone(b)+"\n"+text)}
	}
	return newZone(f.T, l.zone(b), text, p256)
}

// delegated has a leaf served at its places, and returns the records that delegate it.
func (f *forest) delegated(l leaf, b *branch) string {
	f.Helper()
	z := f.build(l, b)
	f.zones["farm"] = append(f.zones["farm"], z.static())
	if strings.Contains(l.ns, "@barn") {
		f.zones["barn"] = append(f.zones["barn"], z.static())
	}
	return f.nsText(l, b) + dsText(l, b, z)
}

func dsText(l leaf, b *branch, z *zone) string {
	if l.unsigned {
		return ""
	}
	ds := z.key.ToDS(dns.SHA256)
	if l.foreign {
		otherDigest(ds)
	}
	return fmt.Sprintf("%s 300 DS %s\n", l.zone(b), dnssec.PresentDS(ds))
}

// denials are how branches prove that something is not there.
var denials = map[string]signing{"nsec": p256, "nsec3": nsec3, "optout": optOut}

// growForest starts everything.
func growForest(t *testing.T) *forest {
	t.Helper()
	f := &forest{T: t, root: servers.PublicAddress(t), zones: map[string][]servers.StaticZone{}, places: map[string]netip.Addr{}}
	for _, place := range []string{"farm", "barn"} {
		f.places[place] = servers.PublicAddress(t)
	}
	for _, denial := range []string{"nsec", "nsec3", "optout"} {
		for _, m := range servers.Makes {
			f.plantPrimary(m, denial)
		}
		f.plantNSD(denial)
	}
	farm := newZone(t, "farm.", fmt.Sprintf("$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A %s\n", f.places["farm"]), p256)
	servers.StartPublic(t, f.places["farm"], servers.StartStaticNSD(t, append(f.zones["farm"], farm.static())).Address())
	servers.StartPublic(t, f.places["barn"], servers.StartStaticBIND(t, f.zones["barn"]).Address())
	f.plantRoot(farm)
	return f
}

func (f *forest) plantRoot(farm *zone) {
	f.Helper()
	text := fmt.Sprintf("$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns.\nns. A %s\n", f.root)
	text += fmt.Sprintf("farm. NS ns.farm.\nns.farm. A %s\nfarm. DS %s\n", f.places["farm"], dnssec.PresentDS(farm.key.ToDS(dns.SHA256)))
	for _, b := range f.branches {
		text += fmt.Sprintf("%[1]s NS ns1.%[1]s\n%[1]s NS ns2.%[1]s\nns1.%[1]s A %[2]s\nns2.%[1]s A %[3]s\n%[1]s DS %[4]s\n", b.name, b.at[0], b.at[1], b.ds)
	}
	z := newZone(f.T, ".", text, p256)
	f.anchor = z.key.ToDS(dns.SHA256)
	servers.StartPublic(f, f.root, servers.StartStaticNSD(f, []servers.StaticZone{z.static()}).Address())
}

func (f *forest) newBranch(of, denial string) *branch {
	f.Helper()
	b := &branch{name: strings.ToLower(of) + "-" + denial + ".", optOut: denial == "optout", at: [2]netip.Addr{servers.PublicAddress(f), servers.PublicAddress(f)}}
	f.branches = append(f.branches, b)
	return b
}

// otherMakes start a secondary of a primary of a make.
var otherMakes = map[servers.Make]func(testing.TB, *servers.Primary, string) *servers.Secondary{
	servers.BIND: servers.StartKnotSecondary, servers.Knot: servers.StartNSDSecondary, servers.PowerDNS: servers.StartBINDSecondary,
}

// plantPrimary plants a branch that its server signs by itself.
func (f *forest) plantPrimary(m servers.Make, denial string) {
	f.Helper()
	b := f.newBranch(string(m), denial)
	o := servers.Options{
		Zone: b.name, NSEC3: denial != "nsec", OptOut: b.optOut, Nameservers: map[string]string{"ns1": b.at[0].String(), "ns2": b.at[1].String()},
	}
	for _, l := range b.leaves() {
		if l.shared {
			o.Beside = append(o.Beside, servers.Beside{Zone: l.zone(b), Unsigned: l.unsigned})
		} else {
			o.Records = append(o.Records, strings.Split(strings.TrimSpace(f.delegated(l, b)), "\n")...)
		}
	}
	p := servers.StartPrimary(f, m, o)
	b.ds, b.primary = p.DS, p
	servers.Eventually(f, b.name+" proves by "+denial+" what is not there", func() error { return b.proves(p.Addr, denial != "nsec") })
	for _, l := range b.leaves() {
		if l.shared && !l.unsigned {
			p.Admin(fmt.Sprintf("add %s 300 NS ns1.%s", l.zone(b), b.name), fmt.Sprintf("add %s 300 DS %s", l.zone(b), p.DSOf(l.zone(b))))
		} else if l.shared {
			p.Admin(fmt.Sprintf("add %s 300 NS ns1.%s", l.zone(b), b.name))
		}
	}
	if b.optOut {
		b.secondary = otherMakes[m](f, p, "")
	}
}

// proves says whether a server denies names as it should: BIND serves a zone before it has hashed its names.
func (b *branch) proves(at netip.AddrPort, hashed bool) error {
	m, err := servers.Ask(at, "nothere."+b.name, dns.TypeA, false)
	if err != nil {
		return err
	}
	for _, rr := range m.Ns {
		switch n := rr.(type) {
		case *dns.NSEC:
			if !hashed {
				return nil
			}
		case *dns.NSEC3:
			if hashed && b.optOut == (n.Flags == 1) {
				return nil
			}
		}
	}
	return errors.New("the answer has no such proof")
}

// plantNSD plants a branch that dnssec-signzone has signed. Its second server is BIND.
func (f *forest) plantNSD(denial string) {
	f.Helper()
	b := f.newBranch("NSD", denial)
	text := fmt.Sprintf("$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\n@ NS ns2\nns1 A %s\nns2 A %s\n", b.at[0], b.at[1])
	var all []servers.StaticZone
	for _, l := range b.leaves() {
		if !l.shared {
			text += f.delegated(l, b)
			continue
		}
		z := f.build(l, b)
		all = append(all, z.static())
		text += f.nsText(l, b) + dsText(l, b, z)
	}
	z := newZone(f.T, b.name, text, denials[denial])
	all = append(all, z.static())
	b.ds, b.primary = dnssec.PresentDS(z.key.ToDS(dns.SHA256)), servers.StartStaticNSD(f, all)
	if b.optOut {
		b.secondary = servers.StartStaticBIND(f, all)
	}
}
