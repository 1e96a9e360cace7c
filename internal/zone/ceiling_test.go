package zone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// grants notes who was let through when, by a clock that stands still unless it is told.
type grants struct {
	t     *testing.T
	clock *clocktesting.FakeClock
	start time.Time
	mu    sync.Mutex
	list  []grant
}

type grant struct {
	who string
	n   int
	at  time.Duration
}

func newGrants(t *testing.T) *grants {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &grants{t: t, clock: clocktesting.NewFakeClock(start), start: start}
}

// request waits for a turn beside the test, and has begun to wait when it returns.
func (g *grants) request(ctx context.Context, turn *turn, who string, n int) {
	g.t.Helper()
	before := waitingAt(turn)
	go func() {
		if turn.wait(ctx, n) != nil {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.list = append(g.list, grant{who, n, g.clock.Since(g.start)})
	}()
	g.until(func() bool { return waitingAt(turn) > before || g.has(who) })
}

func (g *grants) has(who string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.list, func(one grant) bool { return one.who == who })
}

func (g *grants) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.list)
}

func (g *grants) until(ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			g.t.Fatal("nothing happens")
		}
	}
}

// waitingAt counts the requests that wait where a turn leads.
func waitingAt(t *turn) int {
	t.ceiling.mu.Lock()
	defer t.ceiling.mu.Unlock()
	l, n := t.ceiling.lane(t.address), 0
	for _, of := range []*line{&l.soon, &l.later} {
		for _, waiting := range of.waiting {
			n += len(waiting)
		}
	}
	return n
}

// drain moves the clock from one timer to the next until so many were let through.
func (g *grants) drain(n int, turn *turn) {
	g.t.Helper()
	for g.count() < n {
		left := waitingAt(turn)
		g.until(func() bool { return g.clock.HasWaiters() })
		g.clock.Step(time.Millisecond)
		g.until(func() bool {
			return g.count()+waitingAt(turn) >= n && (waitingAt(turn) < left || g.clock.HasWaiters()) || g.count() == n
		})
	}
}

func (g *grants) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, one := range g.list {
		out = append(out, one.who)
	}
	return out
}

func turnOf(c *Ceiling, zone string, later bool) *turn {
	return &turn{ceiling: c, address: "192.0.2.1:53", zone: zone, later: later}
}

func TestNoSecondAsksMoreThanItsShare(t *testing.T) {
	for _, c := range []struct {
		// each request is of so many queries; 0 for a whole portion.
		perSecond, each, requests int
	}{{1, 0, 5}, {7, 0, 25}, {50, 0, 25}, {500, 0, 25}, {50, 1, 120}} {
		g := newGrants(t)
		ceiling := NewCeiling(c.perSecond, g.clock)
		turn := turnOf(ceiling, "a.", false)
		n := turn.portion(1000)
		if c.each > 0 {
			n = c.each
		}
		for i := range c.requests {
			g.request(t.Context(), turn, fmt.Sprint(i), n)
		}
		g.drain(c.requests, turn)
		for _, from := range g.list {
			sum := 0
			for _, one := range g.list {
				if one.at >= from.at && one.at < from.at+time.Second {
					sum += one.n
				}
			}
			if sum > c.perSecond {
				t.Errorf("%+v: %d queries in the second from %s", c, sum, from.at)
			}
		}
		// Not slower than it must be either: half of the share at the least.
		least := time.Duration(float64(c.requests*n)/float64(c.perSecond)*2*float64(time.Second)) + time.Second
		if last := g.list[len(g.list)-1].at; last > least {
			t.Errorf("%+v: all took %s", c, last)
		}
	}
}

func TestOrderUnderACeiling(t *testing.T) {
	type wish struct {
		who, zone string
		later     bool
	}
	cases := []struct {
		reason string
		wishes []wish
		want   []string
	}{
		{"first come, first served, within a zone", []wish{{"1", "a.", false}, {"2", "a.", false}, {"3", "a.", false}}, []string{"1", "2", "3"}},
		{"zones take turns: a large one does not hold up a small one",
			[]wish{{"a1", "a.", true}, {"a2", "a.", true}, {"a3", "a.", true}, {"b1", "b.", true}}, []string{"a1", "b1", "a2", "a3"}},
		{"what is waited for goes before what is not, whoever came first",
			[]wish{{"idle1", "a.", true}, {"idle2", "b.", true}, {"urgent", "a.", false}}, []string{"urgent", "idle1", "idle2"}},
	}
	for _, c := range cases {
		g := newGrants(t)
		ceiling := NewCeiling(10, g.clock)
		// One query is the whole portion: the next waits.
		if !turnOf(ceiling, "z.", false).take(1) {
			t.Fatal("the first has to wait")
		}
		for _, w := range c.wishes {
			g.request(t.Context(), turnOf(ceiling, w.zone, w.later), w.who, 1)
		}
		if g.count() != 0 {
			t.Fatalf("%s: %v did not wait", c.reason, g.names())
		}
		g.drain(len(c.wishes), turnOf(ceiling, "z.", false))
		if got := g.names(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.reason, got, c.want)
		}
	}
}

func TestServersHaveCeilingsOfTheirOwn(t *testing.T) {
	g := newGrants(t)
	c := NewCeiling(10, g.clock)
	for _, address := range []string{"192.0.2.1:53", "192.0.2.2:53", "[2001:db8::1]:53"} {
		turn := &turn{ceiling: c, address: address, zone: "a."}
		if !turn.take(1) || turn.take(1) {
			t.Errorf("%s does not have its own share", address)
		}
	}
}

// What validates takes turns at a server with the zones, in whichever notation it names it.
func TestValidationHasTurnsToo(t *testing.T) {
	g := newGrants(t)
	c := NewCeiling(10, g.clock)
	for _, server := range []string{"192.0.2.1:53", "[::ffff:192.0.2.1]:53"} {
		turn := &turn{ceiling: c, address: "192.0.2.1:53", zone: "a."}
		if !turn.take(1) {
			t.Fatal("the first has to wait")
		}
		through := make(chan error, 1)
		go func() { through <- c.Wait(t.Context(), netip.MustParseAddrPort(server)) }()
		g.until(func() bool { return waitingAt(turn) == 1 })
		g.request(t.Context(), turn, server, 1)
		if len(through) > 0 || turn.take(1) {
			t.Errorf("%s: it did not wait", server)
		}
		for len(through) == 0 || !g.has(server) {
			g.clock.Step(time.Millisecond)
			time.Sleep(50 * time.Microsecond)
		}
		g.clock.Step(time.Second)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	turnOf(c, "a.", false).take(1)
	if err := c.Wait(gone, netip.MustParseAddrPort("192.0.2.1:53")); !errors.Is(err, context.Canceled) {
		t.Errorf("who had to go: %v", err)
	}
	if err := (*Ceiling)(nil).Wait(gone, netip.MustParseAddrPort("192.0.2.1:53")); err != nil {
		t.Errorf("without a ceiling: %v", err)
	}
}

// Who gives up is passed over and costs nothing.
func TestGivingUpATurn(t *testing.T) {
	g := newGrants(t)
	c := NewCeiling(10, g.clock)
	turn := turnOf(c, "a.", false)
	turn.take(1)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- turn.wait(ctx, 1) }()
	g.until(func() bool { return waitingAt(turn) == 1 })
	g.request(t.Context(), turn, "stays", 1)
	cancel()
	if err := wait(t, gone); err == nil {
		t.Error("it was let through")
	}
	g.drain(1, turn)
	if at := g.list[0].at; at > 120*time.Millisecond {
		t.Errorf("the next was let through after %s: the one that was gone had a share", at)
	}
}

// A sweep under a ceiling asks in portions, on connections that it does not keep while it waits, and all of
// its answers are there in the end. What somebody waits for overtakes it.
func TestSweepUnderACeiling(t *testing.T) {
	s := newFakeServer(t).startTCP()
	fake := clocktesting.NewFakeClock(time.Now())
	opts := quick()
	opts.Ceiling = NewCeiling(100, fake)
	a := startActor(t, testConfig(s), opts)
	const owners = 35
	later, soon := make(chan Sweep, owners), make(chan Sweep, 1)
	for i := range owners {
		a.SweepLater(ownerName(i), func(s Sweep) { later <- s })
	}
	g := &grants{t: t, clock: fake}
	g.until(fake.HasWaiters)
	a.Sweep(ownerName(owners), func(s Sweep) { soon <- s })
	turn := &turn{ceiling: opts.Ceiling, address: s.addr}
	g.until(func() bool { return waitingAt(turn) == 2 })
	for len(soon) == 0 {
		fake.Step(time.Millisecond)
		time.Sleep(50 * time.Microsecond)
	}
	if len(later) == owners {
		t.Error("what nobody waits for was answered first")
	}
	for len(later) < owners {
		fake.Step(time.Millisecond)
		time.Sleep(50 * time.Microsecond)
	}
	for range owners {
		if got := wait(t, later); !got.Answers[0].Reachable || !got.Answers[0].Signed {
			t.Fatalf("got %+v", got.Answers[0])
		}
	}
	if n := s.accepted.Load(); n < 4 {
		t.Errorf("%d connections for five portions", n)
	}
}
