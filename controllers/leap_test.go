package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/clockwatch"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// TestLeapIsKnownToEveryDecision: the rule is told since when the clock runs evenly, of hosts and of signing keys.
func TestLeapIsKnownToEveryDecision(t *testing.T) {
	b := newDKIMBed(t, func(*v1alpha1.MailDomainSpec) {})
	b.inUse()
	stood := time.Duration(0) // the process does not run on while the clock does
	b.r.machine.watch = clockwatch.New(b.clock, func() time.Duration { return stood })
	for _, leap := range []time.Duration{0, time.Hour} {
		b.clock.Step(leap)
		var want time.Time
		if leap > 0 {
			want = b.clock.Now()
		}
		run, err := b.r.gather(b.Context(), b.get())
		if err != nil {
			t.Fatal(err)
		}
		if len(run.hosts) == 0 || len(run.dkim.rows) == 0 {
			t.Fatal("nothing is decided on")
		}
		for _, h := range run.hosts {
			if !h.facts.EvenSince.Equal(want) {
				t.Errorf("after a leap of %s, %s: even since %s, want %s", leap, h.server.Hostname, h.facts.EvenSince, want)
			}
		}
		for _, row := range run.dkim.rows {
			if got := b.r.dkimFacts(run, row).EvenSince; !got.Equal(want) {
				t.Errorf("after a leap of %s, key %s: even since %s, want %s", leap, row.name(), got, want)
			}
		}
	}
}

// TestClockIsCompared: before the clock is read for the first time it is compared with that of the API server. Until that was possible
// nothing is decided, and one that is ahead counts as one that was set forward.
func TestClockIsCompared(t *testing.T) {
	b := newDKIMBed(t, func(*v1alpha1.MailDomainSpec) {})
	b.r.machine.watch = clockwatch.New(b.clock, nil)
	asked, ahead, failure := 0, time.Hour, errors.New("connection refused")
	b.r.machine.ahead = func(context.Context) (time.Duration, error) {
		asked++
		return ahead, failure
	}
	if _, err := b.r.gather(b.Context(), b.get()); !errors.Is(err, failure) {
		t.Fatalf("what cannot be compared is believed: %v", err)
	}
	failure = nil
	b.clock.Step(askClockAgain)
	began := b.clock.Now()
	for range 3 {
		run, err := b.r.gather(b.Context(), b.get())
		if err != nil || len(run.hosts) == 0 || !run.hosts[0].facts.EvenSince.Equal(began) {
			t.Fatalf("even since %+v, want %s: %v", run.hosts, began, err)
		}
		b.clock.Step(time.Minute)
	}
	if asked != 2 {
		t.Errorf("it was compared %d times, want twice", asked)
	}
}

// TestBehindDecidesNothing: what is noted by a clock that is behind seems older than it is to the next process, so that nothing is
// decided, and an Event says so. When it is right, waits that had begun begin again. The API server is not asked all the time, and where it
// does not answer, a clock that was right and that nobody has set is believed.
func TestBehindDecidesNothing(t *testing.T) {
	b := newDKIMBed(t, func(*v1alpha1.MailDomainSpec) {})
	start, ran, asked, ahead, failure := b.clock.Now(), time.Duration(0), 0, time.Duration(0), error(nil)
	b.r.machine.watch = clockwatch.New(b.clock, func() time.Duration { return ran })
	b.r.machine.ahead = func(context.Context) (time.Duration, error) {
		asked++
		return ahead, failure
	}
	refused, held := errors.New("connection refused"), []error{}
	b.r.machine.held = func(err error) { held = append(held, err) }
	b.r.machine.counts = metrics.NewEvents()
	for _, step := range []struct {
		reason          string
		passes          time.Duration
		failure         error
		ahead           time.Duration
		asked           int
		decides, leaped bool
	}{
		{"as it should be", 0, nil, 0, 1, true, false},
		{"a moment later", time.Second, nil, 0, 0, true, false},
		{"the API server is away later on", time.Hour, refused, 0, 1, true, false},
		{"set back, and nobody can say so", time.Minute, refused, -time.Hour, 1, false, false},
		{"set back", time.Minute, nil, -time.Hour, 1, false, false},
		{"still so", time.Second, nil, -time.Hour, 0, false, false},
		{"nobody can say so", time.Minute, refused, -time.Hour, 1, false, false},
		{"set right", time.Minute, nil, 0, 1, true, true},
		{"set back a moment after that", time.Second, nil, -time.Hour, 1, false, false},
		{"set right again, which is found when it is asked for", time.Second, nil, 0, 0, false, false},
	} {
		ran, ahead, failure, asked = ran+step.passes, step.ahead, step.failure, 0
		b.clock.SetTime(start.Add(ran + ahead))
		run, err := b.r.gather(b.Context(), b.get())
		if (err == nil) != step.decides || asked != step.asked {
			t.Errorf("%s: %v, asked %d times", step.reason, err, asked)
		}
		if err == nil && run.hosts[0].facts.EvenSince.Equal(b.clock.Now()) != step.leaped {
			t.Errorf("%s: even since %s", step.reason, run.hosts[0].facts.EvenSince)
		}
		gauge := fmt.Sprintf("# HELP dane_operator_clock_behind Whether the clock of the machine is behind the API server's, by the last comparison, so that nothing is decided: 1, or 0 while it is not.\n"+
			"# TYPE dane_operator_clock_behind gauge\ndane_operator_clock_behind %d\n", len(held)%2)
		if err := testutil.CollectAndCompare(b.r.machine.counts, strings.NewReader(gauge), "dane_operator_clock_behind"); err != nil {
			t.Errorf("%s: %v", step.reason, err)
		}
	}
	if want := []error{errClockBehind, nil, errClockBehind}; !slices.Equal(held, want) {
		t.Errorf("the process is told %q, want %q", held, want)
	}
	ran, ahead = ran+time.Hour, -time.Hour
	b.clock.SetTime(start.Add(ran + ahead))
	result, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: b.get().Namespace, Name: b.get().Name}})
	if err != nil || result.RequeueAfter != askClockAgain {
		t.Errorf("with a clock that is behind: %+v, %v", result, err)
	}
	said := false
	for len(b.r.events.(*events.FakeRecorder).Events) > 0 {
		said = said || strings.Contains(<-b.r.events.(*events.FakeRecorder).Events, "Warning ClockBehind the clock of this machine is behind the API server's")
	}
	if !said {
		t.Error("no Event says why nothing is decided")
	}
}

// TestClockOfAZoneIsCompared: a change of DS records that status tells of is not over because the clock of a process that starts is
// ahead, nor because it is set forward while one runs.
func TestClockOfAZoneIsCompared(t *testing.T) {
	b := newZoneBed(t)
	b.look(b.secureZone("1"))
	b.clock.Step(zoneIdle)
	if !b.look(b.secureZone("2")) {
		t.Fatal("another key is no change")
	}
	const leap = 48 * time.Hour
	b.clock.Step(leap)
	b.restart()
	failure, ran := errors.New("connection refused"), time.Duration(0)
	b.r.machine.watch = clockwatch.New(b.clock, func() time.Duration { return ran })
	b.r.machine.ahead = func(context.Context) (time.Duration, error) { return leap, failure }
	if _, err := b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: zoneName}); !errors.Is(err, failure) {
		t.Errorf("what cannot be compared is believed: %v", err)
	}
	failure, ran = nil, askClockAgain
	b.clock.Step(askClockAgain)
	if !b.look(b.secureZone("2")) {
		t.Error("with a clock that is ahead, the change is over at once")
	}
	b.clock.Step(leap)
	if !b.look(b.secureZone("2")) {
		t.Error("the clock was set forward, and the change is over")
	}
	b.clock.Step(leap)
	ran += leap
	if b.look(b.secureZone("2")) {
		t.Error("the change is never over")
	}
}

// TestLookThatEndsByAWrongClock: what a look has found that ends after the clock was set back would be noted too early, and be stored once
// the clock is right. Another look finds it.
func TestLookThatEndsByAWrongClock(t *testing.T) {
	b := newZoneBed(t)
	start, ran, ahead := b.clock.Now(), time.Duration(0), time.Duration(0)
	at := func(passes, by time.Duration) {
		ran, ahead = ran+passes, by
		b.clock.SetTime(start.Add(ran + ahead))
	}
	b.r.machine.watch = clockwatch.New(b.clock, func() time.Duration { return ran })
	b.r.machine.ahead = func(context.Context) (time.Duration, error) { return ahead, nil }
	b.look(b.secureZone("1"))
	at(zoneIdle, 0)
	b.reconcile() // a look begins
	at(time.Second, -2*time.Hour)
	b.clients[0].answer(t, b.secureZone("2"))
	if got := b.entry().health.DNSSEC.Keys; !slices.Equal(got, []string{"1"}) {
		t.Errorf("keys %q were noted by a clock that was set back", got)
	}
	at(time.Minute, 0)
	b.reconcile()
	if zone := b.zone(); zone.Status.DNSSEC.KeysChangedAt != nil {
		t.Errorf("the keys changed at %s", zone.Status.DNSSEC.KeysChangedAt)
	}
	b.clients[0].answer(t, b.secureZone("2"))
	b.reconcile()
	if got := b.zone().Status.DNSSEC.KeysChangedAt; got == nil || got.Time.Before(b.clock.Now().Add(-time.Second)) {
		t.Errorf("the keys changed at %v, want %s", got, b.clock.Now())
	}
}
