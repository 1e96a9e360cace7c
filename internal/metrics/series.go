package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// family is a metric of the status: what it is called, and how it is read from a MailDomain.
type family struct {
	*prometheus.Desc
	name, help string
	// labels are in the order of the values of a series; sorted has their places in the order of their names.
	labels []string
	sorted []int
	// show gives a sink the series of one MailDomain.
	show func(*sink, *v1alpha1.MailDomain)
}

func desc(name, help string, labels []string, show func(*sink, *v1alpha1.MailDomain), more ...string) *family {
	f := &family{name: prefix + name, help: help, labels: append(labels[:len(labels):len(labels)], more...), show: show}
	f.Desc = prometheus.NewDesc(f.name, help, f.labels, nil)
	for i := range f.labels {
		f.sorted = append(f.sorted, i)
	}
	slices.SortFunc(f.sorted, func(a, b int) int { return strings.Compare(f.labels[a], f.labels[b]) })
	return f
}

// of gives a sink the series of one MailDomain.
func (f *family) of(to *sink, md *v1alpha1.MailDomain) {
	to.begin(md.Namespace, md.Name)
	f.show(to, md)
}

// maxLabels is the most that a metric has.
const maxLabels = 5

// sink takes the series of one metric: it hands each on as it comes, so that a scrape holds none of them.
type sink struct {
	family *family
	// values are those of the labels; the first of them, known in number, are common to the series that follow.
	values [maxLabels]string
	known  int
	// take gets each series, with values in the order of the labels of the family. They are its own only until it returns.
	take func(f *family, values []string, value float64)
}

// begin says what the series that follow are about.
func (s *sink) begin(about ...string) {
	s.known = copy(s.values[:], about)
}

// add hands a series on.
func (s *sink) add(value float64, more ...string) {
	n := s.known + copy(s.values[s.known:], more)
	s.take(s.family, s.values[:n], value)
}

// addSome hands on how many there are of something, if there are any.
func (s *sink) addSome(n int, more ...string) {
	if n > 0 {
		s.add(float64(n), more...)
	}
}

// addTime hands on an instant that is known.
func (s *sink) addTime(at *metav1.Time, more ...string) {
	if !at.IsZero() {
		s.add(float64(at.Unix()), more...)
	}
}
