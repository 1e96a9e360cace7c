package controllers

import (
	"cmp"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/guard"
	own "github.com/dane-operator/dane-operator/internal/metrics"
)

var (
	zoneLabels        = []string{"namespace", "dnszone", "zone"}
	signaturesExpire  = prometheus.NewDesc("dane_operator_zone_signatures_expire_timestamp_seconds", "Unix time at which the first signature runs out that a server of the zone showed.", zoneLabels, nil)
	zoneFindings      = prometheus.NewDesc("dane_operator_zone_findings", "Findings in status.dnssec.findings of a DNSZone, by severity.", append(zoneLabels[:3:3], "severity"), nil)
	zoneFinding       = prometheus.NewDesc("dane_operator_zone_finding", "Findings in status.dnssec.findings of a DNSZone, by code; absent while there is none of a code.", append(zoneLabels[:3:3], "code"), nil)
	trustUsable       = prometheus.NewDesc("dane_operator_trust_anchors_usable", "Whether the file of --trust-anchors, as it is now, can be used: 1, or 0 while the trust anchors before it count.", nil, nil)
	findingSeverities = []health.Severity{health.Critical, health.Warning, health.Notice}

	senderViews    = prometheus.NewDesc("dane_operator_sender_views", "Mail servers of MailDomains, by what senders with DANE do with mail for them.", []string{"verdict"}, nil)
	senderVerdicts = []v1alpha1.SenderVerdict{v1alpha1.SenderDANE, v1alpha1.SenderEncryptOnly, v1alpha1.SenderOpportunistic, v1alpha1.SenderUndeliverable, ""}
)

// zoneCollector shows what is known of every zone that this operator acts for, and whether the trust anchors are those
// meant. It reads when it is scraped, so that a DNSZone that went leaves nothing behind.
type zoneCollector struct {
	zones *zoneRegistry
	trust *Trust
}

// registerMetrics shows what collectors have, in place of what those of a manager before had.
func registerMetrics(g *guard.Guard, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		c = guardedCollector{c, g}
		metrics.Registry.Unregister(c)
		if err := metrics.Registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Metrics describes all metrics of the operator, for what is made of their names.
func Metrics() []*prometheus.Desc {
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		for _, c := range []interface{ Describe(chan<- *prometheus.Desc) }{zoneCollector{}, senderCollector{}, &own.Status{}, own.NewEvents()} {
			c.Describe(all)
		}
	}()
	var out []*prometheus.Desc
	for d := range all {
		out = append(out, d)
	}
	return out
}

// Describe implements prometheus.Collector.
func (c zoneCollector) Describe(out chan<- *prometheus.Desc) {
	out <- signaturesExpire
	out <- zoneFindings
	out <- zoneFinding
	out <- trustUsable
}

// Collect implements prometheus.Collector.
func (c zoneCollector) Collect(out chan<- prometheus.Metric) {
	usable := 1.0
	if _, problem := c.trust.Anchors(); problem != "" {
		usable = 0
	}
	out <- prometheus.MustNewConstMetric(trustUsable, prometheus.GaugeValue, usable)
	c.zones.each(func(name types.NamespacedName, e zoneEntry) {
		if e.health == nil || e.client == nil || !e.own {
			return
		}
		labels := []string{name.Namespace, name.Name, e.config.Zone}
		if at := e.health.DNSSEC.SignaturesExpire; !at.IsZero() {
			out <- prometheus.MustNewConstMetric(signaturesExpire, prometheus.GaugeValue, float64(at.Unix()), labels...)
		}
		count, codes := map[health.Severity]int{}, map[health.Code]int{}
		for _, f := range e.health.Findings {
			count[f.Severity]++
			codes[f.Code]++
		}
		for code, n := range codes {
			out <- prometheus.MustNewConstMetric(zoneFinding, prometheus.GaugeValue, float64(n), append(labels[:3:3], string(code))...)
		}
		for _, severity := range findingSeverities {
			out <- prometheus.MustNewConstMetric(zoneFindings, prometheus.GaugeValue, float64(count[severity]), append(labels, string(severity))...)
		}
	})
}

// senderCollector shows what senders do with mail for all hosts together: for one of them it stands in
// status. It shows nothing where nobody looks at that.
type senderCollector struct{ senders *senderWatch }

// Describe implements prometheus.Collector.
func (c senderCollector) Describe(out chan<- *prometheus.Desc) { out <- senderViews }

// Collect implements prometheus.Collector.
func (c senderCollector) Collect(out chan<- prometheus.Metric) {
	if !c.senders.enabled() {
		return
	}
	count := c.senders.count()
	for _, v := range senderVerdicts {
		out <- prometheus.MustNewConstMetric(senderViews, prometheus.GaugeValue, float64(count[v]), cmp.Or(string(v), "Unknown"))
	}
}
