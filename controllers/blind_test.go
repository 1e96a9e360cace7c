package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// TestRestartSaysNothingNew wants the conditions of before to stand until a new process has looked at the
// zone, at every owner and at every endpoint.
func TestRestartSaysNothingNew(t *testing.T) {
	const owner = "_25._tcp.mx.example.com."
	looked := zoneEntry{health: &zone.Health{}}
	swept := map[string]ownerObservation{owner: {last: &rollover.Sweep{}}}
	rows := []struct {
		reason string
		edit   func(*domainRun, *hostRun)
		blind  bool
	}{
		{"nothing was looked at", func(*domainRun, *hostRun) {}, true},
		{"the zone alone", func(_ *domainRun, h *hostRun) { h.entry = looked }, true},
		{"the zone and the owner", func(_ *domainRun, h *hostRun) { h.entry, h.view.owners = looked, swept }, true},
		{"everything", func(_ *domainRun, h *hostRun) {
			h.entry, h.view.owners, h.view.last = looked, swept, &rollover.ProbeRound{}
		}, false},
		{"everything there is, without probes", func(_ *domainRun, h *hostRun) {
			h.entry, h.view.owners, h.server.Probe.Mode = looked, swept, v1alpha1.ProbeDisabled
		}, false},
		{"the owner, and status tells of no endpoint yet", func(_ *domainRun, h *hostRun) {
			h.entry, h.view.owners, h.previous.Endpoints = looked, swept, nil
		}, false},
		{"the spec is another", func(run *domainRun, _ *hostRun) { run.md.Generation++ }, false},
		{"the host is new", func(_ *domainRun, h *hostRun) { h.previous = nil }, false},
		{"the host is refused", func(_ *domainRun, h *hostRun) { h.refused = &refusal{} }, false},
		{"the zone cannot be used", func(_ *domainRun, h *hostRun) { h.decided, h.entry = false, looked }, false},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			md.Status.ObservedGeneration = 3
			md.Status.NextTransition = &v1alpha1.Transition{Action: "as before"}
			h := &hostRun{
				previous: &v1alpha1.MailServerStatus{Endpoints: []v1alpha1.EndpointStatus{{}}, Nameservers: []v1alpha1.NameserverSync{{}}}, decided: true, zone: &v1alpha1.DNSZone{},
				decision: rollover.Decision{Owners: []rollover.OwnerDecision{{Name: owner}}},
			}
			run := &domainRun{md: md, hosts: []*hostRun{h}}
			row.edit(run, h)
			if got := run.blind(); got != row.blind {
				t.Errorf("blind: %t, want %t", got, row.blind)
			}
		})
	}
}

// TestCarryOver wants a status that tells nothing new to be the one that is stored.
func TestCarryOver(t *testing.T) {
	open := v1alpha1.VersionStatus{Owner: "a", Open: true}
	closed := v1alpha1.VersionStatus{Owner: "a", Records: []string{"3 1 1 00"}}
	left := v1alpha1.VersionStatus{Owner: "_26._tcp.mx.example.com.", Records: []string{"3 1 1 00"}}
	key := func(v v1alpha1.Visibility) []v1alpha1.KeyStatus {
		return []v1alpha1.KeyStatus{{SPKISHA256: "00", Role: v1alpha1.RoleCurrent, Visibility: v}}
	}
	known, rumoured := v1alpha1.VisibilityOmnipresent, v1alpha1.VisibilityRumoured
	seen := zoneEntry{health: &zone.Health{}}
	rows := []struct {
		reason string
		entry  zoneEntry
		stored []v1alpha1.VersionStatus
		next   v1alpha1.MailServerStatus
		same   bool
	}{
		{"a closed version has run out", seen, []v1alpha1.VersionStatus{closed, open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{open}, Keys: key(known)}, true},
		{"one of a port that has left the spec: nothing is to be asked about it any more", seen, []v1alpha1.VersionStatus{left, open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{open}, Keys: key(known)}, false},
		{"it has, and a key changed too", seen, []v1alpha1.VersionStatus{closed, open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{open}, Keys: key(rumoured)}, false},
		{"an open version is gone", seen, []v1alpha1.VersionStatus{closed, open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{closed}, Keys: key(known)}, false},
		{"a version is new", seen, []v1alpha1.VersionStatus{open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{open, closed}, Keys: key(known)}, false},
		{"a new process has not asked yet", zoneEntry{}, []v1alpha1.VersionStatus{open}, v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{open}, Keys: key(rumoured)}, true},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			found := []v1alpha1.EndpointStatus{{Address: "192.0.2.1", Verified: true}}
			h := &hostRun{decided: true, entry: row.entry, previous: &v1alpha1.MailServerStatus{Versions: row.stored, Keys: key(known), Endpoints: found}}
			row.next.Endpoints, h.view.last = found, &rollover.ProbeRound{}
			if row.entry.health == nil { // probed, and the name servers were not asked yet
				row.next.Endpoints = []v1alpha1.EndpointStatus{{Address: "192.0.2.1", Message: notCompared}}
			}
			h.carryOver(&row.next)
			if same := equality.Semantic.DeepEqual(row.next, *h.previous); same != row.same {
				t.Errorf("the status is the stored one: %t, want %t", same, row.same)
			}
		})
	}
}

// TestCounts wants no write for each step of a count, and what was not written to be counted again.
func TestCounts(t *testing.T) {
	at := &metav1.Time{Time: paceNow}
	version := func(n int32) []v1alpha1.VersionStatus {
		v := v1alpha1.VersionStatus{Owner: "a", Open: true, AbsentSweeps: n}
		if n > 0 {
			v.AbsentSince = at
		}
		return []v1alpha1.VersionStatus{v}
	}
	key := func(n int32) []v1alpha1.KeyStatus {
		k := v1alpha1.KeyStatus{SPKISHA256: "00", Role: v1alpha1.RolePrevious, GoneRounds: n}
		if n > 0 {
			k.GoneSince = at
		}
		return []v1alpha1.KeyStatus{k}
	}
	rows := []struct {
		reason                string
		versionWas, versionIs int32
		keyWas, keyIs         int32
		kept                  int
		records               []string
		counting              bool
		wantVersion, wantGone int32
	}{
		{reason: "a first sweep without the version", versionIs: 1, counting: true},
		{reason: "a second", versionIs: 2, kept: 1, counting: true},
		{reason: "the last that is needed", versionIs: 3, wantVersion: 3},
		{reason: "a round without the key", keyIs: 1, counting: true},
		{reason: "the last round that is needed: from now on there is a time to wait for", keyIs: 3, wantGone: 3},
		{reason: "one count grows and another ends", versionIs: 3, keyIs: 1, wantVersion: 3, wantGone: 1},
		{reason: "the count begins anew: a write, or all that is seen would be kept for ever", versionWas: 2},
		{reason: "it goes on from what was stored with something else", versionWas: 1, versionIs: 2, counting: true, wantVersion: 1},
		{reason: "something else is new", versionIs: 1, records: []string{"3 1 1 00"}, wantVersion: 1},
		{reason: "enough is kept", versionIs: 1, kept: 3, wantVersion: 1},
		{reason: "nothing is new"},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			h := &hostRun{decided: true, entry: zoneEntry{health: &zone.Health{}}, previous: &v1alpha1.MailServerStatus{Versions: version(row.versionWas), Keys: key(row.keyWas)}}
			h.facts.Policy.Sweeps, h.view.last = 3, &rollover.ProbeRound{}
			h.view.owners = map[string]ownerObservation{"a": {sweeps: make([]rollover.Sweep, row.kept)}}
			next := v1alpha1.MailServerStatus{Versions: version(row.versionIs), Keys: key(row.keyIs), Records: row.records}
			h.carryOver(&next)
			if h.counting != row.counting || next.Versions[0].AbsentSweeps != row.wantVersion || next.Keys[0].GoneRounds != row.wantGone {
				t.Errorf("counting %t, status %+v", h.counting, next)
			}
			if since := next.Versions[0].AbsentSince; (since == nil) != (row.wantVersion == 0) {
				t.Errorf("absent since %v with %d sweeps", since, row.wantVersion)
			}
		})
	}
}

// TestCountedIsKept wants the observer to keep what a status that was not written rests on.
func TestCountedIsKept(t *testing.T) {
	for _, counting := range []bool{true, false} {
		r := &MailDomainReconciler{observer: newObserver(func(types.NamespacedName) {})}
		h := &hostRun{key: hostKey{host: "mx1.example.com"}, decided: true, counting: counting}
		r.observer.endSweep(h.key, "a", trail{})
		h.view = r.observer.view(h.key)
		r.consumed(&domainRun{hosts: []*hostRun{h}})
		if kept := len(r.observer.view(h.key).owners["a"].sweeps); (kept == 1) != counting {
			t.Errorf("counting %t: %d sweeps are kept", counting, kept)
		}
	}
}

// TestProbesOfAKeyThatNobodyHasAreNotCounted wants no write for each probe round while a standby key waits.
func TestProbesOfAKeyThatNobodyHasAreNotCounted(t *testing.T) {
	state := rollover.KeyState{Role: "Next", GoneRounds: 2, GoneSince: paceNow}
	if s := keyStatus(state); s.GoneRounds != 0 || s.GoneSince != nil {
		t.Errorf("a key that was never deployed has gone %d rounds since %v", s.GoneRounds, s.GoneSince)
	}
	state.Role, state.Deployed = "Previous", true
	if s := keyStatus(state); s.GoneRounds != 2 || s.GoneSince == nil {
		t.Error("the rounds without a key that was served are lost at a restart")
	}
}

// TestOldProbesWriteNothing lets a day pass in which every probe finds the same.
func TestOldProbesWriteNothing(t *testing.T) {
	before := metav1.NewTime(paceNow)
	h := &hostRun{
		server:   v1alpha1.MailServer{Hostname: "mx.example.com"},
		previous: &v1alpha1.MailServerStatus{Endpoints: []v1alpha1.EndpointStatus{{Address: "192.0.2.1", Port: 25, LastProbe: &before, Message: "refused"}}},
		view: hostView{
			last:   &rollover.ProbeRound{End: paceNow.Add(24 * time.Hour)},
			probes: []endpointProbe{{address: "192.0.2.1", port: 25, results: unreachable("refused", paceNow.Add(24*time.Hour))}},
		},
	}
	if got := endpointStatuses(h); len(got) != 1 || !got[0].LastProbe.Equal(&before) {
		t.Errorf("the endpoints are %v, want them as they were", got)
	}
	h.view.probes[0].results = unreachable("timed out", paceNow.Add(24*time.Hour))
	if got := endpointStatuses(h); len(got) != 1 || got[0].LastProbe.Equal(&before) || got[0].Message != "timed out" {
		t.Errorf("the endpoints are %v, want what was found now", got)
	}
}

func unreachable(message string, at time.Time) []probe.Result {
	return []probe.Result{{Outcome: probe.Unreachable, Message: message, End: at}}
}
