package controllers

import (
	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/probe"
)

// This file is about records that change between two probes. A server whose key was replaced, and its old record taken out,
// was last seen with the old key: to tell people that nothing matches it would be a false alarm. It is probed again first.

// outdated says that the records of a port have changed since its endpoints were probed: what does not match them may be
// gone by now.
func (h *hostRun) outdated(port int32) bool {
	if h.server.Probe.Mode == v1alpha1.ProbeDisabled {
		return false // it will not be probed again
	}
	seen := h.view.owners[ownerName(h.server.Hostname, port)]
	return h.view.last != nil && h.view.last.Start.Before(seen.changed)
}

// foundBefore is what was last found of a key at an endpoint.
func (h *hostRun) foundBefore(e endpointProbe, spki string) (verified bool, message string) {
	if h.previous != nil {
		for _, s := range h.previous.Endpoints {
			if s.Address == e.address && s.Port == e.port && s.SPKISHA256 == spki {
				return s.Verified, s.Message
			}
		}
	}
	return false, notProbedSince
}

// unsure says whether an endpoint has to be probed again before it is told that nothing matches its chain.
func (h *hostRun) unsure() bool {
	for _, e := range h.view.probes {
		for i, r := range e.results {
			if r.Outcome != probe.Presented || len(r.Chain) == 0 || !h.outdated(e.port) {
				continue
			}
			if verified, message := verify(h, e, i); !verified && isCompared(message) {
				return true
			}
		}
	}
	return false
}
