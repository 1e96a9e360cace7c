package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dane-operator/dane-operator/internal/guard"
)

// Events counts what happens. A nil *Events counts nothing.
type Events struct {
	updates *prometheus.CounterVec
	took    prometheus.Histogram
	probes  *prometheus.CounterVec
	waited  prometheus.Histogram
	panics  *prometheus.CounterVec
	behind  prometheus.Gauge
}

// gateBuckets reach from a standby key that is deployable at once to a zone with a TTL of days, in seconds.
var gateBuckets = []float64{1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600, 96 * 3600}

// NewEvents begins to count.
func NewEvents() *Events {
	e := &Events{
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "dns_updates_total",
			Help: "Changes of RRsets sent to primaries, TLSA and the other records of mail domains, by how they ended: Applied and Unchanged are successes, read back from the primary.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    prefix + "dns_update_duration_seconds",
			Help:    "Time from the decision to change an RRset until its end is known, with the time spent in a queue and reading it back.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "probes_total",
			Help: "Connections to mail servers to see the certificate that they present, by what came of it.",
		}, []string{"result"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    prefix + "gate_wait_seconds",
			Help:    "Time from the creation of a CertificateRequest until the operator approved it, when its key might be served.",
			Buckets: gateBuckets,
		}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "panics_total",
			Help: "Tasks beside the reconcilers that were given up because of a fault of the operator, by the part of it.",
		}, []string{"part"}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "clock_behind",
			Help: "Whether the clock of the machine is behind the API server's, by the last comparison, so that nothing is decided: 1, or 0 while it is not.",
		}),
	}
	for _, p := range guard.Parts() {
		e.panics.WithLabelValues(string(p)) // an increase from nothing is none to Prometheus
	}
	return e
}

// Update counts a change of an RRset: how it ended, a word of an enumeration, and how long it took.
func (e *Events) Update(result string, took time.Duration) {
	if e == nil {
		return
	}
	e.updates.WithLabelValues(result).Inc()
	e.took.Observe(took.Seconds())
}

// Probe counts a connection to a mail server by its outcome, a word of an enumeration.
func (e *Events) Probe(outcome string) {
	if e != nil {
		e.probes.WithLabelValues(outcome).Inc()
	}
}

// Approved notes how long a CertificateRequest waited at the gate.
func (e *Events) Approved(waited time.Duration) {
	if e != nil {
		e.waited.Observe(waited.Seconds())
	}
}

// Panic counts a task that was given up.
func (e *Events) Panic(part guard.Part) {
	if e != nil {
		e.panics.WithLabelValues(string(part)).Inc()
	}
}

// ClockBehind notes whether the clock of this machine is behind the API server's.
func (e *Events) ClockBehind(behind bool) {
	switch {
	case e == nil:
	case behind:
		e.behind.Set(1)
	default:
		e.behind.Set(0)
	}
}

func (e *Events) each() []prometheus.Collector {
	return []prometheus.Collector{e.updates, e.took, e.probes, e.waited, e.panics, e.behind}
}

// Describe implements prometheus.Collector.
func (e *Events) Describe(out chan<- *prometheus.Desc) {
	for _, c := range e.each() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (e *Events) Collect(out chan<- prometheus.Metric) {
	for _, c := range e.each() {
		c.Collect(out)
	}
}
