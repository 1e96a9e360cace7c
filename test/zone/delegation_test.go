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
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestServersByDelegation: every address of every server that the parent or the zone names is swept; one that is added
// from then on, and one that neither names any more until caches have forgotten it.
func TestServersByDelegation(t *testing.T) {
	onCouples(t, func(t *testing.T, c couple) {
		f := newFamily(t, c, true)
		all := []string{"ns1", "ns2", "ns2b", "ns3"}
		f.asks(all, record(1))
		f.joins(all)
		f.leaves(all)
	})
}

// joins adds a server that holds sweeps back, and takes it out again.
func (f *family) joins(all []string) {
	f.t.Helper()
	late := servers.StartNSDSecondary(f.t, f.primary, "")
	f.way("ns4", late.Addr)
	f.zoneChanges("add "+apex+" 300 NS ns4."+apex, "add ns4."+apex+" 300 A "+f.at["ns4"].String())
	late.CatchUp()
	f.asks(all, record(1)) // for as long as what was found may be used
	f.later()
	f.asks(append(all, "ns4"), record(1))

	late.Lag()
	f.zoneChanges("add " + mx1 + " 60 TLSA 3 1 1 " + record(2).Data)
	behind := servers.AtPort53(f.at["ns4"]).String()
	if _, err := f.asked(record(1), record(2)); err == nil || !strings.Contains(err.Error(), behind+" shows") {
		f.t.Errorf("the new server shows other records, and the sweep says %v", err)
	}
	// It names itself for ever; nobody else does.
	f.zoneChanges("delete "+apex+" NS ns4."+apex, "delete ns4."+apex+" A")
	f.later()
	if _, err := f.asked(record(1), record(2)); err == nil || !strings.Contains(err.Error(), behind+" shows") {
		f.t.Errorf("caches may know the server that left, it shows other records, and the sweep says %v", err)
	}
	f.later()
	f.asks(all, record(1), record(2))
	before := f.ways["ns4"].Counts()
	f.check()
	f.asks(all, record(1), record(2))
	if after := f.ways["ns4"].Counts(); after != before {
		f.t.Errorf("a server that was taken out is still asked: %+v, then %+v", before, after)
	}
}

// leaves takes a server out on one side, on the other, and while there may be somebody who names it.
func (f *family) leaves(all []string) {
	f.t.Helper()
	f.zoneChanges("delete " + apex + " NS ns2." + apex)
	f.later()
	f.asks(all, record(1), record(2)) // the parent names it

	nsd := f.secondaries[1]
	f.parentChanges("delete "+apex+" NS ns2."+apex, "add "+apex+" 2 NS ns3."+apex, "add ns3."+apex+" 2 A "+f.at["ns3"].String())
	nsd.Stop()
	f.later()
	got, err := f.asked(record(1), record(2))
	if !slices.Equal(got, f.addressesOf(all...)) || err == nil || !strings.Contains(err.Error(), "its own list of the servers of "+apex+" could not be read") {
		f.t.Errorf("ns3 may name servers that nobody else does, and is silent; %v are asked: %v", got, err)
	}
	nsd.Start()
	nsd.CatchUp()
	f.clock.Step(11 * time.Second)
	f.asks(all, record(1), record(2)) // caches may name it
	f.later()
	f.asks([]string{"ns1", "ns3"}, record(1), record(2))
}

// TestFindingsByDelegation: what the servers of the parent say of the zone, and how it is mended there. Where the zone's
// servers are listed, the parent is found all the same.
func TestFindingsByDelegation(t *testing.T) {
	onCouples(t, func(t *testing.T, c couple) {
		f := newFamily(t, c, false)
		if c.child == servers.BIND {
			f.listed("ns1", "ns2", "ns2b", "ns3")
		}
		f.is(dnssec.Insecure, "NSMismatch", "SignedWithoutDS")

		f.parentChanges("add "+apex+" 2 NS ns3."+apex, "add ns3."+apex+" 2 A "+f.at["ns3"].String(), "add "+apex+" 2 DS "+f.primary.DS)
		f.later()
		f.is(dnssec.Secure)
		f.comesBy(". DNSKEY", "test. DNSKEY", "test. DS")

		f.parentSecondary.Lag()
		f.parent.Admin("add " + apex + " 2 DS " + f.longDS())
		f.later()
		f.is(dnssec.Secure, "DSDiffers")
		f.parentSecondary.Follow()
		f.later()
		f.is(dnssec.Secure)

		f.parentChanges("delete " + apex + " DS")
		f.later()
		f.is(dnssec.Insecure, "SignedWithoutDS")
	})
}

// listed has the zone's servers be listed instead of found.
func (f *family) listed(names ...string) {
	f.config.Delegation = false
	for _, name := range names {
		f.config.Static = append(f.config.Static, servers.AtPort53(f.at[name]))
	}
	f.actor.Configure(f.config)
}

// TestKeysOfTheParentChange: a real change of the keys of the zone above is seen, while nothing is wrong and the zone has
// not changed itself.
func TestKeysOfTheParentChange(t *testing.T) {
	t.Parallel()
	f := newFamily(t, couple{servers.Knot, servers.PowerDNS}, true)
	f.is(dnssec.Secure, "NSMismatch")
	f.comesBy(". DNSKEY", "test. DNSKEY", "test. DS")
	before := f.check().DNSSEC
	f.parent.Control("zone-key-rollover", "test.", "ksk")
	servers.Eventually(t, "the parent's servers show another key", func() error {
		for _, at := range []netip.AddrPort{f.parent.Addr, f.parentSecondary.Addr} {
			m, err := servers.Ask(at, "test.", dns.TypeDNSKEY, false)
			if err != nil {
				return err
			}
			if keys := slices.DeleteFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeDNSKEY }); len(keys) < 2 {
				return fmt.Errorf("%s shows %v", at, keys)
			}
		}
		return nil
	})
	f.clock.Step(16 * time.Minute)
	after := f.check().DNSSEC
	var changed []string
	for i, p := range after.Above {
		if i >= len(before.Above) || p != before.Above[i] {
			changed = append(changed, p.Zone+" "+dns.TypeToString[p.Type])
		}
	}
	if !slices.Equal(changed, []string{"test. DNSKEY"}) || after.State != dnssec.Secure || after.KeysChanging {
		t.Errorf("changed are %v; the zone is %s, and its own keys change: %t", changed, after.State, after.KeysChanging)
	}
}

// is looks at the zone once.
func (f *family) is(state dnssec.State, findings ...string) {
	f.t.Helper()
	h := f.check()
	finds(f.t, h, findings...)
	if h.DNSSEC.State != state || h.Discovery != "" {
		f.t.Errorf("%s (%s), want %s; discovery: %q", h.DNSSEC.State, h.DNSSEC.Message, state, h.Discovery)
	}
}

// comesBy wants the zone to be entered by these sets of the zones above, the same in each of some looks.
func (f *family) comesBy(want ...string) {
	f.t.Helper()
	first := f.check().DNSSEC.Above
	var got []string
	for _, p := range first {
		got = append(got, p.Zone+" "+dns.TypeToString[p.Type])
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("the way leads by %v, want %v", got, want)
	}
	for range 4 {
		f.later()
		if again := f.check().DNSSEC.Above; !slices.Equal(again, first) {
			f.t.Errorf("nothing has changed above, and the way leads by %v, then %v", first, again)
		}
	}
}

// longDS is a DS record of the zone's key with another digest.
func (f *family) longDS() string { return f.dsOf(dns.SHA384) }

// dsOf is a DS record of the zone's key with a type of digest.
func (f *family) dsOf(digest uint8) string {
	f.t.Helper()
	m, err := servers.Ask(f.primary.Addr, apex, dns.TypeDNSKEY, false)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
			return dnssec.PresentDS(key.ToDS(digest))
		}
	}
	f.t.Fatal("the zone has no key")
	return ""
}
