package reportserver

import (
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dane-operator/dane-operator/internal/tlsrpt/receive"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// Counts counts what came, and logs it. No label comes from a report: names are ours, all else is of fixed lists.
type Counts struct {
	log      logr.Logger
	reports  *prometheus.CounterVec
	sessions *prometheus.CounterVec
}

// successful is the result of the sessions that did not fail.
const successful = "successful"

// NewCounts makes the counters and registers them. Reports of every kind are there from the start, with none.
func NewCounts(registry prometheus.Registerer, log logr.Logger) *Counts {
	c := &Counts{
		log: log,
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dane_operator_tls_reports_total",
			Help: "TLS reports (RFC 8460) that came in, by the way they came and what became of them.",
		}, []string{"channel", "outcome"}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dane_operator_tls_report_sessions_total",
			Help: "Sessions that kept TLS reports tell of, by the name of ours that they are about, the kind of policy, their result, and whether a DKIM signature proves who made the report.",
		}, []string{"name", "policy", "result", "proved"}),
	}
	for _, channel := range receive.Channels() {
		for _, outcome := range receive.Outcomes() {
			c.reports.WithLabelValues(string(channel), string(outcome))
		}
	}
	registry.MustRegister(c.reports, c.sessions)
	return c
}

// Observe counts one that came.
func (c *Counts) Observe(e receive.Event) {
	c.reports.WithLabelValues(string(e.Channel), string(e.Outcome)).Inc()
	log := c.log.WithValues("channel", e.Channel, "outcome", e.Outcome, "source", e.Item.Origin.Source)
	switch e.Outcome {
	case receive.Kept:
		c.count(e.Item)
		ok, failed := sums(e.Item)
		log.Info("TLS report kept", "organization", e.Item.Report.Organization, "report", e.Item.Report.ID,
			"proof", e.Item.Origin.Proof, "successful", ok, "failed", failed, "deviations", len(e.Item.Report.Deviations))
	case receive.Failed:
		log.Error(e.Err, "TLS report could not be kept; its sender is asked to send it again")
	default:
		// Anybody can make any number of these: they are counted, and told to those who ask.
		why := ""
		if e.Err != nil {
			why = e.Err.Error()
		}
		log.V(1).Info("TLS report not kept", "organization", e.Item.Report.Organization, "error", why)
	}
}

// count counts the sessions of a report that is new.
func (c *Counts) count(item store.Item) {
	proved := "false"
	if item.Origin.Proof != "" {
		proved = "true"
	}
	for i, p := range item.Report.Policies {
		subject := item.Subjects[i]
		if subject == "" {
			continue
		}
		add := func(result string, n int64) {
			if n > 0 {
				c.sessions.WithLabelValues(subject, string(p.Type), result, proved).Add(float64(n))
			}
		}
		add(successful, p.Successful)
		for _, f := range p.Detailed() {
			add(string(f.Result), f.Sessions)
		}
	}
}

func sums(item store.Item) (ok, failed int64) {
	for i, p := range item.Report.Policies {
		if item.Subjects[i] != "" {
			ok, failed = ok+p.Successful, failed+p.Failed
		}
	}
	return ok, failed
}
