package controllers

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// readyFinding sums up. What is not known does not make an object that was published unready.
func readyFinding(run *domainRun, stalled *finding, others ...finding) finding {
	switch {
	case !run.md.DeletionTimestamp.IsZero():
		return finding{metav1.ConditionFalse, v1alpha1.ReasonDeleting, deletingMessage(run)}
	case stalled != nil:
		return finding{metav1.ConditionFalse, stalled.reason, stalled.message}
	case run.md.Spec.Suspend:
		return finding{metav1.ConditionTrue, v1alpha1.ReasonSuspended, suspendedMessage(run)}
	}
	for _, f := range others {
		if f.status == metav1.ConditionFalse && f.reason != v1alpha1.ReasonIgnored {
			return f
		}
	}
	if published := others[0]; published.status != metav1.ConditionTrue {
		return published
	}
	return finding{metav1.ConditionTrue, v1alpha1.ReasonReady, ""}
}

// deletingMessage says what the deletion waits for, and how to let go where that will not come.
func deletingMessage(run *domainRun) string {
	var held []string
	for _, h := range run.hosts {
		switch problem := updateProblem(h); {
		case h.notManaged || h.removed():
		case h.refused != nil:
			held = append(held, h.refused.message)
		case !h.decided:
			held = append(held, "the zone of "+h.server.Hostname+" is not ready")
		case problem != "":
			held = append(held, problem)
		default:
			held = append(held, firstWait(h, "the records of "+h.server.Hostname+" are being taken out of DNS"))
		}
	}
	slices.Sort(held)
	return "the records are being taken out of DNS: " + strings.Join(slices.Compact(held), "; ") +
		"; to let the object go and leave them, annotate it with " + v1alpha1.AbandonAnnotation + "=true"
}

// suspendedMessage says what the suspension holds up.
func suspendedMessage(run *domainRun) string {
	var held []string
	for _, h := range run.hosts {
		for _, k := range h.facts.Keys {
			if k.Stage == rollover.StageRequested || k.Stage == rollover.StageIssued {
				held = append(held, "the renewal of Certificate "+k.Certificate)
			}
		}
	}
	slices.Sort(held)
	held = slices.Compact(held)
	if len(held) == 0 {
		return "suspended: nothing is written or approved; nothing is held up"
	}
	return "suspended: nothing is written or approved; this holds up " + strings.Join(held, ", ")
}
