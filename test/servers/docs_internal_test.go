package servers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages for administrators show is what the tests run: every line of the configuration there is
// in the files of the server here, and every line of what concerns the zone and the key here is there,
// but for what the tests alone need.

var (
	fence    = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	indented = regexp.MustCompile(`(?m)^    (.+)$`)
)

// shown are the lines of a page's blocks that are no manifests, and the indented ones.
func shown(t *testing.T, page string, from *regexp.Regexp) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)
	if from == indented {
		rest = fence.ReplaceAllString(rest, "")
	}
	var out []string
	for _, found := range from.FindAllStringSubmatch(rest, -1) {
		if !strings.Contains(found[0], "```yaml") {
			out = append(out, lines(found[1])...)
		}
	}
	return out
}

// lines are without the space around them, and without those that are empty.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// onThePage replaces the names of the tests by those of the pages.
func onThePage(p *Primary, secondary netip.AddrPort, text string) string {
	return strings.NewReplacer(
		updateKeyName, "dane-operator", p.Zone, "example.com.", strings.TrimSuffix(p.Zone, "."), "example.com",
		`"`+p.TSIGSecret+`"`, `"BASE64TEXT=="`, `"`+p.transferKey+`"`, `"BASE64TEXT=="`,
		fmt.Sprintf("%s@%d", secondary.Addr(), secondary.Port()), "198.51.100.53@53",
		fmt.Sprintf("%s port %d", secondary.Addr(), secondary.Port()), "198.51.100.53 port 53",
		secondary.String(), "198.51.100.53:53",
	).Replace(text)
}

// same compares the lines of a page with those of files: each of the page must be in all, and each of own,
// which is the part that administrators copy, on the page.
func same(t *testing.T, page, all, own []string) {
	t.Helper()
	if len(page) < 5 || len(own) < 5 {
		t.Fatalf("%d lines on the page, %d in the files: does the test still find them?", len(page), len(own))
	}
	missing := func(which string, lines, in []string) {
		have := map[string]bool{}
		for _, line := range in {
			have[line] = true
		}
		for _, line := range lines {
			if !have[line] {
				t.Errorf("%s: %s", which, line)
			}
		}
	}
	missing("the page shows what no test runs", page, all)
	missing("the page misses what the tests run", own, page)
}

// without takes away what tests alone need.
func without(lines []string, testsOnly ...string) []string {
	var out []string
next:
	for _, line := range lines {
		for _, only := range testsOnly {
			if strings.Contains(line, only) {
				continue next
			}
		}
		out = append(out, line)
	}
	return out
}

func started(t *testing.T, m Make) (*Primary, netip.AddrPort) {
	t.Helper()
	p := StartPrimary(t, m, Options{})
	return p, StartNSDSecondary(t, p, "").Addr
}

func contents(t *testing.T, p *Primary, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPageOfBINDShowsWhatTheTestsRun(t *testing.T) {
	p, secondary := started(t, BIND)
	all := lines(strings.ReplaceAll(onThePage(p, secondary, contents(t, p, "named.conf")), `"zone.db"`, `"example.com.db"`))
	own := lines(strings.ReplaceAll(onThePage(p, secondary, (&bind{}).zoneStatement(p)), `"zone.db"`, `"example.com.db"`))
	// The keys are in files of their own there: pages_internal_test.go makes and loads them.
	same(t, without(shown(t, "bind.md", fence), "include "), all, without(own, "check-names", AdminName))
}

func TestPageOfKnotShowsWhatTheTestsRun(t *testing.T) {
	p, secondary := started(t, Knot)
	adapt := func(text string) []string {
		text = strings.ReplaceAll(onThePage(p, secondary, text), "file: zone.db", "file: example.com.zone")
		return lines(strings.ReplaceAll(text, "operator, administrator, secondaries", "operator, secondaries"))
	}
	own := adapt(knot{}.zoneSections(p, []string{"secondary0"}))
	same(t, shown(t, "knot.md", fence), adapt(contents(t, p, "knot.conf")), without(own, "administrator", AdminName, "storage:", "semantic-checks"))
}

func TestPageOfPowerDNSShowsWhatTheTestsRun(t *testing.T) {
	p, secondary := started(t, PowerDNS)
	adapt := func(text string) []string {
		text = strings.NewReplacer(p.dir+"/pdns.sqlite3", "/var/lib/powerdns/pdns.sqlite3", p.dir+"/policy.lua", "/etc/powerdns/policy.lua",
			"127.0.0.0/8", "192.0.2.0/24").Replace(onThePage(p, secondary, text))
		// The administrator's branch is not for copying.
		return lines(strings.ReplaceAll(text, "  if key == \""+AdminName+".\" then\n    return true\n  end\n", ""))
	}
	settings, policy := adapt(contents(t, p, "pdns.conf")), adapt(contents(t, p, "policy.lua"))
	same(t, shown(t, "powerdns.md", fence), append(settings, policy...),
		append(without(settings, p.dir, "local-", "daemon", "guardian", "write-pid", "version-string", "cache"), policy...))
	commands := strings.Join(shown(t, "powerdns.md", indented), "\n")
	want := []string{"set-kind example.com primary", "secure-zone example.com", "rectify-zone example.com", "set-meta example.com ALSO-NOTIFY 198.51.100.53:53"}
	for _, meta := range (powerDNS{}).metadata() {
		want = append(want, strings.TrimSuffix(onThePage(p, secondary, "set-meta example.com "+strings.Join(meta, " ")), " "+AdminName))
	}
	for _, command := range want {
		if !strings.Contains(commands, "pdnsutil "+command) {
			t.Errorf("the page misses what the tests run: pdnsutil %s", command)
		}
	}
}

// The commands of the pages for the trust anchor say what the zone's DS is.
func TestTrustAnchorCommandsOfThePages(t *testing.T) {
	for m, command := range map[Make][]string{
		BIND:     {"sh", "-c", "dig @127.0.0.1 -p PORT ZONE DNSKEY | dnssec-dsfromkey -2 -f - ZONE"},
		Knot:     {"keymgr", "-c", "DIR/knot.conf", "ZONE", "ds"},
		PowerDNS: {"pdnsutil", "--config-dir=DIR", "export-zone-ds", "ZONE"},
	} {
		p, _ := started(t, m)
		for i := range command {
			command[i] = strings.NewReplacer("PORT", fmt.Sprint(p.addr.Port()), "ZONE", p.Zone, "DIR", p.dir).Replace(command[i])
		}
		out, err := p.run(command[0], "", command[1:]...)
		if got := strings.ToUpper(strings.Join(strings.Fields(out), " ")); err != nil || !strings.Contains(got, p.DS) {
			t.Errorf("%s: %v: %q does not hold %s", m, err, got, p.DS)
		}
	}
}
