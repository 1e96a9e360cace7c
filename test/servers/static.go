package servers

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Restore has the server come up with another copy of the only zone that it has, as after a backup was put back.
func (s *Static) Restore(copied StaticZone) {
	s.t.Helper()
	s.Stop()
	s.file("zone-0.db", copied.Text)
	s.Start()
}

// StaticZone is a zone that is served as it stands, however broken.
type StaticZone struct {
	// Name, absolute. Text in presentation form.
	Name, Text string
}

// Static is a name server with zone files that nobody changes.
type Static struct{ *daemon }

// StartStaticBIND starts BIND with zone files that it does not sign.
func StartStaticBIND(t testing.TB, zones []StaticZone) *Static {
	t.Helper()
	d := newDaemon(t, "BIND", "named", "")
	var statements strings.Builder
	for i, z := range zones {
		file := fmt.Sprintf("zone-%d.db", i)
		d.file(file, z.Text)
		fmt.Fprintf(&statements, "zone %q { type primary; file %q; check-names ignore; check-integrity no; check-mx ignore; check-wildcard no; };\n", z.Name, file)
	}
	d.file("named.conf", fmt.Sprintf(`controls { };
options {
  directory %[1]q;
  pid-file "named.pid";
  session-keyfile "session.key";
  listen-on port %[2]d { %[3]s; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  minimal-responses no;
  rrset-order { order none; };
  notify no;
  max-records-per-type 0;
};
%[4]s`, d.dir, d.addr.Port(), d.addr.Addr(), statements.String()))
	d.args = []string{"-g", "-n", "1", "-c", filepath.Join(d.dir, "named.conf")}
	return startStatic(d, zones)
}

// StartStaticNSD starts NSD with zone files.
func StartStaticNSD(t testing.TB, zones []StaticZone) *Static {
	t.Helper()
	d := newDaemon(t, "NSD", "nsd", "")
	var conf strings.Builder
	conf.WriteString(nsdServer(d, "verbosity: 2"))
	for i, z := range zones {
		file := fmt.Sprintf("zone-%d.db", i)
		d.file(file, z.Text)
		fmt.Fprintf(&conf, "zone:\n  name: %q\n  zonefile: %q\n", z.Name, file)
	}
	d.file("nsd.conf", conf.String())
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "nsd.conf")}
	return startStatic(d, zones)
}

// startStatic waits until every zone is served, so that no broken one is left out by its server.
func startStatic(d *daemon, zones []StaticZone) *Static {
	d.t.Helper()
	d.ready = func() error {
		var missing []error
		for _, z := range zones {
			if _, err := serial(d.addr, z.Name); err != nil {
				missing = append(missing, fmt.Errorf("%s: %w", z.Name, err))
			}
		}
		return errors.Join(missing...)
	}
	d.Start()
	return &Static{d}
}

// StartTreeResolver starts unbound over a private tree: zones says which server has which zone, the root
// among them. With the root's DS in presentation form it validates; without, it does not.
func StartTreeResolver(t testing.TB, zones map[string]netip.AddrPort, rootDS string) *Resolver {
	t.Helper()
	d := newDaemon(t, "unbound", "unbound", "")
	r := &Resolver{daemon: d, Addr: d.addr}
	extra := []string{"val-sig-skew-min: 0", "val-sig-skew-max: 0", "aggressive-nsec: no", "rrset-roundrobin: no", "qname-minimisation: no", "trust-anchor-signaling: no"}
	if rootDS != "" {
		extra = append(extra, fmt.Sprintf("trust-anchor: \". DS %s\"", rootDS))
	}
	text := r.conf(ResolverOptions{Extra: extra})
	for zone, addr := range zones {
		text += fmt.Sprintf("stub-zone:\n  name: %q\n  stub-addr: %s@%d\n", zone, addr.Addr(), addr.Port())
	}
	d.file("unbound.conf", text)
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "unbound.conf")}
	d.ready = func() error {
		m, err := Ask(r.Addr, ".", dns.TypeSOA, true)
		switch {
		case err != nil:
			return err
		case len(m.Answer) == 0 || rootDS != "" && !m.AuthenticatedData:
			return errors.New("no answer for the root, or none that is validated")
		}
		return nil
	}
	d.Start()
	return r
}
