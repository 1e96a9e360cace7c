package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/kube"
)

// goTypes are the kinds of an API group that a Go package has the types of. The module of the package is one that go.mod
// of this module pins.
type goTypes struct {
	pkg, group string
	plurals    []string
}

// installGenerated installs CRDs of others, generated from their Go types with all their rules.
func installGenerated(t *testing.T, c *kube.Cluster, of ...goTypes) {
	t.Helper()
	where := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "-n", "controller-gen")
	where.Dir = filepath.Join("..", "..")
	tool, err := where.Output()
	if err != nil {
		t.Fatalf("find controller-gen: %v", err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, from := range of {
		dir := t.TempDir()
		generate := exec.CommandContext(t.Context(), strings.TrimSpace(string(tool)), "crd", "paths="+from.pkg, "output:crd:dir="+dir) //nolint:gosec // a tool that go.mod pins
		if out, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("generate the CRDs of %s: %v\n%s", from.pkg, err, out)
		}
		for _, plural := range from.plurals {
			text, err := os.ReadFile(filepath.Join(dir, from.group+"_"+plural+".yaml")) //nolint:gosec // generated above
			if err != nil {
				t.Fatal(err)
			}
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.UnmarshalStrict(text, crd); err != nil {
				t.Fatal(err)
			}
			crds = append(crds, crd)
		}
	}
	if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{CRDs: crds, Scheme: kube.Scheme(), MaxTime: time.Minute}); err != nil {
		t.Fatal(err)
	}
}
