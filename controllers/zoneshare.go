package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// This file is about DNSZones that another operator acts for, and that MailDomains of this one are written to.

// wantedFor is how long the client of such a zone is kept after it was last asked for. A MailDomain asks at least once an
// hour.
const wantedFor = 2 * time.Hour

// lookUp is the entry of a DNSZone. For an operator of a part of all objects it notes that the zone is wanted, and has one
// that is not there yet looked at.
func (r *zoneRegistry) lookUp(name types.NamespacedName, part shard.Shard, c clock.PassiveClock, wake func(types.NamespacedName)) (zoneEntry, bool) {
	if part.All() {
		return r.get(name)
	}
	r.mu.Lock()
	r.wanted[name] = c.Now()
	r.mu.Unlock()
	e, ok := r.get(name)
	if !ok {
		wake(name)
	}
	return e, ok
}

// isWanted says whether a DNSZone was asked for of late.
func (r *zoneRegistry) isWanted(name types.NamespacedName, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.wanted[name]
	if ok && now.Sub(at) > wantedFor {
		delete(r.wanted, name)
		return false
	}
	return ok
}

// zoneEntry is what is known of a DNSZone.
func (r *MailDomainReconciler) zoneEntry(name types.NamespacedName) (zoneEntry, bool) {
	return r.zones.lookUp(name, r.shard, r.Clock, r.wakeZone)
}

// tend notes whether this operator acts for the DNSZone. What it knew of the delegation of one that is another's it forgets:
// no DS record is written for what was seen before.
func (e *zoneEntry) tend(own bool) {
	if e.own = own; !own {
		e.delegation = delegationWork{}
	}
}

// assist keeps the client of a zone that another operator acts for, as long as MailDomains of this one need it. Nothing is
// written to the DNSZone, and nothing is told of it: that is the other's.
func (r *DNSZoneReconciler) assist(ctx context.Context, z *v1alpha1.DNSZone) (ctrl.Result, error) {
	name := client.ObjectKeyFromObject(z)
	if !r.zones.isWanted(name, r.Clock.Now()) {
		r.zones.remove(ctx, name)
		return ctrl.Result{}, nil
	}
	config, err := r.config(ctx, z)
	var unusable *configError
	switch {
	case errors.As(err, &unusable):
	case err != nil:
		return ctrl.Result{}, err
	case len(z.Status.Conditions) == 0:
		unusable = r.unattendedBy(z)
	}
	if unusable != nil {
		r.disable(ctx, z, unusable)
		return ctrl.Result{RequeueAfter: zoneIdle}, nil //nolint:nilerr // what is wrong is told by who acts for it
	}
	return ctrl.Result{RequeueAfter: r.check(name, r.configure(z, config))}, nil
}

// unattended is a reason that stands in no condition: nobody writes one.
const unattended = "Unattended"

// unattendedBy is what keeps a MailDomain from being written to a DNSZone that no operator has ever acted for. What a zone's
// keys and name servers were, so that caches may hold it, has to outlive a restart, and stands in the status of the DNSZone,
// which this operator does not write.
func (r *DNSZoneReconciler) unattendedBy(z *v1alpha1.DNSZone) *configError {
	return &configError{unattended, fmt.Sprintf(
		"no operator has looked at DNSZone %s/%s yet, and this one, with --selector %q, does not act for it: start the operator that does, or change its labels",
		z.Namespace, z.Name, r.shard.String())}
}
