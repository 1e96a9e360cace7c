package controllers

import (
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// judged says how many of a host's TLSA records senders can use, and what its endpoints at a port present by
// them, as the newest probes found it. Without probes there are no endpoints.
func judged(probes []endpointProbe, port int32, names []string, found []senderview.Record, now time.Time) (int, []senderview.Endpoint) {
	var records []tlsa.Record
	for _, rr := range found {
		records = append(records, tlsa.Record{
			Parameters: tlsa.Parameters{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType},
			Data:       strings.ToLower(rr.Certificate),
		})
	}
	usable := 0
	for _, r := range tlsa.Match(records, nil, names, now).Records {
		if r.Reason.Usable() {
			usable++
		}
	}
	var endpoints []senderview.Endpoint
	for _, e := range probes {
		if e.port == port || e.port == 0 { // port 0 is a gap of every port
			endpoints = append(endpoints, presentedTo(e, records, names, now)...)
		}
	}
	return usable, endpoints
}

// presentedTo is what one address presents to senders: each certificate once, since any of them may be
// given. What the operator may not connect to is left out.
func presentedTo(e endpointProbe, records []tlsa.Record, names []string, now time.Time) []senderview.Endpoint {
	var out []senderview.Endpoint
	seen := map[string]bool{}
	for _, r := range e.results {
		if r.Outcome != probe.Presented || len(r.Chain) == 0 || seen[string(r.Chain[0].Raw)] {
			continue
		}
		seen[string(r.Chain[0].Raw)] = true
		at := senderview.Endpoint{Address: e.address, Presented: senderview.Matched}
		if match := tlsa.Match(records, r.Chain, names, now); match.Verdict != tlsa.Matched {
			at.Presented, at.Reason = senderview.Mismatched, whyNot(match)
		}
		out = append(out, at)
	}
	if len(out) > 0 || len(e.results) == 0 {
		return out
	}
	first := e.results[0]
	switch {
	case slices.ContainsFunc(e.results, func(r probe.Result) bool { return r.Outcome == probe.Forbidden }):
		return nil
	case first.Outcome == probe.Unreachable:
		return []senderview.Endpoint{{Address: e.address, Presented: senderview.Unreachable, Reason: first.Message}}
	}
	return []senderview.Endpoint{{Address: e.address, Presented: senderview.NoTLS, Reason: first.Message}}
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

// whyNot says of the first record that is not simply for another key why it does not match; empty when all are.
func whyNot(match tlsa.Result) string {
	for _, r := range match.Records {
		if r.Reason != tlsa.ReasonMismatch {
			return r.String()
		}
	}
	return ""
}
