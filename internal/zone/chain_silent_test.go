package zone

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestChainBacksOff: zones that nobody answers for are looked up ever more rarely.
func TestChainBacksOff(t *testing.T) {
	expired, busy := failedDS(dnssec.Expired, "test.", "example.test. DS"), failedDS(dnssec.Busy, "", "")
	for _, c := range []struct {
		reason string
		// first is what is found in the beginning, and then is done before lookup number at.
		first dnssec.Result
		at    int
		then  func(*chainBed)
		gaps  string
	}{
		{"nobody answers", noAnswerDS, 0, nil, "30s 1m0s 2m0s 4m0s 8m0s 15m0s 15m0s"},
		{"nobody does who did before", foundDS(24*time.Hour, rootAnchor()), 1, func(b *chainBed) { b.r.becomes(noAnswerDS); b.clock.Step(time.Hour) }, "1h0m0s 30s 1m0s 2m0s 4m0s 8m0s 15m0s"},
		{"a broken zone costs little, and is mended by people", expired, 0, nil, "30s 30s 30s 30s 30s 30s 30s"},
		{"an answer in between", noAnswerDS, 3, func(b *chainBed) { b.r.becomes(expired) }, "30s 1m0s 2m0s 30s 30s 30s 30s"},
		{"another configuration", noAnswerDS, 3, func(b *chainBed) { b.cfg.Anchors = dnssec.RootAnchors()[1:] }, "30s 1m0s 10s 30s 1m0s 2m0s 4m0s"},
		{"no turn to ask is not the zone's fault", noAnswerDS, 3, func(b *chainBed) { b.r.becomes(busy) }, "30s 1m0s 2m0s 2m0s 2m0s 2m0s 2m0s"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newChainBed(t, c.first)
			var gaps []string
			b.state()
			for last := b.clock.Now(); len(gaps) < 7; b.clock.Step(10 * time.Second) {
				asks := b.r.asks()
				if asks == c.at && c.then != nil {
					c.then(b)
					c.then = nil
				}
				b.c.forget()
				b.state()
				if b.r.asks() > asks {
					gaps, last = append(gaps, b.clock.Since(last).String()), b.clock.Now()
				}
			}
			if got := strings.Join(gaps, " "); got != c.gaps {
				t.Errorf("from lookup to lookup %s, want %s", got, c.gaps)
			}
		})
	}
}

// TestChainWithoutATurn: what was Secure serves on while there is no turn to ask.
func TestChainWithoutATurn(t *testing.T) {
	b := newChainBed(t, foundDS(time.Hour, rootAnchor()))
	b.state()
	b.r.becomes(failedDS(dnssec.Busy, "", ""))
	b.clock.Step(30 * time.Minute)
	if got := b.state(); got != dnssec.Secure || b.r.asks() != 2 {
		t.Errorf("%s after %d lookups", got, b.r.asks())
	}
	b.clock.Step(time.Hour)
	if got := b.state(); got != dnssec.Indeterminate {
		t.Errorf("after the TTL it is %s", got)
	}
}

// TestChainOutlivesWhoAskedFirst: a lookup goes on for those who wait for it, and ends with the actor.
func TestChainOutlivesWhoAskedFirst(t *testing.T) {
	b := newChainBed(t, foundDS(time.Hour, rootAnchor()))
	b.r.gate = make(chan struct{})
	actor, stop := context.WithCancel(t.Context())
	defer stop()
	b.c.ctx = actor
	leaves, leave := context.WithCancel(t.Context())
	first, second := make(chan entry), make(chan entry)
	go func() { first <- b.c.entry(leaves, b.cfg, b.r) }()
	for b.r.asks() == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() { second <- b.c.entry(t.Context(), b.cfg, b.r) }()
	leave()
	if e := <-first; e.err == nil {
		t.Error("who left got an answer")
	}
	select {
	case b.r.gate <- struct{}{}:
	case e := <-second:
		t.Fatalf("the lookup ended with who asked first: %v", e.err)
	}
	if e := <-second; e.err != nil || b.r.asks() != 1 {
		t.Errorf("who stayed got %v after %d lookups", e.err, b.r.asks())
	}
	b.clock.Step(time.Hour)
	go func() { first <- b.c.entry(t.Context(), b.cfg, b.r) }()
	for b.r.asks() == 1 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if e := <-first; e.err == nil || e.err.State() != dnssec.Indeterminate {
		t.Errorf("after the end of the actor: %+v", e)
	}
}

// TestRotatedServersAreNoNews: of the servers of a parent that fail alike now this one comes first, and now that one.
func TestRotatedServersAreNoNews(t *testing.T) {
	says := func(reason dnssec.Reason, zone, server string) dnssec.Result {
		r := failedDS(reason, zone, "example.test. DS")
		r.Cause.Server = server
		return r
	}
	for _, c := range []struct {
		reason     string
		next       []dnssec.Result
		news, last string
	}{
		{"another server of the parent", []dnssec.Result{says(dnssec.Expired, "test.", "192.0.2.2:53")}, "", "192.0.2.1"},
		{"another fault", []dnssec.Result{says(dnssec.BadSignature, "test.", "192.0.2.2:53")}, "news", "192.0.2.2"},
		{"another zone", []dnssec.Result{says(dnssec.Expired, ".", "192.0.2.2:53")}, "news", "192.0.2.2"},
		{"it was well in between", []dnssec.Result{foundDS(time.Minute, rootAnchor()), says(dnssec.Expired, "test.", "192.0.2.2:53")}, "news", "192.0.2.2"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := newFakeServer(t).startTCP()
			cfg, opts := testConfig(s), quick()
			clock := testclock.NewFakeClock(time.Now())
			cfg.Anchors, opts.Clock = []*dns.DS{rootAnchor()}, clock
			r := &fakeResolver{ds: says(dnssec.Expired, "test.", "192.0.2.1:53")}
			opts.NewResolver = resolving(r)
			k := newKnowledge(t.Context(), opts.withDefaults())
			before := checked(t, k, cfg).DNSSEC
			after := before
			for _, ds := range c.next {
				r.becomes(ds)
				clock.Step(time.Hour)
				after = checked(t, k, cfg).DNSSEC
			}
			if (after.Message != before.Message) != (c.news != "") || !strings.Contains(after.Message, c.last) || r.asks() != 1+len(c.next) {
				t.Errorf("%q, then %q after %d lookups", before.Message, after.Message, r.asks())
			}
		})
	}
}
