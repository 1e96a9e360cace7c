package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// logDecision writes a line when a decision has changed: what is waited for, or why a condition is as it is. The line
// has every one of them, whatever has changed.
func logDecision(ctx context.Context, before, after *v1alpha1.MailDomainStatus) {
	was, is := loggedOf(before), loggedOf(after)
	if was == is {
		return
	}
	logf.FromContext(ctx).Info("decision changed", "before", was.waits, "waitingFor", is.waits,
		"ready", is.ready, "rollover", is.rollover, "safe", is.safe, "mailRecords", is.mailRecords, "dkim", is.dkim)
}

// loggedDecision is a decision as the log has it: what is waited for, and the reasons of conditions.
type loggedDecision struct{ waits, ready, rollover, safe, mailRecords, dkim string }

func loggedOf(status *v1alpha1.MailDomainStatus) loggedDecision {
	reason := reasons(status.Conditions)
	out := loggedDecision{
		ready: reason(v1alpha1.ConditionReady), rollover: reason(v1alpha1.ConditionRolloverInProgress), safe: reason(v1alpha1.ConditionRolloverSafe),
		mailRecords: reason(v1alpha1.ConditionMailRecordsPublished), dkim: reason(v1alpha1.ConditionDKIMReady),
	}
	if status.NextTransition != nil {
		out.waits = status.NextTransition.Action
	}
	return out
}

// logZone writes a line when a condition of a zone is as it is for another reason: rollovers wait for a zone that is not
// Ready. The line has all of them, whatever has changed.
func logZone(ctx context.Context, before, after *v1alpha1.DNSZoneStatus) {
	was, is := zoneReasonsOf(before), zoneReasonsOf(after)
	if was == is {
		return
	}
	logf.FromContext(ctx).Info("zone changed", "ready", is.ready, "dnssec", is.dnssec,
		"updates", is.updates, "nameservers", is.nameservers, "delegation", is.delegation)
}

// zoneReasons are the reasons of the conditions of a zone.
type zoneReasons struct{ ready, dnssec, updates, nameservers, delegation string }

func zoneReasonsOf(status *v1alpha1.DNSZoneStatus) zoneReasons {
	reason := reasons(status.Conditions)
	return zoneReasons{
		ready: reason(v1alpha1.ConditionReady), dnssec: reason(v1alpha1.ConditionDNSSECSecure), updates: reason(v1alpha1.ConditionUpdatesAccepted),
		nameservers: reason(v1alpha1.ConditionNameserversInSync), delegation: reason(v1alpha1.ConditionDelegationInSync),
	}
}

// reasons give the reason of a condition; it is empty for one that was never set.
func reasons(conditions []metav1.Condition) func(kind string) string {
	return func(kind string) string {
		if c := meta.FindStatusCondition(conditions, kind); c != nil {
			return c.Reason
		}
		return ""
	}
}
