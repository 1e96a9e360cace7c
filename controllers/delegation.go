package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file keeps the DS records of a zone in its parent in step: it has both sides looked at, has the
// decision made, and has it carried out.

const (
	// delegationIdle is how often a delegation is looked at while nothing is to change.
	delegationIdle = time.Minute
	// delegationRest is how often one is that somebody else keeps, once it has been in step for that long: each look asks all
	// addresses of the parent's servers. No rollover rests on it: that DS records change is seen by the looks at the zone.
	delegationRest = 5 * time.Minute
)

// delegationWork is what is known of the delegation of a zone, and what is under way.
type delegationWork struct {
	// of is the generation of the DNSZone that it is for; what was begun for another one is dropped.
	of int64
	// busy says that an answer is waited for.
	busy bool
	// look is the newest look at both sides, nil before the first; decision what follows from it, nil
	// before that was made; acted says that it is being carried out, or was.
	look     *delegationLook
	decision *delegation.Decision
	acted    bool
	// stale says that something was written since the look: whether every server shows it is to be seen.
	stale bool
	// failed says why the last change, or notification, did not succeed; its class is empty when it did.
	failed zone.Result
	// mark as in delegation.Facts.
	mark time.Time
	// synced and notified are what was carried out since the process began.
	synced, notified *delegationStamp
	// told is what became of telling each target of a notification.
	told map[zone.NotifyTarget]toldTarget
	// since is when a decision was first made for the reason of the newest one, with the same DS records in the parent; reason
	// and had are these.
	reason delegation.Reason
	had    []string
	since  time.Time
}

// delegationStamp is a DS RRset and when it was written or told.
type delegationStamp struct {
	ds []string
	at time.Time
}

// delegationLook is what both sides of a delegation show.
type delegationLook struct {
	at time.Time
	// parent is the apex of the parent zone; foreign says that we do not write it, and problem why it
	// could not be found then.
	parent, problem string
	foreign         bool
	parents         []delegation.Parent
	ttl             time.Duration
	children        []delegation.Child
	signals         []delegation.Signal
	targets         []zone.NotifyTarget
	targetsProblem  string
}

// parentZone is a parent zone that is ours to write.
type parentZone struct {
	name   types.NamespacedName
	apex   string
	client zone.Client
}

// parentOf finds the DNSZone of the parent; nil where the parent is somebody else's. A *configError says
// why it may not be written.
func (r *DNSZoneReconciler) parentOf(ctx context.Context, reader client.Reader, z *v1alpha1.DNSZone) (*parentZone, error) {
	ref := z.Spec.DNSSEC.Delegation.ParentZoneRef
	if ref == nil {
		return nil, nil
	}
	name := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	if name.Namespace == "" {
		name.Namespace = z.Namespace
	}
	parent := &v1alpha1.DNSZone{}
	err := reader.Get(ctx, name, parent)
	switch {
	case apierrors.IsNotFound(err) && name.Namespace == z.Namespace:
		return nil, &configError{v1alpha1.ReasonParentZoneNotFound, fmt.Sprintf("DNSZone %s, which spec.dnssec.delegation.parentZoneRef names, does not exist: create it, or correct the reference", name)}
	case apierrors.IsNotFound(err):
		return nil, notGranted(z, name)
	case err != nil:
		return nil, fmt.Errorf("read DNSZone %s: %w", name, err)
	}
	if err := r.admits(ctx, reader, z, parent); err != nil {
		return nil, err
	}
	entry, _ := r.zones.lookUp(name, r.shard, r.Clock, r.wake)
	if entry.client == nil {
		return nil, &configError{v1alpha1.ReasonParentZoneNotFound, fmt.Sprintf("DNSZone %s of the parent zone cannot be used now: its conditions say what to do", name)}
	}
	return &parentZone{name: name, apex: parent.Spec.Zone, client: entry.client}, nil
}

// admits says whether the DNSZone of a parent lets the DS records of a zone be written. Those who may not
// read it are not told what is in it.
func (r *DNSZoneReconciler) admits(ctx context.Context, reader client.Reader, z, parent *v1alpha1.DNSZone) error {
	above := z.Spec.Zone != parent.Spec.Zone && inZone(z.Spec.Zone, parent.Spec.Zone)
	if !above && parent.Namespace == z.Namespace {
		return &configError{v1alpha1.ReasonNotAncestor, fmt.Sprintf("the zone %s of DNSZone %s, which spec.dnssec.delegation.parentZoneRef names, is not above %s: name the DNSZone of the zone that delegates %s, or leave parentZoneRef out when that is somebody else's", parent.Spec.Zone, client.ObjectKeyFromObject(parent), z.Spec.Zone, z.Spec.Zone)}
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := reader.Get(ctx, types.NamespacedName{Name: z.Namespace}, namespace); err != nil {
		return fmt.Errorf("read namespace %s: %w", z.Namespace, err)
	}
	if !above || !grantsName(parent, z.Namespace, namespace.Labels, z.Spec.Zone) {
		return notGranted(z, client.ObjectKeyFromObject(parent))
	}
	return nil
}

func notGranted(z *v1alpha1.DNSZone, parent types.NamespacedName) error {
	return &configError{v1alpha1.ReasonParentNotGranted, fmt.Sprintf("no DNSZone %s of a zone above %s grants that name to namespace %s: have its owner add a grant with namespaces that admit %s and hostnames [%s]", parent, z.Spec.Zone, z.Namespace, z.Namespace, z.Spec.Zone)}
}

// acceptedDS reads spec.dnssec.delegation.acceptInitialDS.
func acceptedDS(z *v1alpha1.DNSZone) ([]dnssec.Anchor, error) {
	var out []dnssec.Anchor
	for _, text := range z.Spec.DNSSEC.Delegation.AcceptInitialDS {
		ds, err := dnssec.ParseDS(string(text), z.Spec.Zone+".")
		if err != nil {
			return nil, &configError{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.dnssec.delegation.acceptInitialDS: %q: %v", text, err)}
		}
		out = append(out, ds)
	}
	return out, nil
}

// delegate looks at the delegation when that is due, and says what is known of it in status. It returns what
// is to be done once status is stored, and when the delegation is to be looked at next; zero for never.
func (r *DNSZoneReconciler) delegate(ctx context.Context, z *v1alpha1.DNSZone, next *v1alpha1.DNSZoneStatus) (func(context.Context) error, time.Duration, error) {
	c := delegationConditions{zoneConditions{z: z, status: next, now: r.Clock.Now()}}
	if z.Spec.DNSSEC.Delegation == nil {
		c.notManaged()
		return nil, 0, nil
	}
	parent, err := r.parentOf(ctx, r, z)
	var accepted []dnssec.Anchor
	if err == nil {
		accepted, err = acceptedDS(z)
	}
	var unusable *configError
	if errors.As(err, &unusable) {
		c.unusable(unusable)
		return nil, zoneBusy, nil
	}
	if err != nil {
		return nil, 0, err
	}
	w := r.workOn(z, accepted)
	c.tell(w)
	return r.task(z, parent, w), r.pace(w, z), nil
}

// workOn recalls what is known of a delegation, and has the decision made when there was a new look.
func (r *DNSZoneReconciler) workOn(z *v1alpha1.DNSZone, accepted []dnssec.Anchor) delegationWork {
	name := client.ObjectKeyFromObject(z)
	var w delegationWork
	r.zones.update(name, func(e *zoneEntry) {
		if e.delegation.of != z.Generation {
			// Targets that were told know no less for it, and one that was deaf is to be left in peace for as long.
			e.delegation = delegationWork{of: z.Generation, mark: e.delegation.mark, told: e.delegation.told}
		}
		if s := z.Status.DNSSEC.Delegation; s != nil && timeOf(s.SignedAt).After(e.delegation.mark) {
			e.delegation.mark = timeOf(s.SignedAt)
		}
		w = e.delegation
	})
	if w.look == nil || w.decision != nil || w.look.problem != "" {
		return w
	}
	facts := delegation.Facts{
		Child: z.Spec.Zone + ".", Now: r.Clock.Now(), Parents: w.look.parents, Children: w.look.children, Signals: w.look.signals, Mark: w.mark,
		Policy: delegation.Policy{AcceptInitial: accepted, AllowDelete: z.Spec.DNSSEC.Delegation.AllowDelete},
	}
	decide := delegation.Decide
	if w.look.foreign {
		decide = delegation.Compare
	}
	d := decide(facts)
	r.zones.update(name, func(e *zoneEntry) {
		if e.delegation.look == w.look {
			e.delegation.decides(&d, facts.Now)
		}
		w = e.delegation
	})
	return w
}

// decides notes the decision that follows from the look.
func (w *delegationWork) decides(d *delegation.Decision, now time.Time) {
	w.decision, w.mark = d, d.Mark
	if had := presentedDS(d.Expect); w.since.IsZero() || w.reason != d.Reason || !slices.Equal(w.had, had) {
		w.reason, w.had, w.since = d.Reason, had, now
	}
	if w.look.foreign && len(w.told) > 0 {
		w.noteHeard(notice(d)) // a target that was deaf may be named no more
	}
}

// pace is when the delegation is to be looked at next.
func (r *DNSZoneReconciler) pace(w delegationWork, z *v1alpha1.DNSZone) time.Duration {
	if w.busy || w.look == nil || w.stale {
		return delegationIdle // an answer that comes wakes us
	}
	return max(w.look.at.Add(delegationPace(w, z)).Sub(r.Clock.Now()), time.Second)
}

// patience is the part of the time for which nothing has come of looking that goes by until the next look.
const patience = 6

// delegationPace is how long after a look the next one is made: soon while something is under way, and ever later while the
// same thing is waited for, such as somebody who accepts the first DS records.
func delegationPace(w delegationWork, z *v1alpha1.DNSZone) time.Duration {
	settled := w.decision != nil && (w.decision.Reason == delegation.InSync || w.decision.Reason == delegation.NothingAsked)
	switch {
	case settled && w.look.foreign && len(w.decision.Expect) > 0 && w.look.at.Sub(w.since) >= delegationRest:
		return delegationRest
	case settled || w.look.foreign:
		return delegationIdle
	}
	soon := z.Spec.Propagation.Interval.Or(10 * time.Second)
	if w.decision == nil {
		return soon
	}
	return max(soon, min(w.look.at.Sub(w.since)/patience, delegationIdle))
}

// task is what to do next: to carry out the decision, to tell the parent, or to look again; nil for nothing.
func (r *DNSZoneReconciler) task(z *v1alpha1.DNSZone, parent *parentZone, w delegationWork) func(context.Context) error {
	// What was seen long ago is seen again before anything is done about it.
	fresh := w.look != nil && r.Clock.Now().Before(w.look.at.Add(delegationIdle))
	targets := targetsDue(z, w, r.Clock.Now())
	switch {
	case w.busy:
		return nil
	case fresh && toBeWritten(w) && parent != nil:
		return func(ctx context.Context) error { return r.publishDS(ctx, z, w) }
	case fresh && len(targets) > 0 && parent == nil:
		return func(context.Context) error { r.notifyParent(z, w, targets); return nil }
	case w.look == nil || w.stale || !r.Clock.Now().Before(w.look.at.Add(delegationPace(w, z))):
		return func(context.Context) error { r.lookAtDelegation(z, parent, w); return nil }
	}
	return nil
}

// toBeWritten says whether the decision is one to carry out, and was not carried out.
func toBeWritten(w delegationWork) bool {
	return w.decision != nil && !w.acted && !w.look.foreign && w.decision.Action != delegation.Keep
}

// begin marks the work as waiting for an answer, unless it is another one by now. It returns how the answer
// is taken in; that wakes the DNSZone.
func (r *DNSZoneReconciler) begin(z *v1alpha1.DNSZone, w delegationWork, acts bool) (zone.Client, func(func(*delegationWork))) {
	name := client.ObjectKeyFromObject(z)
	var own zone.Client
	r.zones.amend(name, func(e *zoneEntry) {
		if e.client != nil && e.delegation.of == w.of && !e.delegation.busy && e.delegation.look == w.look {
			e.delegation.busy, own = true, e.client
			e.delegation.acted = e.delegation.acted || acts
		}
	})
	return own, func(take func(*delegationWork)) {
		r.zones.amend(name, func(e *zoneEntry) {
			if e.delegation.of == w.of {
				e.delegation.busy = false
				take(&e.delegation)
			}
		})
		r.wake(name)
	}
}

// lookAtDelegation asks both sides.
func (r *DNSZoneReconciler) lookAtDelegation(z *v1alpha1.DNSZone, parent *parentZone, w delegationWork) {
	own, take := r.begin(z, w, false)
	if own == nil {
		return
	}
	look := &delegationLook{foreign: parent == nil}
	var both sync.WaitGroup
	both.Add(2)
	own.SweepKeys(func(s zone.KeySweep) { look.children = s.Answers; both.Done() })
	if parent == nil {
		own.LookAtParent(func(p zone.ParentLook) {
			look.parent, look.problem, look.parents, look.targets, look.targetsProblem = p.Zone, p.Problem, p.Answers, p.Targets, p.TargetsProblem
			both.Done()
		})
	} else {
		look.parent = parent.apex + "."
		parent.client.SweepDS(z.Spec.Zone+".", func(s zone.DSSweep) {
			look.parents, look.ttl = s.Answers, s.TTL
			more := false
			defer func() {
				if !more { // after a panic, too: nobody waits for ever
					both.Done()
				}
			}()
			signallers := delegation.Signallers(z.Spec.Zone+".", s.Answers)
			if len(signallers) == 0 || len(z.Spec.DNSSEC.Delegation.AcceptInitialDS) > 0 {
				return
			}
			more = true
			// While the parent has no DS records, those that it delegates to may vouch for the first ones, unless the
			// owner says himself which these are.
			own.SweepSignals(signallers, func(s []delegation.Signal) { look.signals = s; both.Done() })
		})
	}
	go func() {
		both.Wait()
		look.at = r.Clock.Now()
		take(func(w *delegationWork) { w.look, w.decision, w.acted, w.stale = look, nil, false, false })
	}()
}

// publishDS carries out a decision. What lets us is read live before: a grant may be gone.
func (r *DNSZoneReconciler) publishDS(ctx context.Context, z *v1alpha1.DNSZone, w delegationWork) error {
	fresh := &v1alpha1.DNSZone{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(z), fresh); err != nil {
		return client.IgnoreNotFound(err)
	}
	if fresh.Generation != w.of || !fresh.DeletionTimestamp.IsZero() || !r.shard.Has(fresh) {
		return nil // another look is made for what is wanted now, or another operator makes it
	}
	parent, err := r.parentOf(ctx, r.live, fresh)
	var unusable *configError
	if errors.As(err, &unusable) {
		return nil // the cache shows it soon, and the condition then says it
	}
	if err != nil {
		return err
	}
	own, take := r.begin(z, w, true)
	if own == nil {
		return nil
	}
	change := zone.DSChange{Child: z.Spec.Zone + ".", Expect: w.decision.Expect, Want: w.decision.Want, Nameservers: w.decision.Nameservers, TTL: w.look.ttl}
	parent.client.PublishDS(change, func(got zone.Result) {
		take(func(work *delegationWork) {
			work.failed = zone.Result{}
			switch got.Class {
			case zone.Applied, zone.Unchanged:
				work.synced = &delegationStamp{presentedDS(change.Want), got.At}
				work.stale = true
			default:
				work.failed = got
			}
		})
	})
	return nil
}
