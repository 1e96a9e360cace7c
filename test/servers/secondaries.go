package servers

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
)

// Secondary holds a copy of a primary's zone.
type Secondary struct {
	*daemon
	// Addr is Address as a field.
	Addr netip.AddrPort
	zone string
	of   *Primary
}

// Secondaries are asked for the SOA again after the refresh time; until then NOTIFY must do.

// StartBINDSecondary starts BIND as a secondary of p on an address (default 127.0.0.1).
func StartBINDSecondary(t testing.TB, p *Primary, address string) *Secondary {
	t.Helper()
	d := newDaemon(t, "BIND secondary", "named", address)
	s := &Secondary{daemon: d, Addr: d.addr, zone: p.Zone, of: p}
	d.file("named.conf", fmt.Sprintf(`key %[1]s { algorithm hmac-sha256; secret %[2]q; };
controls { };
options {
  directory %[3]q;
  pid-file "named.pid";
  session-keyfile "session.key";
  listen-on port %[4]d { %[5]s; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  allow-transfer { none; };
  notify no;
  serial-query-rate 1000;
  min-refresh-time 1;
  min-retry-time 1;
};
zone %[6]q {
  type secondary;
  file "zone.db";
  primaries { %[7]s port %[8]d key %[1]s; };
  allow-notify { key %[1]s; };
};
`, transferKeyName, p.transferKey, d.dir, d.addr.Port(), d.addr.Addr(), p.Zone, p.addr.Addr(), p.addr.Port()))
	d.args = []string{"-g", "-n", "1", "-c", filepath.Join(d.dir, "named.conf")}
	return s.follow()
}

// StartNSDSecondary starts NSD as a secondary of p on an address (default 127.0.0.1).
func StartNSDSecondary(t testing.TB, p *Primary, address string) *Secondary {
	t.Helper()
	d := newDaemon(t, "NSD secondary", "nsd", address)
	s := &Secondary{daemon: d, Addr: d.addr, zone: p.Zone, of: p}
	d.file("nsd.conf", nsdServer(d, "xfrd-reload-timeout: 0", "minimal-responses: no", "refuse-any: no", "verbosity: 2")+fmt.Sprintf(`key:
  name: %[1]q
  algorithm: hmac-sha256
  secret: %[2]q
zone:
  name: %[3]q
  zonefile: "zone.db"
  min-retry-time: 1
  min-refresh-time: 1
  allow-notify: %[4]s %[1]s
  request-xfr: %[4]s@%[5]d %[1]s
`, transferKeyName, p.transferKey, p.Zone, p.addr.Addr(), p.addr.Port()))
	d.args = []string{"-d", "-c", filepath.Join(d.dir, "nsd.conf")}
	return s.follow()
}

// StartKnotSecondary starts Knot as a secondary of p on an address (default 127.0.0.1).
func StartKnotSecondary(t testing.TB, p *Primary, address string) *Secondary {
	t.Helper()
	d := newDaemon(t, "Knot secondary", "knotd", address)
	s := &Secondary{daemon: d, Addr: d.addr, zone: p.Zone, of: p}
	d.file("knot.conf", fmt.Sprintf(`server:
    listen: %[5]s@%[4]d
    rundir: %[3]q
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %[3]q
key:
  - id: %[1]s
    algorithm: hmac-sha256
    secret: %[2]q
remote:
  - id: primary
    address: %[7]s@%[8]d
    key: %[1]s
acl:
  - id: primary
    key: %[1]s
    action: notify
zone:
  - domain: %[6]s
    storage: %[3]q
    file: zone.db
    master: primary
    acl: primary
    retry-min-interval: 1
    refresh-min-interval: 2
`, transferKeyName, p.transferKey, d.dir, d.addr.Port(), d.addr.Addr(), p.Zone, p.addr.Addr(), p.addr.Port()))
	d.args = []string{"-c", filepath.Join(d.dir, "knot.conf")}
	return s.follow()
}

// follow starts the secondary and waits until it has the primary's zone.
func (s *Secondary) follow() *Secondary {
	s.t.Helper()
	s.ready = func() error {
		_, err := serial(s.Addr, s.zone)
		return err
	}
	s.of.notifies(s.Addr)
	s.Start()
	s.CatchUp()
	return s
}

// CatchUp waits until the secondary shows the primary's serial.
func (s *Secondary) CatchUp() {
	s.t.Helper()
	Eventually(s.t, s.name+" has the primary's zone", func() error {
		want, err := serial(s.of.Addr, s.zone)
		if err != nil {
			return err
		}
		got, err := serial(s.Addr, s.zone)
		if err == nil && got != want {
			err = fmt.Errorf("serial %d instead of %d", got, want)
		}
		return err
	})
}

// Lag lets the secondary serve what it has from now on, as one does that no NOTIFY reaches: it would
// ask by itself only after the SOA's refresh time of an hour.
func (s *Secondary) Lag() {
	s.t.Helper()
	s.of.silent(s.Addr)
}

// Follow ends Lag.
func (s *Secondary) Follow() {
	s.t.Helper()
	s.of.notifies(s.Addr)
	s.of.notify()
	s.CatchUp()
}
