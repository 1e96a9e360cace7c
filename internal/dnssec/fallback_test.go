package dnssec

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/crowd"
)

// resolverAt is a recursive server that knows what all servers of the world say.
const resolverAt = "198.51.100.53"

func (w *world) resolver() {
	w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, nil, mxA))
	for key, m := range w.answers {
		if _, rest, _ := strings.Cut(key, " "); !strings.HasSuffix(rest, " ANY") {
			w.answers[resolverAt+" "+rest] = m
		}
	}
}

// bare takes the signatures of a server's DNSKEY answer for the root away.
func (w *world) bare(server string) {
	w.give(server, ".", dns.TypeDNSKEY, &dns.Msg{Answer: []dns.RR{w.root.key}})
}

func (w *world) silence(server string) {
	for key := range w.answers {
		if strings.HasPrefix(key, server+" ") {
			delete(w.answers, key)
		}
	}
}

// TestFallback: the system's resolver is asked where no root server gives signed answers, and there alone.
func TestFallback(t *testing.T) {
	for _, c := range []struct {
		reason  string
		spoil   func(*world)
		state   State
		because Reason
		says    []string
		// resolver says that it was asked.
		resolver bool
	}{
		{"root servers answer", func(*world) {}, Secure, "", nil, false},
		{"none does", func(w *world) { w.silence(rootServer) }, Secure, "", nil, true},
		{"somebody answers in their place", func(w *world) { w.bare(rootServer) }, Secure, "", nil, true},
		{"and drops signatures everywhere", func(w *world) { w.bare(rootServer); w.bare(resolverAt) }, Bogus, NoSignature,
			[]string{"zone .: server 198.51.100.53:53: . DNSKEY", "no root server can be", "intercepts DNS (port 53)"}, true},
		{"nobody answers at all", func(w *world) { w.silence(rootServer); w.silence(resolverAt) }, Indeterminate, Unreachable,
			[]string{"server 198.51.100.53:53", "server 192.0.2.1:53: . DNSKEY: no answer"}, true},
	} {
		w := newWorld(t)
		w.resolver()
		c.spoil(w)
		r := w.validator(func(c *Config) { c.Fallback = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")} }).
			Lookup(t.Context(), "mx.example.test.", dns.TypeA)
		w.is(r, c.state, c.because, c.says...)
		if asked := w.asks(); strings.Contains(asked, resolverAt) != c.resolver {
			t.Errorf("%s: asked %s", c.reason, asked)
		}
		if r.Cause != nil && strings.Count(r.Cause.Error(), "no root server can be") != 1 {
			t.Errorf("%s: it says it more than once: %v", c.reason, r.Cause)
		}
	}
}

// TestFallbackEnds: the root servers are tried again after a while.
func TestFallbackEnds(t *testing.T) {
	w := newWorld(t)
	w.resolver()
	whole := w.answers[rootServer+" . DNSKEY"]
	w.bare(rootServer)
	v := w.validator(func(c *Config) { c.Fallback = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")} })
	for _, s := range []struct {
		after    time.Duration
		resolver bool
	}{{0, true}, {4 * time.Minute, true}, {2 * time.Minute, false}} {
		w.now = w.now.Add(s.after)
		w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
		if asked := w.asks(); strings.Contains(asked, resolverAt) != s.resolver {
			t.Errorf("after %s it asked %s", s.after, asked)
		}
		w.give(rootServer, ".", dns.TypeDNSKEY, whole)
	}
}

// TestFoundForwarders: resolvers that are known by name are found for each message.
func TestFoundForwarders(t *testing.T) {
	w := newWorld(t)
	w.resolver()
	var found []netip.AddrPort
	var problem error
	v := w.validator(func(c *Config) {
		c.Stubs = nil
		c.FindForwarders = func(context.Context) ([]netip.AddrPort, error) { return found, problem }
	})
	lookup := func() Result { return v.Lookup(t.Context(), "mx.example.test.", dns.TypeA) }
	w.is(lookup(), Indeterminate, Unreachable, "no resolver is known")
	problem = errors.New("the name has no address")
	w.is(lookup(), Indeterminate, Unreachable, "the name has no address")
	found, problem = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}, nil
	w.is(lookup(), Secure, "")
}

// TestLookupDS: what a referral said of DS records, and what followed from them, is not taken for what the
// parent has now.
func TestLookupDS(t *testing.T) {
	w := newWorld(t)
	w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, nil, mxA))
	v := w.validator()
	w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
	w.asks()
	w.give(testServer, "example.test.", dns.TypeDS, w.denied(w.test, 0, "example.test. 60 NSEC test. NS RRSIG NSEC"))
	if r := v.Lookup(t.Context(), "example.test.", dns.TypeDS); r.Kind != Data || w.asks() != "" {
		t.Errorf("without need it asked again: %+v", r)
	}
	r := v.LookupDS(t.Context(), "Example.test")
	if r.State != Secure || r.Kind != NoData || r.Zone != "test." || w.asks() != "192.0.2.2 example.test. DS" {
		t.Errorf("%+v", r)
	}
	// Nor are the keys that it was found to have before: a removal is seen at once.
	if z := v.ZoneKeys(t.Context(), "example.test."); z.State != Insecure || z.Cause.Reason != UnsignedDelegation {
		t.Errorf("after the parent has dropped its DS records the zone is %s: %v", z.State, z.Cause)
	}
}

// unreachable is a transport that reaches nobody, and keeps all who try until as many are there as may be at once.
type unreachable struct{ *crowd.Crowd }

func (u unreachable) Exchange(ctx context.Context, _ netip.AddrPort, _ *dns.Msg) (*dns.Msg, error) {
	u.Join(ctx)
	return nil, errors.New("no route to host")
}

// TestQuestionsTakeTurns: not everybody who asks at once is on the way at once, and who must go does not wait.
func TestQuestionsTakeTurns(t *testing.T) {
	c := unreachable{crowd.New(maxTurns)}
	v := newWorld(t).validator(func(config *Config) { config.Transport = c })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	for i := range 4 * maxTurns {
		wg.Go(func() { v.LookupDS(t.Context(), fmt.Sprintf("zone%d.test.", i)) })
	}
	wg.Wait()
	if n := c.Most(); n != maxTurns {
		t.Errorf("%d questions were on the way at once, want %d", n, maxTurns)
	}
	for range maxTurns {
		v.turns <- struct{}{}
	}
	if r := v.Lookup(gone, "a.test.", dns.TypeA); r.State != Indeterminate {
		t.Errorf("who had to go got %+v", r)
	}
}

// slowly keeps the first message back for so long.
type slowly struct {
	Transport
	by   time.Duration
	once sync.Once
}

func (s *slowly) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	s.once.Do(func() {
		select {
		case <-time.After(s.by):
		case <-ctx.Done():
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Transport.Exchange(ctx, server, q)
}

// TestTurnsAndTime: the wait for a turn costs a question none of its time, and both end.
func TestTurnsAndTime(t *testing.T) {
	for _, c := range []struct {
		reason string
		// free is when a turn is free; answered after so long from then.
		free, answered time.Duration
		ends           time.Duration
		want           Reason
	}{
		{"it waits long, and is answered slowly", maxWait - time.Second, maxTime - time.Second, maxWait + maxTime - 2*time.Second, ""},
		{"nobody answers", maxWait - time.Second, time.Hour, maxWait + maxTime - time.Second, Unreachable},
		{"there is no turn", time.Hour, 0, maxWait, Busy},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			slow := &slowly{Transport: w, by: c.answered}
			v := w.validator(func(config *Config) { config.Transport = slow })
			for range maxTurns {
				v.turns <- struct{}{}
			}
			time.AfterFunc(c.free, func() { <-v.turns })
			begun := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := v.Lookup(ctx, "example.test.", dns.TypeDS)
			if took := time.Since(begun); took != c.ends {
				t.Errorf("%s: it took %s, want %s", c.reason, took, c.ends)
			}
			if c.want != "" && (r.State != Indeterminate || r.Cause == nil || r.Cause.Reason != c.want) {
				t.Errorf("%s: %s, %v", c.reason, r.State, r.Cause)
			}
			if n := len(v.turns); n != maxTurns-map[bool]int{true: 1}[c.want != Busy] {
				t.Errorf("%s: %d turns are taken", c.reason, n)
			}
		})
	}
}

func TestChoiceOfAnchors(t *testing.T) {
	of := func(names ...string) []Anchor {
		var out []Anchor
		for _, name := range names {
			out = append(out, &dns.DS{Hdr: dns.RR_Header{Name: name}})
		}
		return out
	}
	owners := func(anchors []Anchor) string {
		var out []string
		for _, ds := range anchors {
			out = append(out, ds.Hdr.Name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ reason, got, want string }{
		{"the deepest above a name", owners(AnchorsAbove("Mx.example.test", of(".", "test.", "test.", "other."))), "test. test."},
		{"the name itself", owners(AnchorsAbove("test.", of("test.", "."))), "test."},
		{"none above", owners(AnchorsAbove("example.", of("test.", "ample."))), ""},
		{"what a zone names goes before all at and below it", owners(MergeAnchors(of("test."), of(".", "test.", "a.test.", "other."))), "test. . other."},
		{"a root of one's own leaves nothing else", owners(MergeAnchors(of("."), of("test.", "."))), "."},
		{"nothing named", owners(MergeAnchors(nil, of("test.", "."))), "test. ."},
		{"the public root is added", owners(WithRoot(of("test."))), "test. . ."},
		{"but not to a root of one's own", owners(WithRoot(of(".", "test."))), ". test."},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, c.got, c.want)
		}
	}
}

// TestKeysUnder says that it was the parent who gave the DS records.
func TestKeysUnder(t *testing.T) {
	z, other := newZone(t, "example.test."), newZone(t, "example.test.")
	set := []dns.RR{z.key}
	sigs := []*dns.RRSIG{z.sign(set)}
	if k, err := NewCache().KeysUnder(z.name, set, sigs, []Anchor{z.anchor()}, at); err != nil || k.Zone() != z.name {
		t.Errorf("%v", err)
	}
	_, err := NewCache().KeysUnder(z.name, set, sigs, []Anchor{other.anchor()}, at)
	if err == nil || !strings.Contains(err.Error(), "DS record at its parent") {
		t.Errorf("%v", err)
	}
}

// gate is a world whose root server answers nothing before it opens.
type gate struct {
	*world
	open chan struct{}
	// tried is sent to for each try.
	tried chan struct{}
}

func (g *gate) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	if server.Addr().String() == rootServer {
		g.tried <- struct{}{}
		select {
		case <-g.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.world.Exchange(ctx, server, q)
}

// TestOneProbeForAll: all wait for one probe of the root servers, each for as long as it may, the first included.
func TestOneProbeForAll(t *testing.T) { synctest.Test(t, oneProbeForAll) }

func oneProbeForAll(t *testing.T) {
	g := &gate{world: newWorld(t), open: make(chan struct{}), tried: make(chan struct{}, 100)}
	g.resolver()
	v := g.validator(func(c *Config) {
		c.Fallback, c.Transport = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}, g
	})
	lookup := func(ctx context.Context) chan Result {
		out := make(chan Result, 1)
		go func() { out <- v.Lookup(ctx, "mx.example.test.", dns.TypeA) }()
		synctest.Wait()
		return out
	}
	first, leave := context.WithCancel(t.Context())
	leader := lookup(first)
	short, cancel := context.WithCancel(t.Context())
	guest, waiter := lookup(short), lookup(t.Context())
	if n := len(g.tried); n != 1 {
		t.Errorf("the root server was tried %d times for three who wait", n)
	}
	// Nobody opens the gate: who leaves comes back all the same, and the first does not take the probe along.
	cancel()
	leave()
	synctest.Wait()
	for who, result := range map[string]chan Result{"the first": leader, "another": guest} {
		if len(result) == 0 {
			t.Fatalf("%s waits on although its context has ended", who)
		}
		if r := <-result; r.State != Indeterminate || !strings.Contains(r.Cause.Error(), "broken off") {
			t.Errorf("%s got %s (%v)", who, r.State, r.Cause)
		}
	}
	close(g.open)
	g.is(<-waiter, Secure, "")
	g.is(<-lookup(t.Context()), Secure, "")
	if n := strings.Count(g.asks(), rootServer+" . DNSKEY"); n != 2 {
		t.Errorf("the root's keys were asked for %d times, want once by the probe and once for the chain", n)
	}
}

// TestAProbeEnds: a root server that never answers is given up, and the resolver asked.
func TestAProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{world: newWorld(t), open: make(chan struct{}), tried: make(chan struct{}, 100)}
		g.resolver()
		v := g.validator(func(c *Config) {
			c.Fallback, c.Transport = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}, g
		})
		g.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
		g.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
		if n := len(g.tried); n != 1 {
			t.Errorf("the root server was tried %d times", n)
		}
	})
}

// panicking is a transport with a fault that answers of one server bring about.
type panicking struct {
	Transport
	server string
	off    bool
}

func (p *panicking) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	if !p.off && server.Addr().String() == p.server {
		panic("a fault that what the server sent brings about")
	}
	return p.Transport.Exchange(ctx, server, q)
}

// TestFallbackPanic: a fault comes out where somebody asks, who can deal with it, and not on a goroutine of its own,
// which would end the process; and it is tried again.
func TestFallbackPanic(t *testing.T) {
	w := newWorld(t)
	w.resolver()
	sick := &panicking{server: rootServer}
	v := w.validator(func(c *Config) {
		c.Fallback = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}
		sick.Transport, c.Transport = c.Transport, sick
	})
	for range 2*maxTurns + 1 { // more than could leave a turn behind
		problem := Panicked(func() { v.Lookup(t.Context(), "mx.example.test.", dns.TypeA) })
		if !strings.Contains(fmt.Sprint(problem), "what the server sent") || !strings.Contains(fmt.Sprint(problem), "fallback_test.go") {
			t.Fatalf("it panicked with %v", problem)
		}
	}
	sick.off = true
	w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
}
