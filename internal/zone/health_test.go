package zone

import (
	"net/netip"
	"reflect"
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

// checked is what a look at the zone finds.
func checked(t *testing.T, k *knowledge, cfg Config) Health {
	t.Helper()
	h, _ := k.check(t.Context(), cfg)
	return h
}

// TestLookCountsWhenItIsTold: between the end of a look and the moment when those who wait for it have it, a sweep that met what
// it has found is no like of anything that they know.
func TestLookCountsWhenItIsTold(t *testing.T) {
	s := newFakeServer(t).startTCP()
	cfg := testConfig(s)
	cfg.Static = append(cfg.Static, s.addrPort())
	k := newKnowledge(t.Context(), quick().withDefaults())
	unlike := func() bool { return k.sweep(t.Context(), cfg, false, []string{ownerName(1)})[ownerName(1)].Unlike }
	_, look := k.check(t.Context(), cfg)
	k.noteLook(look)
	if unlike() {
		t.Fatal("the keys are those of the look")
	}
	another := *s.dnskey
	another.Flags = 256
	s.set(s.dnskey, &another)
	if _, look = k.check(t.Context(), cfg); !unlike() {
		t.Error("nobody was told of the look that has found another key, and the sweep that has met it says that there is none")
	}
	if k.noteLook(look); unlike() {
		t.Error("the keys are those of the look that was told of")
	}
}

// TestServerThatFallsSilentAfterASweep: one of two servers shows another key to a sweep, and nothing to the look after it, which
// knows of no change then. It is the sweep that says so, and for how long caches may have what it met.
func TestServerThatFallsSilentAfterASweep(t *testing.T) {
	one, other := newFakeServer(t).startTCP(), newFakeServer(t).startTCP()
	other.signer, other.dnskey = one.signer, one.dnskey
	other.set(one.dnskey)
	cfg := testConfig(one)
	cfg.Static = []netip.AddrPort{one.addrPort(), other.addrPort()}
	k := newKnowledge(t.Context(), quick().withDefaults())
	look := func() ZoneDNSSEC {
		h, look := k.check(t.Context(), cfg)
		k.noteLook(look)
		return h.DNSSEC
	}
	if d := look(); d.KeysChanging || d.State != dnssec.Secure {
		t.Fatalf("%+v", d)
	}
	another := *one.dnskey
	another.Flags, another.Hdr.Ttl = 256, 7200
	other.set(&another, one.dnskey)
	if s := k.sweep(t.Context(), cfg, false, []string{ownerName(1)})[ownerName(1)]; !s.Unlike || s.UnlikeTTL != 2*time.Hour {
		t.Errorf("a server shows another key, and the sweep says %t, for %s", s.Unlike, s.UnlikeTTL)
	}
	other.misbehave = func(*dns.Msg) fault { return reset }
	if d := look(); d.KeysChanging || len(d.Keys) != 1 {
		t.Errorf("nobody shows the other key: %+v", d)
	}
}

func TestUnlike(t *testing.T) {
	cfg := Config{Zone: testZone}
	ds := func(ttl time.Duration, tags ...uint16) entry {
		e := entry{ttl: ttl}
		for _, tag := range tags {
			e.ds = append(e.ds, &dns.DS{KeyTag: tag, Algorithm: 13, DigestType: 2, Digest: "AA"})
		}
		return e
	}
	const hour, day = time.Hour, 24 * time.Hour
	broken := entry{err: &dnssec.Error{Reason: dnssec.Unreachable}}
	ignored := keySeen("other", hour)
	ignored.health.Ignored = true
	// keys are what servers show that have a set each, all with a TTL.
	keys := func(ttl time.Duration, sets ...string) (out []seen) {
		for _, set := range sets {
			out = append(out, keySeen(set, ttl))
		}
		return out
	}
	// none is the TTL where nothing is unlike.
	const none = -1
	for _, c := range []struct {
		reason string
		was    entry
		found  []seen
		zone   string
		now    entry
		met    []seen
		keep   time.Duration
	}{
		{"the same", ds(day, 1, 2), keys(hour, "a"), testZone, ds(day, 2, 1), keys(hour, "a", "a"), none},
		{"other keys", ds(day, 1), keys(hour, "a"), testZone, ds(day, 1), keys(hour, "a", "b"), hour},
		{"that are cached for longer than those of before", ds(day, 1), keys(hour, "a"), testZone, ds(day, 1), keys(2*hour, "b"), 2 * hour},
		{"or shorter", ds(day, 1), keys(hour, "a"), testZone, ds(day, 1), keys(time.Minute, "b"), hour},
		{"one of the sets that servers differ in", ds(day, 1), keys(hour, "a", "b"), testZone, ds(day, 1), keys(hour, "b"), none},
		{"an excepted server has shown it", ds(day, 1), append(keys(hour, "a"), ignored), testZone, ds(day, 1), keys(hour, "other"), hour},
		{"silent servers", ds(day, 1), keys(hour, "a"), testZone, ds(day, 1), keys(0, "", ""), none},
		{"another DS record", ds(day, 1), keys(hour, "a"), testZone, ds(hour, 1, 2), keys(hour, "a"), day},
		{"that is cached for longer", ds(hour, 1), keys(hour, "a"), testZone, ds(day, 1, 2), keys(hour, "a"), day},
		{"DS records that could not be found now", ds(day, 1), keys(hour, "a"), testZone, broken, keys(hour, "a"), none},
		{"or at the look", broken, keys(hour, "a"), testZone, ds(day, 1), keys(hour, "a"), none},
		{"a look that found no keys", ds(day, 1), []seen{{}}, testZone, ds(day, 2), keys(hour, "b"), none},
		{"a look at another zone", ds(day, 1), keys(hour, "a"), "other.", ds(day, 2), keys(hour, "b"), none},
	} {
		k := newKnowledge(t.Context(), Options{}.withDefaults())
		k.keysChanged(c.found)
		k.noteLook(lookOf(Config{Zone: c.zone}, c.was, c.found))
		unlike, keep := k.unlike(cfg, c.now, c.met)
		if !unlike {
			keep = none
		}
		if keep != c.keep {
			t.Errorf("%s: unlike is %t, for %s, want %s", c.reason, unlike, keep, c.keep)
		}
	}
}

// TestLooksThatFindNothing: what a look could not find out is known from before.
func TestLooksThatFindNothing(t *testing.T) {
	k := newKnowledge(t.Context(), Options{}.withDefaults())
	full := lookedAt{zone: testZone, keys: []string{"a"}, ds: "1", dsTTL: time.Hour}
	for _, look := range []lookedAt{full, {zone: testZone}, {zone: testZone, keys: full.keys}, {zone: testZone, ds: "1", dsTTL: time.Hour}} {
		if k.noteLook(look); !reflect.DeepEqual(k.lookedAt, full) {
			t.Errorf("after %+v it is %+v, want %+v", look, k.lookedAt, full)
		}
	}
	if k.noteLook(lookedAt{zone: "other."}); len(k.lookedAt.keys) > 0 || k.lookedAt.ds != "" {
		t.Errorf("another zone has %+v", k.lookedAt)
	}
}
