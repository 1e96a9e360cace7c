package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dane-operator/dane-operator/test/chart/manifests"
)

// TestOverlayOfThePage: the overlay that docs/dashboard.md shows, in a folder beside config/default, switches the page on.
func TestOverlayOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(configDir, "..", "docs", "dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```yaml\n# kustomization.yaml")
	text, _, _ = strings.Cut(text, "```")
	if !found {
		t.Fatal("docs/dashboard.md shows no overlay")
	}
	objects := overlayOf(t, "# "+text)
	if args := deployment(t, objects, "dane-operator").Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--dashboard-address=127.0.0.1:8082") {
		t.Errorf("the operator is started with %v", args)
	}
	if objects["ClusterRole dane-operator-dashboard-reader"] == nil {
		t.Error("the role that docs/dashboard.md binds is not there")
	}
}

// overlayOf renders a kustomization.yaml in a folder beside config/default.
func overlayOf(t *testing.T, kustomization string) map[string]*unstructured.Unstructured {
	t.Helper()
	config := t.TempDir()
	if err := os.CopyFS(config, os.DirFS(configDir)); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(config, "mine")
	if err := os.Mkdir(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := manifests.Kustomize(folder)
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, string(made), like.namespace)
}
