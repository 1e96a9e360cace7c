package servers

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Options say what a primary is like. The zero value works.
type Options struct {
	// Zone apex; default "example.test.".
	Zone string
	// Address to listen on; default 127.0.0.1. named listens only on addresses that an interface has.
	Address string
	// Records are added to the zone, in presentation form; names relative to the apex.
	Records []string
	// Nameservers is the NS set with addresses; default ns1 at Address.
	Nameservers map[string]string
	// NegativeTTL is the SOA's minimum and TTL in seconds; default 2, so that the denial of the first
	// record is soon forgotten.
	NegativeTTL int
	// Grants are the statements of update-policy; default: the key may change TLSA below the apex.
	Grants []string
	// TSIGAlgorithm in BIND's spelling; default hmac-sha256.
	TSIGAlgorithm string
	// Unsigned leaves DNSSEC away. MaxZoneTTL then limits TTLs, in seconds.
	Unsigned   bool
	MaxZoneTTL int
	// NSEC3 proves absence by hashes instead of names.
	NSEC3 bool
	// InlineSigning signs behind the update: BIND then acknowledges before it serves the change.
	InlineSigning bool
	// TLSCert and TLSKey are PEM files: BIND then takes DNS over TLS at Primary.TLS too.
	TLSCert, TLSKey string
}

// Primary is a signing primary that takes dynamic updates.
type Primary struct {
	*daemon
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

	options     Options
	transferKey string
	control     uint16
	controlKey  string
	secondaries []netip.AddrPort
}

const (
	updateKeyName   = "tlsa-key"
	transferKeyName = "transfer-key"
)

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

// StartBINDPrimary starts BIND with one zone that it signs (ECDSA P-256, dnssec-policy default), and
// that takes updates of TLSA records by TSIG key and of nothing else.
func StartBINDPrimary(t testing.TB, o Options) *Primary {
	t.Helper()
	o = o.withDefaults()
	d := newDaemon(t, "BIND primary", "named", o.Address)
	p := &Primary{
		daemon: d, Addr: d.addr, Zone: dns.Fqdn(o.Zone), options: o,
		TSIGName: updateKeyName, TSIGAlgorithm: apiAlgorithm(o.TSIGAlgorithm), TSIGSecret: newSecret(t),
		transferKey: newSecret(t), controlKey: newSecret(t), control: FreePort(t, o.Address),
	}
	if o.TLSCert != "" {
		p.TLS = netip.AddrPortFrom(d.addr.Addr(), FreePort(t, o.Address))
	}
	d.file("zone.db", p.zoneFile())
	d.file("rndc.conf", p.rndcConf())
	p.configure()
	d.args = []string{"-g", "-n", "1", "-c", filepath.Join(d.dir, "named.conf")}
	d.ready = p.isReady
	d.Start()
	return p
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
	if len(o.Grants) == 0 {
		o.Grants = []string{fmt.Sprintf("grant %s wildcard *.%s TLSA;", updateKeyName, dns.Fqdn(o.Zone))}
	}
	return o
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
	p.DS = fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
	return nil
}

func (p *Primary) zoneFile() string {
	var b strings.Builder
	n := p.options.NegativeTTL
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 300\n@ %d SOA ns1 hostmaster 1 3600 2 604800 %d\n", p.Zone, n, n)
	for name, addr := range p.options.Nameservers {
		fmt.Fprintf(&b, "@ NS %s\n%s A %s\n", name, name, addr)
	}
	for _, r := range p.options.Records {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// configure writes named.conf. What an administrator would copy from it is in zoneStatement.
func (p *Primary) configure() {
	var notify strings.Builder
	for _, s := range p.secondaries {
		fmt.Fprintf(&notify, "%s port %d key %s; ", s.Addr(), s.Port(), transferKeyName)
	}
	tls := ""
	listen := fmt.Sprintf("listen-on port %d { %s; };", p.addr.Port(), p.addr.Addr())
	if p.TLS.IsValid() {
		tls = fmt.Sprintf("tls local { cert-file %q; key-file %q; protocols { TLSv1.2; TLSv1.3; }; };\n", p.options.TLSCert, p.options.TLSKey)
		listen += fmt.Sprintf("\n  listen-on port %d tls local { %s; };", p.TLS.Port(), p.TLS.Addr())
	}
	p.file("named.conf", fmt.Sprintf(`key %[1]s { algorithm %[2]s; secret %[3]q; };
key %[4]s { algorithm hmac-sha256; secret %[5]q; };
key control-key { algorithm hmac-sha256; secret %[6]q; };
controls { inet %[7]s port %[8]d allow { %[7]s; } keys { control-key; }; };
%[9]soptions {
  directory %[10]q;
  pid-file "named.pid";
  session-keyfile "session.key";
  %[11]s
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  allow-transfer { key %[4]s; };
  notify explicit;
  notify-delay 0;
  notify-source %[7]s;
  also-notify { %[12]s};
  serial-query-rate 1000;
  notify-rate 1000;
  startup-notify-rate 1000;
};
%[13]s`, updateKeyName, p.options.TSIGAlgorithm, p.TSIGSecret, transferKeyName, p.transferKey, p.controlKey,
		p.addr.Addr(), p.control, tls, p.dir, listen, notify.String(), p.zoneStatement()))
}

func (p *Primary) zoneStatement() string {
	name, before, inline := "default", "", "no"
	if p.options.NSEC3 {
		name = "hashed"
		before = "dnssec-policy hashed { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; nsec3param iterations 0 optout no salt-length 0; };\n"
	}
	if p.options.InlineSigning {
		inline = "yes"
	}
	policy := fmt.Sprintf("dnssec-policy %s;\n  inline-signing %s;", name, inline)
	if p.options.Unsigned {
		policy = ""
		if p.options.MaxZoneTTL > 0 {
			policy = fmt.Sprintf("max-zone-ttl %d;", p.options.MaxZoneTTL)
		}
	}
	return before + fmt.Sprintf("zone %q {\n  type primary;\n  check-names ignore;\n  file \"zone.db\";\n  %s\n  update-policy { %s };\n};\n", p.Zone, policy, strings.Join(p.options.Grants, " "))
}

func (p *Primary) rndcConf() string {
	return fmt.Sprintf("key control-key { algorithm hmac-sha256; secret %q; };\noptions { default-key control-key; default-server %s; default-port %d; };\n",
		p.controlKey, p.options.Address, p.control)
}

// Control runs rndc and returns what it said: "freeze", "thaw", "reconfig" and the like.
func (p *Primary) Control(args ...string) string {
	p.t.Helper()
	out, err := p.run("rndc", "", append([]string{"-c", filepath.Join(p.dir, "rndc.conf")}, args...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// notifies makes the primary tell a secondary of changes.
func (p *Primary) notifies(s netip.AddrPort) {
	p.secondaries = append(p.secondaries, s)
	p.configure()
	p.Control("reconfig")
}

// silent makes the primary tell a secondary of no more changes.
func (p *Primary) silent(s netip.AddrPort) {
	p.t.Helper()
	p.secondaries = slices.DeleteFunc(p.secondaries, func(a netip.AddrPort) bool { return a == s })
	p.configure()
	p.Control("reconfig")
}

// Update changes the zone behind everybody's back, as an administrator with nsupdate on the server
// would. Each line is an update command of nsupdate, such as "add NAME TTL TLSA 3 1 1 HEX". It uses
// the key of the operator, which the default grant lets write TLSA alone.
func (p *Primary) Update(commands ...string) {
	p.t.Helper()
	key := p.file("update.key", fmt.Sprintf("key %s { algorithm %s; secret %q; };\n", p.TSIGName, p.options.TSIGAlgorithm, p.TSIGSecret))
	script := fmt.Sprintf("server %s %d\nzone %s\n", p.addr.Addr(), p.addr.Port(), p.Zone)
	for _, c := range commands {
		script += "update " + c + "\n"
	}
	if _, err := p.run("nsupdate", script+"send\n", "-v", "-k", key); err != nil {
		p.t.Fatal(err)
	}
}
