package controllers

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func TestKeyChangeOutlivesARestart(t *testing.T) {
	for _, c := range []struct {
		reason string
		// keys and ds are what the change leaves; caches keep the DS records for dsTTL.
		keys, ds []string
		dsTTL    time.Duration
		over     time.Duration
	}{
		{"a new key, with trust anchors of the user", []string{"1", "2"}, []string{"1 13 2 AA"}, 0, time.Hour},
		{"other DS records, which caches keep for longer", []string{"1"}, []string{"2 13 2 BB"}, 24 * time.Hour, 24 * time.Hour},
		{"a new key, of which status does not say that it was no change of DS records", []string{"1", "2"}, []string{"1 13 2 AA"}, 24 * time.Hour, 24 * time.Hour},
		{"other DS records, which caches do not keep for as long as the keys", []string{"1"}, []string{"2 13 2 BB"}, time.Minute, time.Hour},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newZoneBed(t)
			before := b.secureZone("1")
			before.DNSSEC.DSTTL = c.dsTTL
			after := func() zone.Health {
				h := b.secureZone(c.keys...)
				h.DNSSEC.DS, h.DNSSEC.DSTTL = c.ds, c.dsTTL
				return h
			}
			if b.look(before) || b.zone().Status.DNSSEC.KeysChangedAt != nil {
				t.Fatal("the first look at a zone is no change of its keys")
			}
			b.clock.Step(zoneIdle)
			b.outlivesARestart(after, c.over)
		})
	}
}

// outlivesARestart wants the next look to find a change, and that to be over after so long, with a restart meanwhile.
func (b *zoneBed) outlivesARestart(after func() zone.Health, over time.Duration) {
	b.Helper()
	changed := b.clock.Now()
	if !b.look(after()) {
		b.Fatal("it is no change")
	}
	if at := b.zone().Status.DNSSEC.KeysChangedAt; at == nil || at.Sub(changed).Abs() > time.Second {
		b.Fatalf("keysChangedAt %v, want %v", at, changed)
	}
	b.clock.Step(10 * time.Minute)
	b.restart()
	b.reconcile()
	if d := dnssecFacts(b.entry()); d.State != dnssec.Indeterminate {
		b.Fatalf("before the first look after a restart: %+v", d)
	}
	if !b.look(after()) {
		b.Error("a restart forgot the change")
	}
	b.clock.SetTime(changed.Add(over - time.Second))
	if !b.look(after()) || b.zone().Status.DNSSEC.KeysChangedAt == nil {
		b.Error("the change is over before the TTL is")
	}
	b.clock.Step(zoneIdle)
	if b.look(after()) || b.zone().Status.DNSSEC.KeysChangedAt != nil {
		b.Error("the change never ends")
	}
}

func TestKeysThatChangedWhileTheOperatorWasDown(t *testing.T) {
	b := newZoneBed(t)
	b.look(b.secureZone("1"))
	b.clock.Step(24 * time.Hour)
	b.restart()
	if !b.look(b.secureZone("2")) {
		t.Error("status had other keys")
	}
}

func TestNote(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	one, two, ds, day := []string{"1"}, []string{"1", "2"}, []string{"1 13 2 AA"}, 24*time.Hour
	cached := zone.ZoneDNSSEC{Keys: one, DS: ds, KeyTTL: time.Hour, DSTTL: day}
	anchored := zone.ZoneDNSSEC{Keys: one, DS: ds, KeyTTL: time.Hour}
	cases := []struct {
		reason string
		memory keyMemory
		seen   zone.ZoneDNSSEC
		want   time.Time
		keys   []string
	}{
		{"nothing was known", keyMemory{}, zone.ZoneDNSSEC{Keys: one, DS: ds}, time.Time{}, one},
		{"nothing has changed", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{Keys: one, DS: ds}, time.Time{}, one},
		{"another key set", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{Keys: two, DS: ds}, now, two},
		{"other trust anchors", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{Keys: one, DS: []string{"2 13 2 BB"}}, now, one},
		{"DS records that the parent has no more", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{Keys: one}, now, one},
		{"a parent that cannot be asked: that is no change, and what was seen stays", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{Keys: one, DSUnknown: true}, time.Time{}, one},
		{"no server answers: that is no change, and what was seen stays", keyMemory{keys: one, ds: ds}, zone.ZoneDNSSEC{DS: ds}, time.Time{}, one},
		{"nor does a change end while nobody says how long it is cached", keyMemory{keys: one, changedAt: ago(9 * time.Hour)}, zone.ZoneDNSSEC{}, ago(9 * time.Hour), one},
		{"an older change that is cached", keyMemory{keys: one, changedAt: ago(time.Hour)}, zone.ZoneDNSSEC{Keys: one, KeyTTL: 2 * time.Hour}, ago(time.Hour), one},
		{"and one that is not any more", keyMemory{keys: one, changedAt: ago(2 * time.Hour)}, zone.ZoneDNSSEC{Keys: one, KeyTTL: 2 * time.Hour}, time.Time{}, one},
		{"a short TTL is believed for the floor", keyMemory{keys: one, changedAt: ago(time.Minute), floor: 5 * time.Minute}, zone.ZoneDNSSEC{Keys: one, KeyTTL: time.Second}, ago(time.Minute), one},
		{"the old DS records are cached for longer than the keys", keyMemory{keys: one, ds: ds, dsTTL: day, keep: day, changedAt: ago(23 * time.Hour)}, cached, ago(23 * time.Hour), one},
		{"until that is over too", keyMemory{keys: one, ds: ds, dsTTL: day, keep: day, changedAt: ago(day)}, cached, time.Time{}, one},
		{"a change of the keys alone does not wait for them", keyMemory{keys: one, ds: ds, dsTTL: day, changedAt: ago(time.Hour)}, cached, time.Time{}, one},
		{"one that status tells of may be of either", keyMemory{keys: one, ds: ds, recalled: true, changedAt: ago(23 * time.Hour)}, cached, ago(23 * time.Hour), one},
		{"and ends all the same", keyMemory{keys: one, ds: ds, recalled: true, changedAt: ago(day)}, cached, time.Time{}, one},
		{"but not before the DS records are known", keyMemory{keys: one, ds: ds, recalled: true, changedAt: ago(9 * day)}, zone.ZoneDNSSEC{Keys: one, KeyTTL: time.Hour, DSUnknown: true}, ago(9 * day), one},
		{"trust anchors of the user are in no cache", keyMemory{keys: one, ds: ds, recalled: true, changedAt: ago(time.Hour)}, anchored, time.Time{}, one},
		{"servers that differ go on changing", keyMemory{keys: one, changedAt: ago(time.Hour)}, zone.ZoneDNSSEC{Keys: one, KeyTTL: time.Hour, KeysChanging: true, KeysChangedAt: now}, now, one},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			c.memory.note(&c.seen, now)
			if !c.seen.KeysChangedAt.Equal(c.want) || c.seen.KeysChanging == c.want.IsZero() || !slices.Equal(c.seen.Keys, c.keys) {
				t.Errorf("changed at %v, changing %t, keys %v; want %v, keys %v", c.seen.KeysChangedAt, c.seen.KeysChanging, c.seen.Keys, c.want, c.keys)
			}
			if !slices.Equal(c.memory.keys, c.keys) || !slices.Equal(c.memory.ds, c.seen.DS) || !c.memory.changedAt.Equal(c.want) {
				t.Errorf("remembered %+v", c.memory)
			}
		})
	}
}

// TestDSChange: what caches keep of the old DS records, they keep for the TTL that those had; what the parent says
// meanwhile, or does not, changes nothing of that.
func TestDSChange(t *testing.T) {
	start := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	keys, old, fresh := []string{"1"}, []string{"1 13 2 AA"}, []string{"2 13 2 BB"}
	seen := func(ds []string, ttl time.Duration) zone.ZoneDNSSEC {
		return zone.ZoneDNSSEC{Keys: keys, DS: ds, KeyTTL: time.Hour, DSTTL: ttl}
	}
	silent := zone.ZoneDNSSEC{Keys: keys, KeyTTL: time.Hour, DSUnknown: true}
	var m keyMemory
	for _, look := range []struct {
		reason   string
		at       time.Duration
		seen     zone.ZoneDNSSEC
		changing bool
	}{
		{"the old ones", 0, seen(old, 24*time.Hour), false},
		{"the parent does not answer", time.Hour, silent, false},
		{"other ones, with a shorter TTL", 2 * time.Hour, seen(fresh, time.Hour), true},
		{"the TTL of the keys is over", 4 * time.Hour, seen(fresh, time.Hour), true},
		{"the parent does not answer again", 5 * time.Hour, silent, true},
		{"a moment before the end", 26*time.Hour - time.Second, seen(fresh, time.Hour), true},
		{"no cache has the old ones any more", 26 * time.Hour, seen(fresh, time.Hour), false},
		{"they change once more", 27 * time.Hour, seen(old, time.Hour), true},
		{"which ends by itself", 28 * time.Hour, seen(old, time.Hour), false},
	} {
		if m.note(&look.seen, start.Add(look.at)); look.seen.KeysChanging != look.changing {
			t.Errorf("%s: changing is %t", look.reason, look.seen.KeysChanging)
		}
	}
}

// TestLookWhenAChangeIsOver wants a zone that is well, and whose keys have changed, to be looked at when the caches have
// the new ones: until a look says so, rollovers are held.
func TestLookWhenAChangeIsOver(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		reason      string
		floor, keep time.Duration
		want        time.Duration
	}{
		{"caches keep them for a minute", time.Minute, 0, time.Minute},
		{"the DS records that were replaced are kept for longer", time.Minute, 2 * time.Minute, 2 * time.Minute},
		{"a change of a moment is no reason to look all the time", time.Second, 0, zoneBusy},
		{"a long change is looked at as often as a zone without one", time.Hour, 0, zoneIdle},
	} {
		e := zoneEntry{keys: keyMemory{keys: []string{"old"}, floor: c.floor, keep: c.keep}}
		h := zone.Health{At: now, PrimaryAccepts: zone.Result{Class: zone.Applied}}
		h.DNSSEC = zone.ZoneDNSSEC{State: dnssec.Secure, Keys: []string{"new"}}
		e.keys.note(&h.DNSSEC, now)
		e.health = &h
		if got := e.pace(); got != c.want {
			t.Errorf("%s: the next look is after %s, want %s", c.reason, got, c.want)
		}
		e.keys.note(&h.DNSSEC, now.Add(time.Hour))
		if got := e.pace(); got != zoneIdle {
			t.Errorf("%s: afterwards it is looked at every %s, want %s", c.reason, got, zoneIdle)
		}
	}
}

// TestDSRecordsThatAreGone wants the removal of DS records to be waited for as long as caches may have them: what is
// believed without signatures afterwards rests on that. It ends also where the keys went with them.
func TestDSRecordsThatAreGone(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	ds := []string{"1 13 2 AA"}
	for _, c := range []struct {
		reason string
		before keyMemory
		seen   zone.ZoneDNSSEC
		over   time.Duration
	}{
		{"their TTL was seen", keyMemory{keys: []string{"1"}, ds: ds, dsTTL: 24 * time.Hour},
			zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, 24 * time.Hour},
		{"they went while no operator ran", keyMemory{keys: []string{"1"}, ds: ds},
			zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, lostDSTTL},
		{"they went, and the operator was started anew", keyMemory{keys: []string{"1"}, ds: ds, recalled: true, changedAt: start},
			zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, lostDSTTL},
		{"the keys went with them", keyMemory{keys: []string{"1"}, ds: ds, dsTTL: 24 * time.Hour},
			zone.ZoneDNSSEC{Unsigned: true}, 24 * time.Hour},
		{"that was noted, and the operator started anew since", keyMemory{keys: []string{"1"}, recalled: true, changedAt: start},
			zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, lostDSTTL},
		{"the DNSZone was made anew, and nobody knows whether there were any", keyMemory{blank: true},
			zone.ZoneDNSSEC{Keys: []string{"1"}, KeyTTL: time.Hour, Unsigned: true}, lostDSTTL},
		{"the same, and the keys went too", keyMemory{blank: true}, zone.ZoneDNSSEC{Unsigned: true}, lostDSTTL},
	} {
		m := c.before
		look := func(after time.Duration) bool {
			seen := c.seen
			m.note(&seen, start.Add(after))
			return seen.KeysChanging
		}
		look(0)
		if !look(c.over - time.Second) {
			t.Errorf("%s: it is over before %s", c.reason, c.over)
		}
		if look(c.over) {
			t.Errorf("%s: it is not over after %s", c.reason, c.over)
		}
	}
}

// TestWhatALostStatusHolds: DS records that nobody remembers may be in caches where the parent has none now. Nothing else
// is held for it, and it ends when there are DS records.
func TestWhatALostStatusHolds(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	keys, ds := []string{"1"}, []string{"1 13 2 AA"}
	unsigned := zone.ZoneDNSSEC{Keys: keys, KeyTTL: time.Hour, Unsigned: true}
	secure := zone.ZoneDNSSEC{Keys: keys, DS: ds, KeyTTL: time.Hour, DSTTL: time.Hour}
	unknown := zone.ZoneDNSSEC{Keys: keys, KeyTTL: time.Hour, DSUnknown: true}
	other := zone.ZoneDNSSEC{Keys: []string{"2"}, KeyTTL: time.Hour, Unsigned: true}
	for _, c := range []struct {
		reason string
		status v1alpha1.ZoneDNSSECStatus
		looks  []zone.ZoneDNSSEC
		// changing after each look, which are a minute apart.
		changing []bool
	}{
		{"a new zone with DS records", v1alpha1.ZoneDNSSECStatus{}, []zone.ZoneDNSSEC{secure}, []bool{false}},
		{"one without", v1alpha1.ZoneDNSSECStatus{}, []zone.ZoneDNSSEC{unsigned, unsigned}, []bool{true, true}},
		{"one without, and nobody tells at first", v1alpha1.ZoneDNSSECStatus{}, []zone.ZoneDNSSEC{unknown, unsigned}, []bool{false, true}},
		{"one that gets some", v1alpha1.ZoneDNSSECStatus{}, []zone.ZoneDNSSEC{unsigned, secure, secure}, []bool{true, false, false}},
		{"one that gets other keys meanwhile, and then some", v1alpha1.ZoneDNSSECStatus{}, []zone.ZoneDNSSEC{unsigned, other, secure}, []bool{true, true, true}},
		{"one that could not be used so far", v1alpha1.ZoneDNSSECStatus{State: v1alpha1.DNSSECStateIndeterminate}, []zone.ZoneDNSSEC{unsigned}, []bool{true}},
		{"one that was without before", v1alpha1.ZoneDNSSECStatus{State: v1alpha1.DNSSECStateInsecure}, []zone.ZoneDNSSEC{unsigned}, []bool{false}},
		{"one that had keys, and no DS records", v1alpha1.ZoneDNSSECStatus{State: v1alpha1.DNSSECStateIndeterminate, Keys: keys}, []zone.ZoneDNSSEC{unsigned}, []bool{false}},
	} {
		z := &v1alpha1.DNSZone{Status: v1alpha1.DNSZoneStatus{DNSSEC: c.status}}
		z.UID = "1"
		var m keyMemory
		m.recall(z)
		for i, seen := range c.looks {
			m.note(&seen, start.Add(time.Duration(i)*time.Minute))
			if seen.KeysChanging != c.changing[i] || seen.KeysChangedAt.IsZero() == seen.KeysChanging {
				t.Errorf("%s: after look %d changing is %t, since %v", c.reason, i, seen.KeysChanging, seen.KeysChangedAt)
			}
		}
	}
}

// TestZonesAboveThatChange: caches may have the keys and DS records of a zone above that are there no more, for as long as
// they may have them: what validates by the new ones does not there.
func TestZonesAboveThatChange(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	way := func(texts ...string) []dnssec.Passed { return passedOf(texts) }
	seen := func(above []dnssec.Passed) zone.ZoneDNSSEC {
		return zone.ZoneDNSSEC{Keys: []string{"1"}, DS: []string{"1 13 2 AA"}, KeyTTL: time.Hour, DSTTL: 24 * time.Hour, Above: above}
	}
	before := way(". DNSKEY 172800 aa", "test. DS 86400 bb", "test. DNSKEY 7200 cc")
	for _, c := range []struct {
		reason string
		after  []dnssec.Passed
		over   time.Duration
	}{
		{"nothing", before, 0},
		{"that cannot be told: the lookup failed", nil, 0},
		{"a TTL alone", way(". DNSKEY 3600 aa", "test. DS 3600 bb", "test. DNSKEY 3600 cc"), 0},
		{"the keys of the parent", way(". DNSKEY 172800 aa", "test. DS 86400 bb", "test. DNSKEY 7200 dd"), 2 * time.Hour},
		{"its keys, and their TTL", way(". DNSKEY 172800 aa", "test. DS 86400 bb", "test. DNSKEY 10800 dd"), 3 * time.Hour},
		{"its DS records", way(". DNSKEY 172800 aa", "test. DS 60 dd", "test. DNSKEY 7200 cc"), 24 * time.Hour},
		{"the root's keys", way(". DNSKEY 172800 dd", "test. DS 86400 bb", "test. DNSKEY 7200 cc"), 48 * time.Hour},
		{"keys that are not kept as long as the zone's own", way(". DNSKEY 172800 aa", "test. DS 86400 bb", "test. DNSKEY 7200 cc", "co.test. DNSKEY 60 dd"), time.Hour},
		{"a zone that is there no more", before[:2], 2 * time.Hour},
	} {
		for _, restart := range []bool{false, true} {
			var m keyMemory
			look := seen(before)
			if m.note(&look, start); look.KeysChanging {
				t.Fatalf("%s: what is seen first is a change", c.reason)
			}
			if restart {
				z := &v1alpha1.DNSZone{Status: v1alpha1.DNSZoneStatus{DNSSEC: v1alpha1.ZoneDNSSECStatus{Keys: look.Keys, DS: look.DS, Above: statusPassed(look.Above)}}}
				z.UID = "1"
				m.recall(z)
			}
			at := func(after time.Duration) bool {
				look := seen(c.after)
				m.note(&look, start.Add(time.Minute+after))
				return look.KeysChanging
			}
			if first := at(0); first != (c.over > 0) {
				t.Errorf("%s, restarted %t: changing is %t", c.reason, restart, first)
			}
			if c.over > 0 && !at(c.over-time.Second) {
				t.Errorf("%s, restarted %t: it is over before %s", c.reason, restart, c.over)
			}
			if at(c.over) {
				t.Errorf("%s, restarted %t: it is not over after %s", c.reason, restart, c.over)
			}
			if len(m.above) == 0 {
				t.Errorf("%s: what was seen last is forgotten", c.reason)
			}
		}
	}
	// One that status tells of may be of any of them.
	m := keyMemory{keys: []string{"1"}, ds: []string{"1 13 2 AA"}, above: before, recalled: true, changedAt: start}
	for after, want := range map[time.Duration]bool{48*time.Hour - time.Second: true, 48 * time.Hour: false} {
		look, m := seen(before), m
		if m.note(&look, start.Add(after)); look.KeysChanging != want {
			t.Errorf("one that status tells of: %t after %s", look.KeysChanging, after)
		}
	}
}

// TestUnsignedIsOfTheHomeZone wants what is proved of another zone on the way to say nothing of the host's own.
func TestUnsignedIsOfTheHomeZone(t *testing.T) {
	of := func(state dnssec.State, unsigned bool) zoneEntry {
		return zoneEntry{health: &zone.Health{DNSSEC: zone.ZoneDNSSEC{State: state, Unsigned: unsigned}}}
	}
	for _, c := range []struct {
		reason     string
		home, link zoneEntry
		want       bool
	}{
		{"the home zone is unsigned, and the other is not", of(dnssec.Insecure, true), of(dnssec.Secure, false), true},
		{"the other zone is unsigned", of(dnssec.Secure, false), of(dnssec.Insecure, true), false},
		{"the home zone has not been looked at yet", zoneEntry{}, of(dnssec.Insecure, true), false},
	} {
		h := &hostRun{entry: c.home, zone: &v1alpha1.DNSZone{}, linked: []linkedZone{{zone: &v1alpha1.DNSZone{}, entry: c.link}}}
		if got := h.dnssecFacts().Unsigned; got != c.want {
			t.Errorf("%s: %t", c.reason, got)
		}
	}
}
