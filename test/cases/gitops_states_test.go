package cases

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// TestHealthOfEachState reads the tests of the script for Argo CD as Argo CD does, and asks kstatus too: what a pipeline says of an
// object in each state. TestHealthInPipelines leads a live one through some of them.
func TestHealthOfEachState(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "hack", "argocd")
	var table struct {
		Tests []struct {
			InputPath    string `json:"inputPath"`
			HealthStatus struct {
				Status  string `json:"status"`
				Message string `json:"message"`
			} `json:"healthStatus"`
			KStatus string `json:"kstatus"`
			Flux    string `json:"flux"` // for TestFluxSaysWhatAPersonWould
		} `json:"tests"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "health_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &table); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(dir, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]bool{}
	for _, row := range table.Tests {
		text, err := os.ReadFile(filepath.Join(dir, row.InputPath))
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		text, err = yaml.YAMLToJSON(text)
		if err == nil {
			err = u.UnmarshalJSON(text) // whole numbers as the API server gives them
		}
		if err != nil {
			t.Fatal(err)
		}
		result, err := kstatus.Compute(u)
		if err != nil {
			t.Fatal(err)
		}
		status, message, err := argoHealth(string(script), u)
		if err != nil {
			t.Fatal(err)
		}
		if result.Status.String() != row.KStatus || status != row.HealthStatus.Status || message != row.HealthStatus.Message {
			t.Errorf("%s: kstatus %s, Argo CD %s %q; want %s, %s %q",
				row.InputPath, result.Status, status, message, row.KStatus, row.HealthStatus.Status, row.HealthStatus.Message)
		}
		states[row.InputPath] = true
	}
	files, err := filepath.Glob(filepath.Join(dir, "testdata", "*.yaml"))
	if err != nil || len(files) != len(states) || len(files) < 18 {
		t.Errorf("%d objects, %d of them tried: %v", len(files), len(states), err)
	}
}
