// Package alerts tries the alerts of config/prometheus with promtool: that they come when they should, and not
// before.
package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/kube"
)

// rulesFile writes the rules of the PrometheusRule as Prometheus itself reads them.
func rulesFile(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Decode(string(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects: %v", len(objects), err)
	}
	spec, err := yaml.Marshal(objects[0].Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), spec, 0o600); err != nil {
		t.Fatal(err)
	}
}

func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "promtool", args...)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// TestAlerts runs the rule tests of testdata/alerts.yaml.
func TestAlerts(t *testing.T) {
	dir := t.TempDir()
	rulesFile(t, dir)
	promtool(t, dir, "check", "rules", "rules.yaml")
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alerts.yaml"), cases, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "test", "rules", "alerts.yaml")
}

var named = regexp.MustCompile(`(?:alert: |alertname=")(DANE\w+)`)

// TestEveryAlertIsTried fails when no rule test wants an alert to come.
func TestEveryAlertIsTried(t *testing.T) {
	tried := map[string]bool{}
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range named.FindAllStringSubmatch(string(cases), -1) {
		tried[found[1]] = true
	}
	rules, err := os.ReadFile(filepath.Join("..", "..", "config", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range named.FindAllStringSubmatch(string(rules), -1) {
		if !tried[found[1]] {
			t.Errorf("no test wants alert %s to come", found[1])
		}
	}
}
