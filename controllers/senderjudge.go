package controllers

import (
	"slices"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// probedOf are the probes of a host, for its senders' view.
func probedOf(probes []endpointProbe) []sendercheck.Probed {
	var out []sendercheck.Probed
	for _, e := range probes {
		out = append(out, sendercheck.Probed{Address: e.address, Port: e.port, Results: e.results})
	}
	return out
}

// unanswered says that nothing answers where other mail servers deliver to a host, at no address.
func (h *hostRun) unanswered() bool {
	port, found := senderPort(h.server), false
	for _, e := range h.view.probes {
		if e.port != port && e.port != 0 {
			continue // a gap of every port has port 0
		}
		found = true
		if slices.ContainsFunc(e.results, func(r probe.Result) bool { return r.Outcome != probe.Unreachable }) {
			return false
		}
	}
	return found
}
