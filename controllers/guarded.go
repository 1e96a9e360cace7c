package controllers

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/internal/guard"
)

// This file keeps one object from ending the operator where the library calls back outside of a reconcile, which it
// guards by itself: an object that does would do so again after each restart, and nothing would be looked after.

// unforeseen is what people are told of a host whose look was given up.
const unforeseen = "this was given up because of a fault of the operator, which its log describes: please report it; nothing is concluded from it, and it is tried again"

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

// guardedIndexer leaves out of an index what cannot be indexed.
type guardedIndexer struct {
	client.FieldIndexer
	guard *guard.Guard
}

// IndexField implements client.FieldIndexer.
func (i guardedIndexer) IndexField(ctx context.Context, o client.Object, field string, of client.IndexerFunc) error {
	return i.FieldIndexer.IndexField(ctx, o, field, func(o client.Object) (keys []string) {
		i.guard.Do(guard.Watch, func() { keys = of(o) }, "namespace", o.GetNamespace(), "name", o.GetName())
		return keys
	})
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
