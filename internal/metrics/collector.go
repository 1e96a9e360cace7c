package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// readTimeout bounds how long a scrape waits for a cache that is not filled yet.
const readTimeout = 5 * time.Second

// Collector shows the status of every MailDomain that Reader lists.
type Collector struct {
	// Reader is the cache.
	Reader client.Reader
}

// Describe implements prometheus.Collector.
func (Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range append(domainDescs[:len(domainDescs):len(domainDescs)], hostDescs...) {
		out <- d.Desc
	}
}

// Collect implements prometheus.Collector. A cache that cannot be read fails the scrape: no series at all would
// look as if there were no MailDomain.
func (c Collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	var domains v1alpha1.MailDomainList
	// They are only read here: no copy of each is needed.
	if err := c.Reader.List(ctx, &domains, client.UnsafeDisableDeepCopy); err != nil {
		out <- prometheus.NewInvalidMetric(hostSafe.Desc, err)
		return
	}
	pairs := labelPairs{}
	for i := range domains.Items {
		for _, s := range samplesOf(&domains.Items[i]) {
			out <- pairs.series(s)
		}
	}
}
