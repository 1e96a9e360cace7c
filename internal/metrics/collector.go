package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// collector shows MailDomains to the library.
type collector []v1alpha1.MailDomain

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range families {
		out <- f.Desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, f := range families {
		to := sink{family: f, take: func(f *family, values []string, value float64) { out <- seriesOf(f, values, value) }}
		for i := range c {
			f.of(&to, &c[i])
		}
	}
}

// series is one series of a scrape, for the library.
type series struct {
	family *family
	labels []*dto.LabelPair
	value  float64
}

func seriesOf(f *family, values []string, value float64) *series {
	s := &series{family: f, value: value}
	for _, i := range f.sorted {
		s.labels = append(s.labels, &dto.LabelPair{Name: &f.labels[i], Value: new(valid(values[i]))})
	}
	return s
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.family.Desc }

// Write implements prometheus.Metric.
func (s *series) Write(out *dto.Metric) error {
	out.Label, out.Gauge = s.labels, &dto.Gauge{Value: &s.value}
	return nil
}
