package controllers

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// announce makes events of what has happened between two stored statuses.
func (r *MailDomainReconciler) announce(run *domainRun, before, after *v1alpha1.MailDomainStatus) {
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionRolloverSafe, v1alpha1.ConditionRecordsPublished, v1alpha1.ConditionServersVerified, v1alpha1.ConditionMailRecordsPublished, v1alpha1.ConditionDKIMReady} {
		r.announceCondition(run, kind, before, after)
	}
	r.announceRecords(run, before, after)
	r.announceDKIM(run, before, after)
	r.announceReports(run, before, after)
	for i := range after.MailServers {
		now := &after.MailServers[i]
		old := &v1alpha1.MailServerStatus{}
		for j := range before.MailServers {
			if before.MailServers[j].Hostname == now.Hostname {
				old = &before.MailServers[j]
			}
		}
		r.announceKeys(run, old, now)
		r.announceSenders(run, old, now)
	}
}

// announceReports tells that senders have begun to report failures.
func (r *MailDomainReconciler) announceReports(run *domainRun, before, after *v1alpha1.MailDomainStatus) {
	const kind = v1alpha1.ConditionSendersReportFailures
	if meta.IsStatusConditionTrue(after.Conditions, kind) && !meta.IsStatusConditionTrue(before.Conditions, kind) {
		now := meta.FindStatusCondition(after.Conditions, kind)
		r.event(run.md, nil, corev1.EventTypeWarning, now.Reason, "Observe", "%s", truncate(now.Message, 1024))
	}
}

// announceSenders tells that senders do something else with mail for a host than before.
func (r *MailDomainReconciler) announceSenders(run *domainRun, before, after *v1alpha1.MailServerStatus) {
	old, now := before.SenderView, after.SenderView
	if old == nil || now == nil || old.Verdict == now.Verdict {
		return
	}
	kind := corev1.EventTypeWarning
	if strength(now.Verdict) > strength(old.Verdict) {
		kind = corev1.EventTypeNormal
	}
	r.event(run.md, nil, kind, "SenderView"+string(now.Verdict), "Observe", "%s", now.Message)
}

// announceCondition tells of a condition that turned bad, or good again.
func (r *MailDomainReconciler) announceCondition(run *domainRun, kind string, before, after *v1alpha1.MailDomainStatus) {
	old, now := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
	if now == nil || old != nil && old.Status == now.Status && old.Reason == now.Reason {
		return
	}
	note := strings.TrimSuffix(kind+": "+strings.TrimSpace(now.Message), ": ")
	good := metav1.ConditionTrue
	switch {
	case kind == v1alpha1.ConditionStalled: // it stands there only while it is true
		r.event(run.md, nil, corev1.EventTypeWarning, now.Reason, "Observe", "%s", truncate(note, 1024))
	case now.Status == good && old != nil:
		r.event(run.md, nil, corev1.EventTypeNormal, now.Reason, "Observe", "%s", note)
	case now.Status != good && now.Status != metav1.ConditionUnknown && old != nil:
		r.event(run.md, nil, corev1.EventTypeWarning, now.Reason, "Observe", "%s", note)
	}
}

// announceKeys tells of keys that came and went.
func (r *MailDomainReconciler) announceKeys(run *domainRun, before, after *v1alpha1.MailServerStatus) {
	old := map[string]v1alpha1.KeyRole{}
	for _, k := range before.Keys {
		old[k.SPKISHA256] = k.Role
	}
	for _, k := range after.Keys {
		was, known := old[k.SPKISHA256]
		delete(old, k.SPKISHA256)
		if known && was == k.Role || before.Hostname == "" && k.Role == v1alpha1.RoleCurrent {
			continue // what was served before the host was ours is no news
		}
		r.event(run.md, nil, corev1.EventTypeNormal, "KeyIs"+string(k.Role), "Roll", "%s: key %s of Certificate %s is %s now", after.Hostname, shortKey(k.SPKISHA256), k.Certificate, k.Role)
	}
	for _, spki := range slices.Sorted(maps.Keys(old)) {
		r.event(run.md, nil, corev1.EventTypeNormal, "KeyRetired", "Roll", "%s: the records of key %s are not wanted any more", after.Hostname, shortKey(spki))
	}
}
