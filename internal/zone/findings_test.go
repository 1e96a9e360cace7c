package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

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
		for _, f := range k.check(t.Context(), d.cfg).Findings {
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
		t.Errorf("the parent of a zone whose servers are listed: %v", got)
	}
}
