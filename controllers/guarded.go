package controllers

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// This file keeps one host or object from ending the operator outside of reconciles, which the library guards by
// itself: one that does would do so again after each restart, and nothing would be looked after. The indexes of the cache are
// not guarded: an object that is missing in one would be taken for one that does not exist, and a key that it gates would
// be let through.

// unforeseen is what people are told of a host whose look was given up.
const unforeseen = "given up for a fault of the operator, which its log describes: please report it; it is tried again"

// do does one round. One that panicked has found out nothing.
func (p *proberPool) do(job probeJob) {
	about := []any{"maildomain", job.key.domain, "host", job.key.host}
	start := p.clock.Now()
	var round rollover.ProbeRound
	var probes []endpointProbe
	if !p.guard.Do(guard.Probe, func() { round, probes = p.round(job) }, about...) {
		round = rollover.ProbeRound{Start: start, End: p.clock.Now(), Presented: []rollover.Presented{{Unreachable: true, Message: unforeseen}}}
		probes = []endpointProbe{notProbed(job.server.Hostname, 0)}
	}
	p.guard.Do(guard.Probe, func() {
		p.count(probes)
		p.observer.endProbe(job.key, round, probes)
	}, about...)
}

// notProbed is an endpoint whose probe was given up.
func notProbed(address string, port int32) endpointProbe {
	return endpointProbe{address: address, port: port, results: []probe.Result{{Outcome: probe.Unreachable, Message: unforeseen}}}
}

// guarded are watches that find nobody concerned when they panic; the periodic look comes all the same.
func guarded(g *guard.Guard, watches []Watch) []Watch {
	if g == nil {
		return watches
	}
	var out []Watch
	for _, w := range watches {
		of := w.Of
		w.Of = func(ctx context.Context, o client.Object) (found []reconcile.Request) {
			g.Do(guard.Watch, func() { found = of(ctx, o) }, "namespace", o.GetNamespace(), "name", o.GetName())
			return found
		}
		out = append(out, w)
	}
	return out
}

// guardedCollector fails the scrape when it panics.
type guardedCollector struct {
	prometheus.Collector
	guard *guard.Guard
}

var errUnforeseen = errors.New(unforeseen)

// Collect implements prometheus.Collector.
func (c guardedCollector) Collect(out chan<- prometheus.Metric) {
	if !c.guard.Do(guard.Metrics, func() { c.Collector.Collect(out) }) {
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errUnforeseen), errUnforeseen)
	}
}
