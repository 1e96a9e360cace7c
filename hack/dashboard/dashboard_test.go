package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/reportserver"
)

var folder = filepath.Join("..", "..", "config", "grafana")

// TestDashboardIsGenerated wants the file to be what the generator makes.
func TestDashboardIsGenerated(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, "dane-operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("config/grafana/dane-operator.json is not what hack/dashboard makes: run make generate")
	}
}

var described = regexp.MustCompile(`fqName: "([a-z0-9_]+)".*variableLabels: {([^}]*)}`)

// labelsOf are the labels of each metric of the operator, and of those of libraries that the dashboard shows.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"controller_runtime_reconcile_errors_total": {"controller"}, "workqueue_depth": {"name"}}
	for _, d := range append(controllers.Metrics(), ofReceiver()...) {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s is not understood", d)
		}
		out[found[1]] = strings.Split(found[2], ",")
	}
	if len(out) < 20 || !slices.Contains(out["dane_operator_host_safe"], "host") {
		t.Fatalf("the metrics are %v: does the test still read them right?", out)
	}
	return out
}

// ofReceiver are the metrics of the receiver of reports.
func ofReceiver() []*prometheus.Desc {
	registry := prometheus.NewRegistry()
	described := make(chan *prometheus.Desc, 100)
	reportserver.NewCounts(registry, logr.Discard())
	registry.Describe(described)
	close(described)
	var out []*prometheus.Desc
	for d := range described {
		out = append(out, d)
	}
	return out
}

var (
	series   = regexp.MustCompile(`([a-z_][a-z0-9_]*)(?:{([^}]*)})?`)
	matchers = regexp.MustCompile(`([a-z_]+)(?:=~|!=|=)"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	inLegend = regexp.MustCompile(`{{([a-z_]+)}}`)
)

// problems are what is wrong with a query and its legend.
func problems(labels map[string][]string, of target) []string {
	var out []string
	var known []string // labels of all its metrics
	for _, found := range series.FindAllStringSubmatch(of.Expr, -1) {
		name := found[1]
		if !strings.Contains(name, "_") || slices.Contains([]string{"clamp_min", "sort_desc", "histogram_quantile", "present_over_time", "__rate_interval"}, name) {
			continue
		}
		bucket := strings.HasSuffix(name, "_bucket")
		has, ok := labels[strings.TrimSuffix(name, "_bucket")]
		if bucket {
			has = append(slices.Clone(has), "le")
		}
		if !ok && found[2] == "" && slices.ContainsFunc(allLabels(labels), func(l string) bool { return l == name }) {
			continue // a label in a grouping
		}
		if !ok {
			out = append(out, "there is no metric "+name)
		}
		for _, m := range matchers.FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(has, m[1]) {
				out = append(out, name+" has no label "+m[1])
			}
		}
		known = append(known, has...)
	}
	if len(known) == 0 {
		out = append(out, "it asks for no metric that is known")
	}
	var grouped []string
	for _, found := range grouping.FindAllStringSubmatch(of.Expr, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			label = strings.TrimSpace(label)
			grouped = append(grouped, label)
			if !slices.Contains(known, label) {
				out = append(out, "no metric in it has the label "+label)
			}
		}
	}
	for _, found := range inLegend.FindAllStringSubmatch(of.LegendFormat, -1) {
		if !slices.Contains(grouped, found[1]) {
			out = append(out, "the legend names the label "+found[1]+", which the result does not have")
		}
	}
	return out
}

func allLabels(labels map[string][]string) []string {
	out := []string{"le"}
	for _, of := range labels {
		out = append(out, of...)
	}
	return out
}

// TestQueriesNameWhatIsThere checks the names of metrics and labels in every query.
func TestQueriesNameWhatIsThere(t *testing.T) {
	labels, tried := labelsOf(t), map[string]bool{}
	for _, p := range assemble().Panels {
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s has %d queries", p.Title, len(p.Targets))
		}
		for _, of := range p.Targets {
			for _, problem := range problems(labels, of) {
				t.Errorf("%s: %s: %s", p.Title, problem, of.Expr)
			}
			for name := range labels {
				tried[name] = tried[name] || strings.Contains(of.Expr, name)
			}
		}
	}
	// What an object tells of how long and until when is for alerts and for the object's own page.
	left := []string{
		"dane_operator_host_unsafe_start_timestamp_seconds", "dane_operator_host_unsafe_end_timestamp_seconds",
		"dane_operator_host_removal_hold_end_timestamp_seconds",
	}
	for name := range labels {
		if !tried[name] && !slices.Contains(left, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// TestWrongQueriesAreFound: the test above sees what it is for.
func TestWrongQueriesAreFound(t *testing.T) {
	labels := labelsOf(t)
	for _, row := range []struct {
		reason string
		of     target
		good   bool
	}{
		{"a right one", now(`min by (host) (dane_operator_host_safe{namespace=~"a"})`, "{{host}}"), true},
		{"a histogram", over(`histogram_quantile(0.5, sum by (le) (rate(dane_operator_gate_wait_seconds_bucket[$__rate_interval])))`, "half"), true},
		{"a metric that was renamed", now(`min by (host) (dane_operator_host_is_safe)`, ""), false},
		{"a label that it does not have", now(`dane_operator_host_safe{zone="a"}`, ""), false},
		{"a label of another operator to count by", now(`min by (domain) (dane_operator_host_safe)`, ""), false},
		{"a label in the legend that was summed away", now(`min by (host) (dane_operator_host_safe)`, "{{maildomain}}"), false},
		{"nothing", now(`vector(0)`, ""), false},
	} {
		if found := problems(labels, row.of); (len(found) == 0) != row.good {
			t.Errorf("%s: %q", row.reason, found)
		}
	}
}

// TestPanelsFit: none lies over another or out of the page, and each has a number of its own.
func TestPanelsFit(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range assemble().Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("%q has the number %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= width {
					t.Fatalf("%q lies over %q or out of the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestDashboardIsJSON reads the file as Grafana does: its variables are those that queries use.
func TestDashboardIsJSON(t *testing.T) {
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		UID        string
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	variables := []string{"__rate_interval"}
	for _, v := range read.Templating.List {
		variables = append(variables, v.Name)
	}
	for _, found := range regexp.MustCompile(`\$\{?([a-zA-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(variables, found[1]) {
			t.Errorf("there is no variable %s", found[1])
		}
	}
	if read.UID == "" {
		t.Error("without a UID each import makes another dashboard")
	}
}
