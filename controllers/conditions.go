package controllers

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// finding is what one host contributes to a condition.
type finding struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// setConditions computes every condition anew: none is steered by an earlier one.
func setConditions(run *domainRun, status *v1alpha1.MailDomainStatus) {
	c := conditionSetter{run: run, status: status}
	stalled := stalledFinding(run)
	records := append(c.setRecordsCondition(), c.setDKIMCondition()...)
	published := c.combine(v1alpha1.ConditionRecordsPublished, publishedFinding)
	verified := c.combine(v1alpha1.ConditionServersVerified, verifiedFinding)
	secure := c.combine(v1alpha1.ConditionDNSSECSecure, secureFinding)
	safe := c.combine(v1alpha1.ConditionRolloverSafe, safeFinding)
	c.combine(v1alpha1.ConditionRolloverInProgress, progressFinding)
	if stalled == nil {
		removeCondition(&status.Conditions, v1alpha1.ConditionStalled)
	} else {
		c.set(v1alpha1.ConditionStalled, *stalled)
	}
	if reported := reportedFinding(run.md, status, run.now); reported != nil {
		c.set(v1alpha1.ConditionSendersReportFailures, *reported)
	} else {
		removeCondition(&status.Conditions, v1alpha1.ConditionSendersReportFailures)
	}
	c.set(v1alpha1.ConditionReady, readyFinding(run, stalled, append([]finding{published, verified, secure, safe, sendersFinding(run)}, records...)...))
}

type conditionSetter struct {
	run    *domainRun
	status *v1alpha1.MailDomainStatus
}

func (c conditionSetter) set(kind string, f finding) {
	meta.SetStatusCondition(&c.status.Conditions, metav1.Condition{
		Type: kind, Status: f.status, Reason: f.reason, Message: truncate(f.message, 2048),
		ObservedGeneration: c.run.md.Generation, LastTransitionTime: metav1.NewTime(c.run.now),
	})
}

// removeCondition takes a condition out. Nearly always there is none, and nothing is copied then.
func removeCondition(conditions *[]metav1.Condition, kind string) {
	if meta.FindStatusCondition(*conditions, kind) != nil {
		meta.RemoveStatusCondition(conditions, kind)
	}
}

// worse ranks the states of a condition: what is wrong comes before what is not known.
func worse(f finding) int {
	return slices.Index([]metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionUnknown, metav1.ConditionFalse}, f.status)
}

// combine sets a condition from what each host says: the worst state with its reason, and the
// messages of all hosts in that state.
func (c conditionSetter) combine(kind string, of func(*domainRun, *hostRun) finding) finding {
	rank := worse
	if kind == v1alpha1.ConditionRolloverInProgress {
		rank = func(f finding) int {
			return slices.Index([]metav1.ConditionStatus{metav1.ConditionUnknown, metav1.ConditionFalse, metav1.ConditionTrue}, f.status)
		}
	}
	var out finding
	var messages []string
	for i, h := range c.run.hosts {
		f := of(c.run, h)
		if i == 0 || rank(f) > rank(out) {
			out, messages = f, nil
		}
		if f.status == out.status && f.message != "" {
			messages = append(messages, h.server.Hostname+": "+f.message)
		}
	}
	slices.Sort(messages)
	out.message = strings.Join(slices.Compact(messages), "; ")
	c.set(kind, out)
	return out
}

// stalledFinding says what only a person can mend; nil when nothing is.
func stalledFinding(run *domainRun) *finding {
	if run.invalid != "" {
		return &finding{metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec, run.invalid}
	}
	var out *finding
	for _, h := range run.hosts {
		refused := h.stalled(run)
		if refused == nil {
			continue
		}
		if out == nil {
			out = &finding{metav1.ConditionTrue, refused.reason, ""}
		}
		out.message = strings.TrimPrefix(out.message+"; "+refused.message, "; ")
	}
	if refused := recordsFinding(run).stalled(); out == nil && refused != nil {
		return &finding{metav1.ConditionTrue, refused.reason, refused.message}
	}
	if refused := dkimStalled(run); out == nil && refused != nil {
		return &finding{metav1.ConditionTrue, refused.reason, refused.message}
	}
	if out == nil && run.refused != "" {
		return &finding{metav1.ConditionTrue, v1alpha1.ReasonWriteRefused, run.refused}
	}
	return out
}

// stalled says what about a host only a person can mend.
func (h *hostRun) stalled(run *domainRun) *refusal {
	if h.notManaged {
		return nil
	}
	if refused := cmp.Or(h.refused, h.apart); refused != nil {
		return refused
	}
	if len(h.missing) > 0 {
		return &refusal{v1alpha1.ReasonCertificateNotFound, "Certificate " + strings.Join(h.missing, ", ") + " does not exist: create it, or take it out of spec.mailServers"}
	}
	for i, c := range h.certs {
		if refused := certificateStalled(run, h, c, h.server.Certificates[i]); refused != nil {
			return refused
		}
	}
	for _, w := range h.decision.Waits {
		if w.Code == rollover.WaitTooManyRecords {
			return &refusal{v1alpha1.ReasonTooManyRecords, w.Message}
		}
	}
	for _, o := range h.decision.Owners {
		if reason, ok := stallingResult(h.view.owners[o.Name]); ok {
			return &refusal{reason, h.view.owners[o.Name].result.Message}
		}
	}
	return nil
}

// certificateStalled says what about a Certificate only a person can mend.
func certificateStalled(run *domainRun, h *hostRun, c *certificateFacts, ref v1alpha1.CertificateReference) *refusal {
	if refused := c.keepsCompromised(run.md); refused != nil {
		return refused
	}
	if run.md.Spec.Rollover.KeepsStandbyKey() {
		return standbyConflict(c)
	}
	if h.facts.Policy.Strategy != rollover.Stage {
		return nil
	}
	return servingConflict(c, ref)
}

// stallingResult says whether the last update failed in a way that only a person can mend.
func stallingResult(o ownerObservation) (string, bool) {
	if o.failures == 0 || o.result.Retryable {
		return "", false
	}
	switch o.result.Class {
	case "", "Applied", "Unchanged", "Conflict", "NotStored":
		return "", false
	case "OwnerIsAlias":
		return v1alpha1.ReasonOwnerIsAlias, true
	default:
		return v1alpha1.ReasonUpdateRefused, true
	}
}

// publishedFinding: every server shows the records that the deployed keys need. A rollover in
// progress does not touch it, unless a server stays behind for longer than propagation.timeout.
func publishedFinding(run *domainRun, h *hostRun) finding {
	switch {
	case h.notManaged:
		return finding{metav1.ConditionTrue, v1alpha1.ReasonNotManaged, ""}
	case h.refused != nil:
		return finding{metav1.ConditionFalse, h.refused.reason, h.refused.message}
	case !h.decided:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonUnknown, h.notReady()}
	case h.leaves():
		return finding{metav1.ConditionFalse, v1alpha1.ReasonRecordsRemoved, "the records are being taken out of DNS"}
	case h.decision.Published:
		return publishedAndLate(run, h)
	}
	for _, w := range h.decision.Waits {
		switch w.Code {
		case rollover.WaitServers:
			return finding{metav1.ConditionFalse, v1alpha1.ReasonWaitingForServers, w.Message}
		case rollover.WaitCertificate:
			return finding{metav1.ConditionFalse, v1alpha1.ReasonWaitingForCertificate, w.Message}
		case rollover.WaitDNSSEC:
			return finding{metav1.ConditionFalse, v1alpha1.ReasonWaitingForDNSSEC, w.Message}
		}
	}
	if message := updateProblem(h); message != "" {
		return finding{metav1.ConditionFalse, v1alpha1.ReasonUpdateFailed, message}
	}
	return finding{metav1.ConditionFalse, v1alpha1.ReasonPropagating, firstWait(h, "the records are being published")}
}

// notReady says why nothing can be decided for a host.
func (h *hostRun) notReady() string {
	const message = "the zone is not ready"
	if h.entry.client == nil && h.entry.health != nil {
		return message + ": " + h.entry.health.DNSSEC.Message
	}
	return message
}

// leaves says that the records of a host are being taken out of DNS, now.
func (h *hostRun) leaves() bool { return h.removing && (!h.stays() || !h.decision.Published) }

// stays says that the records of a host that is removed are to stand for a while.
func (h *hostRun) stays() bool { return h.removing && h.facts.Policy.Named != "" }

func publishedAndLate(run *domainRun, h *hostRun) finding {
	timeout := h.zone.Spec.Propagation.Timeout.Or(time.Hour)
	for _, o := range h.decision.Owners {
		since := h.view.owners[o.Name].outOfSyncSince
		if o.InSync || since.IsZero() || run.now.Sub(since) < timeout {
			continue
		}
		if message := updateProblem(h); message != "" {
			return finding{metav1.ConditionFalse, v1alpha1.ReasonUpdateFailed, message}
		}
		return finding{metav1.ConditionFalse, v1alpha1.ReasonPropagating, firstWait(h, "a name server does not show the wanted records")}
	}
	return finding{metav1.ConditionTrue, v1alpha1.ReasonPublished, warnings(h)}
}

func warnings(h *hostRun) string {
	var out []string
	for _, o := range h.decision.Owners {
		out = append(out, o.Warnings...)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "; ")
}

func updateProblem(h *hostRun) string {
	for _, o := range h.decision.Owners {
		if seen := h.view.owners[o.Name]; seen.failures > 0 {
			return seen.result.Message
		}
	}
	return ""
}

func firstWait(h *hostRun, fallback string) string {
	if len(h.decision.Waits) > 0 {
		return cmp.Or(h.decision.Waits[0].Message, fallback)
	}
	return fallback
}

// secureFinding: the zone validates.
func secureFinding(run *domainRun, h *hostRun) finding {
	if run.md.Spec.DNSSEC == v1alpha1.DNSSECIgnored {
		return finding{metav1.ConditionFalse, v1alpha1.ReasonIgnored, "spec.dnssec is Ignored: without DNSSEC no sender believes TLSA records"}
	}
	if h.zone == nil {
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "no DNSZone is known for it"}
	}
	if h.notManaged {
		return finding{metav1.ConditionTrue, v1alpha1.ReasonNotManaged, ""}
	}
	d := h.dnssecFacts()
	switch d.State {
	case dnssec.Secure:
		return finding{metav1.ConditionTrue, v1alpha1.ReasonSecure, ""}
	case dnssec.Insecure:
		return finding{metav1.ConditionFalse, v1alpha1.ReasonInsecure, d.Message}
	case dnssec.Bogus:
		return finding{metav1.ConditionFalse, v1alpha1.ReasonBogus, d.Message}
	default:
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonIndeterminate, d.Message}
	}
}

// safeFinding: no sender can fail. It is the one message with a time in it, for that is what a
// person must know.
func safeFinding(_ *domainRun, h *hostRun) finding {
	if !h.decided && !h.notManaged {
		return finding{metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "nothing is decided for it: what is served and what caches hold is not compared"}
	}
	if !h.decided || h.decision.Unsafe == nil {
		if h.managed() && h.historyUnknown() {
			return finding{metav1.ConditionUnknown, v1alpha1.ReasonHistoryUnknown, "records may have stood in DNS before the operator looked, and caches may hold them"}
		}
		return finding{metav1.ConditionTrue, v1alpha1.ReasonSafe, ""}
	}
	u := h.decision.Unsafe
	message := u.Message
	if !u.Until.IsZero() {
		message += " (until " + statusTime(u.Until).Format(time.RFC3339) + ")"
	}
	return finding{metav1.ConditionFalse, string(u.Reason), message}
}

// historyUnknown says that some cache may hold what stood in DNS before the operator looked.
func (h *hostRun) historyUnknown() bool {
	return slices.ContainsFunc(h.decision.Owners, func(o rollover.OwnerDecision) bool {
		return slices.ContainsFunc(o.Versions, func(v rollover.Version) bool { return v.Unknown })
	})
}
