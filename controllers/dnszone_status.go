package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// storeZone writes the status of a DNSZone when it changed. Where another operator writes it as well, it says how long to wait
// before the next try.
func (r *DNSZoneReconciler) storeZone(ctx context.Context, z *v1alpha1.DNSZone, next v1alpha1.DNSZoneStatus) (time.Duration, error) {
	// What was read has other time zones and empty lists than what is made here, and says the same.
	if sameStatus(&next, &z.Status) {
		return 0, nil
	}
	if wait := r.contests.wait(z, r.Clock.Now()); wait > 0 {
		return wait, nil
	}
	updated := z.DeepCopy()
	updated.Status = next
	if err := r.Status().Update(ctx, updated); err != nil {
		return 0, client.IgnoreNotFound(ignoreConflict(err))
	}
	r.contests.wrote(updated, r.Clock.Now())
	logZone(ctx, &z.Status, &next)
	r.announceZone(z, &next)
	return 0, nil
}

// unusableStatus is the status of a zone whose configuration cannot be used, so that nobody looks at it.
// What was seen before stays, but for what it was worth.
func unusableStatus(z *v1alpha1.DNSZone, problem *configError, now time.Time) v1alpha1.DNSZoneStatus {
	next := *z.Status.DeepCopy()
	next.ObservedGeneration = z.Generation
	s := zoneConditions{z: z, status: &next, now: now}
	s.set(v1alpha1.ConditionUpdatesAccepted, metav1.ConditionFalse, problem.reason, problem.message)
	s.set(v1alpha1.ConditionNameserversInSync, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, problem.message)
	s.set(v1alpha1.ConditionDNSSECSecure, metav1.ConditionUnknown, v1alpha1.ReasonIndeterminate, problem.message)
	s.set(v1alpha1.ConditionDelegationInSync, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, problem.message)
	next.DNSSEC.State = v1alpha1.DNSSECStateIndeterminate
	s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, problem.reason, problem.message)
	s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, problem.reason, problem.message)
	return next
}

// knownServers are the name servers that status tells of.
func knownServers(z *v1alpha1.DNSZone) []zone.Known {
	var out []zone.Known
	for _, n := range z.Status.Nameservers {
		addr, err := netip.ParseAddrPort(n.Address)
		if err != nil {
			continue
		}
		out = append(out, zone.Known{
			Server: zone.Server{Name: n.Name, Addr: addr}, LeadTTL: time.Duration(n.LeadTTL) * time.Second, FormerUntil: timeOf(n.FormerUntil),
		})
	}
	return out
}

type zoneConditions struct {
	z      *v1alpha1.DNSZone
	status *v1alpha1.DNSZoneStatus
	now    time.Time
	// trust is what is wrong with the operator's trust anchors; empty when nothing is.
	trust string
}

func (c zoneConditions) set(kind string, status metav1.ConditionStatus, reason, message string) finding {
	meta.SetStatusCondition(&c.status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: truncate(message, 2048),
		ObservedGeneration: c.z.Generation, LastTransitionTime: metav1.NewTime(c.now),
	})
	return finding{status, reason, message}
}

// zoneStatus is the status that follows from a look at the zone. A problem with the operator's trust anchors is
// told beside.
func zoneStatus(z *v1alpha1.DNSZone, h *zone.Health, trust string, now time.Time) v1alpha1.DNSZoneStatus {
	next := v1alpha1.DNSZoneStatus{
		ObservedGeneration: z.Generation, Conditions: slices.Clone(z.Status.Conditions), Serial: int64(h.Serial),
		DNSSEC: v1alpha1.ZoneDNSSECStatus{
			State: v1alpha1.DNSSECState(h.DNSSEC.State), Algorithms: h.DNSSEC.Algorithms, Keys: h.DNSSEC.Keys,
			DS: h.DNSSEC.DS, CDS: h.DNSSEC.CDS, SignaturesExpire: steadyExpiry(z.Status.DNSSEC.SignaturesExpire, h.DNSSEC.SignaturesExpire, now),
			Above: statusPassed(h.DNSSEC.Above), KeysChangedAt: statusTime(h.DNSSEC.KeysChangedAt), Findings: statusFindings(h.Findings),
			Signer: steadySigner(z.Status.DNSSEC.Signer, h.Signer),
		},
	}
	said := map[string]*metav1.Time{}
	for _, n := range z.Status.Nameservers {
		said[n.Address] = n.SignaturesExpire
	}
	for _, s := range h.Servers {
		next.Nameservers = append(next.Nameservers, v1alpha1.ZoneNameserverStatus{
			Name: s.Name, Address: s.Addr.String(), Serial: int64(s.Serial), Reachable: s.Reachable, Message: s.Message,
			SignaturesExpire: steadyExpiry(said[s.Addr.String()], s.SignaturesExpire, now), LeadTTL: int64(s.LeadTTL / time.Second), FormerUntil: statusTime(s.FormerUntil),
		})
	}
	c := zoneConditions{z: z, status: &next, now: now, trust: trust}
	c.settle(h)
	return next
}

// settle sets every condition anew.
func (c zoneConditions) settle(h *zone.Health) {
	removeCondition(&c.status.Conditions, v1alpha1.ConditionStalled)
	findings := []finding{c.updates(h), c.inSync(h), c.secure(h)}
	for _, f := range findings {
		if f.status != metav1.ConditionTrue {
			c.set(v1alpha1.ConditionReady, metav1.ConditionFalse, f.reason, f.message)
			return
		}
	}
	c.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
}

func (c zoneConditions) updates(h *zone.Health) finding {
	r := h.PrimaryAccepts
	switch {
	case r.Class == zone.Applied || r.Class == zone.Unchanged:
		return c.set(v1alpha1.ConditionUpdatesAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "")
	case r.Class == "":
		return c.set(v1alpha1.ConditionUpdatesAccepted, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "the primary has not been asked yet")
	case r.Class == zone.Unreachable || r.Retryable:
		return c.set(v1alpha1.ConditionUpdatesAccepted, metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, r.Message)
	default:
		c.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonUpdateRefused, r.Message)
		return c.set(v1alpha1.ConditionUpdatesAccepted, metav1.ConditionFalse, v1alpha1.ReasonUpdateRefused, r.Message)
	}
}

func (c zoneConditions) inSync(h *zone.Health) finding {
	if h.Discovery != "" {
		return c.set(v1alpha1.ConditionNameserversInSync, metav1.ConditionFalse, v1alpha1.ReasonDiscoveryFailed, h.Discovery)
	}
	var bad, ignored []string
	for _, s := range h.Servers {
		line := strings.TrimSpace(s.Name+" "+s.Addr.String()) + ": " + s.Message
		switch {
		case !s.FormerUntil.IsZero():
			// It is none of the zone's servers.
		case s.Ignored:
			ignored = append(ignored, strings.TrimSpace(s.Name+" "+s.Addr.String()))
		case !s.Reachable:
			bad = append(bad, line)
		}
	}
	slices.Sort(bad)
	slices.Sort(ignored)
	if len(bad) > 0 {
		return c.set(v1alpha1.ConditionNameserversInSync, metav1.ConditionFalse, v1alpha1.ReasonOutOfSync, strings.Join(bad, "; "))
	}
	message := ""
	if len(ignored) > 0 {
		message = fmt.Sprintf("ignored by spec.nameservers.ignore: %s; a sender that asks one of them may fail", strings.Join(ignored, ", "))
	}
	return c.set(v1alpha1.ConditionNameserversInSync, metav1.ConditionTrue, v1alpha1.ReasonInSync, together(message, worstText(h.Findings, true)))
}

func (c zoneConditions) secure(h *zone.Health) finding {
	kind, message := v1alpha1.ConditionDNSSECSecure, together(h.DNSSEC.Message, c.trust, worstText(h.Findings, false))
	switch h.DNSSEC.State {
	case dnssec.Secure:
		if f := worst(h.Findings, false); f != nil && f.Severity == health.Critical {
			return c.set(kind, metav1.ConditionFalse, v1alpha1.ReasonUnhealthy, message)
		}
		return c.set(kind, metav1.ConditionTrue, v1alpha1.ReasonSecure, message)
	case dnssec.Insecure:
		return c.set(kind, metav1.ConditionFalse, v1alpha1.ReasonInsecure, message)
	case dnssec.Bogus:
		return c.set(kind, metav1.ConditionFalse, v1alpha1.ReasonBogus, message)
	default:
		return c.set(kind, metav1.ConditionUnknown, v1alpha1.ReasonIndeterminate, message)
	}
}

// announceZone makes events of conditions that turned.
func (r *DNSZoneReconciler) announceZone(z *v1alpha1.DNSZone, after *v1alpha1.DNSZoneStatus) {
	for _, kind := range []string{v1alpha1.ConditionUpdatesAccepted, v1alpha1.ConditionNameserversInSync, v1alpha1.ConditionDNSSECSecure, v1alpha1.ConditionDelegationInSync} {
		old, now := meta.FindStatusCondition(z.Status.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
		if now == nil || old == nil || old.Status == now.Status && old.Reason == now.Reason {
			continue
		}
		severity := "Warning"
		if now.Status == metav1.ConditionTrue {
			severity = "Normal"
		}
		r.events.Eventf(z, nil, severity, now.Reason, "Observe", "%s: %s", kind, now.Message)
	}
}
