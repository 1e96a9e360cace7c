package controllers

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// This file says in status what was decided on keys.

// keyStatuses is the status of the keys that mail is signed with. A key that has left the spec is kept until its records are
// gone.
func keyStatuses(run *domainRun) []v1alpha1.DKIMStatus {
	if run.dkim == nil {
		return nil
	}
	var out []v1alpha1.DKIMStatus
	for _, row := range run.dkim.rows {
		switch {
		case row.unseen(run.dkim):
			out = append(out, *row.previous)
		case row.spec != nil || !row.removed():
			out = append(out, row.status(run))
		}
	}
	return out
}

// removed says that no server shows a record of ours any more, as far as the sweeps prove.
func (row *dkimRow) removed() bool {
	if !row.decided {
		return row.previous == nil || len(row.previous.Own) == 0
	}
	for i := range row.decision.Owners {
		if !row.done(i) {
			return false
		}
	}
	return row.facts.Policy.Named == ""
}

// removed says that of none of the keys.
func (d *dkimRun) removed() bool {
	return d == nil || !slices.ContainsFunc(d.rows, func(row *dkimRow) bool { return !row.removed() })
}

func (row *dkimRow) status(run *domainRun) v1alpha1.DKIMStatus {
	s := v1alpha1.DKIMStatus{Name: row.name(), SecretName: row.secretName(), Since: statusTime(run.now), RemoveAt: statusTime(row.removeAt)}
	if z := run.dkim.zone; z != nil {
		s.ZoneRef = &v1alpha1.ZoneReference{Namespace: z.Namespace, Name: z.Name}
	}
	if k := row.held.Current; k != nil {
		s.Selector = k.Selector
	}
	s.State, s.Message = row.state(run)
	s.Message = truncate(s.Message, 1024)
	if row.decided {
		s.NextRotation = statusTime(row.nextRotation(run.md))
		row.remember(run, &s)
	} else if row.previous != nil {
		s.Selector, s.Keys, s.Own, s.Versions = row.previous.Selector, row.previous.Keys, row.previous.Own, row.previous.Versions
	}
	if row.previous != nil && row.previous.State == s.State {
		s.Since = row.previous.Since
	}
	return s
}

// remember keeps what the next decision rests on.
func (row *dkimRow) remember(run *domainRun, s *v1alpha1.DKIMStatus) {
	domain := run.md.Spec.Domain
	for _, k := range row.decision.Keys {
		data, _ := dataOf(k.Records, row.words(k.Owner))
		s.Keys = append(s.Keys, v1alpha1.DKIMKeyStatus{
			Selector: k.ID, Role: v1alpha1.KeyRole(k.Role), Visibility: v1alpha1.Visibility(k.Visibility), Since: statusTime(k.Since),
			Deployed: k.Deployed, DeployableAt: statusTime(k.DeployableAt), RemovableAt: statusTime(k.RemovableAt),
			RevokedAt: statusTime(k.RevokedSince), Leaving: k.Leaving, Record: strings.Join(data, ""),
		})
	}
	for i, o := range row.decision.Owners {
		if row.done(i) {
			continue
		}
		for _, v := range o.Versions {
			s.Versions = append(s.Versions, versionStatus(v))
		}
		s.Own = append(s.Own, row.own(dkimkey.SelectorOf(o.Name, domain), o)...)
	}
}

// own are the records at an owner that are ours: what was, and what is about to be written.
func (row *dkimRow) own(selector string, o rollover.OwnerDecision) []v1alpha1.DKIMRecordStatus {
	var out []v1alpha1.DKIMRecordStatus
	add := func(data string) {
		record := v1alpha1.DKIMRecordStatus{Selector: selector, Record: data}
		if !slices.Contains(out, record) {
			out = append(out, record)
		}
	}
	if row.previous != nil {
		for _, before := range row.previous.Own {
			if before.Selector == selector {
				add(before.Record)
			}
		}
	}
	stands := o.Write || slices.ContainsFunc(o.Versions, func(v rollover.Version) bool { return v.Open && containsAny(v.Records, o.Own) })
	if data, known := dataOf(o.Own, row.words(o.Name)); known && stands {
		for _, d := range data {
			add(d)
		}
	}
	return out
}

// state sums up how a key of the spec stands.
func (row *dkimRow) state(run *domainRun) (v1alpha1.DKIMState, string) {
	d := run.dkim
	switch {
	case row.leaving(run.md):
		return v1alpha1.DKIMRemoving, row.removing(run)
	case row.conflict != "":
		return v1alpha1.DKIMConflict, row.conflict
	case d.refused != nil:
		return v1alpha1.DKIMRefused, d.refused.message
	case !row.decided:
		return v1alpha1.DKIMUnknown, "the DNSZone of " + run.md.Spec.Domain + " is not ready"
	}
	if message := row.taken(run.md.Spec.Domain); message != "" {
		return v1alpha1.DKIMConflict, message
	}
	if message, final := row.failure(); message != "" && (final || row.held.Current == nil) {
		return v1alpha1.DKIMRefused, message
	}
	switch {
	case row.decision.Unsafe != nil && row.held.Current != nil:
		return v1alpha1.DKIMUnverifiable, "the record of selector " + row.held.Current.Selector + " is missing at a name server, or may be missing in caches: receivers that have none cannot verify; " + row.firstWait("it is being published")
	case row.held.Current == nil:
		return v1alpha1.DKIMPreparing, row.lostText() + row.firstWait("a key is being made")
	}
	return v1alpha1.DKIMInUse, row.onTheWay()
}

// onTheWay is what the next key waits for; empty while there is none.
func (row *dkimRow) onTheWay() string {
	if row.held.Next == nil {
		return ""
	}
	message, _ := row.failure()
	return cmp.Or(message, row.firstWait(""))
}

// lostText says that there was a key for the signer, and is none any more.
func (row *dkimRow) lostText() string {
	for _, k := range row.decision.Keys {
		if k.Role == string(v1alpha1.RolePrevious) && k.RevokedSince.IsZero() {
			return "the private key of selector " + k.ID + " is lost with its Secrets; its record stays, so that what was signed with it verifies; another key is on its way: "
		}
	}
	return ""
}

func (row *dkimRow) firstWait(otherwise string) string {
	if len(row.decision.Waits) > 0 {
		return row.decision.Waits[0].Message
	}
	return otherwise
}

// taken says which record of somebody else stands at the owner of a key that is wanted.
func (row *dkimRow) taken(domain string) string {
	if row.facts.Policy.RemoveForeign {
		return ""
	}
	for i, o := range row.decision.Owners {
		if len(o.Foreign) > 0 && !row.facts.Owners[i].Removing {
			data, _ := dataOf(o.Foreign, row.words(o.Name))
			return "a TXT record that the operator did not write stands at " + strings.TrimSuffix(o.Name, ".") + " (" + truncate(strings.Join(data, ", "), 300) +
				"): set spec.dkim.adopt to have it replaced, or remove it"
		}
	}
	for _, o := range row.decision.Owners {
		if last := row.view.owners[o.Name].newest(); last != nil {
			for _, a := range last.Answers {
				if a.Primary && a.Reachable && a.Alias != "" {
					return strings.TrimSuffix(o.Name, ".") + " is an alias of " + a.Alias + ", so that no key of " + domain + " can be published there: remove the alias, or the wildcard that makes it"
				}
			}
		}
	}
	return ""
}

// failure says how the last update failed, and whether only a person can mend that.
func (row *dkimRow) failure() (message string, final bool) {
	for _, o := range row.decision.Owners {
		if seen := row.view.owners[o.Name]; seen.failures > 0 {
			return seen.result.Message, !seen.result.Retryable
		}
	}
	return "", false
}

// removing says what the removal waits for.
func (row *dkimRow) removing(run *domainRun) string {
	switch {
	case run.dkim.refused != nil:
		return run.dkim.refused.message
	case !row.decided:
		return "the DNSZone of " + run.md.Spec.Domain + " is not ready"
	}
	message, _ := row.failure()
	return cmp.Or(message, row.firstWait("the records of key "+row.name()+" are being taken out of DNS"))
}

// held are what the removal of keys waits for.
func (d *dkimRun) held(run *domainRun) []string {
	if d == nil {
		return nil
	}
	var out []string
	for _, row := range d.rows {
		if !row.removed() {
			out = append(out, row.removing(run))
		}
	}
	return out
}

// blind says that this process has not looked yet at a key that status tells of.
func (d *dkimRun) blind() bool {
	return d != nil && slices.ContainsFunc(d.rows, func(row *dkimRow) bool { return row.unseen(d) })
}

// unseen says that the zone, or an owner of the key that status tells of, was not asked by this process yet: until then
// status stays, and what was seen of other owners is not used up.
func (row *dkimRow) unseen(d *dkimRun) bool {
	if row.previous == nil || row.conflict != "" || d.refused != nil {
		return false
	}
	return !row.decided || slices.ContainsFunc(row.decision.Owners, func(o rollover.OwnerDecision) bool {
		return row.view.owners[o.Name].last == nil && known(row.previous, o.Name)
	})
}

// known says whether status tells of an owner.
func known(s *v1alpha1.DKIMStatus, owner string) bool {
	return slices.ContainsFunc(s.Versions, func(v v1alpha1.VersionStatus) bool { return v.Owner == owner })
}

// dkimReasons are the reasons of states, the worst first.
var dkimReasons = []struct {
	state  v1alpha1.DKIMState
	status metav1.ConditionStatus
	reason string
}{
	{v1alpha1.DKIMConflict, metav1.ConditionFalse, v1alpha1.ReasonRecordConflict},
	{v1alpha1.DKIMRefused, metav1.ConditionFalse, v1alpha1.ReasonRecordRefused},
	{v1alpha1.DKIMUnverifiable, metav1.ConditionFalse, v1alpha1.ReasonKeyUnverifiable},
	{v1alpha1.DKIMPreparing, metav1.ConditionFalse, v1alpha1.ReasonPreparingKeys},
	{v1alpha1.DKIMUnknown, metav1.ConditionUnknown, v1alpha1.ReasonKeyUnknown},
	{v1alpha1.DKIMInUse, metav1.ConditionTrue, v1alpha1.ReasonKeysInUse},
}

// dkimFinding says whether the signer has keys; nil where the spec asks for none.
func dkimFinding(run *domainRun) *finding {
	if run.dkim == nil || run.md.Spec.DKIM == nil {
		return nil
	}
	if !run.md.DeletionTimestamp.IsZero() {
		return &finding{metav1.ConditionFalse, v1alpha1.ReasonRecordsRemoved, "the records are being taken out of DNS"}
	}
	var out *finding
	var messages []string
	for _, of := range dkimReasons {
		for _, row := range run.dkim.rows {
			state, message := row.state(run)
			if state != of.state {
				continue
			}
			if out == nil {
				out = &finding{of.status, of.reason, ""}
				if row.conflict != "" {
					out.reason = v1alpha1.ReasonSigningSecretConflict
				}
			}
			if message != "" && state != v1alpha1.DKIMInUse { // a rotation is no sign of trouble
				messages = append(messages, "key "+row.name()+": "+message)
			}
		}
	}
	out.message = strings.Join(messages, "; ")
	return out
}

// dkimStalled says what of the keys only a person can mend; nil when nothing is.
func dkimStalled(run *domainRun) *refusal {
	f := dkimFinding(run)
	if f == nil {
		return nil
	}
	switch f.reason {
	case v1alpha1.ReasonRecordConflict, v1alpha1.ReasonRecordRefused, v1alpha1.ReasonSigningSecretConflict:
		return &refusal{f.reason, f.message}
	}
	return nil
}

// setDKIMCondition sets the condition, or takes it away where nothing is asked for, and returns what it adds to Ready.
func (c conditionSetter) setDKIMCondition() []finding {
	f := dkimFinding(c.run)
	if f == nil {
		removeCondition(&c.status.Conditions, v1alpha1.ConditionDKIMReady)
		return nil
	}
	c.set(v1alpha1.ConditionDKIMReady, *f)
	return []finding{*f}
}

// announceDKIM tells of records of old keys that are gone, and of what has come in the way of keys.
func (r *MailDomainReconciler) announceDKIM(run *domainRun, before, after *v1alpha1.MailDomainStatus) {
	for i := range after.DKIM {
		now := &after.DKIM[i]
		was := before.DKIMKey(now.Name)
		if was == nil {
			continue
		}
		for _, k := range was.Keys {
			if k.Role != v1alpha1.RolePrevious {
				continue
			}
			i := slices.IndexFunc(now.Keys, func(n v1alpha1.DKIMKeyStatus) bool { return n.Selector == k.Selector })
			switch {
			case i < 0:
				r.event(run.md, nil, corev1.EventTypeNormal, "DKIMKeyRetired", "Rotate", "the record of key %s of %s is being removed: nothing needs it any more", k.Selector, run.md.Spec.Domain)
			case k.RevokedAt == nil && now.Keys[i].RevokedAt != nil:
				r.event(run.md, nil, corev1.EventTypeNormal, "DKIMKeyRevoked", "Rotate", "key %s of %s is being revoked in DNS: nothing needs its record any more", k.Selector, run.md.Spec.Domain)
			}
		}
	}
}
