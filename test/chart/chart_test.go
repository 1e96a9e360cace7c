// Package chart tests the Helm chart: that it installs what config/ installs, that its schema refuses
// what cannot work, and that a real API server takes what it makes.
package chart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/kube"
)

var (
	chartDir  = filepath.Join("..", "..", "charts", "dane-operator")
	configDir = filepath.Join("..", "..", "config")
)

// release is what somebody types: helm install NAME charts/dane-operator -n NAMESPACE -f VALUES.
type release struct {
	name, namespace, values string
}

// like is the release that config/default is the equal of.
var like = release{name: "dane-operator", namespace: "dane-operator-system", values: "image: {tag: latest}"}

func loadChart(t *testing.T) *chartv2.Chart {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := chart.Validate(); err != nil {
		t.Fatal(err)
	}
	return chart
}

// render does what helm does before it talks to a cluster: it checks the values against the schema
// and runs the templates, each of which is a file of the result.
func (r release) render(t *testing.T) (map[string]string, error) {
	t.Helper()
	chart := loadChart(t)
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(r.values), &values); err != nil {
		t.Fatal(err)
	}
	options := common.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: true}
	all, err := commonutil.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(t.Context(), chart, all)
}

// manifests are the rendered objects by kind and name, read strictly, and the text of NOTES.txt.
func (r release) manifests(t *testing.T) (objects map[string]*unstructured.Unstructured, notes string) {
	t.Helper()
	rendered, err := r.render(t)
	if err != nil {
		t.Fatal(err)
	}
	objects = map[string]*unstructured.Unstructured{}
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(file, "NOTES.txt") {
			notes = rendered[file]
			continue
		}
		decoded, err := kube.Decode(rendered[file])
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, o := range decoded {
			key := o.GetKind() + " " + o.GetName()
			if objects[key] != nil {
				t.Errorf("%s: %s is made twice", file, key)
			}
			objects[key] = o
		}
	}
	return objects, notes
}

// fromConfig are the objects of config/default but for the CRDs and the namespace, which Helm does
// not make from templates.
func fromConfig(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	objects := map[string]*unstructured.Unstructured{}
	for _, dir := range []string{"rbac", "policy", "manager"} {
		files, err := filepath.Glob(filepath.Join(configDir, dir, "*.yaml"))
		if err != nil || len(files) < 2 {
			t.Fatalf("config/%s has %v: %v", dir, files, err)
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			for _, o := range decodeFile(t, file) {
				objects[o.GetKind()+" "+o.GetName()] = o
			}
		}
	}
	return objects
}

func decodeFile(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Decode(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

// TestChartMetadata checks what Chart.yaml promises.
func TestChartMetadata(t *testing.T) {
	chart := loadChart(t)
	if chart.Metadata.Name != "dane-operator" || chart.Metadata.Type != "application" || chart.Metadata.APIVersion != "v2" {
		t.Errorf("Chart.yaml: %+v", chart.Metadata)
	}
	for version, want := range map[string]bool{
		"v1.30.9": false, "v1.31.0": true, "v1.31.4-gke.1": true, "v1.37.2": true,
	} {
		if got := chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, version); got != want {
			t.Errorf("kubeVersion %q and %s: %v", chart.Metadata.KubeVersion, version, got)
		}
	}
}

// TestChartHasTheCRDs compares the CRDs of the chart, as Helm finds them, with the generated ones.
func TestChartHasTheCRDs(t *testing.T) {
	var got []string
	for _, crd := range loadChart(t).CRDObjects() {
		name := filepath.Base(crd.Filename)
		got = append(got, name)
		want, err := os.ReadFile(filepath.Join(configDir, "crd", "bases", name))
		if err != nil {
			t.Error(err)
		}
		if string(crd.File.Data) != string(want) {
			t.Errorf("crds/%s is not config/crd/bases/%s: run make generate", name, name)
		}
	}
	bases, err := filepath.Glob(filepath.Join(configDir, "crd", "bases", "*.yaml"))
	if err != nil || len(bases) == 0 || len(bases) != len(got) {
		t.Errorf("the chart has the CRDs %v, config/crd/bases has %v (%v)", got, bases, err)
	}
}
