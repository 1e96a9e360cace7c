package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// copies is a zone that a BIND and an NSD serve as it stands, each its own copy of it.
type copies struct {
	*rig
	bind, nsd netip.AddrPort
}

// serveCopies signs the records and serves one copy as it was signed, by NSD, and one that was edited since, by BIND.
func serveCopies(t *testing.T, records []string, edit func(text string) string, args ...string) *copies {
	t.Helper()
	key := servers.NewKey(t, apex)
	good := key.Sign("$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.3\nns2 A 192.0.2.4\n"+strings.Join(records, "\n")+"\n", args...)
	edited := servers.StaticZone{Name: good.Name, Text: edit(good.Text)}
	if edited.Text == good.Text {
		t.Fatalf("there is nothing to edit in\n%s", good.Text)
	}
	return serveBoth(t, edited, good, key.Public.ToDS(dns.SHA256))
}

// serveBoth has a BIND and an NSD serve a copy each, of a zone with trust anchors, and an actor look at them.
func serveBoth(t *testing.T, onBIND, onNSD servers.StaticZone, anchors ...dnssec.Anchor) *copies {
	t.Helper()
	c := &copies{bind: servers.StartStaticBIND(t, []servers.StaticZone{onBIND}).Address(), nsd: servers.StartStaticNSD(t, []servers.StaticZone{onNSD}).Address()}
	c.rig = &rig{t: t, config: zone.Config{
		Zone: apex, Primary: c.nsd.String(), Protocol: zone.TCP, Static: []netip.AddrPort{c.bind, c.nsd}, Anchors: anchors,
	}}
	c.start(zone.Options{QueryTimeout: 10 * time.Second})
	return c
}

// TestFindingsOfManyHosts: what is wrong at one of more hosts than a look covers is found in some look, at the server that
// shows it, and told by each look from then on.
func TestFindingsOfManyHosts(t *testing.T) {
	t.Parallel()
	var records, owners []string
	for i := range 8 {
		records = append(records, fmt.Sprintf("mx%d A 192.0.2.1\nmx%d AAAA 2001:db8::%d\n_25._tcp.mx%d TLSA %s", i, i, i+1, i, record(i)))
		owners = append(owners, fmt.Sprintf("_25._tcp.mx%d.%s", i, apex))
	}
	c := serveCopies(t, records, func(text string) string { return strings.ReplaceAll(text, "2001:db8::7", "2001:db8::77") })
	for _, owner := range owners {
		c.sweep(owner)
	}
	told := 0
	for look := range 8 {
		h := c.check()
		at := slices.IndexFunc(h.Findings, func(f health.Finding) bool { return f.Severity != health.Notice })
		if at < 0 && told == 0 {
			continue
		}
		told++
		if finds(t, h, "SignatureInvalid@"+c.bind.String()); at >= 0 && !strings.HasPrefix(h.Findings[at].Message, "mx6."+apex+" AAAA") {
			t.Errorf("look %d: %s", look, h.Findings[at].Message)
		}
	}
	if told < 5 {
		t.Errorf("it was told by %d of 8 looks", told)
	}
}

// TestZoneThatNoAnchorLeadsTo: that a server shows no keys proves nothing; what it shows is told beside.
func TestZoneThatNoAnchorLeadsTo(t *testing.T) {
	t.Parallel()
	for _, unsigned := range []bool{true, false} {
		r := newRig(t, servers.Options{Unsigned: unsigned})
		r.config.Anchors, r.config.Static = nil, []netip.AddrPort{r.primary.Addr}
		r.start(zone.Options{QueryTimeout: 10 * time.Second})
		h := r.check()
		says, finding := "its servers now show", ""
		if unsigned {
			says, finding = "none of its servers shows a DNSKEY", string(health.ZoneUnsigned)
		}
		if h.DNSSEC.State != dnssec.Indeterminate || h.DNSSEC.Unsigned || !strings.Contains(h.DNSSEC.Message, says) {
			t.Errorf("unsigned %t: the zone is %s (%s)", unsigned, h.DNSSEC.State, h.DNSSEC.Message)
		}
		finds(t, h, strings.Fields(finding)...)
	}
}
