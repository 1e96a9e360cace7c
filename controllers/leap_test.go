package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/clockwatch"
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

// TestBehindIsPutForward: a clock that is behind that of the API server shows the time of that, by which instants are noted; waits that
// had begun begin again, since nobody knows which of the two is right. One that is set back while the process runs is put forward again.
func TestBehindIsPutForward(t *testing.T) {
	b := newDKIMBed(t, func(*v1alpha1.MailDomainSpec) {})
	ahead, ran := -time.Hour, time.Duration(0)
	b.r.machine.watch = clockwatch.New(b.clock, func() time.Duration { return ran })
	b.r.machine.ahead = func(context.Context) (time.Duration, error) { return ahead, nil }
	began := b.clock.Now().Add(time.Hour)
	for _, step := range []struct {
		reason string
		set    time.Duration
	}{{"behind", 0}, {"set right", time.Hour}, {"set back", -2 * time.Hour}} {
		b.clock.SetTime(b.clock.Now().Add(step.set + time.Minute))
		ran, ahead = ran+time.Minute, ahead+step.set
		run, err := b.r.gather(b.Context(), b.get())
		if err != nil || len(run.hosts) == 0 {
			t.Fatalf("%s: %d hosts: %v", step.reason, len(run.hosts), err)
		}
		if f := run.hosts[0].facts; !f.Now.Equal(began.Add(ran)) || !f.EvenSince.Equal(began.Add(time.Minute)) {
			t.Errorf("%s: it is %s, and even since %s; want %s and %s", step.reason, f.Now, f.EvenSince, began.Add(ran), began.Add(time.Minute))
		}
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
	failure = nil
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
