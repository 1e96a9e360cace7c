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
