package servers

import (
	"fmt"
	"net/netip"
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
	key := NewKey(t, zone)
	p := &Presigned{daemon: d, Addr: d.addr, Zone: dns.Fqdn(zone), DS: key.DS()}
	d.file("zone.db", key.Sign(fmt.Sprintf("$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\nns1 A %s\n%s\n", d.addr.Addr(), strings.Join(records, "\n")), args...).Text)
	d.file("nsd.conf", nsdServer(d, "refuse-any: no")+fmt.Sprintf(`zone:
  name: %q
  zonefile: "zone.db"
`, p.Zone))
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "nsd.conf")}
	d.ready = func() error {
		_, err := serial(p.Addr, p.Zone)
		return err
	}
	d.Start()
	return p
}
