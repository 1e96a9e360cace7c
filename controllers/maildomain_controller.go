package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// MailDomainReconciler keeps the records, keys and requests of MailDomains in step.
type MailDomainReconciler struct {
	client.Client
	// live reads past the cache, for Secrets and before every effect.
	live      client.Reader
	Clock     clock.PassiveClock
	machine   *machineClock
	events    events.EventRecorder
	counts    *metrics.Events
	settings  settings
	shard     shard.Shard
	keys      keyReader
	standby   standbyStore
	zones     *zoneRegistry
	observer  *observer
	probes    *proberPool
	senders   *senderWatch
	records   *recordBook
	looks     *recordLooks
	decisions *decisionBoard
	refusals  refusalBoard
	behind    behindBoard
	contests  contestBoard
	keeper    gatekeeper
	guard     *guard.Guard
	// wakeZone enqueues a DNSZone.
	wakeZone func(types.NamespacedName)
}

// Reconcile gathers the facts of one MailDomain, decides, stores the decision, and acts on it.
func (r *MailDomainReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	md := &v1alpha1.MailDomain{}
	if err := r.Get(ctx, req.NamespacedName, md); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read MailDomain %s: %w", req.NamespacedName, err)
	}
	if !r.shard.Has(md) {
		r.forget(req.NamespacedName) // it may have been ours until its labels changed
		return ctrl.Result{}, nil
	}
	run, err := r.gather(ctx, md)
	if err != nil {
		if errors.Is(err, errClockBehind) {
			r.event(md, nil, corev1.EventTypeWarning, "ClockBehind", "Wait", "%s", errClockBehind)
		}
		return r.machine.hold(err)
	}
	current, err := r.store(ctx, run)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !current {
		return ctrl.Result{RequeueAfter: r.behind.wait(req.NamespacedName)}, nil
	}
	r.behind.forget(req.NamespacedName)
	if !md.DeletionTimestamp.IsZero() {
		r.senders.forget(req.NamespacedName)
		return r.finishDeletion(ctx, run)
	}
	if r.needsFinalizer(run) {
		return ctrl.Result{RequeueAfter: retrySoon}, r.addFinalizer(ctx, run.md)
	}
	failed := r.act(ctx, run)
	wait := r.observe(run) // whatever failed: nobody else looks
	if failed != nil {
		return ctrl.Result{}, failed
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// forget drops all that this process knows of a MailDomain which is gone, or which another operator acts for.
func (r *MailDomainReconciler) forget(name types.NamespacedName) {
	r.observer.forget(name, nil, r.Clock.Now())
	r.senders.forget(name)
	r.records.forget(name)
	r.decisions.forget(name)
	r.refusals.forget(name)
	r.behind.forget(name)
	r.contests.forget(name)
}

// needsFinalizer says whether records may be written before anything keeps the object from vanishing.
func (r *MailDomainReconciler) needsFinalizer(run *domainRun) bool {
	managed := asksForAny(run.md) || run.md.Spec.DKIM != nil || slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.managed() })
	return managed && !controllerutil.ContainsFinalizer(run.md, v1alpha1.Finalizer)
}

// addFinalizer is called after the first status was stored: a finalizer without status thus means
// that the status was lost.
func (r *MailDomainReconciler) addFinalizer(ctx context.Context, md *v1alpha1.MailDomain) error {
	base := md.DeepCopy()
	controllerutil.AddFinalizer(md, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	if err := r.Patch(ctx, md, patch); err != nil {
		return client.IgnoreNotFound(ignoreConflict(err))
	}
	r.contests.wrote(md, r.Clock.Now())
	return nil
}

// store writes the status when it changed. It returns false when the object that the decision rests
// on is not the newest, or another operator writes it as well: nothing may be done then. An unchanged status is
// compared with a live read only if something is about to be done.
func (r *MailDomainReconciler) store(ctx context.Context, run *domainRun) (bool, error) {
	md := run.md
	next := buildStatus(run)
	if sameStatus(&next, &md.Status) {
		if run.hasEffects() {
			return r.isNewest(ctx, md)
		}
		r.consumed(run)
		return true, nil
	}
	if r.contests.wait(md, r.Clock.Now()) > 0 {
		return false, nil
	}
	before := md.Status
	updated := md.DeepCopy()
	updated.Status = next
	if err := r.Status().Update(ctx, updated); err != nil {
		return false, client.IgnoreNotFound(ignoreConflict(err))
	}
	r.contests.wrote(updated, r.Clock.Now())
	logDecision(ctx, &before, &next)
	r.announce(run, &before, &next)
	run.md = updated
	r.consumed(run)
	return true, nil
}

// isNewest says whether the object is what the API server holds now.
func (r *MailDomainReconciler) isNewest(ctx context.Context, md *v1alpha1.MailDomain) (bool, error) {
	live := &v1alpha1.MailDomain{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(md), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return live.ResourceVersion == md.ResourceVersion, nil
}

// consumed hands back what the stored decision rests on. What was only counted is not stored.
func (r *MailDomainReconciler) consumed(run *domainRun) {
	for _, h := range run.hosts {
		if h.decided && !h.counting {
			r.observer.consumed(h.key, h.view)
		}
	}
	if run.dkim == nil {
		return
	}
	for _, row := range run.dkim.rows {
		if row.decided && !row.unseen(run.dkim) {
			r.observer.consumed(row.key, row.view)
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
	if slices.ContainsFunc(run.recordRows(), func(row *recordRow) bool { return row.decision.Write }) {
		return true
	}
	return run.keyEffects() || slices.ContainsFunc(run.hosts, func(h *hostRun) bool {
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
		switch {
		case h.decided && h.refusedEnd:
			wait = min(wait, r.observeEnds(run, h))
		case h.decided && h.refused == nil:
			wait = min(wait, r.observeHost(run, h))
		case !h.notManaged:
			// What refuses the host is watched; a zone that is not loaded yet is looked for again.
			wait = min(wait, 5*time.Second)
		}
	}
	wait = min(wait, r.observeKeys(run, names))
	r.observer.forget(client.ObjectKeyFromObject(run.md), names, run.now)
	return max(min(wait, r.senders.look(run), r.observeRecords(run)), retrySoon)
}

// observeHost starts what is due for one host.
func (r *MailDomainReconciler) observeHost(run *domainRun, h *hostRun) time.Duration {
	p := paceOf(run.now, h, r.observer.count())
	if !r.observer.settle(h.key, p, run.now) {
		return p.soak // it is woken when it is let in
	}
	wait := p.idle
	for i, o := range h.decision.Owners {
		seen := h.view.owners[o.Name]
		r.observer.noteSync(h.key, o.Name, o.InSync, run.now)
		due := p.due(run.now, lastSweepEnd(seen), p.owners[i])
		if due <= 0 {
			atRest := !lastSweepEnd(seen).IsZero() && p.owners[i] >= p.idle
			r.startSweep(h.lookout(), o.Name, atRest)
			due = p.due(run.now, run.now, p.owners[i]) // an answer that is new wakes us earlier
		}
		wait = min(wait, max(due, retrySoon))
		if o.Write {
			wait = min(wait, max(seen.retryAt.Sub(run.now), p.interval))
		}
	}
	wait = min(wait, r.observeEndpoints(run, h, p))
	if next := h.decision.Next; !next.IsZero() && !h.notManaged {
		wait = min(wait, max(next.Sub(run.now), retrySoon))
		if ahead := next.Add(-p.ahead()).Sub(run.now); ahead > 0 {
			wait = min(wait, max(ahead, retrySoon))
		}
	}
	return wait
}

// observeEnds looks at the owners of a host that is refused because of where an alias leads: it may be
// made to lead elsewhere.
func (r *MailDomainReconciler) observeEnds(run *domainRun, h *hostRun) time.Duration {
	const pace = 15 * time.Second
	for _, o := range h.decision.Owners {
		if dueIn(run.now, lastSweepEnd(h.view.owners[o.Name]), pace) <= 0 {
			r.startSweep(h.lookout(), o.Name, false)
		}
	}
	return 5 * time.Second
}

// startSweep begins a sweep of an owner, whose end wakes the MailDomain; later says that nobody waits for
// it. It says no while one is under way.
func (r *MailDomainReconciler) startSweep(l lookout, owner string, later bool) bool {
	begun := r.observer.beginSweep(l.key, owner)
	if begun {
		p := &pursuit{route: r.route(l), later: later, unlike: r.lookAgain, guard: r.guard}
		p.follow(l.home, owner, 0, func(t trail) { r.observer.endSweep(l.key, owner, t) })
	}
	return begun
}

// lookAgain has a zone looked at now: a sweep has met other keys or DS records than the newest look, which caches keep for a time.
// They count as changing from now on, whatever the look finds.
func (r *MailDomainReconciler) lookAgain(name types.NamespacedName, ttl time.Duration) {
	now := r.Clock.Now()
	r.zones.amend(name, func(e *zoneEntry) {
		e.unlike++
		e.keys.meet(ttl, now)
	})
	r.wakeZone(name)
}

func (r *MailDomainReconciler) observeEndpoints(run *domainRun, h *hostRun, p pace) time.Duration {
	if h.server.Probe.Mode == v1alpha1.ProbeDisabled {
		return p.idle
	}
	var last time.Time
	if h.view.last != nil {
		last = h.view.last.End
	}
	every := p.endpoints
	if h.view.stirred {
		every = p.interval
	}
	due := p.due(run.now, last, every)
	if due <= 0 {
		r.probes.start(probeJob{
			key: h.key, server: h.server, domain: run.md.Spec.Domain, zone: h.entry.client,
			dnssec: run.md.Spec.DNSSEC != v1alpha1.DNSSECIgnored, hides: hidesKeys(h.certs),
		})
		due = p.due(run.now, run.now, every)
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
