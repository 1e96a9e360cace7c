package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// family is a metric with the names of its labels, which a prometheus.Desc does not tell.
type family struct {
	*prometheus.Desc
	// labels are in the order of the values of a sample; sorted has their places in the order of their names.
	labels []string
	sorted []int
}

func desc(name, help string, labels []string, more ...string) *family {
	f := &family{labels: append(labels[:len(labels):len(labels)], more...)}
	f.Desc = prometheus.NewDesc(prefix+name, help, f.labels, nil)
	for i := range f.labels {
		f.sorted = append(f.sorted, i)
	}
	slices.SortFunc(f.sorted, func(a, b int) int { return strings.Compare(f.labels[a], f.labels[b]) })
	return f
}

// series is one series of a scrape. It does what a metric of the library does that is made anew for each scrape, but
// has its labels in common with others: with ten thousand hosts there are some two hundred thousand series, whose labels
// were most of the memory that a scrape took.
type series struct {
	family *family
	labels []*dto.LabelPair
	value  float64
}

// Desc implements prometheus.Metric.
func (s series) Desc() *prometheus.Desc { return s.family.Desc }

// Write implements prometheus.Metric.
func (s series) Write(out *dto.Metric) error {
	out.Label, out.Gauge = s.labels, &dto.Gauge{Value: &s.value}
	return nil
}

// labelPairs has the labels of one scrape, each once.
type labelPairs map[label]*dto.LabelPair

type label struct{ name, value string }

func (p labelPairs) of(name, value string) *dto.LabelPair {
	key := label{name, value}
	pair := p[key]
	if pair == nil {
		// What is shown has to be UTF-8, or the whole scrape fails.
		key.value = strings.ToValidUTF8(value, "\ufffd")
		pair = &dto.LabelPair{Name: new(key.name), Value: new(key.value)}
		p[label{name, value}] = pair
	}
	return pair
}

// series is a sample with its labels in the order of their names, as the library wants them.
func (p labelPairs) series(s sample) series {
	labels := make([]*dto.LabelPair, len(s.labels))
	for to, from := range s.desc.sorted {
		labels[to] = p.of(s.desc.labels[from], s.labels[from])
	}
	return series{s.desc, labels, s.value}
}
