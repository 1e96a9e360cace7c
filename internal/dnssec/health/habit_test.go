package health

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// signer is how a real signer treats a signature: at a time it either leaves it alone or makes it anew.
type signer struct {
	reason string
	// resign gives inception and expiration of the signature that the zone has at a time, made anew when that is due.
	resign func(now time.Time, inception, expiration time.Time) (time.Time, time.Time)
	// stops is the time from which the signer does nothing any more, since the beginning; zero for never.
	stops time.Duration
	// told is what is left of a signature when RefreshOverdue comes, zero for never.
	told time.Duration
	// early has the operator sign everything at these times.
	early []time.Duration
}

// lasting is a signer that makes signatures of a validity when less than refresh is left.
func lastingUntil(refresh, validity, back time.Duration) func(time.Time, time.Time, time.Time) (time.Time, time.Time) {
	return func(now, inception, expiration time.Time) (time.Time, time.Time) {
		if expiration.Sub(now) > refresh {
			return inception, expiration
		}
		return now.Add(-back), now.Add(validity)
	}
}

// everyDays signs by cron.
func everyDays(days int, validity time.Duration) func(time.Time, time.Time, time.Time) (time.Time, time.Time) {
	return func(now, inception, expiration time.Time) (time.Time, time.Time) {
		if now.Sub(inception) < time.Duration(days)*day && expiration.After(now) {
			return inception, expiration
		}
		return now, now.Add(validity)
	}
}

// thursdays is PowerDNS: three weeks from the Thursday before the last one.
func thursdays(now, _, _ time.Time) (time.Time, time.Time) {
	const week = 7 * day
	last := time.Unix(now.Unix()-now.Unix()%int64(week/time.Second), 0) // the epoch began on a Thursday
	return last.Add(-week), last.Add(2 * week)
}

// online is made for each answer: a day before and a day after.
func online(now, _, _ time.Time) (time.Time, time.Time) { return now.Add(-day), now.Add(day) }

// TestHabitsOfSigners goes with a signer for 120 days, looking every two hours. Signers that do their work are told of
// nothing; one that stops is told of when that is sure, and no later than without a habit.
func TestHabitsOfSigners(t *testing.T) {
	const stop = 80 * day
	bind := lastingUntil(5*day, 14*day, time.Hour)
	knot := lastingUntil(14*day/10+2*time.Hour, 14*day, 90*time.Minute)
	for _, s := range []signer{
		{reason: "BIND by its default policy", resign: bind},
		{reason: "BIND with sig-validity-interval 30", resign: lastingUntil(30*day/4, 30*day, time.Hour)},
		{reason: "Knot by its default policy", resign: knot},
		{reason: "Knot, signed anew by hand early on", resign: knot, early: []time.Duration{3 * day}},
		{reason: "Knot, signed anew by hand twice in a row", resign: knot, early: []time.Duration{40 * day, 43 * day}},
		{reason: "PowerDNS", resign: thursdays},
		{reason: "OpenDNSSEC", resign: lastingUntil(3*day, 14*day, time.Hour)},
		{reason: "CoreDNS", resign: lastingUntil(2*day, 8*day, 3*time.Hour)},
		{reason: "signed for each answer", resign: online},
		{reason: "ldns-signzone by cron, daily", resign: everyDays(1, 28*day)},
		{reason: "ldns-signzone by cron, weekly", resign: everyDays(7, 28*day)},
		{reason: "BIND stops", resign: bind, stops: stop, told: (14*day + time.Hour) / 4},
		{reason: "Knot stops: it is a tenth, as before", resign: knot, stops: stop, told: (14*day + 90*time.Minute) / 10},
		{reason: "PowerDNS stops: less by a tenth than ever", resign: thursdays, stops: stop, told: 7*day - 21*day/10},
		{reason: "cron stops", resign: everyDays(7, 28*day), stops: stop, told: 7 * day},
		{reason: "BIND stops before its habit is known: a tenth", resign: bind, stops: 12 * day, told: (14*day + time.Hour) / 10},
	} {
		if told := s.live(t); (told - s.told).Abs() > 4*time.Hour {
			t.Errorf("%s: it is told with %s left, want %s", s.reason, told, s.told)
		}
	}
}

// live goes through the time, and says with how much left RefreshOverdue came first.
func (s signer) live(t *testing.T) time.Duration {
	t.Helper()
	z := newZone(t)
	var watch SignerWatch
	inception, expiration := s.resign(at, at.Add(-day), at)
	for since := time.Duration(0); since < 120*day; since += 2 * time.Hour {
		now := at.Add(since)
		for _, early := range s.early {
			if early == since {
				inception, expiration = now.Add(-90*time.Minute), now.Add(14*day)
			}
		}
		if s.stops == 0 || since < s.stops {
			inception, expiration = s.resign(now, inception, expiration)
		}
		o := Observations{Now: now, Zone: apex, Servers: []Server{z.dated(inception, expiration)}, Habit: watch.Habit}
		watch.Look(o)
		o.Habit = watch.Habit
		l := &look{Observations: &o}
		if left := expiration.Sub(now); l.age(left, expiration.Sub(inception)) == RefreshOverdue {
			return left
		}
	}
	return 0
}

// dated is a server whose NS records have a signature of these times. Nobody verifies it.
func (z *testZone) dated(inception, expiration time.Time) Server {
	keys, ns := new(dns.Msg), new(dns.Msg)
	keys.Response, keys.Authoritative, ns.Response, ns.Authoritative = true, true, true, true
	for _, k := range z.shown {
		keys.Answer = append(keys.Answer, k.DNSKEY)
	}
	ns.Answer = append(find(z.rrs, apex, dns.TypeNS), &dns.RRSIG{
		Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 3600}, TypeCovered: dns.TypeNS, OrigTtl: 3600,
		Algorithm: common.zsk.Algorithm, KeyTag: common.zsk.KeyTag(), SignerName: apex,
		Inception: uint32(inception.Unix()), Expiration: uint32(expiration.Unix()),
	})
	return Server{Label: "ns1", Stream: []Reply{{Name: apex, Type: dns.TypeDNSKEY, Msg: keys}, {Name: apex, Type: dns.TypeNS, Msg: ns}}}
}

// TestHabitIsOfWhatStaysTheSame: signatures over records that have changed, and by another key, tell nothing of when
// the signer would have made them anew; nor does a new process that sees new ones.
func TestHabitIsOfWhatStaysTheSame(t *testing.T) {
	z := newZone(t)
	first := z.dated(at.Add(-day), at.Add(13*day))
	look := func(w *SignerWatch, after time.Duration, alter func(ns *dns.Msg)) {
		s := z.dated(at.Add(after-time.Hour), at.Add(after+14*day))
		if alter != nil {
			alter(s.Stream[1].Msg)
		}
		w.Look(Observations{Now: at.Add(after), Zone: apex, Servers: []Server{s}})
	}
	for _, c := range []struct {
		reason string
		alter  func(*dns.Msg)
		fresh  bool
		rounds int
	}{
		{"the same records", nil, false, 1},
		{"another TTL that was handed out, the same one signed", func(ns *dns.Msg) { ns.Answer[0].Header().Ttl = 17 }, false, 1},
		{"other records", func(ns *dns.Msg) { ns.Answer = ns.Answer[1:] }, false, 0},
		{"another key", func(ns *dns.Msg) { ns.Answer[2].(*dns.RRSIG).KeyTag = common.ksk.KeyTag() }, false, 0},
		{"a key that the zone does not show", func(ns *dns.Msg) { ns.Answer[2].(*dns.RRSIG).KeyTag++ }, false, 0},
		{"more signatures than validators look at", func(ns *dns.Msg) {
			for range dnssec.MaxSignatures {
				junk := dns.Copy(ns.Answer[2]).(*dns.RRSIG)
				junk.Expiration++
				ns.Answer = append(ns.Answer, junk)
			}
		}, false, 0},
		{"NSEC records, which change and change back", func(ns *dns.Msg) { ns.Answer[2].(*dns.RRSIG).TypeCovered = dns.TypeNSEC }, false, 0},
		{"a new process", nil, true, 0},
	} {
		w := SignerWatch{}
		w.Look(Observations{Now: at, Zone: apex, Servers: []Server{first}})
		if c.fresh {
			w = SignerWatch{Habit: w.Habit}
		}
		look(&w, 5*day, c.alter)
		if w.Habit.Rounds != c.rounds {
			t.Errorf("%s: %+v", c.reason, w.Habit)
		}
	}
}

// TestSignersOnTheirOwn goes with two servers for 120 days, looking every two hours. What is learned is a habit that a signer
// has, and not what comes of taking one for the other.
func TestSignersOnTheirOwn(t *testing.T) {
	type resign = func(now, inception, expiration time.Time) (time.Time, time.Time)
	const knotLeft = 14*day/10 + 2*time.Hour
	bind, knot := lastingUntil(5*day, 14*day, time.Hour), lastingUntil(knotLeft, 14*day, 90*time.Minute)
	for _, c := range []struct {
		reason string
		first  resign
		// second is what signs at ns2, in the middle of its time at the beginning, by a key of its own or that of ns1; nil where
		// ns2 has what ns1 had two days ago.
		second         resign
		own            bool
		left, validity time.Duration
	}{
		{"one key and one habit, out of step", knot, knot, false, knotLeft, 14 * day},
		{"a secondary that is late", bind, nil, false, 5 * day, 14 * day},
		{"keys of their own, out of step", bind, bind, true, 5 * day, 14 * day},
		{"keys and habits of their own: the latest counts", bind, knot, true, knotLeft, 14 * day},
		{"keys and habits of their own, for other times: that of the first counts", bind, lastingUntil(30*day/4, 30*day, time.Hour), true, 5 * day, 14 * day},
	} {
		z := newZone(t)
		var watch SignerWatch
		type times struct{ inception, expiration time.Time }
		var first []times
		one, two := times{}, times{at.Add(-7 * day), at.Add(7 * day)}
		one.inception, one.expiration = c.first(at, at.Add(-day), at)
		for since := time.Duration(0); since < 120*day; since += 2 * time.Hour {
			now := at.Add(since)
			one.inception, one.expiration = c.first(now, one.inception, one.expiration)
			first = append(first, one)
			if c.second != nil {
				two.inception, two.expiration = c.second(now, two.inception, two.expiration)
			} else {
				two = first[max(len(first)-1-24, 0)]
			}
			ns1, ns2 := z.dated(one.inception, one.expiration), z.dated(two.inception, two.expiration)
			ns2.Label = "ns2"
			if answer := ns2.Stream[1].Msg.Answer; c.own {
				answer[len(answer)-1].(*dns.RRSIG).KeyTag = common.ksk.KeyTag()
			}
			watch.Look(Observations{Now: now, Zone: apex, Servers: []Server{ns1, ns2}})
		}
		if h := watch.Habit; !h.Known() || (h.Left-c.left).Abs() > 4*time.Hour || (h.Validity-c.validity).Abs() > 2*time.Hour {
			t.Errorf("%s: %+v, want %s left of %s", c.reason, h, c.left, c.validity)
		}
	}
}

// TestSignerThatSignsForAnotherTime: a habit ends when nobody shows signatures any more that are made for its time.
func TestSignerThatSignsForAnotherTime(t *testing.T) {
	z := newZone(t)
	watch := SignerWatch{Habit: Habit{Left: 5 * day, Validity: 14 * day, Rounds: enoughRounds, Round: at}}
	short, long := lastingUntil(5*day, 14*day, 0), lastingUntil(10*day, 30*day, 0)
	inception, expiration := at, at.Add(14*day)
	for since := time.Duration(0); since < 120*day; since += 2 * time.Hour {
		resign := short
		if since > 20*day {
			resign = long
		}
		inception, expiration = resign(at.Add(since), inception, expiration)
		watch.Look(Observations{Now: at.Add(since), Zone: apex, Servers: []Server{z.dated(inception, expiration)}})
	}
	if h := watch.Habit; !h.Known() || h.Validity != 30*day || (h.Left-10*day).Abs() > 4*time.Hour {
		t.Errorf("%+v", h)
	}
}

// TestHabitIsNoHaste: signatures that are made early many times in a row, as where two signers take turns, are no habit; one that is
// made late counts at once.
func TestHabitIsNoHaste(t *testing.T) {
	h := Habit{Left: 2 * day, Validity: 14 * day, Rounds: enoughRounds, Round: at}
	for n := range 50 {
		h = h.replaced(13*day, 14*day, at.Add(time.Duration(n)*time.Minute))
	}
	if h.Left != 2*day {
		t.Errorf("after many early ones %s is left, want two days", h.Left)
	}
	if h = h.replaced(13*day, 14*day, at.Add(5*day)); h.Left <= 2*day || h.Left > 3*day {
		t.Errorf("after a round that counts %s is left", h.Left)
	}
	if h = h.replaced(day, 14*day, at.Add(5*day+time.Hour)); h.Left != day {
		t.Errorf("after one that was late %s is left", h.Left)
	}
}

// TestHabitOfAnotherValidity: it says nothing of signatures that are made for another time.
func TestHabitOfAnotherValidity(t *testing.T) {
	h := Habit{Left: 5 * day, Validity: 14 * day, Rounds: enoughRounds}
	for _, c := range []struct {
		reason   string
		validity time.Duration
		want     time.Duration
	}{
		{"the same", 14 * day, 14 * day / 4},
		{"BIND's jitter", 14*day - 12*time.Hour, (14*day - 12*time.Hour) / 4},
		{"the keys are signed for a month", 30 * day, 3 * day},
	} {
		if got := h.overdue(c.validity); got != c.want {
			t.Errorf("%s: %s, want %s", c.reason, got, c.want)
		}
	}
	if h = h.replaced(10*day, 30*day, at); h.Known() || h.Left != 10*day || h.Validity != 30*day {
		t.Errorf("with another validity it begins anew: %+v", h)
	}
}
