package controllers

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

var paceNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestLooksAreSpread begins at one instant with a thousand hosts, and wants every second to have about its
// share of the looks that follow, each within the pace and again after exactly the pace.
func TestLooksAreSpread(t *testing.T) {
	const hosts, every = 1000, 100 * time.Second
	p := pace{interval: time.Second}
	perSecond := map[int64]int{}
	for i := range hosts {
		p.key = hostKey{domain: types.NamespacedName{Namespace: "mail", Name: fmt.Sprint(i)}, host: "mx.example.com"}
		first := p.due(paceNow, paceNow, every)
		if first <= 0 || first > every {
			t.Fatalf("host %d is looked at after %s, want at most %s", i, first, every)
		}
		if again := p.due(paceNow.Add(first), paceNow.Add(first), every); again != every {
			t.Errorf("host %d is looked at again after %s, want %s", i, again, every)
		}
		perSecond[int64(first/time.Second)]++
	}
	for second, n := range perSecond {
		if n > 30 { // ten are the share of each
			t.Errorf("second %d has %d looks", second, n)
		}
	}
}

// TestPaceOf wants frequent looks at what they can bring nearer, and only then.
func TestPaceOf(t *testing.T) {
	const interval, soak, idle, probes = 10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute
	inSync := []rollover.OwnerDecision{{Name: "_25._tcp.mx.example.com.", InSync: true}}
	wait := func(code rollover.WaitCode, until time.Time) rollover.Decision {
		return rollover.Decision{Owners: inSync, Published: true, Next: until, Waits: []rollover.Wait{{Code: code, Until: until}}}
	}
	open := rollover.Version{Open: true}
	rows := []struct {
		reason           string
		decision         rollover.Decision
		foreign          bool
		owner, endpoints time.Duration
		resting          bool
	}{
		{"nothing is waited for", rollover.Decision{Owners: inSync, Published: true}, false, idle, probes, true},
		{"caches forget in an hour", wait(rollover.WaitCaches, paceNow.Add(time.Hour)), false, soak, soak, true},
		{"caches forget in a moment: the switch needs a fresh sweep", wait(rollover.WaitCaches, paceNow.Add(15*time.Second)), false, interval, soak, false},
		{"old records go in a moment: what is presented matters", wait(rollover.WaitRetire, paceNow.Add(15*time.Second)), false, interval, interval, false},
		{"old records go in an hour", wait(rollover.WaitRetire, paceNow.Add(time.Hour)), false, soak, soak, true},
		{"a name server is behind", wait(rollover.WaitPropagation, time.Time{}), false, interval, probes, false},
		{"an endpoint presents the old key", wait(rollover.WaitEndpoints, time.Time{}), false, interval, interval, false},
		{"only a person can go on", wait(rollover.WaitSuspended, time.Time{}), false, idle, probes, true},
		{"two answers are served", rollover.Decision{Owners: []rollover.OwnerDecision{{InSync: true, Versions: []rollover.Version{open, open}}}, Published: true}, false, interval, probes, false},
		{"a name server shows something else", rollover.Decision{Owners: []rollover.OwnerDecision{{}}, Published: true}, false, interval, probes, false},
		{"a look at the endpoints is asked for", rollover.Decision{Owners: inSync, Published: true, NeedProbe: true}, false, idle, interval, false},
		{"two keys of a Certificate are served", rollover.Decision{Owners: inSync, Published: true, Keys: []rollover.KeyState{
			{Role: "Current", Certificate: "mx"}, {Role: "Current", Certificate: "mx"},
		}}, false, interval, interval, false},
		{"somebody else's host is never urgent", wait(rollover.WaitPropagation, time.Time{}), true, idle, probes, true},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			h := &hostRun{zone: &v1alpha1.DNSZone{}, decided: true, decision: row.decision, notManaged: row.foreign}
			p := paceOf(paceNow, h, 100)
			if p.owners[0] != row.owner || p.endpoints != row.endpoints || p.resting() != row.resting {
				t.Errorf("sweeps every %s, probes every %s, resting %t; want %s, %s, %t",
					p.owners[0], p.endpoints, p.resting(), row.owner, row.endpoints, row.resting)
			}
		})
	}
}

// TestManyHostsAtRest wants what is at rest to cost no more the more of it there is, and what moves to be looked
// at as often as ever.
func TestManyHostsAtRest(t *testing.T) {
	behind := rollover.Decision{Owners: []rollover.OwnerDecision{{}}, Published: true}
	rest := rollover.Decision{Owners: []rollover.OwnerDecision{{InSync: true}}, Published: true}
	for _, row := range []struct {
		reason           string
		hosts            int
		decision         rollover.Decision
		owner, endpoints time.Duration
	}{
		{"as many as can be looked at every five minutes", 1875, rest, 5 * time.Minute, 15 * time.Minute},
		{"more: each waits longer", 7500, rest, 20 * time.Minute, 45 * time.Minute},
		{"never longer than an hour", 100_000, rest, time.Hour, time.Hour},
		{"one that moves does not wait for the others", 100_000, behind, 10 * time.Second, time.Hour},
	} {
		t.Run(row.reason, func(t *testing.T) {
			p := paceOf(paceNow, &hostRun{zone: &v1alpha1.DNSZone{}, decided: true, decision: row.decision}, row.hosts)
			if p.owners[0] != row.owner || p.endpoints != row.endpoints {
				t.Errorf("sweeps every %s, probes every %s; want %s, %s", p.owners[0], p.endpoints, row.owner, row.endpoints)
			}
		})
	}
}

// TestHostsAreCounted follows the number of hosts as they come and go.
func TestHostsAreCounted(t *testing.T) {
	o := newObserver(func(types.NamespacedName) {})
	a, b := types.NamespacedName{Namespace: "mail", Name: "a"}, types.NamespacedName{Namespace: "mail", Name: "b"}
	for _, key := range []hostKey{{a, "mx1"}, {a, "mx2"}, {b, "mx1"}, {a, "mx1"}} {
		o.view(key)
	}
	if n := o.count(); n != 3 {
		t.Errorf("%d hosts, want 3", n)
	}
	o.forget(a, map[string]bool{"mx1": true}, paceNow)
	o.forget(b, nil, paceNow)
	if n := o.count(); n != 1 {
		t.Errorf("%d hosts are left, want 1", n)
	}
}

// TestRestingHostIsWokenByNews lets a sweep and a probe round end of a host at rest: what was seen before
// wakes nobody.
func TestRestingHostIsWokenByNews(t *testing.T) {
	key := hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}, host: "mx.example.com"}
	const owner = "_25._tcp.mx.example.com."
	woken := 0
	o := newObserver(func(types.NamespacedName) { woken++ })
	sweep := func(message string, at time.Time) {
		o.endSweep(key, owner, trail{sweep: rollover.Sweep{End: at, Answers: []rollover.Answer{{Address: "192.0.2.1:53", Message: message}}}})
	}
	probe := func(complete bool, at time.Time) {
		o.endProbe(key, rollover.ProbeRound{End: at, Complete: complete}, nil)
	}
	sweep("", paceNow)
	probe(true, paceNow)
	for _, step := range []struct {
		reason  string
		resting bool
		do      func(at time.Time)
		wakes   int
	}{
		{"a host that moves is woken by every sweep", false, func(at time.Time) { sweep("", at) }, 1},
		{"at rest the same answers wake nobody", true, func(at time.Time) { sweep("", at) }, 0},
		{"other answers do", true, func(at time.Time) { sweep("SERVFAIL", at) }, 1},
		{"at rest the same endpoints wake nobody", true, func(at time.Time) { probe(true, at) }, 0},
		{"one that is not reached does", true, func(at time.Time) { probe(false, at) }, 1},
	} {
		o.settle(key, pace{quiet: step.resting}, paceNow)
		before, at := woken, o.view(key).last.End.Add(time.Minute)
		step.do(at)
		if woken-before != step.wakes {
			t.Errorf("%s: woken %d times", step.reason, woken-before)
		}
		v := o.view(key)
		if !v.last.End.Equal(at) && !v.owners[owner].last.End.Equal(at) {
			t.Errorf("%s: the time of the newest look was not noted", step.reason)
		}
	}
}

// TestChangedEndpointsAreProbedSoon wants a new endpoint to be noted until a round has begun that knows it.
func TestChangedEndpointsAreProbedSoon(t *testing.T) {
	key := hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}, host: "mx.example.com"}
	o := newObserver(func(types.NamespacedName) {})
	o.beginProbe(key)
	o.stir(key.domain)
	o.endProbe(key, rollover.ProbeRound{End: paceNow, Complete: true}, nil)
	if !o.view(key).stirred {
		t.Error("a change during a round is forgotten at its end")
	}
	o.beginProbe(key)
	if o.view(key).stirred {
		t.Error("a change is remembered after a round has begun")
	}
}
