package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// TestSafeFinding: what is not compared is not called safe.
func TestSafeFinding(t *testing.T) {
	with := func(change func(*hostRun)) *hostRun {
		h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com"}, decided: true}
		change(h)
		return h
	}
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := []struct {
		reason string
		h      *hostRun
		status metav1.ConditionStatus
		why    string
	}{
		{"all that may be cached matches", with(func(*hostRun) {}), metav1.ConditionTrue, v1alpha1.ReasonSafe},
		{"nothing is decided", with(func(h *hostRun) { h.decided = false }), metav1.ConditionUnknown, v1alpha1.ReasonUnknown},
		{"the host is somebody else's", with(func(h *hostRun) { h.decided, h.notManaged = false, true }), metav1.ConditionTrue, v1alpha1.ReasonSafe},
		{"what stood there before may be cached", with(func(h *hostRun) {
			h.decision.Owners = []rollover.OwnerDecision{{Versions: []rollover.Version{{Unknown: true}}}}
		}), metav1.ConditionUnknown, v1alpha1.ReasonHistoryUnknown},
		{"senders may fail", with(func(h *hostRun) {
			h.decision.Unsafe = &rollover.Unsafe{Reason: rollover.UnsafeFollowed, Until: until}
		}), metav1.ConditionFalse, v1alpha1.ReasonFollowed},
	}
	for _, row := range rows {
		if f := safeFinding(nil, row.h); f.status != row.status || f.reason != row.why {
			t.Errorf("%s: %s %s, want %s %s", row.reason, f.status, f.reason, row.status, row.why)
		}
	}
}

// TestRecordsThatStayArePublished: while MX records that caches may hold keep the records of a removed host in DNS, these are
// published, and are not called removed.
func TestRecordsThatStayArePublished(t *testing.T) {
	for _, row := range []struct {
		reason    string
		named     string
		published bool
		status    metav1.ConditionStatus
		why       string
	}{
		{"MX records name the host, and they stand", "caches may hold MX records", true, metav1.ConditionTrue, v1alpha1.ReasonPublished},
		{"MX records name the host, and they never stood", "caches may hold MX records", false, metav1.ConditionFalse, v1alpha1.ReasonRecordsRemoved},
		{"nothing names it any more", "", true, metav1.ConditionFalse, v1alpha1.ReasonRecordsRemoved},
	} {
		h := &hostRun{removing: true, decided: true, zone: &v1alpha1.DNSZone{}, decision: rollover.Decision{Published: row.published}}
		h.facts.Policy.Removing, h.facts.Policy.Named = true, row.named
		if f := publishedFinding(nil, h); f.status != row.status || f.reason != row.why {
			t.Errorf("%s: %s %s, want %s %s", row.reason, f.status, f.reason, row.status, row.why)
		}
	}
}

// TestNextTransitionSaysWhatHolds: an object that does not move says why, decided or not.
func TestNextTransitionSaysWhatHolds(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	host := func(name string) *hostRun { return &hostRun{server: v1alpha1.MailServer{Hostname: name}} }
	refused, unready, waiting, others := host("mx1"), host("mx2"), host("mx3"), host("mx4")
	refused.refused = &refusal{v1alpha1.ReasonZoneNotFound, "no DNSZone covers mx1"}
	waiting.decided, waiting.decision = true, rollover.Decision{Next: at, NextAction: "a cache forgets"}
	others.decided, others.notManaged, others.decision = true, true, rollover.Decision{NextAction: "never told"}
	rows := []struct {
		reason string
		hosts  []*hostRun
		action string
	}{
		{"a refused host", []*hostRun{refused}, "no DNSZone covers mx1"},
		{"a zone that is not ready", []*hostRun{unready}, "the zone of mx2 is not ready"},
		{"what has a time comes first", []*hostRun{refused, waiting}, "mx3: a cache forgets"},
		{"a host of others is not waited for", []*hostRun{others}, ""},
	}
	for _, row := range rows {
		got := ""
		if next := nextTransition(&domainRun{hosts: row.hosts}); next != nil {
			got = next.Action
		}
		if row.action == "" && got != "" || !strings.Contains(got, row.action) {
			t.Errorf("%s: %q, want %q", row.reason, got, row.action)
		}
	}
}

// TestDeletingSaysWhatHolds names the fault, and the way to let go.
func TestDeletingSaysWhatHolds(t *testing.T) {
	const owner = "_25._tcp.mx1.example.com."
	h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com"}, decided: true, removing: true}
	h.decision.Owners = []rollover.OwnerDecision{{Name: owner, Write: true}}
	h.facts.Owners = []rollover.Owner{{Name: owner}}
	h.view.owners = map[string]ownerObservation{owner: {failures: 1, result: zone.Result{Class: zone.Unreachable, Message: "192.0.2.53:53 does not answer"}}}
	message := deletingMessage(&domainRun{md: &v1alpha1.MailDomain{}, hosts: []*hostRun{h}})
	for _, want := range []string{"192.0.2.53:53 does not answer", v1alpha1.AbandonAnnotation + "=true"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message %q does not say %q", message, want)
		}
	}
}

// TestProgressSaysWhyAnUpdateFailed: a primary that fails in the middle of a rollover is named with what is wrong.
func TestProgressSaysWhyAnUpdateFailed(t *testing.T) {
	const owner = "_25._tcp.mx1.example.com."
	failed := map[string]ownerObservation{owner: {failures: 1, result: zone.Result{Class: zone.ServerFailure, Message: "192.0.2.53:53 answered SERVFAIL"}}}
	for _, row := range []struct {
		reason string
		wait   rollover.WaitCode
		owners map[string]ownerObservation
		want   string
	}{
		{"the update that is waited for failed", rollover.WaitUpdate, failed, "waits: 192.0.2.53:53 answered SERVFAIL"},
		{"something else is waited for", rollover.WaitCaches, failed, "waits"},
		{"the update is on its way", rollover.WaitUpdate, nil, "waits"},
	} {
		h := &hostRun{server: v1alpha1.MailServer{Hostname: "mx1.example.com"}, decided: true}
		h.facts.Keys, h.facts.Owners = []rollover.Key{{ID: "new", Stage: rollover.StageRequested}}, []rollover.Owner{{Name: owner}}
		h.decision = rollover.Decision{
			Published: true, Owners: []rollover.OwnerDecision{{Name: owner, Write: true}},
			Waits: []rollover.Wait{{Code: row.wait, Message: "waits"}},
		}
		h.view.owners = row.owners
		if f := progressFinding(nil, h); f.message != row.want {
			t.Errorf("%s: %q, want %q", row.reason, f.message, row.want)
		}
	}
}

// TestLineOfAnEndpoint: what is known of no port is told without one.
func TestLineOfAnEndpoint(t *testing.T) {
	for want, s := range map[string]v1alpha1.EndpointStatus{
		"192.0.2.1:25: other key":    {Address: "192.0.2.1", Port: 25, Message: "other key"},
		"192.0.2.1:25: no TLS":       {Address: "192.0.2.1", Port: 25, Message: "192.0.2.1:25: no TLS"},
		"mx1.example.com: no answer": {Address: "mx1.example.com", Message: "no answer"},
	} {
		if got := endpointLine(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
