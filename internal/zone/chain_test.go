package zone

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// fakeResolver says what it is told to.
type fakeResolver struct {
	lookup func(name string, qtype uint16) dnssec.Result
	keys   func(zone string) dnssec.ZoneState
	// ds is what it says of DS records; gate, when set, is received from before each answer.
	mu    sync.Mutex
	ds    dnssec.Result
	asked int
	gate  chan struct{}
}

func (r *fakeResolver) Lookup(_ context.Context, name string, qtype uint16) dnssec.Result {
	return r.lookup(name, qtype)
}

func (r *fakeResolver) LookupDS(ctx context.Context, _ string) dnssec.Result {
	r.mu.Lock()
	r.asked++
	out, gate := r.ds, r.gate
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return dnssec.Result{State: dnssec.Indeterminate, Cause: &dnssec.Error{Reason: dnssec.Unreachable, Detail: ctx.Err().Error()}}
		}
	}
	return out
}

func (r *fakeResolver) ZoneKeys(_ context.Context, zone string) dnssec.ZoneState { return r.keys(zone) }

func (r *fakeResolver) becomes(ds dnssec.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ds = ds
}

func (r *fakeResolver) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func resolving(r Resolver) func([]dnssec.Anchor) Resolver {
	return func([]dnssec.Anchor) Resolver { return r }
}

func rootAnchor() *dns.DS { return dnssec.RootAnchors()[0] }

// What a validator may say of the DS records of example.test.
func foundDS(ttl time.Duration, ds ...dns.RR) dnssec.Result {
	return dnssec.Result{State: dnssec.Secure, Kind: dnssec.Data, RRs: ds, TTL: ttl, SignedTTL: ttl, Zone: "test."}
}

func failedDS(reason dnssec.Reason, zone, subject string) dnssec.Result {
	cause := &dnssec.Error{Reason: reason, Zone: zone, Server: "192.0.2.1:53", Subject: subject, Detail: "so it is"}
	return dnssec.Result{State: cause.State(), Cause: cause, TTL: time.Minute}
}

var noAnswerDS = failedDS(dnssec.Unreachable, "test.", "example.test. DS")

// TestEnter: what is made of what a validator says, whom it blames and what it advises.
func TestEnter(t *testing.T) {
	absent := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData, Zone: "test.", TTL: time.Minute}
	halfKept := foundDS(24*time.Hour, rootAnchor())
	halfKept.TTL = time.Hour
	alias := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData, Final: "other.", Hops: []dnssec.Hop{{Target: "other.", State: dnssec.Secure}}}
	keysSay := func(reason dnssec.Reason, zone, subject string) func(string) dnssec.ZoneState {
		return func(string) dnssec.ZoneState {
			return dnssec.ZoneState{Cause: &dnssec.Error{Reason: reason, Zone: zone, Subject: subject, Detail: "so it is"}}
		}
	}
	for _, c := range []struct {
		reason string
		ds     dnssec.Result
		keys   func(string) dnssec.ZoneState
		state  dnssec.State
		says   []string
		not    string
	}{
		{"DS records", foundDS(time.Hour, rootAnchor()), nil, dnssec.Secure, nil, ""},
		{"DS records that a resolver has kept for a while", halfKept, nil, dnssec.Secure, nil, ""},
		{"its parent has none", absent, keysSay(dnssec.UnsignedDelegation, testZone, "example.test. DS"), dnssec.Insecure,
			[]string{"zone example.test.", "hand its DS records"}, "further up"},
		{"a zone above has none", failedDS(dnssec.UnsignedDelegation, "test.", "test. DS"), nil, dnssec.Insecure,
			[]string{"zone test.: server 192.0.2.1:53: test. DS", "example.test. is insecure too", "whoever runs test. has to sign it"}, ""},
		{"opt-out", failedDS(dnssec.OptOut, "test.", "example.test. DS (denial)"), nil, dnssec.Insecure, []string{"hand its DS records"}, ""},
		{"algorithms that nobody knows above", failedDS(dnssec.Unsupported, "test.", "test. DNSKEY"), nil, dnssec.Insecure, []string{"counts as unsigned"}, "hand its DS"},
		{"the parent is broken", failedDS(dnssec.Expired, "test.", "example.test. DS"), nil, dnssec.Bogus,
			[]string{"zone test.: server 192.0.2.1:53: example.test. DS: so it is", "the fault is in the zone test., above example.test."}, ""},
		{"the root is broken", failedDS(dnssec.Expired, ".", "test. DS"), nil, dnssec.Bogus, []string{"the fault is in the zone ., above example.test."}, ""},
		{"nobody answers", noAnswerDS, nil, dnssec.Indeterminate, []string{"server 192.0.2.1:53", "port 53", "--resolvers"}, "fault"},
		{"somebody intercepts", failedDS(dnssec.NoSignature, ".", ". DNSKEY"), nil, dnssec.Indeterminate,
			[]string{"without signatures", "intercepts DNS (port 53)", "--resolvers", "--trust-anchors", "192.0.2.1:53"}, "fault"},
		{"somebody drops all that he does not know", failedDS(dnssec.NoKeys, ".", ". DNSKEY"), nil, dnssec.Indeterminate, []string{"intercepts DNS (port 53)"}, ""},
		{"an unsigned denial is no interception", failedDS(dnssec.NoSignature, ".", "test. DS (denial)"), nil, dnssec.Bogus, []string{"the fault is in the zone ."}, "intercepts"},
		{"no such zone", absent, keysSay(dnssec.NoZone, "", testZone), dnssec.Indeterminate, []string{"is not delegated", "spec.dnssec.trustAnchors"}, "fault"},
		{"an alias in its place", alias, nil, dnssec.Indeterminate, []string{"alias of other.", "is not delegated"}, ""},
		{"servers of the parent that differ: one proves that there are none", absent, func(string) dnssec.ZoneState { return dnssec.ZoneState{State: dnssec.Secure} }, dnssec.Insecure, []string{"its servers differ"}, ""},
	} {
		t.Run(c.reason, func(t *testing.T) {
			e, _ := enter(t.Context(), testZone, &fakeResolver{ds: c.ds, keys: c.keys})
			if e.err == nil {
				if c.state != dnssec.Secure || len(e.ds) != 1 || e.parent != "test." || e.ttl != c.ds.SignedTTL {
					t.Errorf("got %+v, want %s", e, c.state)
				}
				return
			}
			if e.err.State() != c.state || len(e.ds) > 0 {
				t.Errorf("got %s, want %s", e.err.State(), c.state)
			}
			for _, part := range c.says {
				if !strings.Contains(e.err.Error(), part) {
					t.Errorf("%q does not say %q", e.err, part)
				}
			}
			if c.not != "" && strings.Contains(e.err.Error(), c.not) {
				t.Errorf("%q says %q", e.err, c.not)
			}
		})
	}
}

// interceptor answers every question as a box on the way does that knows nothing of DNSSEC.
type interceptor struct{ rcode int }

func (i interceptor) Exchange(_ context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	return new(dns.Msg).SetRcode(q, i.rcode), nil
}

// TestInterception: where something answers in place of the root servers, and of the system's resolver, no zone is
// blamed for it.
func TestInterception(t *testing.T) {
	for _, c := range []struct {
		reason   string
		rcode    int
		fallback bool
		says     string
	}{
		{"a box that knows no name", dns.RcodeNameError, false, "answers of the root servers, or of the resolver asked in their place, come without signatures"},
		{"a box that knows no data", dns.RcodeSuccess, false, "answers of the root servers, or of the resolver asked in their place, come without signatures"},
		{"and the system's resolver is one too", dns.RcodeNameError, true, "intercepts DNS (port 53)"},
		{"a box that refuses", dns.RcodeRefused, true, "it answers REFUSED"},
	} {
		config := dnssec.Config{
			Anchors: dnssec.RootAnchors(), Transport: interceptor{c.rcode}, Now: time.Now,
			Stubs: map[string][]netip.AddrPort{".": dnssec.RootServers()},
		}
		if c.fallback {
			config.Fallback = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.53:53")}
		}
		v, err := dnssec.New(config)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := enter(t.Context(), testZone, v)
		if e.err == nil || e.err.State() != dnssec.Indeterminate || !strings.Contains(e.err.Error(), c.says) || !strings.Contains(e.err.Error(), "--resolvers") {
			t.Errorf("%s: %+v", c.reason, e.err)
		}
		if again, _ := enter(t.Context(), testZone, v); e.err != nil && again.err.Error() != e.err.Error() {
			t.Errorf("%s: the message changes from %q to %q", c.reason, e.err, again.err)
		}
	}
}

// chainBed is a chain with a clock of its own.
type chainBed struct {
	*testing.T
	clock *testclock.FakeClock
	r     *fakeResolver
	c     *chain
	cfg   Config
}

func newChainBed(t *testing.T, ds dnssec.Result) *chainBed {
	b := &chainBed{T: t, clock: testclock.NewFakeClock(time.Unix(1e9, 0)), r: &fakeResolver{ds: ds}}
	b.c = &chain{clock: b.clock, ctx: t.Context()}
	b.cfg = Config{Zone: testZone, Anchors: []*dns.DS{rootAnchor()}}
	return b
}

// state asks, and waits until nothing is under way any more.
func (b *chainBed) state() dnssec.State {
	e := b.c.entry(b.Context(), b.cfg, b.r)
	b.c.mu.Lock()
	f := b.c.flight
	b.c.mu.Unlock()
	if f != nil {
		<-f.done
	}
	if e.err != nil {
		return e.err.State()
	}
	return dnssec.Secure
}

// TestChainKeeps: how long what was found counts.
func TestChainKeeps(t *testing.T) {
	type step struct {
		after  time.Duration
		says   *dnssec.Result
		forget bool
		state  dnssec.State
		// asks is how often was asked so far.
		asks int
	}
	long, short := foundDS(24*time.Hour, rootAnchor()), foundDS(40*time.Second, rootAnchor())
	expired := failedDS(dnssec.Expired, "test.", "example.test. DS")
	unsigned := failedDS(dnssec.UnsignedDelegation, testZone, "example.test. DS")
	unsigned.TTL = 24 * time.Hour
	gone := dnssec.Result{State: dnssec.Secure, Kind: dnssec.NoData, Final: "other.", Hops: []dnssec.Hop{{Target: "other.", State: dnssec.Secure}}}
	for _, c := range []struct {
		reason string
		first  dnssec.Result
		steps  []step
	}{
		{"a quarter of an hour at the most, and looked up before that beside", long, []step{
			{0, nil, false, dnssec.Secure, 1}, {9 * time.Minute, nil, false, dnssec.Secure, 1}, {time.Minute, nil, false, dnssec.Secure, 2}, {time.Minute, nil, false, dnssec.Secure, 2}}},
		{"the TTL", short, []step{{0, nil, false, dnssec.Secure, 1}, {19 * time.Second, nil, false, dnssec.Secure, 1}, {2 * time.Second, nil, false, dnssec.Secure, 2}}},
		{"what is too old is waited for", long, []step{{0, nil, false, dnssec.Secure, 1}, {time.Hour, &expired, false, dnssec.Bogus, 2}}},
		{"what was found beside counts from then on", long, []step{
			{0, nil, false, dnssec.Secure, 1}, {11 * time.Minute, &expired, false, dnssec.Secure, 2}, {0, nil, false, dnssec.Bogus, 2}}},
		{"a failure is not looked up at once again", expired, []step{
			{0, nil, false, dnssec.Bogus, 1}, {29 * time.Second, nil, false, dnssec.Bogus, 1}, {2 * time.Second, &long, false, dnssec.Bogus, 2}, {0, nil, false, dnssec.Secure, 2}}},
		{"insecure counts as long as its proof, and no longer than others", unsigned, []step{
			{0, nil, false, dnssec.Insecure, 1}, {9 * time.Minute, nil, false, dnssec.Insecure, 1}, {7 * time.Minute, &long, false, dnssec.Secure, 2}}},
		{"without answers, what was secure serves for its TTL", long, []step{
			{0, nil, false, dnssec.Secure, 1}, {12 * time.Hour, &noAnswerDS, false, dnssec.Secure, 2}, {11 * time.Hour, nil, false, dnssec.Secure, 3}, {2 * time.Hour, nil, false, dnssec.Indeterminate, 4}}},
		{"and not a second longer", short, []step{
			{0, &noAnswerDS, false, dnssec.Secure, 1}, {39 * time.Second, nil, false, dnssec.Secure, 2}, {2 * time.Second, nil, false, dnssec.Indeterminate, 3}}},
		{"what contradicts it counts at once", long, []step{
			{0, nil, false, dnssec.Secure, 1}, {time.Hour, &noAnswerDS, false, dnssec.Secure, 2}, {time.Minute, &unsigned, false, dnssec.Insecure, 3}}},
		{"as does that it is not delegated any more, which somebody said", long, []step{
			{0, nil, false, dnssec.Secure, 1}, {time.Hour, &gone, false, dnssec.Indeterminate, 2}}},
		{"a check looks it up anew", long, []step{{0, nil, false, dnssec.Secure, 1}, {31 * time.Second, &expired, true, dnssec.Bogus, 2}}},
		{"but not what was looked up just now", expired, []step{{0, nil, false, dnssec.Bogus, 1}, {5 * time.Second, &long, true, dnssec.Bogus, 1}}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newChainBed(t, c.first)
			for i, s := range c.steps {
				b.clock.Step(s.after)
				if s.says != nil && i > 0 {
					b.r.becomes(*s.says)
				}
				if s.forget {
					b.c.forget()
				}
				if got := b.state(); got != s.state || b.r.asks() != s.asks {
					t.Errorf("step %d: %s after %d lookups, want %s after %d", i, got, b.r.asks(), s.state, s.asks)
				}
				if s.says != nil && i == 0 {
					b.r.becomes(*s.says)
				}
			}
		})
	}
}

// TestChainAsksOnce: all who ask at once wait for one lookup, and are not kept when they must go.
func TestChainAsksOnce(t *testing.T) {
	b := newChainBed(t, foundDS(time.Hour, rootAnchor()))
	b.r.gate = make(chan struct{})
	got := make(chan entry)
	for range 20 {
		go func() { got <- b.c.entry(t.Context(), b.cfg, b.r) }()
	}
	gone, cancel := context.WithCancel(t.Context())
	for b.r.asks() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if e := b.c.entry(gone, b.cfg, b.r); e.err == nil || e.err.State() != dnssec.Indeterminate {
		t.Errorf("who gave up got %+v", e)
	}
	close(b.r.gate)
	for range 20 {
		if e := <-got; e.err != nil {
			t.Error(e.err)
		}
	}
	if n := b.r.asks(); n != 1 {
		t.Errorf("%d lookups", n)
	}
}

// TestChainOfAnotherZone: what was found for one zone or by some anchors says nothing of others.
func TestChainOfAnotherZone(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*Config)
	}{
		{"another zone", func(c *Config) { c.Zone = "other.test." }},
		{"other anchors", func(c *Config) { c.Anchors = dnssec.RootAnchors()[1:] }},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newChainBed(t, foundDS(time.Hour, rootAnchor()))
			b.state()
			c.change(&b.cfg)
			b.r.becomes(noAnswerDS)
			if got := b.state(); got != dnssec.Indeterminate || b.r.asks() != 2 {
				t.Errorf("%s after %d lookups", got, b.r.asks())
			}
		})
	}
}

// TestSweepByTheChain: each server is judged by the DS records that the chain has led to.
func TestSweepByTheChain(t *testing.T) {
	other := newFakeServer(t).ds()
	for _, c := range []struct {
		reason string
		says   func(*fakeServer) dnssec.Result
		signed bool
		state  dnssec.State
		text   []string
	}{
		{"DS records of its key", func(s *fakeServer) dnssec.Result { return foundDS(time.Hour, s.ds()) }, true, dnssec.Secure, nil},
		{"DS records of another key", func(*fakeServer) dnssec.Result { return foundDS(time.Hour, other) }, false, dnssec.Bogus,
			[]string{"no key of the zone matches a DS record at its parent", "the parent zone test. is to blame", "status.dnssec.cds"}},
		{"insecure", func(*fakeServer) dnssec.Result { return failedDS(dnssec.UnsignedDelegation, "test.", "test. DS") }, false, dnssec.Insecure,
			[]string{"zone test.: server 192.0.2.1:53: test. DS", "insecure too"}},
		{"bogus above", func(*fakeServer) dnssec.Result { return failedDS(dnssec.Expired, ".", "test. DS") }, false, dnssec.Bogus, []string{"the fault is in the zone ."}},
		{"nobody knows", func(*fakeServer) dnssec.Result { return noAnswerDS }, false, dnssec.Indeterminate, []string{"--resolvers"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := newFakeServer(t).startTCP()
			s.set(&dns.TLSA{Hdr: header("_25._tcp.mx."+testZone, dns.TypeTLSA, 300), Usage: 3, Selector: 1, MatchingType: 1, Certificate: strings.Repeat("ab", 32)})
			cfg, opts := testConfig(s), quick()
			cfg.Anchors = []*dns.DS{rootAnchor()}
			opts.NewResolver = resolving(&fakeResolver{ds: c.says(s)})
			a := startActor(t, cfg, opts)
			sweeps, checks := make(chan Sweep, 1), make(chan Health, 1)
			a.Sweep("_25._tcp.mx."+testZone, func(s Sweep) { sweeps <- s })
			answers := wait(t, sweeps).Answers
			if len(answers) != 1 || answers[0].Signed != c.signed || len(answers[0].Records) != 1 {
				t.Fatalf("%+v", answers)
			}
			a.Check(func(h Health) { checks <- h })
			d := wait(t, checks).DNSSEC
			if (d.DSTTL == time.Hour) != (len(d.DS) > 0) {
				t.Errorf("%d DS records, kept for %s", len(d.DS), d.DSTTL)
			}
			if d.State != c.state || (len(d.DS) > 0) != (c.says(s).State == dnssec.Secure) || d.DSUnknown != (len(d.DS) == 0 && c.state != dnssec.Insecure) {
				t.Errorf("%+v", d)
			}
			for _, part := range c.text {
				if !strings.Contains(d.Message, part) || !strings.Contains(answers[0].Message, part) {
					t.Errorf("%q and %q do not both say %q", d.Message, answers[0].Message, part)
				}
			}
		})
	}
}

// TestOwnAnchorsGoFirst: where the zone has anchors of its own nobody else is asked.
func TestOwnAnchorsGoFirst(t *testing.T) {
	s := newFakeServer(t).startTCP()
	cfg, opts := testConfig(s), quick()
	cfg.Anchors = append(cfg.Anchors, rootAnchor())
	r := &fakeResolver{ds: noAnswerDS}
	opts.NewResolver = resolving(r)
	ch := make(chan Health, 1)
	startActor(t, cfg, opts).Check(func(h Health) { ch <- h })
	if d := wait(t, ch).DNSSEC; d.State != dnssec.Secure || r.asks() != 0 || len(d.DS) != 1 || d.DSTTL != 0 {
		t.Errorf("%+v after %d lookups", d, r.asks())
	}
}
