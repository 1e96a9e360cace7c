package metrics_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// listed is a cache that holds these.
type listed struct {
	client.Reader
	domains []v1alpha1.MailDomain
}

func (l listed) List(_ context.Context, out client.ObjectList, _ ...client.ListOption) error {
	out.(*v1alpha1.MailDomainList).Items = l.domains
	return nil
}

// BenchmarkScrape takes the time and the memory of one scrape with a thousand hosts.
func BenchmarkScrape(b *testing.B) {
	var one v1alpha1.MailDomain
	for _, o := range theDomains() {
		if md := o.(*v1alpha1.MailDomain); md.Name == "rolling" {
			one = *md
		}
	}
	cache := listed{}
	for i := range 1000 {
		md := *one.DeepCopy()
		md.Name = fmt.Sprintf("domain-%d", i)
		host := fmt.Sprintf("mx.domain-%d.example", i)
		md.Spec.MailServers[0].Hostname, md.Status.MailServers[0].Hostname = host, host
		cache.domains = append(cache.domains, md)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.Collector{Reader: cache})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
