package zone

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"
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
