package grafana

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Point is a value at an instant.
type Point struct {
	At    time.Time
	Value float64
}

// Series is one line of the answer to a query, under the name that the legend gives it. A gap is where points are more
// than a step apart.
type Series struct {
	Name   string
	Points []Point
}

// last is the newest value.
func (s Series) last() float64 { return s.Points[len(s.Points)-1].Value }

// Filled is a panel with its data, in the order of the queries and of their answers.
type Filled struct {
	Panel
	Series []Series
	// Empty are the queries that gave nothing.
	Empty []string
}

// Querier is what is asked of a Prometheus.
type Querier interface {
	Query(ctx context.Context, query string, at time.Time, o ...v1.Option) (model.Value, v1.Warnings, error)
	QueryRange(ctx context.Context, query string, r v1.Range, o ...v1.Option) (model.Value, v1.Warnings, error)
}

// Ask fills every panel with what a Prometheus, which scrapes once in an interval, knows of a time. All namespaces and
// MailDomains are chosen.
func Ask(ctx context.Context, from Querier, d *Dashboard, over v1.Range, interval time.Duration) ([]Filled, error) {
	// As Grafana has it: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
	rate := max(over.Step+interval, 4*interval)
	put := strings.NewReplacer("$__rate_interval", rate.String(), "$namespace", ".*", "$maildomain", ".*")
	var out []Filled
	for _, p := range d.Panels {
		filled := Filled{Panel: p}
		for _, of := range p.Targets {
			series, err := ask(ctx, from, put.Replace(of.Expr), of, over)
			if err != nil {
				return nil, fmt.Errorf("ask for panel %q: %w", p.Title, err)
			}
			if len(series) == 0 {
				filled.Empty = append(filled.Empty, of.Expr)
			}
			filled.Series = append(filled.Series, series...)
		}
		out = append(out, filled)
	}
	return out, nil
}

func ask(ctx context.Context, from Querier, expr string, of Target, over v1.Range) ([]Series, error) {
	var value model.Value
	var err error
	if of.Instant {
		value, _, err = from.Query(ctx, expr, over.End)
	} else {
		value, _, err = from.QueryRange(ctx, expr, over)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var out []Series
	add := func(of Target, m model.Metric, samples ...model.SamplePair) {
		s := Series{Name: named(of.LegendFormat, m)}
		for _, sample := range samples {
			if v := float64(sample.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
				s.Points = append(s.Points, Point{sample.Timestamp.Time(), v})
			}
		}
		if len(s.Points) > 0 {
			out = append(out, s)
		}
	}
	switch v := value.(type) {
	case model.Vector:
		for _, s := range v {
			add(of, s.Metric, model.SamplePair{Timestamp: s.Timestamp, Value: s.Value})
		}
	case model.Matrix:
		for _, s := range v {
			add(of, s.Metric, s.Values...)
		}
	default:
		return nil, fmt.Errorf("%s: the answer is a %s, which no panel shows", expr, value.Type())
	}
	return out, nil
}

var inLegend = regexp.MustCompile(`{{\s*([a-z_]+)\s*}}`)

// named puts labels into the legend.
func named(legend string, labels model.Metric) string {
	return inLegend.ReplaceAllStringFunc(legend, func(found string) string {
		return string(labels[model.LabelName(inLegend.FindStringSubmatch(found)[1])])
	})
}
