package controllers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestDecisionsAreLogged wants one line for each change of a decision, always with the same keys, and none where
// nothing but a message or a time is another one.
func TestDecisionsAreLogged(t *testing.T) {
	var lines []string
	ctx := logf.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	status := func(waits, ready, rollover, safe, message string) *v1alpha1.MailDomainStatus {
		s := &v1alpha1.MailDomainStatus{NextTransition: &v1alpha1.Transition{Action: waits}}
		for _, c := range []struct{ kind, reason string }{
			{v1alpha1.ConditionReady, ready}, {v1alpha1.ConditionRolloverInProgress, rollover}, {v1alpha1.ConditionRolloverSafe, safe},
		} {
			s.Conditions = append(s.Conditions, metav1.Condition{Type: c.kind, Reason: c.reason, Message: message})
		}
		return s
	}
	before := &v1alpha1.MailDomainStatus{}
	for _, step := range []struct {
		reason string
		after  *v1alpha1.MailDomainStatus
		line   string
	}{
		{"the first decision", status("a renewal", "Ready", "Idle", "Safe", ""), `"before"="" "waitingFor"="a renewal" "ready"="Ready" "rollover"="Idle" "safe"="Safe" "mailRecords"="" "dkim"=""`},
		{"another message", status("a renewal", "Ready", "Idle", "Safe", "now in other words"), ""},
		{"a rollover begins", status("caches", "Ready", "Waiting", "Safe", ""), `"before"="a renewal" "waitingFor"="caches" "ready"="Ready" "rollover"="Waiting" "safe"="Safe" "mailRecords"="" "dkim"=""`},
		{"senders may fail", status("caches", "Ready", "Waiting", "GateBypassed", ""), `"before"="caches" "waitingFor"="caches" "ready"="Ready" "rollover"="Waiting" "safe"="GateBypassed" "mailRecords"="" "dkim"=""`},
		{"a record of the domain is in the way", also(status("caches", "Ready", "Waiting", "GateBypassed", ""), v1alpha1.ConditionMailRecordsPublished, "Conflict"),
			`"before"="caches" "waitingFor"="caches" "ready"="Ready" "rollover"="Waiting" "safe"="GateBypassed" "mailRecords"="Conflict" "dkim"=""`},
		{"the keys that mail is signed with", also(status("caches", "Ready", "Waiting", "GateBypassed", ""), v1alpha1.ConditionDKIMReady, "Waiting"),
			`"before"="caches" "waitingFor"="caches" "ready"="Ready" "rollover"="Waiting" "safe"="GateBypassed" "mailRecords"="" "dkim"="Waiting"`},
		{"nothing is waited for", &v1alpha1.MailDomainStatus{Conditions: status("", "Ready", "Idle", "Safe", "").Conditions},
			`"before"="caches" "waitingFor"="" "ready"="Ready" "rollover"="Idle" "safe"="Safe" "mailRecords"="" "dkim"=""`},
	} {
		lines = nil
		logDecision(ctx, before, step.after)
		before = step.after
		switch {
		case step.line == "" && len(lines) > 0:
			t.Errorf("%s: logged %q", step.reason, lines)
		case step.line != "" && (len(lines) != 1 || !strings.HasSuffix(lines[0], step.line)):
			t.Errorf("%s: logged %q, want %s", step.reason, lines, step.line)
		}
	}
}

func also(s *v1alpha1.MailDomainStatus, kind, reason string) *v1alpha1.MailDomainStatus {
	s.Conditions = append(s.Conditions, metav1.Condition{Type: kind, Reason: reason})
	return s
}

// TestZonesAreLogged wants one line for each change of why a zone is as it is, and none for a message, a time or a serial.
func TestZonesAreLogged(t *testing.T) {
	var lines []string
	ctx := logf.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	kinds := []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionDNSSECSecure, v1alpha1.ConditionUpdatesAccepted,
		v1alpha1.ConditionNameserversInSync, v1alpha1.ConditionDelegationInSync,
	}
	all := `"ready"="r0" "dnssec"="r1" "updates"="r2" "nameservers"="r3" "delegation"="r4"`
	for i, kind := range kinds {
		before, after := &v1alpha1.DNSZoneStatus{}, &v1alpha1.DNSZoneStatus{Serial: 2}
		for j, k := range kinds {
			reason := fmt.Sprintf("r%d", j)
			after.Conditions = append(after.Conditions, metav1.Condition{Type: k, Reason: reason, Message: "now"})
			if k == kind {
				reason = "Unknown"
			}
			before.Conditions = append(before.Conditions, metav1.Condition{Type: k, Reason: reason})
		}
		lines = nil
		logZone(ctx, before, after)
		if len(lines) != 1 || !strings.HasSuffix(lines[0], all) {
			t.Errorf("%s (%d): logged %q, want %s", kind, i, lines, all)
		}
		same := after.DeepCopy()
		same.Serial, same.Conditions[i].Message = 3, "in other words"
		if logZone(ctx, after, same); len(lines) != 1 {
			t.Errorf("%s: the same is logged again: %q", kind, lines)
		}
	}
}
