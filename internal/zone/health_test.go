package zone

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// keySeen is what a server says whose DNSKEY set has the name given; empty for one that says nothing.
func keySeen(set string, ttl time.Duration) seen { return seen{keySet: set, keyTTL: ttl} }

func TestKeysChanged(t *testing.T) {
	ignored := keySeen("odd", time.Hour)
	ignored.health.Ignored = true
	old, fresh, none := keySeen("old", time.Hour), keySeen("new", time.Hour), keySeen("", 0)
	short := keySeen("new", time.Minute)
	type look struct {
		after time.Duration
		found []seen
		// age of the change; -1 for none.
		age, ttl time.Duration
	}
	cases := []struct {
		reason string
		looks  []look
	}{
		{"the first look knows of no change", []look{{0, []seen{old, old}, -1, time.Hour}}},
		{"nobody answered yet", []look{{0, []seen{none}, -1, 0}, {time.Minute, []seen{old}, -1, time.Hour}}},
		{"a change is in flight for the TTL", []look{
			{0, []seen{old}, -1, time.Hour}, {time.Minute, []seen{fresh}, 0, time.Hour},
			{59 * time.Minute, []seen{fresh}, 59 * time.Minute, time.Hour}, {time.Minute, []seen{fresh}, -1, time.Hour},
		}},
		{"the old set is cached for its own TTL", []look{
			{0, []seen{old}, -1, time.Hour}, {0, []seen{short}, 0, time.Hour},
			{30 * time.Minute, []seen{short}, 30 * time.Minute, time.Hour}, {30 * time.Minute, []seen{short}, -1, time.Minute},
		}},
		{"while servers differ the change goes on", []look{
			{0, []seen{old, fresh}, 0, time.Hour}, {119 * time.Minute, []seen{old, fresh}, 0, time.Hour},
			{time.Minute, []seen{fresh, fresh}, 0, time.Hour}, {time.Hour, []seen{fresh, fresh}, -1, time.Hour},
		}},
		{"servers of several signers differ for good", []look{
			{0, []seen{old, fresh}, 0, time.Hour}, {119 * time.Minute, []seen{fresh, old}, 0, time.Hour},
			{2 * time.Minute, []seen{old, fresh}, 2 * time.Minute, time.Hour}, {time.Hour, []seen{old, fresh}, -1, time.Hour},
			{time.Hour, []seen{old, keySeen("newer", time.Hour)}, 0, time.Hour},
		}},
		{"silence is no change, and forgets none", []look{
			{0, []seen{old}, -1, time.Hour}, {0, []seen{none}, -1, time.Hour}, {0, []seen{fresh}, 0, time.Hour},
			{time.Minute, []seen{none}, time.Minute, time.Hour}, {time.Hour, []seen{none}, -1, time.Hour},
		}},
		{"an excepted server says nothing", []look{{0, []seen{old}, -1, time.Hour}, {0, []seen{old, ignored}, -1, time.Hour}}},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			clock := testclock.NewFakeClock(time.Unix(1e9, 0))
			k := newKnowledge(t.Context(), Options{Clock: clock}.withDefaults())
			for i, l := range c.looks {
				clock.Step(l.after)
				at, ttl := k.keysChanged(l.found)
				age := time.Duration(-1)
				if !at.IsZero() {
					age = clock.Since(at)
				}
				if age != l.age || ttl != l.ttl {
					t.Errorf("look %d: changed %s ago with TTL %s, want %s and %s", i, age, ttl, l.age, l.ttl)
				}
			}
		})
	}
}

func TestHealthTellsTheTTLOfTheKeys(t *testing.T) {
	s := newFakeServer(t).startTCP()
	stranger := newFakeServer(t).startTCP()
	cfg := testConfig(s)
	cfg.Static, cfg.Ignore = append(cfg.Static, stranger.addrPort()), []string{stranger.addr}
	ch := make(chan Health, 1)
	startActor(t, cfg, quick()).Check(func(h Health) { ch <- h })
	d := wait(t, ch).DNSSEC
	if d.KeyTTL != time.Hour || d.KeysChanging || !d.KeysChangedAt.IsZero() {
		t.Errorf("%+v", d)
	}
	if len(d.Keys) != 1 {
		t.Errorf("keys %v, want none of the excepted server", d.Keys)
	}
}

// A server that counts down shows less than resolvers were given.
func TestKeyTTLIsThatOfTheSignature(t *testing.T) {
	s := newFakeServer(t)
	q, m := query(testZone, dns.TypeDNSKEY), new(dns.Msg)
	m.SetReply(q)
	s.answer(q, m)
	for _, rr := range m.Answer {
		rr.Header().Ttl = 60
	}
	var got seen
	got.readKeys(Config{Zone: testZone}, reply{msg: m})
	if got.keyTTL != time.Hour {
		t.Errorf("TTL %s, set %q", got.keyTTL, got.keySet)
	}
}

// TestSweepMeetsOtherKeys: a sweep says when the keys that a server shows, or the DS records above, are others than the newest look has
// found, until the next look has found them too.
func TestSweepMeetsOtherKeys(t *testing.T) {
	s := newFakeServer(t).startTCP()
	cfg := testConfig(s)
	cfg.Static = append(cfg.Static, s.addrPort())
	a := startActor(t, cfg, quick())
	unlike := func() bool {
		swept := make(chan Sweep, 1)
		a.Sweep(ownerName(1), func(s Sweep) { swept <- s })
		return wait(t, swept).Unlike
	}
	look := func() {
		ch := make(chan Health, 1)
		a.Check(func(h Health) { ch <- h })
		wait(t, ch)
	}
	another := *s.dnskey
	another.Flags = 256
	if unlike() {
		t.Error("before the first look nothing is known")
	}
	look()
	if unlike() {
		t.Error("the keys are those of the look")
	}
	s.set(s.dnskey, &another)
	for range 2 {
		if !unlike() {
			t.Error("the server shows one key more, and the sweep does not say so")
		}
	}
	look()
	if unlike() {
		t.Error("the look has found both keys")
	}
}

func TestUnlike(t *testing.T) {
	cfg := Config{Zone: testZone}
	ds := func(tags ...uint16) entry {
		var e entry
		for _, tag := range tags {
			e.ds = append(e.ds, &dns.DS{KeyTag: tag, Algorithm: 13, DigestType: 2, Digest: "AA"})
		}
		return e
	}
	broken := entry{err: &dnssec.Error{Reason: dnssec.Unreachable}}
	ignored := keySeen("other", time.Hour)
	ignored.health.Ignored = true
	for _, c := range []struct {
		reason string
		was    entry
		found  []seen
		zone   string
		now    entry
		sets   []string
		want   bool
	}{
		{"the same", ds(1, 2), []seen{keySeen("a", time.Hour)}, testZone, ds(2, 1), []string{"a", "a"}, false},
		{"other keys", ds(1), []seen{keySeen("a", time.Hour)}, testZone, ds(1), []string{"a", "b"}, true},
		{"one of the sets that servers differ in", ds(1), []seen{keySeen("a", time.Hour), keySeen("b", time.Hour)}, testZone, ds(1), []string{"b"}, false},
		{"an excepted server has shown it", ds(1), []seen{keySeen("a", time.Hour), ignored}, testZone, ds(1), []string{"other"}, true},
		{"silent servers", ds(1), []seen{keySeen("a", time.Hour)}, testZone, ds(1), []string{"", ""}, false},
		{"another DS record", ds(1), []seen{keySeen("a", time.Hour)}, testZone, ds(1, 2), []string{"a"}, true},
		{"DS records that could not be found now", ds(1), []seen{keySeen("a", time.Hour)}, testZone, broken, []string{"a"}, false},
		{"or at the look", broken, []seen{keySeen("a", time.Hour)}, testZone, ds(1), []string{"a"}, false},
		{"a look that found no keys", ds(1), []seen{{}}, testZone, ds(2), []string{"b"}, false},
		{"a look at another zone", ds(1), []seen{keySeen("a", time.Hour)}, "other.", ds(2), []string{"b"}, false},
	} {
		k := newKnowledge(t.Context(), Options{}.withDefaults())
		k.noteLook(Config{Zone: c.zone}, c.was, c.found)
		if got := k.unlike(cfg, c.now, c.sets); got != c.want {
			t.Errorf("%s: unlike is %t", c.reason, got)
		}
	}
}
