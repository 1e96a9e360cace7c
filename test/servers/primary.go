package servers

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Make is who wrote a name server.
type Make string

// The makes of primaries.
const (
	BIND     Make = "BIND"
	Knot     Make = "Knot"
	PowerDNS Make = "PowerDNS"
)

// Makes are all of them.
var Makes = []Make{BIND, Knot, PowerDNS}

// Options say what a primary is like. The zero value works.
type Options struct {
	// Zone apex; default "example.test.".
	Zone string
	// Address to listen on; default 127.0.0.1. named listens only on addresses that an interface has.
	Address string
	// Records are added to the zone, in presentation form; names relative to the apex.
	Records []string
	// Nameservers is the NS set with addresses; default ns1 at Address. One with an absolute name is of another
	// zone, which has its address.
	Nameservers map[string]string
	// NegativeTTL is the SOA's minimum and TTL in seconds; default 2, so that the denial of the first
	// record is soon forgotten.
	NegativeTTL int
	// Grants say what the operator's key may write, in the language of the make: statements of BIND's
	// update-policy, lines of Knot's acl section, conditions in Lua on an update for PowerDNS. Default:
	// TLSA below the apex, and nothing else. AdminName may write everything all the same.
	Grants []string
	// TSIGAlgorithm in BIND's spelling; default hmac-sha256.
	TSIGAlgorithm string
	// Unsigned leaves DNSSEC away.
	Unsigned bool
	// NSEC3 proves absence by hashes instead of names; with OptOut it leaves unsigned delegations out.
	NSEC3, OptOut bool
	// Beside are more zones that it serves.
	Beside []Beside

	// WithoutPolicy is for PowerDNS alone: no policy script, so that its metadata decides who may write, and
	// whoever may, may write everything.
	WithoutPolicy bool
	// Caches is for PowerDNS alone: it caches metadata and its list of zones as it does by default, and does
	// not see a change of them at once.
	Caches bool

	// Rolling makes BIND or Knot roll its key signing key over and over. PowerDNS does so when it is told (AddKSK).
	Rolling *Rolling

	// KeyTTL is the TTL of DNSKEY records in seconds, for Knot alone; default that of the SOA record.
	KeyTTL int

	// What follows is for BIND alone.

	// MaxZoneTTL limits the TTLs of an unsigned zone, in seconds.
	MaxZoneTTL int
	// InlineSigning signs behind the update: BIND then acknowledges before it serves the change.
	InlineSigning bool
	// Threads that BIND works with; default 1, which is enough for a test.
	Threads int
	// TLSCert and TLSKey are PEM files: BIND then takes DNS over TLS at Primary.TLS too. With TLSClientCA,
	// another one, it does so from clients alone that present a certificate of that CA.
	TLSCert, TLSKey, TLSClientCA string
	// UpdateQuota is how many updates BIND works on at a time; default 100, which is BIND's own.
	UpdateQuota int
	// Journal is a folder for the journal of the zone, which BIND writes each update into before it serves it;
	// default beside the zone.
	Journal string
}

// Rolling says how a server rolls its key signing key. Everything else in its policy is as short as the
// servers take it, and the zone's TTLs are two seconds.
type Rolling struct {
	// Lifetime of a key, in seconds; zero, with Knot alone, for ever.
	Lifetime int
	// Algorithm that Knot signs with, as Knot calls it; empty for ecdsap256sha256.
	Algorithm string
	// Parents are servers of the parent zone: the server asks one of them whether the DS record of the
	// new key is there.
	Parents []netip.AddrPort
}

// Primary is a signing primary that takes dynamic updates.
type Primary struct {
	*daemon
	// Make says who wrote it.
	Make Make
	// Addr is Address as a field.
	Addr netip.AddrPort
	// TLS is where it speaks DNS over TLS, if it does.
	TLS netip.AddrPort
	// Zone apex with the trailing dot.
	Zone string
	// TSIGName, TSIGAlgorithm and TSIGSecret are the key for updates; the algorithm is in the
	// spelling of the API.
	TSIGName, TSIGAlgorithm, TSIGSecret string
	// DS is the RDATA of the zone's trust anchor in presentation form; empty when it is unsigned.
	DS string

	brand       brand
	options     Options
	transferKey string
	adminKey    string
	secondaries []netip.AddrPort
	publishCDS  string
	signsFor    string
}

// brand is what differs from make to make.
type brand interface {
	// prepare writes all that the server needs before it starts for the first time.
	prepare(p *Primary)
	// renotify tells the running server of another set of secondaries.
	renotify(p *Primary)
	// control runs the make's own tool against the running server.
	control(p *Primary, args ...string) (string, error)
}

const (
	updateKeyName   = "tlsa-key"
	transferKeyName = "transfer-key"
	// AdminName is the key of the administrator, who may write everything. Knot and PowerDNS know it too.
	AdminName = "admin-key"
)

// programs are what runs each make.
var programs = map[Make]string{BIND: "named", Knot: "knotd", PowerDNS: "pdns_server"}

// StartPrimary starts a server of a make with one zone that it signs (ECDSA P-256), and that takes
// updates of TLSA records by TSIG key and of nothing else.
func StartPrimary(t testing.TB, m Make, o Options) *Primary {
	t.Helper()
	if m != BIND && (o.MaxZoneTTL != 0 || o.InlineSigning || o.TLSCert != "" || o.UpdateQuota != 0 || o.Journal != "") {
		t.Fatalf("%s knows no MaxZoneTTL, InlineSigning, TLSCert, UpdateQuota or Journal: they are for BIND", m)
	}
	o = o.withDefaults()
	d := newDaemon(t, string(m)+" primary", programs[m], o.Address)
	p := &Primary{
		daemon: d, Make: m, Addr: d.addr, Zone: dns.Fqdn(o.Zone), options: o,
		TSIGName: updateKeyName, TSIGAlgorithm: apiAlgorithm(o.TSIGAlgorithm), TSIGSecret: newSecret(t),
		transferKey: newSecret(t), adminKey: newSecret(t),
	}
	if o.TLSCert != "" {
		p.TLS = netip.AddrPortFrom(d.addr.Addr(), FreePort(t, o.Address))
	}
	p.brand = map[Make]func(*Primary) brand{BIND: newBIND, Knot: newKnot, PowerDNS: newPowerDNS}[m](p)
	d.file("zone.db", p.zoneFile())
	for n, z := range o.Beside {
		d.file(besideFile(n), p.besideText(z))
	}
	p.brand.prepare(p)
	d.ready = p.isReady
	d.Start()
	return p
}

// StartBINDPrimary is StartPrimary with BIND.
func StartBINDPrimary(t testing.TB, o Options) *Primary {
	t.Helper()
	return StartPrimary(t, BIND, o)
}

func (o Options) withDefaults() Options {
	if o.Zone == "" {
		o.Zone = "example.test."
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.TSIGAlgorithm == "" {
		o.TSIGAlgorithm = "hmac-sha256"
	}
	if o.NegativeTTL == 0 {
		o.NegativeTTL = 2
	}
	if len(o.Nameservers) == 0 {
		o.Nameservers = map[string]string{"ns1": o.Address}
	}
	return o
}

// apiAlgorithm is BIND's name of an HMAC in the API's spelling.
func apiAlgorithm(bind string) string {
	return strings.ToUpper(strings.ReplaceAll(bind, "-", ""))
}

// newSecret makes the secret of a key.
func newSecret(t testing.TB) string {
	t.Helper()
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (p *Primary) isReady() error {
	if p.options.Unsigned {
		_, err := serial(p.Addr, p.Zone)
		return err
	}
	ds, err := signedDS(p.Addr, p.Zone)
	if err != nil {
		return err
	}
	p.DS = presentDS(ds)
	return nil
}

func (p *Primary) zoneFile() string {
	var b strings.Builder
	n := p.options.NegativeTTL
	ttl := 300
	if p.options.Rolling != nil {
		ttl = rollingTTL
	}
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL %d\n@ %d SOA ns1 hostmaster 1 3600 2 604800 %d\n", p.Zone, ttl, n, n)
	for name, addr := range p.options.Nameservers {
		fmt.Fprintf(&b, "@ NS %s\n", name)
		if !dns.IsFqdn(name) {
			fmt.Fprintf(&b, "%s A %s\n", name, addr)
		}
	}
	for _, r := range p.options.Records {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// Control runs the server's own tool (rndc, knotc, pdns_control) and returns what it said.
func (p *Primary) Control(args ...string) string {
	p.t.Helper()
	out, err := p.brand.control(p, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// Grant gives the operator's key other rights (Options.Grants), as an administrator does while the server
// runs. PowerDNS reads its policy when it starts, and is started again.
func (p *Primary) Grant(grants ...string) {
	p.t.Helper()
	p.options.Grants = grants
	if p.Make != PowerDNS {
		p.brand.renotify(p)
		return
	}
	p.Stop()
	p.file("policy.lua", powerDNS{}.policy(p))
	p.Start()
}

// notify makes the primary tell its secondaries of the zone now.
func (p *Primary) notify() {
	p.t.Helper()
	command := map[Make]string{BIND: "notify", Knot: "zone-notify", PowerDNS: "notify"}[p.Make]
	p.Control(command, p.Zone)
}

// notifies makes the primary tell a secondary of changes.
func (p *Primary) notifies(s netip.AddrPort) {
	p.secondaries = append(p.secondaries, s)
	p.brand.renotify(p)
}

// silent makes the primary tell a secondary of no more changes.
func (p *Primary) silent(s netip.AddrPort) {
	p.t.Helper()
	p.secondaries = slices.DeleteFunc(p.secondaries, func(a netip.AddrPort) bool { return a == s })
	p.brand.renotify(p)
}

// Update changes the zone behind everybody's back with the operator's key, which the default grant lets
// write TLSA alone. Each line is an update command of nsupdate, such as "add NAME TTL TLSA 3 1 1 HEX".
func (p *Primary) Update(commands ...string) {
	p.t.Helper()
	p.nsupdate(p.TSIGName, p.options.TSIGAlgorithm, p.TSIGSecret, commands)
}

// AdminSecret is the secret of the key AdminName (HMAC-SHA256), for tests that write updates themselves.
func (p *Primary) AdminSecret() string { return p.adminKey }

// TransferKey is the key that secondaries fetch the zone with, and that may write nothing.
func (p *Primary) TransferKey() (name, secret string) { return transferKeyName + ".", p.transferKey }

// Admin changes the zone as its administrator would, who may write everything.
func (p *Primary) Admin(commands ...string) {
	p.t.Helper()
	p.nsupdate(AdminName, "hmac-sha256", p.adminKey, commands)
}

func (p *Primary) nsupdate(name, algorithm, secret string, commands []string) {
	p.t.Helper()
	key := p.file(name+".key", fmt.Sprintf("key %s { algorithm %s; secret %q; };\n", name, algorithm, secret))
	script := fmt.Sprintf("server %s %d\nzone %s\n", p.addr.Addr(), p.addr.Port(), p.Zone)
	for _, c := range commands {
		script += "update " + c + "\n"
	}
	Eventually(p.t, p.name+" takes the update", func() error {
		_, err := p.run("nsupdate", script+"send\n", "-v", "-k", key)
		// PowerDNS with SQLite says SERVFAIL while it notes that its secondaries were told of the change before.
		if err != nil && (p.Make != PowerDNS || !strings.Contains(err.Error(), "SERVFAIL")) {
			p.t.Fatal(err)
		}
		return err
	})
}
