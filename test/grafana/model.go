// Package grafana draws the dashboard of config/grafana with what a Prometheus holds, for the documentation: Grafana is
// no Debian package. It asks each query of the file as Grafana does, and puts the panels where the file has them; the
// drawing is its own, and a little plainer than Grafana's.
package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// Dashboard is what is used of Grafana's dashboard model here.
type Dashboard struct {
	Title  string  `json:"title"`
	Panels []Panel `json:"panels"`
}

// Panel has a place in a grid of 24 columns.
type Panel struct {
	ID          int      `json:"id"`
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Place       Place    `json:"gridPos"`
	Targets     []Target `json:"targets"`
	FieldConfig struct {
		Defaults Defaults `json:"defaults"`
	} `json:"fieldConfig"`
}

// Place is in columns from the left and units of height from the top.
type Place struct{ H, W, X, Y int }

// Target is a query: for what is at the end of the time shown, or for what was over all of it.
type Target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
}

// Defaults say how values are shown.
type Defaults struct {
	Unit       string    `json:"unit"`
	NoValue    string    `json:"noValue"`
	Mappings   []Mapping `json:"mappings"`
	Thresholds *struct {
		Steps []Step `json:"steps"`
	} `json:"thresholds"`
}

// Mapping gives values a text and a colour.
type Mapping struct {
	Options map[string]struct{ Text, Color string } `json:"options"`
}

// Step has a colour from a value on; the first has no value, and is for all below.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// kinds of panels that are drawn. Another kind is an error, so that none is left out in silence.
var kinds = []string{"row", "stat", "bargauge", "timeseries", "state-timeline"}

// Read reads a dashboard's file.
func Read(file string) (*Dashboard, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	d := &Dashboard{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("read the dashboard %s: %w", file, err)
	}
	for _, p := range d.Panels {
		if !slices.Contains(kinds, p.Type) {
			return nil, fmt.Errorf("panel %q of %s is a %s, which nothing here draws", p.Title, file, p.Type)
		}
	}
	return d, nil
}

// colour is that of a value by the thresholds; blue without any.
func (d Defaults) colour(value float64) string {
	if d.Thresholds == nil {
		return palette["blue"]
	}
	out := palette["blue"]
	for _, s := range d.Thresholds.Steps {
		if s.Value == nil || value >= *s.Value {
			out = palette[s.Color]
		}
	}
	return out
}

// meaning is what the mappings make of a value.
func (d Defaults) meaning(value float64) (text, colour string) {
	for _, m := range d.Mappings {
		if shown, ok := m.Options[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
			return shown.Text, palette[shown.Color]
		}
	}
	return d.words(value), d.colour(value)
}

// words are a value in its unit: seconds in whatever unit is read best, as Grafana does it.
func (d Defaults) words(value float64) string {
	if d.Unit != "s" {
		return number(value)
	}
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{365 * 86400, "years"}, {7 * 86400, "weeks"}, {86400, "days"}, {3600, "hours"}, {60, "mins"}, {1, "s"}, {1e-3, "ms"}} {
		if value >= unit.seconds {
			return number(value/unit.seconds) + " " + unit.name
		}
	}
	return number(value) + " s"
}

// number has three digits, and no zeros at its end.
func number(value float64) string {
	digits := 2
	for _, from := range []float64{10, 100} {
		if value >= from || value <= -from {
			digits--
		}
	}
	text := strconv.FormatFloat(value, 'f', digits, 64)
	short, _ := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(short, 'f', -1, 64)
}
