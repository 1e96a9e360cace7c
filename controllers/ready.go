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
	ready := finding{metav1.ConditionTrue, v1alpha1.ReasonReady, ""}
	for _, f := range others {
		if f.status == metav1.ConditionFalse && f.reason != v1alpha1.ReasonIgnored {
			return f
		}
		if f.reason == v1alpha1.ReasonReady {
			ready = f // with what is to be said all the same
		}
	}
	if published := others[0]; published.status != metav1.ConditionTrue {
		return published
	}
	return ready
}

// sendersFinding is what senders do with mail for the hosts that MX records name, where it is not all that
// DANE gives. Only what is not delivered at all makes an object unready, and not that nothing answers at a
// host, here as elsewhere: it may be the operator's network.
func sendersFinding(run *domainRun) finding {
	var weak, lost []string
	for _, h := range run.hosts {
		v := h.sender
		switch {
		case v == nil || v.NotInMX || v.Verdict == v1alpha1.SenderDANE:
		case v.Verdict != v1alpha1.SenderUndeliverable || h.unanswered():
			weak = append(weak, v.Message)
		default:
			lost = append(lost, v.Message)
		}
	}
	out := finding{metav1.ConditionTrue, v1alpha1.ReasonReady, ""}
	if len(lost) > 0 {
		out, weak = finding{metav1.ConditionFalse, v1alpha1.ReasonUndeliverable, ""}, lost
	}
	slices.Sort(weak)
	out.message = strings.Join(slices.Compact(weak), "; ")
	return out
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
	held = append(append(held, run.heldRecords()...), run.dkim.held(run)...)
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
