package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// mxOwners are so many TLSA owners, in order.
func mxOwners(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("_25._tcp.mx%03d.%s", i, testZone))
	}
	return out
}

// TestEveryOwnerHasItsTurn: each is looked at once before any is looked at again, and one that comes later after those
// that were there.
func TestEveryOwnerHasItsTurn(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, n := range []int{1, checkedOwners, checkedOwners + 1, 10} {
		var r rotation
		owners := mxOwners(n)
		r.swept(owners, now)
		counts := map[string]int{}
		for look := range 2 * n {
			looked := r.next(testZone, now)
			if want := min(n, checkedOwners); len(looked) != want || len(slices.Compact(slices.Sorted(slices.Values(looked)))) != want {
				t.Fatalf("look %d at %d owners covers %v", look, n, looked)
			}
			for _, owner := range looked {
				counts[owner]++
			}
			// Sweeps that go on change no turns.
			r.swept(owners, now)
		}
		for _, owner := range owners {
			if want := 2 * min(n, checkedOwners); counts[owner] != want {
				t.Errorf("of %d owners %s had %d turns in %d looks, want %d", n, owner, counts[owner], 2*n, want)
			}
		}
	}
	var r rotation
	r.swept(mxOwners(3*checkedOwners), now)
	r.next(testZone, now)
	r.swept([]string{"_25._tcp.later." + testZone}, now)
	for range 3 {
		if got := r.next(testZone, now); slices.Contains(got, "_25._tcp.later."+testZone) {
			t.Errorf("who came last goes first: %v", got)
		}
	}
	if got := r.next(testZone, now); got[0] != "_25._tcp.later."+testZone {
		t.Errorf("who came last has no turn: %v", got)
	}
}

func TestOwnersThatNobodyLooksAfter(t *testing.T) {
	now := time.Unix(1e9, 0)
	var r rotation
	owners := mxOwners(10)
	r.swept(append(slices.Clone(owners), testZone, "_25._tcp.mx.elsewhere."), now)
	r.note([]keptOwner{{owner: owners[0], at: now, findings: []health.Finding{{Code: health.DenialUnproven}}}})
	r.swept(owners[9:], now.Add(time.Hour))
	if got := r.next(testZone, now.Add(ownerFor)); !slices.Equal(got, owners[9:]) || len(r.owners) != 1 || len(r.turns) != 1 || len(r.kept) != 0 || r.waiting != 1 {
		t.Errorf("%v is looked at, and left are %d owners, %d turns, %d that wait, and %v", got, len(r.owners), len(r.turns), r.waiting, r.kept)
	}
}

// TestWhatIsKeptOfOwners is of bounds: the worst findings are kept, and of owners that are well those whose signatures run
// out first. Whatever the order that they are looked at in, the same are.
func TestWhatIsKeptOfOwners(t *testing.T) {
	now := time.Unix(1e9, 0)
	const n = 3 * health.MaxFindings
	var all []keptOwner
	for i, owner := range mxOwners(n) {
		k := keptOwner{owner: owner, at: now, first: now.Add(time.Duration(n-i) * time.Hour)}
		if i%2 == 0 {
			code := map[bool]health.Code{true: health.DenialUnproven, false: health.TLSATooMany}[i%4 == 0]
			k.findings = []health.Finding{{Code: code, Severity: code.Severity(), Message: owner}}
		}
		all = append(all, k)
	}
	keeps := func(order []keptOwner) []string {
		var r rotation
		for chunk := range slices.Chunk(order, checkedOwners) {
			r.note(chunk)
		}
		var out []string
		for _, k := range r.kept {
			out = append(out, k.owner)
		}
		return out
	}
	got := keeps(all)
	critical, well := 0, 0
	for i, k := range all {
		if kept := slices.Contains(got, k.owner); kept && i%4 == 0 {
			critical++
		} else if kept && i%2 == 1 && i >= n-2*soonest {
			well++
		}
	}
	if critical != (n+3)/4 || well != soonest || len(got) != health.MaxFindings+soonest {
		t.Errorf("kept are %d, of those %d where something critical is wrong, and %d whose signatures run out first: %v", len(got), critical, well, got)
	}
	slices.Reverse(all)
	if other := keeps(all); !slices.Equal(other, got) {
		t.Errorf("in another order are kept %v, want %v", other, got)
	}
}

// TestWhatWasFoundStands: a look that does not cover an owner says nothing of it.
func TestWhatWasFoundStands(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(n int) netip.AddrPort { return netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:53", n)) }
	servers := []seen{
		{health: ServerHealth{Server: Server{Addr: at(1)}}, asked: health.Server{Label: "ns1"}},
		{health: ServerHealth{Server: Server{Addr: at(2)}}, asked: health.Server{Label: "ns2", Hidden: true}},
	}
	finding := func(server string) health.Finding {
		return health.Finding{Code: health.TLSATooMany, Severity: health.Warning, Server: server, Message: "too many"}
	}
	var r rotation
	owners := mxOwners(3)
	r.swept(owners, now)
	r.note([]keptOwner{
		{owner: owners[0], at: now, findings: []health.Finding{finding("ns1"), finding("gone")}, expire: map[netip.AddrPort]time.Time{at(1): now.Add(5 * time.Hour), at(2): now.Add(2 * time.Hour)}, first: now.Add(2 * time.Hour)},
		{owner: owners[1], at: now.Add(time.Minute), expire: map[netip.AddrPort]time.Time{at(1): now.Add(4 * time.Hour)}, first: now.Add(4 * time.Hour)},
		{owner: owners[2], at: now.Add(time.Minute)},
	})
	report := func(own ...health.Finding) health.Report {
		out := health.Report{Findings: own, Expire: []time.Time{now.Add(9 * time.Hour), {}}, SignaturesExpire: now.Add(9 * time.Hour)}
		r.complete(&out, servers)
		return out
	}
	got := report()
	if !slices.Equal(got.Findings, []health.Finding{finding("ns1")}) {
		t.Errorf("findings %v", got.Findings)
	}
	if want := []time.Time{now.Add(4 * time.Hour), now.Add(2 * time.Hour)}; !slices.Equal(got.Expire, want) || !got.SignaturesExpire.Equal(want[0]) {
		t.Errorf("signatures expire at %v, and in all at %v; want %v, and no word of a server that nobody asks", got.Expire, got.SignaturesExpire, want)
	}
	if got := report(finding("")).Findings; !slices.Equal(got, []health.Finding{finding("")}) {
		t.Errorf("what is true of the zone is told of a server too: %v", got)
	}
	// The owner where something is wrong is looked at again before its turn, and one that is well after a while.
	r.swept(mxOwners(9), now.Add(keptFor))
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, owners[0]}, {keptFor, owners[0]}} {
		if got := r.next(testZone, now.Add(c.after)); got[0] != c.want {
			t.Errorf("after %s a look covers %v", c.after, got)
		}
	}
	r.note([]keptOwner{{owner: owners[0], at: now.Add(time.Hour)}})
	if got := report().Findings; len(got) > 0 {
		t.Errorf("what was mended is told: %v", got)
	}
}

// TestFindingsOfOwnersInTurn: with more owners than one look covers, what is wrong at one of them is found, stands in
// every look from then on, also in one that nobody answers, and goes when it is mended.
func TestFindingsOfOwnersInTurn(t *testing.T) {
	s := newFakeServer(t)
	owners := mxOwners(3 * checkedOwners)
	sick := owners[len(owners)-2]
	host := strings.TrimPrefix(sick, "_25._tcp.")
	s.rr(host + " 60 AAAA 2001:db8::1")
	s.after = func(kind uint16, sig *dns.RRSIG) {
		if kind == dns.TypeAAAA {
			sig.OrigTtl++
		}
	}
	f := s.switchable()
	s.startTCP()
	opts := quick()
	opts.QueryTimeout = 10 * time.Second
	clock := testclock.NewFakeClock(time.Now())
	opts.Clock = clock
	k := newKnowledge(t.Context(), opts.withDefaults())
	cfg := testConfig(s)
	s.keys, cfg.TSIG, cfg.Static = nil, nil, []netip.AddrPort{s.addrPort()}
	k.remembered.swept(owners, clock.Now())
	var waiting []int
	look := func() bool {
		clock.Step(5 * time.Minute)
		h := checked(t, k, cfg)
		waiting = append(waiting, h.OwnersWaiting)
		return slices.ContainsFunc(h.Findings, func(f health.Finding) bool {
			return f.Code == health.SignatureInvalid && strings.HasPrefix(f.Message, host+" AAAA")
		})
	}
	found := 0
	for i := range 9 {
		switch has := look(); {
		case has:
			found++
		case found > 0:
			t.Errorf("look %d tells it no more", i)
		}
	}
	if found < 6 || !slices.Equal(waiting[:4], []int{6, 3, 0, 0}) {
		t.Errorf("it was found in %d of nine looks; not looked at were %v owners", found, waiting)
	}
	f.become(toQueries(reset))
	if !look() {
		t.Error("when nobody answers it is told no more")
	}
	f.become(toQueries(behave))
	s.mu.Lock()
	s.after = nil
	s.mu.Unlock()
	if look() {
		t.Error("what was mended is told")
	}
}
