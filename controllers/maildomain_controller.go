package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// MailDomainReconciler keeps the records, keys and requests of MailDomains in step.
type MailDomainReconciler struct {
	client.Client
	// live reads past the cache, for Secrets and before every effect.
	live      client.Reader
	Clock     clock.PassiveClock
	events    events.EventRecorder
	settings  settings
	keys      keyReader
	standby   standbyStore
	zones     *zoneRegistry
	observer  *observer
	probes    *proberPool
	decisions *decisionBoard
	keeper    gatekeeper
}

// Reconcile gathers the facts of one MailDomain, decides, stores the decision, and acts on it.
func (r *MailDomainReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	md := &v1alpha1.MailDomain{}
	if err := r.Get(ctx, req.NamespacedName, md); err != nil {
		if apierrors.IsNotFound(err) {
			r.observer.forget(req.NamespacedName, nil)
			r.decisions.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read MailDomain %s: %w", req.NamespacedName, err)
	}
	run, err := r.gather(ctx, md)
	if err != nil {
		return ctrl.Result{}, err
	}
	current, err := r.store(ctx, run)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !current {
		return ctrl.Result{RequeueAfter: retrySoon}, nil
	}
	if !md.DeletionTimestamp.IsZero() {
		return r.finishDeletion(ctx, run)
	}
	if r.needsFinalizer(run) {
		return ctrl.Result{RequeueAfter: retrySoon}, r.addFinalizer(ctx, md)
	}
	if err := r.act(ctx, run); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: r.observe(run)}, nil
}

// retrySoon is how long to wait for the cache to show what was just written.
const retrySoon = 50 * time.Millisecond

// needsFinalizer says whether records may be written before anything keeps the object from vanishing.
func (r *MailDomainReconciler) needsFinalizer(run *domainRun) bool {
	managed := slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.managed() })
	return managed && !controllerutil.ContainsFinalizer(run.md, v1alpha1.Finalizer)
}

// addFinalizer is called after the first status was stored: a finalizer without status thus means
// that the status was lost.
func (r *MailDomainReconciler) addFinalizer(ctx context.Context, md *v1alpha1.MailDomain) error {
	base := md.DeepCopy()
	controllerutil.AddFinalizer(md, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(ignoreConflict(r.Patch(ctx, md, patch)))
}

// store writes the status when it changed. It returns false when the object that the decision rests
// on is not the newest: nothing may be done then. An unchanged status is compared with a live read
// only if something is about to be done.
func (r *MailDomainReconciler) store(ctx context.Context, run *domainRun) (bool, error) {
	md := run.md
	next := buildStatus(run)
	if equality.Semantic.DeepEqual(next, md.Status) {
		if run.hasEffects() {
			return r.isNewest(ctx, md)
		}
		r.consumed(run)
		return true, nil
	}
	before := md.Status
	updated := md.DeepCopy()
	updated.Status = next
	if err := r.Status().Update(ctx, updated); err != nil {
		return false, client.IgnoreNotFound(ignoreConflict(err))
	}
	logDecision(ctx, &before, &next)
	r.announce(run, &before, &next)
	run.md = updated
	r.consumed(run)
	return true, nil
}

// logDecision writes a line when what is waited for has changed.
func logDecision(ctx context.Context, before, after *v1alpha1.MailDomainStatus) {
	was, is := "", ""
	if before.NextTransition != nil {
		was = before.NextTransition.Action
	}
	if after.NextTransition != nil {
		is = after.NextTransition.Action
	}
	if was != is {
		logf.FromContext(ctx).Info("decision changed", "waitingFor", is, "before", was)
	}
}

// isNewest says whether the object is what the API server holds now.
func (r *MailDomainReconciler) isNewest(ctx context.Context, md *v1alpha1.MailDomain) (bool, error) {
	live := &v1alpha1.MailDomain{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(md), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return live.ResourceVersion == md.ResourceVersion, nil
}

// consumed hands back what the stored decision rests on.
func (r *MailDomainReconciler) consumed(run *domainRun) {
	for _, h := range run.hosts {
		if h.decided {
			r.observer.consumed(h.key, h.view)
		}
	}
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// hasEffects says whether the decision asks for anything to be written outside status.
func (run *domainRun) hasEffects() bool {
	return slices.ContainsFunc(run.hosts, func(h *hostRun) bool {
		if !h.managed() {
			return false
		}
		for _, o := range h.decision.Owners {
			if o.Write {
				return true
			}
		}
		return len(h.copies()) > 0
	})
}

// observe starts the sweeps and probe rounds that are due and returns when to look again.
func (r *MailDomainReconciler) observe(run *domainRun) time.Duration {
	wait := time.Hour
	names := map[string]bool{}
	for _, h := range run.hosts {
		names[h.key.host] = true
		if h.decided && h.refused == nil {
			wait = min(wait, r.observeHost(run, h))
		} else if !h.notManaged {
			// What refuses the host is watched; a zone that is not loaded yet is looked for again.
			wait = min(wait, 5*time.Second)
		}
	}
	r.observer.forget(client.ObjectKeyFromObject(run.md), names)
	return max(wait, retrySoon)
}

// observeHost starts what is due for one host.
func (r *MailDomainReconciler) observeHost(run *domainRun, h *hostRun) time.Duration {
	interval := max(h.zone.Spec.Propagation.Interval.Or(10*time.Second), 100*time.Millisecond)
	idle := min(max(30*interval, 30*time.Second), time.Hour)
	wait := idle
	for _, o := range h.decision.Owners {
		seen := h.view.owners[o.Name]
		r.observer.noteSync(h.key, o.Name, o.InSync, run.now)
		pace := idle
		if !h.notManaged && (h.inMotion() || o.Write || !o.InSync) {
			pace = interval
		}
		due := dueIn(run.now, lastSweepEnd(seen), pace)
		if due <= 0 {
			r.startSweep(h, o.Name)
			due = pace // the answer wakes us earlier
		}
		wait = min(wait, max(due, retrySoon))
		if o.Write {
			wait = min(wait, max(seen.retryAt.Sub(run.now), interval))
		}
	}
	wait = min(wait, r.observeEndpoints(run, h, interval, idle))
	if next := h.decision.Next; !next.IsZero() && !h.notManaged {
		wait = min(wait, max(next.Sub(run.now), retrySoon))
	}
	return wait
}

func (r *MailDomainReconciler) startSweep(h *hostRun, owner string) {
	if r.observer.beginSweep(h.key, owner) {
		h.entry.client.Sweep(owner, func(s zoneSweep) { r.observer.endSweep(h.key, owner, s) })
	}
}

func (r *MailDomainReconciler) observeEndpoints(run *domainRun, h *hostRun, interval, idle time.Duration) time.Duration {
	if h.server.Probe.Mode == v1alpha1.ProbeDisabled {
		return idle
	}
	pace := idle
	if !h.notManaged && (h.inMotion() || h.decision.NeedProbe || !h.decision.Published) {
		pace = interval
	}
	var last time.Time
	if h.view.last != nil {
		last = h.view.last.End
	}
	due := dueIn(run.now, last, pace)
	if due <= 0 {
		r.probes.start(probeJob{
			key: h.key, server: h.server, domain: run.md.Spec.Domain, zone: h.entry.client,
			dnssec: run.md.Spec.DNSSEC != v1alpha1.DNSSECIgnored,
		})
		due = pace
	}
	return max(due, retrySoon)
}

func dueIn(now, last time.Time, pace time.Duration) time.Duration {
	if last.IsZero() {
		return 0
	}
	return last.Add(pace).Sub(now)
}

func lastSweepEnd(o ownerObservation) time.Time {
	if last := o.newest(); last != nil {
		return last.End
	}
	return time.Time{}
}

// inMotion says whether the host waits for something that sweeps and probes can bring nearer.
func (h *hostRun) inMotion() bool {
	if h.decision.NeedSweep || h.decision.NeedProbe || h.removing {
		return true
	}
	return h.versionsClosing() || h.keysMoving()
}

// versionsClosing says whether some server may still show an older answer.
func (h *hostRun) versionsClosing() bool {
	return slices.ContainsFunc(h.decision.Owners, func(o rollover.OwnerDecision) bool {
		open := 0
		for _, v := range o.Versions {
			if v.Open {
				open++
			}
		}
		return open > 1
	})
}

// keysMoving says whether a key is on its way in or out. Two Current keys of one Certificate mean
// that the new one was handed to the servers, and not every endpoint has taken it yet.
func (h *hostRun) keysMoving() bool {
	current := map[string]int{}
	for _, k := range h.decision.Keys {
		switch v1alpha1.KeyRole(k.Role) {
		case v1alpha1.RolePrevious:
			return true
		case v1alpha1.RoleNext:
			if k.Visibility != string(v1alpha1.VisibilityOmnipresent) {
				return true
			}
		case v1alpha1.RoleCurrent:
			if current[k.Certificate]++; current[k.Certificate] > 1 {
				return true
			}
		}
	}
	return false
}
