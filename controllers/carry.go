package controllers

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// This file says what of the stored status stands although a run would put it otherwise: an object of
// which there is nothing new is not written.

// blind says that this process has not looked at every host yet, and that the spec is the one that
// status speaks of.
func (run *domainRun) blind() bool {
	md := run.md
	if md.Status.ObservedGeneration != md.Generation || !md.DeletionTimestamp.IsZero() || run.invalid != "" {
		return false
	}
	return slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.refused == nil && h.previous != nil && h.unseen() })
}

// unseen says that the zone, or an owner or endpoint that status tells of, was not asked by this process
// yet.
func (h *hostRun) unseen() bool {
	if h.entry.health == nil || !h.decided {
		return h.entry.health == nil
	}
	if h.view.last == nil && len(h.previous.Endpoints) > 0 && h.server.Probe.Mode != v1alpha1.ProbeDisabled {
		return true
	}
	return len(h.previous.Nameservers) > 0 &&
		slices.ContainsFunc(h.decision.Owners, func(o rollover.OwnerDecision) bool { return h.view.owners[o.Name].last == nil })
}

// carryOver keeps what differs from the stored status by no news: while a new process has not looked yet,
// the visibility of keys that it finds in the same role, and the endpoints, since a probe may come before the
// answer to compare it with; and versions that no cache has any more, which
// go with whatever else changes.
func (h *hostRun) carryOver(s *v1alpha1.MailServerStatus) {
	if h.previous == nil {
		return
	}
	if h.unseen() {
		if len(h.previous.Endpoints) > 0 {
			s.Endpoints = h.previous.Endpoints
		}
		for i := range s.Keys {
			k := &s.Keys[i]
			was := slices.IndexFunc(h.previous.Keys, func(p v1alpha1.KeyStatus) bool {
				return p.SPKISHA256 == k.SPKISHA256 && p.SerialNumber == k.SerialNumber && p.Role == k.Role
			})
			if was >= 0 {
				k.Visibility = h.previous.Keys[was].Visibility
			}
		}
	}
	if h.onlyPruned(s) {
		s.Versions = h.previous.Versions
	}
}

// onlyPruned says that a status differs from the stored one at most by closed versions that are missing.
func (h *hostRun) onlyPruned(s *v1alpha1.MailServerStatus) bool {
	left := slices.Clone(s.Versions)
	for _, v := range h.previous.Versions {
		if len(left) > 0 && equality.Semantic.DeepEqual(v, left[0]) {
			left = left[1:]
		} else if v.Open {
			return false
		}
	}
	as := *s
	as.Versions = h.previous.Versions
	return len(left) == 0 && equality.Semantic.DeepEqual(as, *h.previous)
}
