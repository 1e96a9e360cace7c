package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// What somebody copies from a page for administrators works as it is printed: the commands that make keys
// are run, the configuration is checked by the server's own program, and a server is started with it, which
// takes what the operator's key may write, and gives the zone to the key of the secondaries. Paths, ports
// and addresses alone are other ones.

const (
	pageZone   = "example.com."
	pageOwner  = "_25._tcp.mx1.example.com."
	pageRecord = "300 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// printed is a server that is set up by a page.
type printed struct {
	*daemon
	page string
	// secrets of the keys that the page's commands made, by the name of the key.
	secrets map[string]string
}

func newPrinted(t *testing.T, page, program string) *printed {
	t.Helper()
	// The pages name programs as an administrator does, whose PATH has them.
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	p := &printed{daemon: newDaemon(t, page, program, ""), page: page, secrets: map[string]string{}}
	p.ready = func() error {
		_, err := signedDS(p.addr, pageZone)
		return err
	}
	zone := &Primary{options: Options{}.withDefaults()}
	zone.options.Zone = pageZone
	p.file("zone.db", strings.ReplaceAll(zone.zoneFile(), "$ORIGIN "+zone.Zone, "$ORIGIN "+pageZone))
	return p
}

// blocks are the page's fenced blocks of a language, as they stand there, one after the other.
func (p *printed) blocks(language string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", p.page))
	if err != nil {
		p.t.Fatal(err)
	}
	var out strings.Builder
	for _, found := range fence.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(found[0], "```"+language+"\n") {
			out.WriteString(found[1])
		}
	}
	if out.Len() == 0 {
		p.t.Fatalf("%s has no block of language %q: does the test still find them?", p.page, language)
	}
	return out.String()
}

// commands runs the indented lines of the page that begin so, in their order, and returns what they said.
func (p *printed) commands(t *testing.T, begin string, adapt *strings.Replacer) string {
	t.Helper()
	said, tried := "", 0
	for _, line := range shown(t, p.page, indented) {
		if !strings.HasPrefix(line, begin) {
			continue
		}
		tried++
		out, err := p.run("sh", "", "-ec", adapt.Replace(line))
		if err != nil {
			t.Fatalf("%s: %s: %v", p.page, line, err)
		}
		said += out
	}
	if tried < 2 {
		t.Fatalf("%s has %d commands that begin with %q: does the test still find them?", p.page, tried, begin)
	}
	return said
}

// keep notes the secrets in what commands said: a name and a secret each.
func (p *printed) keep(said string, pattern *regexp.Regexp) {
	p.t.Helper()
	for _, found := range pattern.FindAllStringSubmatch(said, -1) {
		p.secrets[found[1]] = found[2]
	}
	if p.secrets["dane-operator"] == "" || p.secrets["transfer-key"] == "" {
		p.t.Fatalf("the commands of %s made the keys %v in:\n%s", p.page, p.secrets, said)
	}
}

// update sends an update with the operator's key, from an address, and returns what the server answered.
func (p *printed) update(from, rr string) (string, error) {
	return p.run("nsupdate", fmt.Sprintf("server %s %d\nlocal %s\nkey hmac-sha256:dane-operator %s\nzone %s\nupdate add %s\nsend\n",
		p.addr.Addr(), p.addr.Port(), from, p.secrets["dane-operator"], pageZone, rr), "-v")
}

// serves starts the server and tries what the page promises: the operator's key writes TLSA below the zone
// and nothing else, and secondaries get what it wrote by theirs.
func (p *printed) serves(t *testing.T) {
	t.Helper()
	p.Start()
	if _, err := p.update("127.0.0.1", pageOwner+" "+pageRecord); err != nil {
		t.Fatal(err)
	}
	// Some refuse it, and PowerDNS says NOERROR: what counts is what stands.
	_, _ = p.update("127.0.0.1", "other.example.com. 300 A 192.0.2.1")
	transfer := func(key ...string) string {
		out, err := p.run("dig", "", append([]string{"@" + p.addr.Addr().String(), "-p", fmt.Sprint(p.addr.Port()), "AXFR", pageZone}, key...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	Eventually(t, p.page+": the record is in the zone that secondaries get", func() error {
		if got := transfer("-y", "hmac-sha256:transfer-key:"+p.secrets["transfer-key"]); !strings.Contains(got, "TLSA\t3 1 1 0123456789") {
			return fmt.Errorf("the transfer says\n%s", got)
		} else if strings.Contains(got, "other.example.com.") {
			t.Fatalf("%s: the operator's key wrote an address:\n%s", p.page, got)
		}
		return nil
	})
	if got := transfer(); strings.Contains(got, "TLSA") {
		t.Errorf("%s: the zone is given to whoever asks:\n%s", p.page, got)
	}
}

var bindKey = regexp.MustCompile(`key "([^"]+)" \{\s*algorithm hmac-sha256;\s*secret "([^"]+)"`)

// bindKeys runs the page's commands for keys and returns its configuration.
func (p *printed) bindKeys(t *testing.T) string {
	t.Helper()
	here := strings.NewReplacer("/etc/bind", p.dir)
	p.commands(t, "(umask", here)
	said, err := p.run("sh", "", "-c", "cat *.key")
	if err != nil {
		t.Fatal(err)
	}
	p.keep(said, bindKey)
	return here.Replace(p.blocks(""))
}

func (p *printed) bindChecks(t *testing.T, config string) {
	t.Helper()
	if _, err := p.run("named-checkconf", "", p.file("named.conf", config)); err != nil {
		t.Errorf("%s: %v:\n%s", p.page, err, config)
	}
}

func TestPageOfBINDWorksAsPrinted(t *testing.T) {
	p := newPrinted(t, "bind.md", "named")
	config := p.bindKeys(t)
	p.bindChecks(t, config)
	// What the page says of TLS and of narrower grants stands in indented lines.
	var tls, listen, grant string
	for _, line := range shown(t, p.page, indented) {
		switch word, _, _ := strings.Cut(line, " "); word {
		case "tls":
			tls += line + "\n"
		case "listen-on":
			listen += line + "\n"
		case "grant":
			grant += line + "\n"
		}
	}
	if tls == "" || listen == "" || grant == "" {
		t.Fatalf("%s lost its lines on TLS or on grants: %q %q %q", p.page, tls, listen, grant)
	}
	p.bindChecks(t, tls+strings.NewReplacer("options {\n", "options {\n"+listen, "update-policy {\n", "update-policy {\n"+grant).Replace(config))
	p.file("named.conf", p.bindHere(config))
	p.args = []string{"-g", "-n", "1", "-c", filepath.Join(p.dir, "named.conf")}
	p.serves(t)
}

// bindHere is a configuration that runs in the folder of the test.
func (p *printed) bindHere(config string) string {
	p.t.Helper()
	own := fmt.Sprintf("options {\n  directory %q; pid-file \"named.pid\"; session-keyfile \"session.key\"; dnssec-validation no;\n"+
		"  listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };\n", p.dir, p.addr.Port())
	if !strings.Contains(config, "options {\n") {
		p.t.Fatalf("the configuration has no options:\n%s", config)
	}
	return "controls { };\n" + strings.NewReplacer("options {\n", own, "example.com.db", "zone.db").Replace(config)
}

// The first view that admits an address gets its updates and queries, as the page says.
func TestViewsOfBINDGoByAddress(t *testing.T) {
	p := newPrinted(t, "bind.md", "named")
	config := p.bindHere(p.bindKeys(t))
	inside := "view inside { match-clients { 127.0.0.2; }; zone \"example.com.\" { type primary; file \"inside.db\"; }; };\n"
	before, zone, _ := strings.Cut(config, "zone \"example.com.\"")
	zone, options, ok := strings.Cut(zone, "\n};\n")
	if !ok {
		t.Fatalf("the zone does not end:\n%s", config)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "zone.db"))
	if err != nil {
		t.Fatal(err)
	}
	p.file("inside.db", string(text))
	config = before + options + inside + "view world { match-clients { any; };\nzone \"example.com.\"" + zone + "\n};\n};\n"
	p.bindChecks(t, config)
	p.args = []string{"-g", "-n", "1", "-c", filepath.Join(p.dir, "named.conf")}
	p.Start()
	if said, err := p.update("127.0.0.2", pageOwner+" "+pageRecord); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("an update from an address of the other view: %v %s", err, said)
	}
	if _, err := p.update("127.0.0.1", pageOwner+" "+pageRecord); err != nil {
		t.Error(err)
	}
	for from, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false} {
		out, err := p.run("dig", "", "@127.0.0.1", "-b", from, "-p", fmt.Sprint(p.addr.Port()), pageOwner, "TLSA", "+short", "+tcp")
		if err != nil || strings.Contains(out, "3 1 1") != want {
			t.Errorf("from %s the record is seen: want %t: %v %s", from, want, err, out)
		}
	}
}

var knotKey = regexp.MustCompile(`- id: (\S+)\s+algorithm: hmac-sha256\s+secret: (\S+)`)

func TestPageOfKnotWorksAsPrinted(t *testing.T) {
	p := newPrinted(t, "knot.md", "knotd")
	p.keep(p.commands(t, "keymgr -t", strings.NewReplacer()), knotKey)
	config := p.blocks("")
	for id, secret := range p.secrets {
		section := fmt.Sprintf("  - id: %s\n    algorithm: hmac-sha256\n    secret: ", id)
		if !strings.Contains(config, section+"\"BASE64TEXT==\"") {
			t.Errorf("%s does not define the key %s", p.page, id)
		}
		config = strings.Replace(config, section+"\"BASE64TEXT==\"", section+secret, 1)
	}
	if _, err := p.run("knotc", "", "-c", p.file("page.conf", config), "conf-check"); err != nil {
		t.Errorf("%s: %v:\n%s", p.page, err, config)
	}
	p.file("knot.conf", fmt.Sprintf("server:\n    listen: %s@%d\n    rundir: %q\nlog:\n  - target: stderr\n    any: info\ndatabase:\n    storage: %q\n"+
		"template:\n  - id: default\n    storage: %q\n", p.addr.Addr(), p.addr.Port(), p.dir, p.dir, p.dir)+strings.ReplaceAll(config, "example.com.zone", "zone.db"))
	p.args = []string{"-c", filepath.Join(p.dir, "knot.conf")}
	p.serves(t)
}

var powerDNSKey = regexp.MustCompile(`Create new TSIG key (\S+) hmac-sha256 (\S+)`)

func TestPageOfPowerDNSWorksAsPrinted(t *testing.T) {
	p := newPrinted(t, "powerdns.md", "pdns_server")
	here := strings.NewReplacer("/var/lib/powerdns", p.dir, "/etc/powerdns", p.dir, "pdnsutil ", "pdnsutil --config-dir="+p.dir+" ")
	settings := here.Replace(p.blocks(""))
	p.file("pdns.conf", settings)
	p.file("policy.lua", p.blocks("lua"))
	tables, err := os.ReadFile(schema)
	if err != nil {
		t.Fatalf("%v: apt-get install --no-install-recommends pdns-backend-sqlite3", err)
	}
	if _, err := p.run("sqlite3", string(tables), filepath.Join(p.dir, "pdns.sqlite3")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.run("pdnsutil", "", "--config-dir="+p.dir, "load-zone", pageZone, filepath.Join(p.dir, "zone.db")); err != nil {
		t.Fatal(err)
	}
	p.keep(p.commands(t, "pdnsutil", here), powerDNSKey)
	if _, err := p.run("pdns_server", "", "--config-dir="+p.dir, "--config=check"); err != nil {
		t.Errorf("%s: %v:\n%s", p.page, err, settings)
	}
	p.args = []string{"--config-dir=" + p.dir, "--socket-dir=" + p.dir, "--daemon=no", "--guardian=no", "--write-pid=no",
		"--local-address=" + p.addr.Addr().String(), fmt.Sprintf("--local-port=%d", p.addr.Port())}
	p.serves(t)
}

// What the pages say of defaults is what the programs do by default.
func TestDefaultsThatThePagesName(t *testing.T) {
	d := newDaemon(t, "defaults", "named", "")
	for _, c := range []struct {
		program string
		args    []string
		want    string
	}{
		{"named", []string{"-C"}, "notify-delay 5;"},
		{"pdns_server", []string{"--no-config", "--config=default"}, "# xfr-cycle-interval=60\n"},
	} {
		if out, err := d.run(c.program, "", c.args...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s does not say %q: %v\n%s", c.program, c.want, err, out)
		}
	}
}

// An error in the policy script of PowerDNS is SERVFAIL; and a zone that is signed elsewhere takes updates
// and serves them without signatures.
func TestPitfallsOfThePageOfPowerDNS(t *testing.T) {
	p := StartPrimary(t, PowerDNS, Options{Grants: []string{"nosuchfunction()"}})
	update := func(owner string) error {
		_, err := p.run("nsupdate", fmt.Sprintf("server %s %d\nkey hmac-sha256:%s %s\nzone %s\nupdate add %s.%s %s\nsend\n",
			p.addr.Addr(), p.addr.Port(), updateKeyName, p.TSIGSecret, p.Zone, owner, p.Zone, pageRecord), "-v")
		return err
	}
	if err := update("_25._tcp.mx1"); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("with an error in the script an update ends with %v", err)
	}
	p.Grant("update:getQType() == pdns.TLSA")
	signatures := func(owner string) (signed int) {
		t.Helper()
		if err := update(owner); err != nil {
			t.Fatal(err)
		}
		m, err := Ask(p.Addr, owner+"."+p.Zone, dns.TypeTLSA, false)
		if err != nil || len(m.Answer) == 0 {
			t.Fatalf("%s is not served: %v %v", owner, err, m)
		}
		for _, rr := range m.Answer {
			if _, ok := rr.(*dns.RRSIG); ok {
				signed++
			}
		}
		return signed
	}
	if got := signatures("_25._tcp.mx2"); got != 1 {
		t.Errorf("PowerDNS signs what it is sent with %d signatures", got)
	}
	if _, err := (powerDNS{}).util(p, "set-presigned", p.Zone); err != nil {
		t.Fatal(err)
	}
	if got := signatures("_25._tcp.mx3"); got != 0 {
		t.Errorf("a zone that is signed elsewhere has %d signatures for an update", got)
	}
}
