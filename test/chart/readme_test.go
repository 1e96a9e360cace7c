package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// TestHelmCommandOfTheREADME installs the release that the README's command makes.
func TestHelmCommandOfTheREADME(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(strings.ReplaceAll(string(text), "\\\n", " "), "\n    helm install ")
	command, _, found := strings.Cut(after, "\n")
	words := strings.Fields(command)
	if !found || len(words) < 2 || words[1] != "charts/dane-operator" {
		t.Fatalf("the README installs no release of the chart: %q", command)
	}
	r, values := release{name: words[0]}, map[string]any{}
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "--create-namespace":
		case "-n":
			i++
			r.namespace = words[i]
		case "--set":
			i++
			if err := strvals.ParseInto(words[i], values); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("the test does not know %q", words[i])
		}
	}
	rendered, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	r.values = string(rendered)
	if err := cluster.EnsureNamespace(t.Context(), r.namespace); err != nil {
		t.Fatal(err)
	}
	d := deployment(t, install(t, r), "dane-operator")
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "REGISTRY/dane-operator:TAG" {
		t.Errorf("the Deployment has the image %s", image)
	}
}
