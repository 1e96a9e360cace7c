package controllers

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
)

// recordStatuses is the status of the records of a mail domain. It is empty when the spec asks for nothing and nothing is
// left to do.
func recordStatuses(run *domainRun) []v1alpha1.MailRecordStatus {
	if run.records == nil || !run.records.wanted(run.md) && run.recordsRemoved() {
		return nil
	}
	var out []v1alpha1.MailRecordStatus
	for _, rr := range run.allRecords() {
		for _, row := range rr.rows {
			out = append(out, row.status(run, rr))
		}
	}
	return out
}

// carriedRecords is the stored status of the records, but for those that are about to be written: what becomes ours is
// stored first.
func carriedRecords(run *domainRun) []v1alpha1.MailRecordStatus {
	out := slices.Clone(run.md.Status.Records)
	for _, rr := range run.allRecords() {
		for _, row := range rr.rows {
			if !row.decision.Write {
				continue
			}
			s := row.status(run, rr)
			at := slices.IndexFunc(out, func(r v1alpha1.MailRecordStatus) bool { return r.Record == s.Record && r.Name == s.Name })
			if at < 0 {
				out = append(out, s)
			} else {
				out[at] = s
			}
		}
	}
	return out
}

// wanted says whether the spec has anything to do with records.
func (rr *recordsRun) wanted(md *v1alpha1.MailDomain) bool {
	none := md.DeepCopy()
	none.Status.Records = nil
	return concernsRecords(none)
}

func (row *recordRow) status(run *domainRun, rr *recordsRun) v1alpha1.MailRecordStatus {
	d := row.decision
	s := v1alpha1.MailRecordStatus{
		Record: v1alpha1.MailRecord(row.record), Name: row.facts.Name, Type: row.record.Type(), State: v1alpha1.MailRecordState(d.State),
		Found: d.Found, Wanted: d.Wanted, Own: d.Own, Policy: row.wish.Policy, Message: truncate(d.Message, 1024), Since: statusTime(run.now),
	}
	if row.facts.Goal != mailplan.Keep {
		s.Wanted, s.Policy = nil, ""
	}
	if z := rr.zone; z != nil {
		s.ZoneRef = &v1alpha1.ZoneReference{Namespace: z.Namespace, Name: z.Name}
	}
	for _, l := range d.Leaving {
		s.Leaving = append(s.Leaving, v1alpha1.LeavingHost{Hostname: l.Host, Until: statusTime(l.Until)})
	}
	if row.facts.Sweep == nil && row.previous != nil {
		s.Found, s.Leaving = row.previous.Found, row.previous.Leaving // they may stand
	}
	if row.previous != nil && row.previous.State == s.State && slices.Equal(row.previous.Wanted, s.Wanted) {
		s.Since = row.previous.Since
	}
	return s
}

// recordsRemoved says that nothing of ours is left, as far as the sweeps prove.
func (run *domainRun) recordsRemoved() bool {
	return !slices.ContainsFunc(run.recordRows(), func(row *recordRow) bool {
		owns := row.facts.Lost && len(row.decision.Wanted) > 0 || len(row.facts.Own) > 0
		return owns && !row.decision.Gone && row.facts.Goal == mailplan.Remove
	})
}

// recordReasons are the reasons of the states that keep a wanted record from being published, the worst first.
var recordReasons = []struct {
	state  mailplan.State
	status metav1.ConditionStatus
	reason string
}{
	{mailplan.Invalid, metav1.ConditionFalse, v1alpha1.ReasonRecordInvalid},
	{mailplan.Conflict, metav1.ConditionFalse, v1alpha1.ReasonRecordConflict},
	{mailplan.Refused, metav1.ConditionFalse, v1alpha1.ReasonRecordRefused},
	{mailplan.Publishing, metav1.ConditionFalse, v1alpha1.ReasonPropagating},
	{mailplan.Waiting, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOrder},
	{mailplan.Unknown, metav1.ConditionUnknown, v1alpha1.ReasonRecordUnknown},
	{mailplan.Published, metav1.ConditionTrue, v1alpha1.ReasonPublished},
}

// recordsFinding says whether the records that the spec asks for are published; nil where it asks for none. The message
// is of all records that are not, those of the worst state first.
func recordsFinding(run *domainRun) *finding {
	if run.records == nil || !asksForAny(run.md) {
		return nil
	}
	if !run.md.DeletionTimestamp.IsZero() {
		return &finding{metav1.ConditionFalse, v1alpha1.ReasonRecordsRemoved, "the records are being taken out of DNS"}
	}
	var out *finding
	var messages []string
	for _, of := range recordReasons {
		rows := run.inState(of.state)
		if len(rows) > 0 && out == nil {
			out = &finding{of.status, of.reason, ""}
			if of.state == mailplan.Publishing && slices.ContainsFunc(rows, func(row *recordRow) bool { return row.seen.failures > 0 }) {
				out.reason = v1alpha1.ReasonUpdateFailed
			}
		}
		messages = append(messages, messagesOf(rows)...)
	}
	out.message = strings.Join(slices.Compact(messages), "; ")
	return out
}

// inState are the wanted records in a state.
func (run *domainRun) inState(state mailplan.State) []*recordRow {
	var out []*recordRow
	for _, row := range run.recordRows() {
		if row.facts.Goal == mailplan.Keep && row.decision.State == state {
			out = append(out, row)
		}
	}
	return out
}

// messagesOf are what there is to say of records, sorted.
func messagesOf(rows []*recordRow) []string {
	var out []string
	for _, row := range rows {
		if row.decision.Message != "" {
			out = append(out, row.decision.Message)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// stalled says that only a person can mend it; nil when that is not so.
func (f *finding) stalled() *refusal {
	if f == nil {
		return nil
	}
	switch f.reason {
	case v1alpha1.ReasonRecordInvalid, v1alpha1.ReasonRecordConflict, v1alpha1.ReasonRecordRefused:
		return &refusal{f.reason, f.message}
	}
	return nil
}

// setRecordsCondition sets the condition, or takes it away where nothing is asked for, and returns what it adds to Ready.
func (c conditionSetter) setRecordsCondition() []finding {
	f := recordsFinding(c.run)
	if f == nil {
		removeCondition(&c.status.Conditions, v1alpha1.ConditionMailRecordsPublished)
		return nil
	}
	c.set(v1alpha1.ConditionMailRecordsPublished, *f)
	if f.reason == v1alpha1.ReasonWaitingForOrder {
		return nil // that is how it should be
	}
	return []finding{*f}
}

// heldRecords are what the removal of records waits for.
func (run *domainRun) heldRecords() []string {
	var out []string
	for _, row := range run.recordRows() {
		if m := row.decision.Message; m != "" && row.facts.Goal == mailplan.Remove && !row.decision.Gone {
			out = append(out, m)
		}
	}
	return out
}

// announceRecords tells of records that were published, and of what has come in the way of others.
func (r *MailDomainReconciler) announceRecords(run *domainRun, before, after *v1alpha1.MailDomainStatus) {
	for i := range after.Records {
		now := &after.Records[i]
		was := before.RecordAt(now.Record, now.Name)
		if was == nil || was.State == now.State {
			continue
		}
		switch now.State {
		case v1alpha1.MailRecordPublished:
			r.event(run.md, nil, corev1.EventTypeNormal, "MailRecordPublished", "Publish", "%s is published at %s", now.Record, now.Name)
		case v1alpha1.MailRecordConflict, v1alpha1.MailRecordInvalid, v1alpha1.MailRecordRefused:
			r.event(run.md, nil, corev1.EventTypeWarning, "MailRecord"+string(now.State), "Publish", "%s", now.Message)
		}
	}
}
