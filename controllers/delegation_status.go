package controllers

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
)

// delegationConditions says in status how a delegation is.
type delegationConditions struct{ zoneConditions }

func (c delegationConditions) is(status metav1.ConditionStatus, reason, message string) {
	c.set(v1alpha1.ConditionDelegationInSync, status, reason, message)
}

// notManaged says that nobody looks at the DS records in the parent.
func (c delegationConditions) notManaged() {
	c.status.DNSSEC.Delegation = nil
	c.is(metav1.ConditionUnknown, v1alpha1.ReasonNotManaged, "the DS records in the parent zone are not looked at: set spec.dnssec.delegation to have them kept in step")
}

// unusable says why nothing is done. What was seen before stays.
func (c delegationConditions) unusable(e *configError) {
	c.carry()
	c.is(metav1.ConditionFalse, e.reason, e.message)
}

// carry takes over what status says.
func (c delegationConditions) carry() *v1alpha1.DelegationStatus {
	out := &v1alpha1.DelegationStatus{}
	if was := c.z.Status.DNSSEC.Delegation; was != nil {
		out = was.DeepCopy()
	}
	c.status.DNSSEC.Delegation = out
	return out
}

// tell says what is known.
func (c delegationConditions) tell(w delegationWork) {
	s := c.carry()
	if w.synced != nil {
		s.SyncedDS, s.SyncedAt = w.synced.ds, statusTime(w.synced.at)
	}
	if w.notified != nil {
		s.NotifiedDS, s.NotifiedAt = w.notified.ds, statusTime(w.notified.at)
	}
	if !w.mark.IsZero() {
		s.SignedAt = statusTime(w.mark)
	}
	switch {
	case w.look == nil:
		if c.current() == nil {
			c.is(metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "the delegation has not been looked at yet")
		}
		return
	case w.look.problem != "":
		c.is(metav1.ConditionUnknown, v1alpha1.ReasonParentUnreachable, fmt.Sprintf("the parent of the zone %s could not be found: %s", c.z.Spec.Zone, w.look.problem))
		return
	}
	s.Parent = strings.TrimSuffix(w.look.parent, ".")
	c.compare(s, w.decision)
	c.judge(w)
}

// current is the condition, if it was ever set for this spec.
func (c delegationConditions) current() *metav1.Condition {
	for i, old := range c.status.Conditions {
		if old.Type == v1alpha1.ConditionDelegationInSync && old.ObservedGeneration == c.z.Generation {
			return &c.status.Conditions[i]
		}
	}
	return nil
}

// compare says what the parent has, what it should have, and since when that differs. What could not be
// read stays as it was.
func (c delegationConditions) compare(s *v1alpha1.DelegationStatus, d *delegation.Decision) {
	if d.ExpectKnown {
		s.ParentDS = presentedDS(d.Expect)
	}
	if d.AskedKnown {
		s.DS = presentedDS(d.Asked)
	}
	switch {
	case !d.ExpectKnown || !d.AskedKnown:
	case slices.Equal(s.DS, s.ParentDS):
		s.BehindSince = nil
	case s.BehindSince == nil:
		s.BehindSince = statusTime(c.now)
	}
}

// verdict is what a reason of a decision is in the condition.
type verdict struct {
	status metav1.ConditionStatus
	reason string
}

var verdicts = map[delegation.Reason]verdict{
	delegation.Asked:              {metav1.ConditionFalse, v1alpha1.ReasonDSUpdating},
	delegation.InitialAccepted:    {metav1.ConditionFalse, v1alpha1.ReasonDSUpdating},
	delegation.DeleteAsked:        {metav1.ConditionFalse, v1alpha1.ReasonDSUpdating},
	delegation.InSync:             {metav1.ConditionTrue, v1alpha1.ReasonDSInSync},
	delegation.NothingAsked:       {metav1.ConditionTrue, v1alpha1.ReasonNothingRequested},
	delegation.ParentUnreachable:  {metav1.ConditionUnknown, v1alpha1.ReasonParentUnreachable},
	delegation.ParentNotSecure:    {metav1.ConditionUnknown, v1alpha1.ReasonParentNotSecure},
	delegation.ParentDiffers:      {metav1.ConditionFalse, v1alpha1.ReasonDSUpdating},
	delegation.ChildUnreachable:   {metav1.ConditionUnknown, v1alpha1.ReasonChildUnreachable},
	delegation.ChildDiffers:       {metav1.ConditionFalse, v1alpha1.ReasonCDSInconsistent},
	delegation.Contradictory:      {metav1.ConditionFalse, v1alpha1.ReasonCDSInconsistent},
	delegation.Malformed:          {metav1.ConditionFalse, v1alpha1.ReasonCDSUnusable},
	delegation.WeakDigest:         {metav1.ConditionFalse, v1alpha1.ReasonCDSUnusable},
	delegation.WeakAlgorithm:      {metav1.ConditionFalse, v1alpha1.ReasonCDSUnusable},
	delegation.UnevenDigests:      {metav1.ConditionFalse, v1alpha1.ReasonCDSUnusable},
	delegation.NotValidated:       {metav1.ConditionFalse, v1alpha1.ReasonCDSNotValidated},
	delegation.Replayed:           {metav1.ConditionFalse, v1alpha1.ReasonCDSReplayed},
	delegation.DeleteNotAllowed:   {metav1.ConditionFalse, v1alpha1.ReasonDeleteNotAllowed},
	delegation.InitialNotAccepted: {metav1.ConditionFalse, v1alpha1.ReasonInitialDSNotAccepted},
	delegation.WouldBreak:         {metav1.ConditionFalse, v1alpha1.ReasonWouldBreakChain},
}

// judge sets the condition by the decision and what became of it.
func (c delegationConditions) judge(w delegationWork) {
	d := w.decision
	asks := d.Action != delegation.Keep || d.Reason == delegation.InitialNotAccepted
	switch {
	case w.look.foreign && (asks || d.Reason == delegation.NothingAsked && len(d.Expect) == 0):
		c.is(metav1.ConditionFalse, v1alpha1.ReasonParentBehind, c.behind(w))
	case d.Action != delegation.Keep && w.failed.Class != "":
		c.is(metav1.ConditionFalse, v1alpha1.ReasonDSUpdateFailed, fmt.Sprintf("the DS records of %s could not be changed: %s", c.z.Spec.Zone, w.failed.Message))
	case d.Reason == delegation.NothingAsked && len(d.Expect) == 0:
		v := verdicts[d.Reason]
		c.is(metav1.ConditionFalse, v.reason, d.Message)
	default:
		v := verdicts[d.Reason]
		c.is(v.status, v.reason, d.Message)
	}
}

// behind says what somebody else has to do, and whether that one knows.
func (c delegationConditions) behind(w delegationWork) string {
	d, parent := w.decision, w.look.parent
	if d.Action == delegation.Remove {
		return fmt.Sprintf("the zone %s asks to have its DS records removed, and the parent zone %s has %s: have the registrar remove them if that is meant; %s", c.z.Spec.Zone, parent, dsList(d.Expect), c.told(w))
	}
	return fmt.Sprintf("the parent zone %s has the DS records %s for %s and should have %s: compare them with the signer's own keys and hand them to the registrar; %s", parent, dsList(d.Expect), c.z.Spec.Zone, dsList(d.Asked), c.told(w))
}

func (c delegationConditions) told(w delegationWork) string {
	switch {
	case w.failed.Class != "":
		return w.failed.Message
	case w.look.targetsProblem != "":
		return "whether the parent wants to be told of changes could not be found out: " + w.look.targetsProblem
	case len(w.look.targets) == 0:
		return "the parent does not say where it wants to be told of changes (DSYNC), and may look by itself or not at all"
	case slices.Equal(notifiedOf(c.z, w), notice(w.decision)):
		return "the parent was told, and may act by itself"
	case w.decision.Reason == delegation.NothingAsked:
		return "the zone publishes no CDS records that the parent could be told of"
	}
	return "the parent is being told"
}

// notifiedOf is what the parent was told last.
func notifiedOf(z *v1alpha1.DNSZone, w delegationWork) []string {
	if w.notified != nil {
		return w.notified.ds
	}
	if s := z.Status.DNSSEC.Delegation; s != nil {
		return s.NotifiedDS
	}
	return nil
}

func presentedDS(set []dnssec.Anchor) []string {
	var out []string
	for _, ds := range set {
		out = append(out, dnssec.PresentDS(ds))
	}
	slices.Sort(out)
	return out
}

func dsList(set []dnssec.Anchor) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(presentedDS(set), ", ")
}
