package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

func TestHostQuestions(t *testing.T) {
	cases := []struct {
		zone, owner string
		want        []string
	}{
		{testZone, "_25._tcp.mx1.example.test.", []string{
			"_25._tcp.mx1.example.test. TLSA", "_25._tcp.mx1.example.test. A", "_nonexistent._tcp.mx1.example.test. A", "mx1.example.test. A",
			"mx1.example.test. AAAA",
		}},
		{testZone, "_25._tcp.example.test.", []string{
			"_25._tcp.example.test. TLSA", "_25._tcp.example.test. A", "_nonexistent._tcp.example.test. A", "example.test. A", "example.test. AAAA",
		}},
		// The host is in the zone above.
		{"_tcp.mx1.example.test.", "_25._tcp.mx1.example.test.", []string{
			"_25._tcp.mx1.example.test. TLSA", "_25._tcp.mx1.example.test. A", "_nonexistent._tcp.mx1.example.test. A",
		}},
		// The end of an alias is no host.
		{testZone, "tlsa.example.test.", []string{"tlsa.example.test. TLSA", "tlsa.example.test. A", "_nonexistent.example.test. A"}},
		{".", "mx.", []string{"mx. TLSA", "mx. A", "_nonexistent. A"}},
	}
	for _, c := range cases {
		var got []string
		for _, m := range hostQuestions(c.zone, c.owner) {
			got = append(got, m.Question[0].Name+" "+dns.TypeToString[m.Question[0].Qtype])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.owner, got)
		}
	}
}

// The number of questions is what documentation promises.
func TestNumberOfQuestions(t *testing.T) {
	var owners []string
	now := time.Unix(1e9, 0)
	var r remembered
	for i := range 10 {
		owners = append(owners, fmt.Sprintf("_25._tcp.mx%d.example.test.", i))
	}
	r.swept(append(owners, testZone, "_25._tcp.mx.elsewhere."), now)
	checked := r.checked(testZone, now.Add(ownerFor-time.Second))
	if !slices.Equal(checked, owners[:checkedOwners]) {
		t.Errorf("%v", checked)
	}
	if n := len(healthQuestions(testZone, checked).all()) + 1; n != 24 {
		t.Errorf("%d questions a server", n)
	}
	none := healthQuestions(testZone, nil).all()
	if last := none[len(none)-1].Question[0]; len(none) != len(apexTypes)+1 || last.Name != "_nonexistent."+testZone || last.Qtype != dns.TypeA {
		t.Errorf("without owners the last of %d questions is %v", len(none), last)
	}
	if root := healthQuestions(".", nil).all(); root[len(root)-1].Question[0].Name != "_nonexistent." {
		t.Errorf("of the root is asked %v", root[len(root)-1].Question)
	}
}

// TestMailHostsWithoutOwners: in a zone in which nobody looks after TLSA records the hosts of its MX records are looked at
// as senders do, from the second look on; those of other zones are not.
func TestMailHostsWithoutOwners(t *testing.T) {
	s := newFakeServer(t)
	for _, text := range []string{"mx1", "mx2", "mx3", "mx4"} {
		s.rr(text + "." + testZone + " 300 A 192.0.2.1")
	}
	s.set(
		&dns.MX{Hdr: header(testZone, dns.TypeMX, 300), Preference: 20, Mx: "mx1." + testZone}, &dns.MX{Hdr: header(testZone, dns.TypeMX, 300), Preference: 10, Mx: "MX4." + testZone},
		&dns.MX{Hdr: header(testZone, dns.TypeMX, 300), Preference: 20, Mx: "mx2." + testZone}, &dns.MX{Hdr: header(testZone, dns.TypeMX, 300), Preference: 5, Mx: "mx.elsewhere."},
		&dns.MX{Hdr: header(testZone, dns.TypeMX, 300), Preference: 30, Mx: "mx3." + testZone},
	)
	s.before = func(kind uint16, sig *dns.RRSIG) {
		if kind == dns.TypeA {
			sig.Expiration = uint32(time.Now().Add(-time.Hour).Unix())
		}
	}
	s.startTCP()
	a := startActor(t, testConfig(s), quick())
	check := func(owners int) []string {
		done := make(chan Health, 1)
		a.Check(func(h Health) { done <- h })
		h := <-done
		if h.Owners != owners || h.OwnersWaiting != 0 {
			t.Errorf("%d owners, %d waiting", h.Owners, h.OwnersWaiting)
		}
		var out []string
		for _, f := range h.Findings {
			if f.Code == health.SignatureExpired {
				host, _, _ := strings.Cut(f.Message, " ")
				out = append(out, strings.TrimSuffix(host, "."+testZone))
			}
		}
		return out
	}
	if got := check(0); len(got) != 0 {
		t.Errorf("the first look, which knows no MX records, finds something at %v", got)
	}
	if got := check(0); !slices.Equal(got, []string{"mx1", "mx2", "mx4"}) {
		t.Errorf("the second look finds something at %v", got)
	}
	sweepOf(t, a, ownerName(1))
	if got := check(1); !slices.Equal(got, []string{"mx1"}) {
		t.Errorf("with an owner it is looked at alone: %v", got)
	}
}

func TestLag(t *testing.T) {
	at := func(n int) seen {
		return seen{health: ServerHealth{Server: Server{Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:53", n))}}}
	}
	list := []seen{at(1), at(2)}
	start := time.Unix(1e9, 0)
	var r remembered
	for i, c := range []struct {
		lagging []bool
		// since is minutes after the start; -1 for not.
		since [2]int
	}{
		{[]bool{false, true}, [2]int{-1, 0}},
		{[]bool{false, true}, [2]int{-1, 0}},
		{[]bool{true, true}, [2]int{2, 0}},
		{[]bool{true, false}, [2]int{2, -1}},
		{[]bool{true, true}, [2]int{2, 4}},
	} {
		got := r.lag(list, c.lagging, start.Add(time.Duration(i)*time.Minute))
		for j, since := range c.since {
			want := time.Time{}
			if since >= 0 {
				want = start.Add(time.Duration(since) * time.Minute)
			}
			if !got[j].Equal(want) {
				t.Errorf("look %d, server %d: %v, want %v", i, j, got[j], want)
			}
		}
	}
}

// What the parent's servers say is asked for, compared, and not asked for again too soon.
func TestFindingsByDelegation(t *testing.T) {
	d := newDelegation(t)
	clock := testclock.NewFakeClock(time.Now())
	d.opts.Clock = clock
	k := newKnowledge(t.Context(), d.opts)
	codes := func() []string {
		var out []string
		for _, f := range checked(t, k, d.cfg).Findings {
			if f.Code != health.NoUDP && f.Code != health.ServerUnreachable && !slices.Contains(out, string(f.Code)) {
				out = append(out, string(f.Code))
			}
		}
		return out
	}
	// The anchor is that of the zone, and the parent has no DS record.
	if got := codes(); !slices.Contains(got, string(health.SignedWithoutDS)) || !slices.Contains(got, string(health.NSMismatch)) {
		t.Errorf("%v", got)
	}
	d.parent.set(d.child.dnskey.ToDS(dns.SHA256))
	clock.Step(parentEvery - time.Second)
	if got := codes(); !slices.Contains(got, string(health.SignedWithoutDS)) {
		t.Errorf("the parent was asked again too soon: %v", got)
	}
	clock.Step(time.Second)
	if got := codes(); slices.Contains(got, string(health.SignedWithoutDS)) || !slices.Contains(got, string(health.DSUnsigned)) {
		t.Errorf("with a DS record: %v", got)
	}
	d.cfg.Delegation = false
	if got := codes(); slices.Contains(got, string(health.DSUnsigned)) {
		t.Errorf("the parent of a zone with a trust anchor and servers that are listed: %v", got)
	}
}

// TestParentOfListedServers: where the zone is entered by DS records of its parent, or its parent proves that there are none,
// the delegation is compared as with servers that are found by it. Where there is no way to the parent, or the zone has a
// trust anchor of its own, nothing is said of it.
func TestParentOfListedServers(t *testing.T) {
	absent := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData, Zone: "test.", TTL: time.Minute}
	unsigned := func(string) dnssec.ZoneState {
		return dnssec.ZoneState{Cause: &dnssec.Error{Reason: dnssec.UnsignedDelegation, Subject: testZone + " DS", Server: "192.0.2.1:53", Detail: "so it is"}}
	}
	about := []health.Code{health.NSMismatch, health.SignedWithoutDS, health.DSUnsigned, health.ParentUnanswered}
	for _, c := range []struct {
		reason string
		change func(d *delegatedZone, r *fakeResolver)
		want   []health.Code
	}{
		{"DS records", func(*delegatedZone, *fakeResolver) {}, []health.Code{health.DSUnsigned, health.NSMismatch}},
		{"none", func(d *delegatedZone, r *fakeResolver) {
			delete(d.parent.sets, setKey{testZone, dns.TypeDS})
			r.ds, r.keys = absent, unsigned
		}, []health.Code{health.NSMismatch, health.SignedWithoutDS}},
		{"a trust anchor", func(d *delegatedZone, _ *fakeResolver) { d.cfg.Anchors = []*dns.DS{d.child.ds()} }, nil},
		{"nobody tells how the zone is entered", func(_ *delegatedZone, r *fakeResolver) { r.ds = noAnswerDS }, nil},
		{"the resolver is silent", func(d *delegatedZone, _ *fakeResolver) { d.resolverFault.become(toQueries(noReply)) }, nil},
		{"the parent is out of reach", func(d *delegatedZone, _ *fakeResolver) { delete(d.world, "tcp 192.0.2.1:53") }, nil},
		{"the resolver knows another parent, which does not delegate the zone", func(d *delegatedZone, _ *fakeResolver) {
			delete(d.parent.sets, setKey{testZone, dns.TypeNS})
		}, nil},
	} {
		d := newDelegation(t)
		d.parent.set(d.child.ds())
		r := &fakeResolver{ds: foundDS(time.Hour, d.child.ds())}
		d.cfg.Delegation, d.cfg.Static, d.cfg.Anchors = false, []netip.AddrPort{d.child.addrPort()}, []*dns.DS{rootAnchor()}
		d.opts.NewResolver = resolving(r)
		c.change(d, r)
		clock := testclock.NewFakeClock(time.Now())
		d.opts.Clock = clock
		k := newKnowledge(t.Context(), d.opts)
		for range 2 {
			var got []health.Code
			for _, f := range checked(t, k, d.cfg).Findings {
				if slices.Contains(about, f.Code) {
					got = append(got, f.Code)
				}
			}
			if slices.Sort(got); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.reason, got, c.want)
			}
			clock.Step(parentEvery)
		}
	}
	// Who is silent is not asked at every look.
	d := newDelegation(t)
	d.cfg.Delegation, d.cfg.Resolvers = false, []string{"198.51.100.53"}
	k := newKnowledge(t.Context(), d.opts)
	var asked atomic.Int32
	d.resolverFault.become(func(*dns.Msg) fault { asked.Add(1); return replyRefused })
	for range 3 {
		k.parents(t.Context(), d.cfg, entry{parent: "test."})
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a resolver that refuses was asked %d times", n)
	}
}

// TestSignerIsWatched: what was seen of signatures that are made anew stands in the health of the zone, begins with what an
// earlier process has seen, and decides when they are overdue.
func TestSignerIsWatched(t *testing.T) {
	s := newFakeServer(t)
	s.set(ns(testZone, "ns1."+testZone))
	clock := testclock.NewFakeClock(time.Now())
	expires := time.Now().Add(13 * day)
	s.before = func(_ uint16, sig *dns.RRSIG) {
		sig.Inception, sig.Expiration = uint32(expires.Add(-14*day).Unix()), uint32(expires.Unix())
	}
	s.keys = nil
	s.startTCP()
	opts := quick()
	opts.Clock = clock
	cfg := testConfig(s)
	cfg.TSIG = nil
	cfg.Signer = health.Habit{Left: 6 * day, Validity: 14 * day, Rounds: 2, Round: clock.Now().Add(-9 * day)}
	a := startActor(t, cfg, opts)
	check := func() Health {
		done := make(chan Health, 1)
		a.Check(func(h Health) { done <- h })
		return <-done
	}
	overdue := func(h Health) bool {
		return slices.ContainsFunc(h.Findings, func(f health.Finding) bool { return f.Code == health.RefreshOverdue })
	}
	if got := check().Signer; got != cfg.Signer {
		t.Errorf("what was known is %+v", got)
	}
	clock.Step(8 * day)
	expires = expires.Add(9 * day)
	h := check()
	if h.Signer.Rounds != 3 || h.Signer.Left < 5*day-time.Minute || h.Signer.Left > 5*day || overdue(h) {
		t.Errorf("signatures were made anew with five days left: %+v", h.Signer)
	}
	clock.Step(10*day + 11*time.Hour)
	if h = check(); overdue(h) {
		t.Errorf("more than a quarter is left: %+v", h.Findings)
	}
	clock.Step(2 * time.Hour)
	if h = check(); !overdue(h) {
		t.Errorf("less than a quarter is left: %+v", h.Findings)
	}
}
