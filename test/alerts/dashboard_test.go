package alerts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestDashboardQueries has promtool parse every query of the Grafana dashboard; hack/dashboard checks the names in them.
func TestDashboardQueries(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "grafana", "dane-operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var rules []map[string]string
	for _, p := range dashboard.Panels {
		for _, of := range p.Targets {
			// What Grafana puts in before it asks.
			expr := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$maildomain", ".*").Replace(of.Expr)
			rules = append(rules, map[string]string{"record": fmt.Sprintf("query%d", len(rules)), "expr": expr})
		}
	}
	if len(rules) < 20 {
		t.Fatalf("only %d queries were found: does the test still read them?", len(rules))
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dashboard.yaml"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "dashboard.yaml")
}

// queryOf is the first query of a panel.
func queryOf(t *testing.T, title string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "grafana", "dane-operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Title == title {
			return p.Targets[0].Expr
		}
	}
	t.Fatalf("there is no panel %q", title)
	return ""
}

// TestSessionsOfADay: a counter that began within the day counts whole; one that is older does not, also where Prometheus was away a
// day before, for hours or for the night.
func TestSessionsOfADay(t *testing.T) {
	const metric = `dane_operator_tls_report_sessions_total{result="certificate-expired", policy="sts", name="example.com"`
	const lines = `{policy="sts", result="certificate-expired"}`
	expr := queryOf(t, "Sessions that failed")
	file := map[string]any{"evaluation_interval": "5m", "tests": []any{
		// Two days at 40, with a gap from the 8th hour to the 18th of the first; the rest of the second day it stays so.
		dayTest(expr, metric+", proved=\"true\"}", "40x95 _x120 40x400", map[string]string{"30h": lines + " 0", "34h": lines + " 0", "43h": lines + " 0"}),
		// It goes on counting after the gap.
		dayTest(expr, metric+", proved=\"true\"}", "40x95 _x120 40x100 45x300", map[string]string{"34h": lines + " 5"}),
		// The first report came in the 25th hour, with seven sessions.
		dayTest(expr, metric+", proved=\"true\"}", "_x300 7x200", map[string]string{"24h": "", "27h": lines + " 7", "40h": lines + " 7"}),
	}}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "day.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "test", "rules", "day.yaml")
}

// dayTest is a test of promtool: what a query gives at instants, each as labels and a value; none for the empty text.
func dayTest(expr, series, values string, at map[string]string) map[string]any {
	var tests []any
	for when, want := range at {
		var samples []any
		if labels, value, found := strings.Cut(want, "} "); found {
			samples = append(samples, map[string]any{"labels": labels + "}", "value": json.Number(value)})
		}
		tests = append(tests, map[string]any{"expr": "round(" + expr + ")", "eval_time": when, "exp_samples": samples})
	}
	return map[string]any{"interval": "5m", "input_series": []any{map[string]any{"series": series, "values": values}}, "promql_expr_test": tests}
}
