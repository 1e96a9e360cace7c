package servers

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// knot is Knot DNS. What an administrator would copy is in zoneSections, and in docs/knot.md.
type knot struct{}

func newKnot(*Primary) brand { return knot{} }

func (k knot) prepare(p *Primary) {
	k.configure(p)
	p.args = []string{"-c", filepath.Join(p.dir, "knot.conf")}
}

func (k knot) renotify(p *Primary) {
	k.configure(p)
	p.Control("reload")
}

func (k knot) control(p *Primary, args ...string) (string, error) {
	return p.run("knotc", "", append([]string{"-s", filepath.Join(p.dir, "knot.sock")}, args...)...)
}

// Refuses returns what Knot has against a configuration with these grants, which is not used.
func (p *Primary) Refuses(grants ...string) error {
	p.t.Helper()
	tried := &Primary{daemon: p.daemon, Zone: p.Zone, options: p.options, transferKey: p.transferKey, adminKey: p.adminKey, TSIGSecret: p.TSIGSecret}
	tried.options.Grants = grants
	path := p.file("tried.conf", knot{}.text(tried))
	_, err := p.run("knotc", "", "-c", path, "conf-check")
	return err
}

// What Knot can ask the parent for by CDS and CDNSKEY records (PublishCDS).
const (
	// CDSNone asks for nothing, CDSOfKey for the DS records of the key in use, CDSForRemoval for their removal (RFC
	// 8078 section 4).
	CDSNone       = "none"
	CDSOfKey      = "always"
	CDSForRemoval = "delete-dnssec"
)

// PublishCDS has the signer publish other CDS and CDNSKEY records from now on, and waits until it does; before, it
// publishes those of a key that it does not know the parent to have. It is for Knot alone.
func (p *Primary) PublishCDS(what string) {
	p.t.Helper()
	if p.Make != Knot {
		p.t.Fatalf("%s is not told what to ask for by CDS records: it is for Knot", p.Make)
	}
	p.publishCDS = what
	p.brand.renotify(p)
	p.Control("zone-sign", p.Zone)
	Eventually(p.t, "the zone has such CDS records", func() error {
		m, err := Ask(p.Addr, p.Zone, dns.TypeCDS, false)
		if err != nil {
			return err
		}
		shown := CDSNone
		for _, rr := range m.Answer {
			if cds, ok := rr.(*dns.CDS); ok && cds.Algorithm == 0 {
				shown = CDSForRemoval
			} else if ok {
				shown = CDSOfKey
			}
		}
		if shown != what {
			return fmt.Errorf("it has %v", m.Answer)
		}
		return nil
	})
}

// SignFor has the signer sign the whole zone anew, and so from now on, for a time such as 55m, and again when two thirds of
// it are left, which Knot wants to be more than the longest TTL and the delay together. It is for Knot alone, without Rolling.
func (p *Primary) SignFor(life string) {
	p.t.Helper()
	d, err := time.ParseDuration(life)
	if p.Make != Knot || p.options.Rolling != nil || err != nil {
		p.t.Fatalf("%s is not told to sign for %s: it is for Knot without Rolling, and a duration of Go (%v)", p.Make, life, err)
	}
	p.signsFor = fmt.Sprintf("    rrsig-lifetime: %d\n    rrsig-refresh: %d\n    rrsig-pre-refresh: 1\n    propagation-delay: 2\n", int(d.Seconds()), int(d.Seconds()*2/3))
	p.brand.renotify(p)
	p.Control("-b", "zone-sign", p.Zone)
}

// configure writes knot.conf.
func (k knot) configure(p *Primary) {
	p.file("knot.conf", k.text(p))
}

func (k knot) text(p *Primary) string {
	remotes, notify := "", make([]string, 0, len(p.secondaries))
	for i, s := range p.secondaries {
		id := fmt.Sprintf("secondary%d", i)
		remotes += fmt.Sprintf("  - id: %s\n    address: %s@%d\n    key: %s\n", id, s.Addr(), s.Port(), transferKeyName)
		notify = append(notify, id)
	}
	rolling := ""
	if p.options.Rolling != nil {
		for i, at := range p.options.Rolling.Parents {
			remotes += fmt.Sprintf("  - id: parent%d\n    address: %s@%d\n", i, at.Addr(), at.Port())
		}
		rolling = rollingKnotSubmission(p.options.Rolling)
	}
	if remotes != "" {
		remotes = "remote:\n" + remotes
	}
	return fmt.Sprintf(`server:
    listen: %[1]s@%[2]d
    rundir: %[3]q
    udp-workers: 1
    tcp-workers: 2
    background-workers: 2
log:
  - target: stderr
    any: info
control:
    listen: "knot.sock"
database:
    storage: %[3]q
key:
  - id: %[4]s
    algorithm: %[5]s
    secret: %[6]q
  - id: %[7]s
    algorithm: hmac-sha256
    secret: %[8]q
  - id: %[9]s
    algorithm: hmac-sha256
    secret: %[10]q
%[11]s%[12]s`, p.addr.Addr(), p.addr.Port(), p.dir, updateKeyName, p.options.TSIGAlgorithm, p.TSIGSecret,
		transferKeyName, p.transferKey, AdminName, p.adminKey, remotes, rolling+k.zoneSections(p, notify)+k.beside(p))
}

func (k knot) zoneSections(p *Primary, notify []string) string {
	grants := p.options.Grants
	if len(grants) == 0 {
		grants = []string{"update-type: [TLSA]", "update-owner: zone", "update-owner-match: sub"}
	}
	nsec3, signing, single, rolling := "off", "on", "on", ""
	algorithm := "ecdsap256sha256"
	if p.options.Rolling != nil {
		single, rolling = "off", rollingKnotPolicy(p.options.Rolling)
		algorithm = cmp.Or(p.options.Rolling.Algorithm, algorithm)
	}
	if p.options.KeyTTL > 0 {
		rolling += fmt.Sprintf("    dnskey-ttl: %d\n", p.options.KeyTTL)
	}
	if p.publishCDS != "" {
		rolling += "    cds-cdnskey-publish: " + p.publishCDS + "\n"
	}
	rolling += p.signsFor
	if p.options.NSEC3 {
		nsec3 = "on\n    nsec3-iterations: 0\n    nsec3-salt-length: 0"
		if p.options.OptOut {
			nsec3 += "\n    nsec3-opt-out: on"
		}
	}
	if p.options.Unsigned {
		signing = "off"
	}
	return fmt.Sprintf(`acl:
  - id: operator
    key: %[1]s
    action: update
    %[2]s
  - id: administrator
    key: %[3]s
    action: update
  - id: secondaries
    key: %[4]s
    action: transfer
policy:
  - id: mail
    algorithm: %[12]s
    single-type-signing: %[10]s
    nsec3: %[5]s
%[11]szone:
  - domain: %[6]s
    storage: %[7]q
    file: zone.db
    semantic-checks: off
    dnssec-signing: %[8]s
    dnssec-policy: mail
    acl: [operator, administrator, secondaries]
%[9]s`, updateKeyName, strings.Join(grants, "\n    "), AdminName, transferKeyName, nsec3, p.Zone, p.dir, signing, notifyLine(notify), single, rolling, algorithm)
}

// notifyLine is left out without secondaries: Knot refuses an empty list.
func notifyLine(secondaries []string) string {
	if len(secondaries) == 0 {
		return ""
	}
	return "    notify: [" + strings.Join(secondaries, ", ") + "]\n"
}
