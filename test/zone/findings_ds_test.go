package zone_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestFindingsOfDSRecords: the parent's servers give DS records that are not as they should be, and do not know the parent zone any more in the end. The
// zone itself is well.
func TestFindingsOfDSRecords(t *testing.T) {
	onCouples(t, func(t *testing.T, c couple) {
		f := newFamily(t, c, true)
		f.parentChanges("add "+apex+" 2 NS ns3."+apex, "add ns3."+apex+" 2 A "+f.at["ns3"].String())
		own := f.dsOf(dns.SHA256)
		root := f.config.Anchors
		for _, row := range []struct {
			reason string
			ds     []string
			// anchor of the zone itself, besides that of the root.
			anchor string
			want   string
		}{
			{"that is as it should be", []string{own}, "", ""},
			{"of SHA-1 beside it", []string{own, f.dsOf(dns.SHA1)}, "", "DSDigestObsolete"},
			{"of a digest type that nobody has assigned beside it", []string{own, unassigned(own)}, "", "DSDigestUnknown"},
			{"that is the anchor of the zone", []string{own}, own, ""},
			{"that is not the anchor of the zone, of the same key", []string{f.dsOf(dns.SHA384)}, own, "AnchorNotInDS DSWithoutSHA256"},
		} {
			commands := []string{"delete " + apex + " DS"}
			for _, ds := range row.ds {
				commands = append(commands, "add "+apex+" 2 DS "+ds)
			}
			f.parentChanges(commands...)
			f.config.Anchors = root
			if row.anchor != "" {
				ds, err := dnssec.ParseDS(row.anchor, apex)
				if err != nil {
					t.Fatal(err)
				}
				f.config.Anchors = append([]dnssec.Anchor{ds}, root...)
			}
			f.actor.Configure(f.config)
			f.later()
			t.Logf("a DS record %s", row.reason)
			h := f.check()
			tells(t, h, nil, row.want)
			if h.DNSSEC.State != dnssec.Secure {
				t.Errorf("%s: the zone is %s: %s", row.reason, h.DNSSEC.State, h.DNSSEC.Message)
			}
		}
		f.loseParent()
		f.later()
		tells(t, f.check(), nil, "ParentUnanswered")
	})
}

// loseParent puts servers that do not serve the parent zone, and refuse questions about it, in the place of those that do.
func (f *family) loseParent() {
	f.t.Helper()
	other := []servers.StaticZone{{Name: "other.", Text: "$ORIGIN other.\n$TTL 2\n@ SOA ns1 hostmaster 1 3600 600 86400 1\n@ NS ns1\nns1 A 127.0.0.1\n"}}
	for name, to := range map[string]netip.AddrPort{"parent1": servers.StartStaticBIND(f.t, other).Address(), "parent2": servers.StartStaticNSD(f.t, other).Address()} {
		f.ways[name].Stop()
		f.way(name, to)
	}
}

// unassigned is a DS record with a digest type that nobody has assigned.
func unassigned(ds string) string {
	words := strings.Fields(ds)
	return fmt.Sprintf("%s %s 200 %s", words[0], words[1], words[3])
}

// TestFindingsOfUnsignedParent: servers give DS records of the zone, and their own zone is not signed.
func TestFindingsOfUnsignedParent(t *testing.T) {
	onCouples(t, func(t *testing.T, c couple) {
		f := newFamilyOf(t, c, servers.Options{Unsigned: true}, true)
		f.parentChanges("add "+apex+" 2 NS ns3."+apex, "add ns3."+apex+" 2 A "+f.at["ns3"].String())
		f.later()
		f.is(dnssec.Insecure, "DSUnsigned")
	})
}
