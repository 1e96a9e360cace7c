package controllers

import (
	"slices"

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
	return run.blindToRecords() || run.dkim.blind() || slices.ContainsFunc(run.hosts, func(h *hostRun) bool { return h.refused == nil && h.previous != nil && h.unseen() })
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
	h.carryCounts(s)
}

// carryCounts keeps the counts of sweeps without a version and of rounds without a key, while they grow and are
// not at their end, and where nothing else is new: to store each of them would be most of what is ever written.
// What was counted then stays with the observer, and is counted again with what is seen next; a new process
// begins anew.
func (h *hostRun) carryCounts(s *v1alpha1.MailServerStatus) {
	before := h.previous
	if len(s.Versions) != len(before.Versions) || len(s.Keys) != len(before.Keys) || h.keepsMuch() {
		return
	}
	needed := int32(h.facts.Policy.Sweeps) //nolint:gosec // at most 10
	as, grown := *s, false
	as.Versions, as.Keys = slices.Clone(s.Versions), slices.Clone(s.Keys)
	for i, v := range before.Versions {
		if n := s.Versions[i].AbsentSweeps; v.AbsentSweeps < n && n < needed {
			as.Versions[i].AbsentSince, as.Versions[i].AbsentSweeps, grown = v.AbsentSince, v.AbsentSweeps, true
		}
	}
	for i, k := range before.Keys {
		if n := s.Keys[i].GoneRounds; k.GoneRounds < n && n < needed {
			as.Keys[i].GoneSince, as.Keys[i].GoneRounds, grown = k.GoneSince, k.GoneRounds, true
		}
	}
	// To compare whole statuses is a good part of a look: it is done only where there is something to keep.
	if grown && sameStatus(&as, before) {
		*s, h.counting = as, true
	}
}

// keepsMuch says that the observer has kept as many sweeps or rounds as anything is counted to.
func (h *hostRun) keepsMuch() bool {
	most := h.facts.Policy.Sweeps
	if len(h.view.rounds) >= most {
		return true
	}
	for _, o := range h.view.owners {
		if len(o.sweeps) >= most {
			return true
		}
	}
	return false
}

// onlyPruned says that a status differs from the stored one at most by closed versions that are missing, and
// those not of a port that has left the spec: its owner is swept for as long as one is remembered.
func (h *hostRun) onlyPruned(s *v1alpha1.MailServerStatus) bool {
	if len(s.Versions) >= len(h.previous.Versions) {
		return false
	}
	left := slices.Clone(s.Versions)
	for _, v := range h.previous.Versions {
		if len(left) > 0 && sameStatus(&v, &left[0]) {
			left = left[1:]
		} else if v.Open || h.ofFormerPort(v.Owner) {
			return false
		}
	}
	as := *s
	as.Versions = h.previous.Versions
	return len(left) == 0 && sameStatus(&as, h.previous)
}
