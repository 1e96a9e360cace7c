package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// powerDNS is the PowerDNS Authoritative Server with SQLite. What an administrator would copy is in
// settings, policy and metadata, and in docs/powerdns.md.
type powerDNS struct{}

func newPowerDNS(*Primary) brand { return powerDNS{} }

// schema is where Debian's package has the tables of the database.
const schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"

func (d powerDNS) prepare(p *Primary) {
	p.t.Helper()
	text, err := os.ReadFile(schema)
	if err != nil {
		p.t.Fatalf("%v: apt-get install --no-install-recommends pdns-backend-sqlite3", err)
	}
	p.file("pdns.conf", d.settings(p))
	p.file("policy.lua", d.policy(p))
	must := func(_ string, err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	must(p.run("sqlite3", string(text), filepath.Join(p.dir, "pdns.sqlite3")))
	must(d.util(p, "load-zone", p.Zone, filepath.Join(p.dir, "zone.db")))
	must(d.util(p, "set-kind", p.Zone, "primary"))
	for _, key := range []struct{ name, algorithm, secret string }{
		{updateKeyName, p.options.TSIGAlgorithm, p.TSIGSecret},
		{transferKeyName, "hmac-sha256", p.transferKey},
		{AdminName, "hmac-sha256", p.adminKey},
	} {
		must(d.util(p, "import-tsig-key", key.name, key.algorithm, key.secret))
	}
	for _, meta := range d.metadata() {
		must(d.util(p, append([]string{"set-meta", p.Zone}, meta...)...))
	}
	switch {
	case p.options.Rolling != nil:
		must("", d.rolling(p))
	case !p.options.Unsigned:
		must(d.util(p, "secure-zone", p.Zone))
	}
	if p.options.NSEC3 {
		flags := "0"
		if p.options.OptOut {
			flags = "1"
		}
		must(d.util(p, "set-nsec3", p.Zone, "1 "+flags+" 0 -"))
	}
	must(d.util(p, "rectify-zone", p.Zone))
	d.beside(p)
	p.args = []string{"--config-dir=" + p.dir}
}

func (d powerDNS) renotify(p *Primary) {
	p.t.Helper()
	args := []string{"set-meta", p.Zone, "ALSO-NOTIFY"}
	for _, s := range p.secondaries {
		args = append(args, s.String())
	}
	if _, err := d.util(p, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (d powerDNS) control(p *Primary, args ...string) (string, error) {
	return p.run("pdns_control", "", append([]string{"--config-dir=" + p.dir}, args...)...)
}

func (d powerDNS) util(p *Primary, args ...string) (string, error) {
	return p.run("pdnsutil", "", append([]string{"--config-dir=" + p.dir}, args...)...)
}

// settings are pdns.conf. Unless its caches are wanted, metadata is not cached, so that a test's change of it
// counts at once.
func (d powerDNS) settings(p *Primary) string {
	script := fmt.Sprintf("lua-dnsupdate-policy-script=%s/policy.lua\n", p.dir)
	if p.options.WithoutPolicy {
		script = ""
	}
	caches := "domain-metadata-cache-ttl=0\nzone-metadata-cache-ttl=0\nzone-cache-refresh-interval=0\ndnssec-key-cache-ttl=0\n"
	if p.options.Caches {
		caches = ""
	}
	return fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%[1]s/pdns.sqlite3
gsqlite3-dnssec=yes
local-address=%[2]s
local-port=%[3]d
socket-dir=%[1]s
primary=yes
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
%[4]sallow-axfr-ips=
only-notify=
daemon=no
guardian=no
write-pid=no
version-string=anonymous
default-soa-edit-signed=INCREMENT-WEEKS
%[5]s`, p.dir, p.addr.Addr(), p.addr.Port(), script, caches)
}

// policy is who may write what. With such a script PowerDNS asks nothing else, not even whether a key
// was used: a request without one has an empty name here.
func (d powerDNS) policy(p *Primary) string {
	grants := p.options.Grants
	if len(grants) == 0 {
		grants = []string{fmt.Sprintf("update:getQType() == pdns.TLSA and update:getQName():isPartOf(newDN(%q))", p.Zone)}
	}
	return fmt.Sprintf(`function updatepolicy(update)
  if update:getTsigName():countLabels() == 0 then
    return false
  end
  local key = update:getTsigName():toString()
  if key == "%[1]s." then
    return true
  end
  if key ~= "%[2]s." then
    return false
  end
  return %[3]s
end
`, AdminName, updateKeyName, "("+strings.Join(grants, ") or (")+")")
}

func (d powerDNS) metadata() [][]string {
	return [][]string{
		{"TSIG-ALLOW-DNSUPDATE", updateKeyName, AdminName},
		{"TSIG-ALLOW-AXFR", transferKeyName},
		{"NOTIFY-DNSUPDATE", "1"},
		{"SOA-EDIT-DNSUPDATE", "INCREASE"},
	}
}
