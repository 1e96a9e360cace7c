package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// finishDeletion takes the records out of DNS, then the gate off the Certificates, then the
// finalizer off the MailDomain. Serving Secrets and standby keys stay: a server may be using them.
func (r *MailDomainReconciler) finishDeletion(ctx context.Context, run *domainRun) (ctrl.Result, error) {
	md := run.md
	if !controllerutil.ContainsFinalizer(md, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	gone := run.allRemoved() && run.recordsRemoved() && run.dkim.removed()
	if abandoned := md.Annotations[v1alpha1.AbandonAnnotation] == "true"; gone || abandoned || md.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		if abandoned && !gone {
			r.event(md, nil, corev1.EventTypeWarning, "RecordsAbandoned", "Delete", "the MailDomain was let go by annotation %s; its records may still stand in DNS", v1alpha1.AbandonAnnotation)
		}
		return ctrl.Result{}, r.release(ctx, run)
	}
	for _, h := range run.hosts {
		if h.managed() {
			r.publish(run, h)
		}
	}
	r.publishRecords(run)
	if err := r.actOnKeys(ctx, run); err != nil {
		return ctrl.Result{}, err
	}
	r.decisions.put(run)
	return ctrl.Result{RequeueAfter: min(r.observeRemoval(run), time.Minute)}, nil
}

// observeRemoval looks whether what is removed is gone, where that can be seen, and returns when to look again.
func (r *MailDomainReconciler) observeRemoval(run *domainRun) time.Duration {
	if run.records != nil || run.dkim != nil || slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.managed() || h.refusedEnd }) {
		return r.observe(run)
	}
	return 5 * time.Second
}

// allRemoved says whether nothing of any host is left in DNS, nor in any cache: until then a new key
// may harm, and a MailDomain of the same name that is made anew would know nothing of that.
func (run *domainRun) allRemoved() bool {
	return !slices.ContainsFunc(run.hosts, func(h *hostRun) bool {
		if h.notManaged || !h.hasRecords() && !h.mayHaveWritten() && !h.lost {
			return false
		}
		if !h.decided {
			return true
		}
		return !h.takenOut() || !h.decision.Untrusted
	})
}

// mayHaveWritten says whether the host has status at all: without it nothing was ever written.
func (h *hostRun) mayHaveWritten() bool {
	return h.previous != nil && len(h.previous.Versions) > 0 && len(h.previous.Keys) > 0
}

// takenOut says whether no server shows a record of ours any more, as far as the sweeps prove.
func (h *hostRun) takenOut() bool {
	for i, o := range h.decision.Owners {
		if h.facts.Owners[i].HandedOver {
			continue
		}
		if o.Write {
			return false
		}
		for _, v := range o.Versions {
			if v.Open && containsAny(v.Records, h.facts.Owners[i].Leaving()) {
				return false
			}
		}
	}
	return true
}

// release takes the gate off every Certificate and lets the MailDomain go.
func (r *MailDomainReconciler) release(ctx context.Context, run *domainRun) error {
	gated, err := r.gatedCertificates(ctx, run.md)
	if err != nil {
		return err
	}
	var errs []error
	for i := range gated {
		errs = append(errs, r.setGate(ctx, run.md, &gated[i], false))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	base := run.md.DeepCopy()
	controllerutil.RemoveFinalizer(run.md, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(ignoreConflict(r.Patch(ctx, run.md, patch)))
}
