package servers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Presigned serves a zone as dnssec-signzone has signed it, right or wrong: NSD does not look.
type Presigned struct {
	*daemon
	Addr netip.AddrPort
	Zone string
	// DS is the RDATA of the zone's trust anchor in presentation form.
	DS string
}

// StartPresigned signs the records, whose names are relative to the apex, with dnssec-signzone and these
// arguments more (such as -e DATE), and serves the zone.
func StartPresigned(t testing.TB, zone string, records []string, args ...string) *Presigned {
	t.Helper()
	d := newDaemon(t, "NSD of a presigned zone", "nsd", "")
	p := &Presigned{daemon: d, Addr: d.addr, Zone: dns.Fqdn(zone)}
	d.file("zone.db", fmt.Sprintf("$ORIGIN %s\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\nns1 A %s\n%s\n", p.Zone, d.addr.Addr(), strings.Join(records, "\n")))
	p.sign(args)
	d.file("nsd.conf", nsdServer(d, "refuse-any: no")+fmt.Sprintf(`zone:
  name: %q
  zonefile: "zone.db.signed"
`, p.Zone))
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "nsd.conf")}
	d.ready = func() error {
		_, err := serial(p.Addr, p.Zone)
		return err
	}
	d.Start()
	return p
}

// sign makes a key for the zone and signs it.
func (p *Presigned) sign(args []string) {
	p.t.Helper()
	name, err := p.run("dnssec-keygen", "", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-L", "300", p.Zone)
	if err != nil {
		p.t.Fatal(err)
	}
	key := strings.TrimSpace(name)
	all := append([]string{"-q", "-z", "-P", "-S", "-o", p.Zone}, args...)
	if _, err := p.run("dnssec-signzone", "", append(all, "zone.db", key)...); err != nil {
		p.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, key+".key"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rr, err := dns.NewRR(line); err == nil && rr != nil {
			ds := rr.(*dns.DNSKEY).ToDS(dns.SHA256)
			p.DS = fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
		}
	}
}
