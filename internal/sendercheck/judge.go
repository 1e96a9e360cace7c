package sendercheck

import (
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Probed is what the probes of one address and port found.
type Probed struct {
	Address string
	// Port is 0 where the address stands for every port.
	Port    int32
	Results []probe.Result
}

// Judge says how many of a host's TLSA records senders can use, and what its endpoints at a port present by them.
// Names are those that a certificate may have with usage 2. Without probes there are no endpoints.
func Judge(probed []Probed, port int32, names []string, found []senderview.Record, now time.Time) (usable int, endpoints []senderview.Endpoint) {
	records := recordsOf(found)
	for _, r := range tlsa.Match(records, nil, names, now).Records {
		if r.Reason.Usable() {
			usable++
		}
	}
	for _, p := range probed {
		if p.Port == port || p.Port == 0 {
			endpoints = append(endpoints, presented(p, records, names, now)...)
		}
	}
	return usable, endpoints
}

func recordsOf(found []senderview.Record) []tlsa.Record {
	var out []tlsa.Record
	for _, rr := range found {
		out = append(out, tlsa.Record{
			Parameters: tlsa.Parameters{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType},
			Data:       strings.ToLower(rr.Certificate),
		})
	}
	return out
}

// presented is what one address presents to senders: each certificate once, since any of them may be
// given. What may not be connected to is left out.
func presented(p Probed, records []tlsa.Record, names []string, now time.Time) []senderview.Endpoint {
	var out []senderview.Endpoint
	seen := map[string]bool{}
	for _, r := range p.Results {
		if r.Outcome != probe.Presented || len(r.Chain) == 0 || seen[string(r.Chain[0].Raw)] {
			continue
		}
		seen[string(r.Chain[0].Raw)] = true
		at := senderview.Endpoint{Address: p.Address, Presented: senderview.Matched}
		if match := tlsa.Match(records, r.Chain, names, now); match.Verdict != tlsa.Matched {
			at.Presented, at.Reason = senderview.Mismatched, whyNot(match)
		}
		out = append(out, at)
	}
	if len(out) > 0 || len(p.Results) == 0 {
		return out
	}
	first := p.Results[0]
	switch {
	case slices.ContainsFunc(p.Results, func(r probe.Result) bool { return r.Outcome == probe.Forbidden }):
		return nil
	case first.Outcome == probe.Unreachable:
		return []senderview.Endpoint{{Address: p.Address, Presented: senderview.Unreachable, Reason: first.Message}}
	}
	return []senderview.Endpoint{{Address: p.Address, Presented: senderview.NoTLS, Reason: first.Message}}
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
