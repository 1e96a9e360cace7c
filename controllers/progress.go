package controllers

import (
	"cmp"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// progressFinding: a key is being changed, from when another one is asked for until no name server shows records of the old
// one. A standby key that is published is not a rollover.
func progressFinding(_ *domainRun, h *hostRun) finding {
	var reason, message string
	switch {
	case !h.decided || h.refused != nil || !h.decision.Published:
		reason = v1alpha1.ReasonNoRollover
	case h.keyArrives():
		reason, message = v1alpha1.ReasonHeld, cmp.Or(h.heldElsewhere, "the new key is handed to the servers")
	case h.keyIsDeployed():
		reason, message = v1alpha1.ReasonDeploying, h.deploying()
	case h.keyLeaves() || h.recordsLeave():
		reason = v1alpha1.ReasonRetiring
	default:
		reason = v1alpha1.ReasonNoRollover
	}
	if reason == v1alpha1.ReasonNoRollover {
		return finding{metav1.ConditionFalse, reason, ""}
	}
	if len(h.decision.Waits) > 0 {
		w := h.decision.Waits[0]
		reason, message = cmp.Or(progressReasons[w.Code], reason), w.Message
		if problem := updateProblem(h); problem != "" && w.Code == rollover.WaitUpdate {
			message += ": " + problem
		}
	}
	return finding{metav1.ConditionTrue, reason, message}
}

var progressReasons = map[rollover.WaitCode]string{
	rollover.WaitUpdate:      v1alpha1.ReasonPublishing,
	rollover.WaitPropagation: v1alpha1.ReasonPublishing,
	rollover.WaitSweep:       v1alpha1.ReasonPublishing,
	rollover.WaitCaches:      v1alpha1.ReasonWaitingForCaches,
	rollover.WaitEndpoints:   v1alpha1.ReasonDeploying,
	rollover.WaitRetire:      v1alpha1.ReasonRetiring,
	rollover.WaitReports:     v1alpha1.ReasonRetiring,
}

// keyArrives says that a key is asked for, and not handed to servers yet.
func (h *hostRun) keyArrives() bool {
	return slices.ContainsFunc(h.facts.Keys, func(k rollover.Key) bool {
		return k.Stage == rollover.StageRequested || k.Stage == rollover.StageIssued
	})
}

// keyIsDeployed says that a key was handed over and another one of its Certificate is in use still: cert-manager has not issued it
// yet, or servers have not loaded it.
func (h *hostRun) keyIsDeployed() bool {
	of := map[string]int{}
	for _, k := range h.decision.Keys {
		if k.Role == string(v1alpha1.RoleCurrent) {
			of[k.Certificate]++
		}
		if of[k.Certificate] > 1 {
			return true
		}
	}
	return false
}

// deploying says what a key that was handed over waits for: a certificate, which cert-manager may have given up to make, or
// servers that load it.
func (h *hostRun) deploying() string {
	for _, c := range h.certs {
		if c.unissued == nil {
			continue
		}
		crt, out := c.certificate, fmt.Sprintf("request %s is approved, and cert-manager has not issued its certificate yet", c.unissued.Name)
		for _, ready := range c.unissued.Status.Conditions {
			if ready.Type == cmapi.CertificateRequestConditionReady && ready.Message != "" {
				out += ": " + ready.Message
			}
		}
		if !isIssuing(crt) {
			out += fmt.Sprintf("; it does not work on Certificate %s now, and tries again by itself, mostly after an hour, or after: cmctl renew %s -n %s", crt.Name, crt.Name, crt.Namespace)
		}
		return out
	}
	return "the servers do not present the new key yet"
}

// keyLeaves says that a key is not in use any more, and its records stay for a while.
func (h *hostRun) keyLeaves() bool {
	return slices.ContainsFunc(h.decision.Keys, func(k rollover.KeyState) bool { return k.Role == string(v1alpha1.RolePrevious) })
}

// recordsLeave says that some name server may still show records of ours whose key is forgotten.
func (h *hostRun) recordsLeave() bool {
	if h.removing {
		return false
	}
	for i, o := range h.decision.Owners {
		facts := h.facts.Owners[i]
		if facts.Removing || facts.HandedOver {
			continue
		}
		left := func(r tlsa.Record) bool {
			return !slices.Contains(o.Records, r) && slices.Contains(facts.Written, r) && !h.ofAKey(r)
		}
		for _, v := range o.Versions {
			if v.Open && slices.ContainsFunc(v.Records, left) {
				return true
			}
		}
	}
	return false
}

// ofAKey says whether a record is one of a key that is known.
func (h *hostRun) ofAKey(r tlsa.Record) bool {
	return slices.ContainsFunc(h.decision.Keys, func(k rollover.KeyState) bool { return slices.Contains(k.Records, r) })
}
