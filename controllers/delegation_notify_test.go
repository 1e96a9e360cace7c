package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// tolds are the hosts that were told since they were last asked for, sorted.
func (b *delegationBed) tolds() string {
	b.Helper()
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	var out []string
	for _, to := range b.world.notified {
		out = append(out, to.Host)
	}
	b.world.notified = nil
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestEveryTargetIsTold: each target of the parent is told until it acknowledges, less and less often, and the others not
// again meanwhile; the parent was told when all have. Something new is told at once, also to one that was deaf.
func TestEveryTargetIsTold(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.targets = []zone.NotifyTarget{{Host: "a.com.", Port: 53}, {Host: "b.com.", Port: 53}, {Host: "c.com.", Port: 53}}
	b.world.deaf = map[string]bool{"b.com.": true}
	b.clock.Step(2 * delegationIdle)
	b.work()
	if got := b.tolds(); got != "a.com. b.com. c.com." {
		t.Errorf("told were %s", got)
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "b.com. is deaf")
	if s := b.status(); s.NotifiedAt != nil {
		t.Errorf("one target has not heard of it: %+v", s)
	}
	// In minutes since the beginning: after one, two, four, ... and an hour at the most.
	var at []int
	for minute := 1; minute <= 33; minute++ {
		b.clock.Step(time.Minute)
		b.work()
		switch got := b.tolds(); got {
		case "":
		case "b.com.":
			at = append(at, minute)
		default:
			t.Fatalf("after %d minutes told was %s", minute, got)
		}
	}
	if want := []int{1, 3, 7, 15, 31}; !slices.Equal(at, want) {
		t.Errorf("it was told again after %v minutes, want %v", at, want)
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "b.com. is deaf")
	all := b.world.targets
	b.world.mu.Lock()
	b.world.targets = []zone.NotifyTarget{all[0], all[2]}
	b.world.mu.Unlock()
	b.clock.Step(time.Minute)
	b.work()
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "the parent was told")
	if got := b.tolds(); got != "" || b.status().NotifiedAt == nil {
		t.Errorf("without the deaf target the parent was told; told was %q", got)
	}

	b.world.mu.Lock()
	b.world.targets = all
	b.world.mu.Unlock()
	b.asks(b.old)
	b.world.mu.Lock()
	b.world.parentDS = []*dns.DS{b.new.ds()}
	b.world.deaf = nil
	b.world.mu.Unlock()
	b.clock.Step(time.Minute)
	b.work()
	if got := b.tolds(); got != "a.com. b.com. c.com." {
		t.Errorf("of something else told were %q", got)
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "the parent was told")
	if s := b.status(); s.NotifiedAt == nil || !slices.Equal(s.NotifiedDS, presentedDS([]*dns.DS{b.old.ds()})) {
		t.Errorf("status %+v", s)
	}
	b.clock.Step(time.Hour)
	b.begin()
	b.work()
	if got := b.tolds(); got != "" {
		t.Errorf("the next process tells %s of what all have acknowledged", got)
	}
}

// TestParentThatHeardOfSomethingElse: once a target was told of other keys, what all were told before is news again.
func TestParentThatHeardOfSomethingElse(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.targets = []zone.NotifyTarget{{Host: "a.com.", Port: 53}, {Host: "b.com.", Port: 53}}
	b.clock.Step(2 * delegationIdle)
	b.work()
	if got := b.tolds(); got != "a.com. b.com." || b.status().NotifiedAt == nil {
		t.Fatalf("told were %q: %+v", got, b.status())
	}
	first := b.status().NotifiedDS
	asked := func(k, parent signingKey, deaf bool) string {
		b.asks(k)
		b.world.mu.Lock()
		b.world.parentDS, b.world.deaf = []*dns.DS{parent.ds()}, map[string]bool{"b.com.": deaf}
		b.world.mu.Unlock()
		b.clock.Step(time.Minute)
		b.work()
		return b.tolds()
	}
	if got := asked(b.old, b.new, true); got != "a.com. b.com." || b.status().NotifiedAt != nil {
		t.Fatalf("of other keys told were %q: %+v", got, b.status())
	}
	if got := asked(b.new, b.old, false); got != "a.com. b.com." || !slices.Equal(b.status().NotifiedDS, first) {
		t.Errorf("of the first keys again told were %q: %+v", got, b.status())
	}
}

// TestNotifyBackOffOutlivesASpec: of what targets were told counts under another spec of the DNSZone too, as does for how long
// a deaf one is left in peace. What the zone asks for anew is told to all.
func TestNotifyBackOffOutlivesASpec(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.targets = []zone.NotifyTarget{{Host: "a.com.", Port: 53}, {Host: "b.com.", Port: 53}}
	b.world.deaf = map[string]bool{"b.com.": true}
	edit := func() {
		z := b.zone()
		z.Generation++
		z.Spec.Propagation.Sweeps++
		b.must(b.api.Update(t.Context(), z))
		b.work()
	}
	b.clock.Step(2 * delegationIdle)
	b.work()
	for n, want := range []string{"a.com. b.com.", "", "", "b.com.", "", "", "", "b.com."} {
		if got := b.tolds(); got != want {
			t.Errorf("after %d specs, half a minute apart, told was %q, want %q", n, got, want)
		}
		if n > 0 {
			b.clock.Step(time.Minute / 2)
		}
		edit()
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "b.com. is deaf")
	b.asks(b.old)
	b.world.mu.Lock()
	b.world.parentDS = []*dns.DS{b.new.ds()}
	b.world.mu.Unlock()
	edit()
	if got := b.tolds(); got != "a.com. b.com." {
		t.Errorf("of something else told were %q", got)
	}
}

// TestNotifyBackOff: it ends at an hour, and begins anew with something new, and with an acknowledgement.
func TestNotifyBackOff(t *testing.T) {
	now := time.Unix(1e9, 0)
	var target toldTarget
	for range 100 {
		target = target.toldOf([]string{"a"}, zone.Result{Class: zone.Unreachable}, now)
	}
	if target.due([]string{"a"}, now.Add(time.Hour-time.Second)) || !target.due([]string{"a"}, now.Add(time.Hour)) || !target.due([]string{"b"}, now) {
		t.Errorf("%+v", target)
	}
	if other := target.toldOf([]string{"b"}, zone.Result{Class: zone.Unreachable}, now); !other.due([]string{"b"}, now.Add(time.Minute)) {
		t.Errorf("%+v", other)
	}
	if heard := target.toldOf([]string{"a"}, zone.Result{Class: zone.Applied}, now); heard.due([]string{"a"}, now.Add(24*time.Hour)) || heard.failures > 0 {
		t.Errorf("%+v", heard)
	}
}

// TestBogusParentOfSomebodyElse: nobody is told because of answers that do not validate.
func TestBogusParentOfSomebodyElse(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	b.world.targets = []zone.NotifyTarget{{Host: "scanner.com.", Port: 5300}}
	b.world.mu.Lock()
	b.world.bogus = true
	b.world.mu.Unlock()
	b.clock.Step(2 * delegationIdle)
	b.work()
	b.wants(metav1.ConditionUnknown, v1alpha1.ReasonParentNotSecure, "192.0.2.1:53")
	if got := b.tolds(); got != "" {
		t.Errorf("told was %s", got)
	}
}

// TestDelegationPace: what nothing comes of is looked at less and less often.
func TestDelegationPace(t *testing.T) {
	now := time.Unix(1e9, 0)
	z := &v1alpha1.DNSZone{}
	for _, c := range []struct {
		reason delegation.Reason
		waited time.Duration
		want   time.Duration
	}{
		{delegation.InitialNotAccepted, 0, 10 * time.Second},
		{delegation.InitialNotAccepted, time.Minute, 10 * time.Second},
		{delegation.InitialNotAccepted, 3 * time.Minute, 30 * time.Second},
		{delegation.InitialNotAccepted, 24 * time.Hour, delegationIdle},
		{delegation.Asked, 0, 10 * time.Second},
		{delegation.InSync, 0, delegationIdle},
	} {
		w := delegationWork{look: &delegationLook{at: now}, decision: &delegation.Decision{Reason: c.reason}, since: now.Add(-c.waited)}
		if got := delegationPace(w, z); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.reason, c.waited, got, c.want)
		}
	}
}

// TestParentOfSomebodyElseIsLeftInPeace: while it is in step its servers are asked less often; while anything is in motion, and
// right after that, as often as ever.
func TestParentOfSomebodyElseIsLeftInPeace(t *testing.T) {
	b := newDelegationBed(t, v1alpha1.DelegationSpec{})
	// looks goes on for some minutes, and says at which of them the parent was asked.
	looks := func(minutes int) (at []int) {
		for minute := 1; minute <= minutes; minute++ {
			b.clock.Step(time.Minute)
			before := b.asked()
			b.work()
			if b.asked() > before {
				at = append(at, minute)
			}
		}
		return at
	}
	becomes := func(asks, has signingKey) {
		b.asks(asks)
		b.world.mu.Lock()
		b.world.parentDS = []*dns.DS{has.ds()}
		b.world.mu.Unlock()
	}
	each := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	if got := looks(13); !slices.Equal(got, each) {
		t.Errorf("while the parent is behind it was asked after %v minutes", got)
	}
	becomes(b.new, b.new)
	if got, want := looks(21), []int{1, 2, 3, 4, 5, 6, 11, 16, 21}; !slices.Equal(got, want) {
		t.Errorf("in step it was asked after %v minutes, want %v", got, want)
	}
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
	becomes(b.old, b.old) // both at once, between two looks
	if got, want := looks(20), []int{5, 6, 7, 8, 9, 10, 15, 20}; !slices.Equal(got, want) {
		t.Errorf("after a change it was asked after %v minutes, want %v", got, want)
	}
	becomes(b.new, b.old)
	if got, want := looks(13), each[4:]; !slices.Equal(got, want) {
		t.Errorf("the zone asks for other records, and it was asked after %v minutes, want %v", got, want)
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, "")
}

// TestUnsignedParentOfSomebodyElse: one that has no DS records yet is not in step, though the zone asks for nothing.
func TestUnsignedParentOfSomebodyElse(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		reason string
		expect []*dns.DS
		want   time.Duration
	}{
		{"none", nil, delegationIdle},
		{"some", []*dns.DS{newSigningKey(t).ds()}, delegationRest},
	} {
		w := delegationWork{look: &delegationLook{at: now, foreign: true}, decision: &delegation.Decision{Reason: delegation.NothingAsked, Expect: c.expect}, since: now.Add(-time.Hour)}
		if got := delegationPace(w, &v1alpha1.DNSZone{}); got != c.want {
			t.Errorf("with %s: %s, want %s", c.reason, got, c.want)
		}
	}
}

// TestWaitingForTheSameThing: the time is that since the reason came up, over as many looks as there were.
func TestWaitingForTheSameThing(t *testing.T) {
	b := newDelegationBed(t, ours())
	b.world.mu.Lock()
	b.world.parentDS = nil
	b.world.mu.Unlock()
	begun := b.clock.Now().Add(delegationIdle)
	for range 8 {
		b.clock.Step(delegationIdle)
		b.work()
	}
	b.wants(metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted, "")
	w := b.entry().delegation
	if w.since.After(begun) || delegationPace(w, b.zone()) != delegationIdle {
		t.Errorf("it waits since %s, and looks every %s", w.since, delegationPace(w, b.zone()))
	}
	b.world.mu.Lock()
	b.world.parentDS = []*dns.DS{b.old.ds()}
	b.world.mu.Unlock()
	b.clock.Step(delegationIdle)
	b.work()
	b.wants(metav1.ConditionTrue, v1alpha1.ReasonDSInSync, "")
}
