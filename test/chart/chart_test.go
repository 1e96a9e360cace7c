// Package chart tests the Helm chart: that it installs what config/ installs, that its schema refuses
// what cannot work, and that a real API server takes what it makes.
package chart

import (
	"maps"
	"path/filepath"
	"reflect"
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

	"github.com/dane-operator/dane-operator/test/chart/manifests"
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

// manifests are the rendered objects by kind and name, read strictly, and the text of NOTES.txt. The CRDs and the pod of
// helm test are not among them: see all.
func (r release) manifests(t *testing.T) (objects map[string]*unstructured.Unstructured, notes string) {
	t.Helper()
	objects, notes = r.all(t)
	maps.DeleteFunc(objects, func(_ string, o *unstructured.Unstructured) bool {
		return o.GetKind() == "CustomResourceDefinition" || o.GetAnnotations()["helm.sh/hook"] != ""
	})
	return objects, notes
}

// all is everything that the chart renders.
func (r release) all(t *testing.T) (objects map[string]*unstructured.Unstructured, notes string) {
	t.Helper()
	rendered, err := r.render(t)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(file, "NOTES.txt") {
			notes = rendered[file]
			continue
		}
		text.WriteString(rendered[file] + "\n---\n")
	}
	return byName(t, text.String(), r.namespace), notes
}

// byName reads objects, and keys each by its kind and name, and its namespace where that is not home.
func byName(t *testing.T, text, home string) map[string]*unstructured.Unstructured {
	t.Helper()
	decoded, err := kube.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, o := range decoded {
		key := o.GetKind() + " " + o.GetName()
		if ns := o.GetNamespace(); ns != "" && ns != home {
			key += " in " + ns
		}
		if objects[key] != nil {
			t.Errorf("%s is made twice", key)
		}
		objects[key] = o
	}
	return objects
}

// fromConfig are the objects that a folder of config/ renders but for the CRDs and the namespace, which a release does
// not have or the caller of helm makes.
func fromConfig(t *testing.T, folder string) map[string]*unstructured.Unstructured {
	t.Helper()
	text, err := manifests.Kustomize(filepath.Join(configDir, folder))
	if err != nil {
		t.Fatal(err)
	}
	return withoutOuter(byName(t, string(text), like.namespace))
}

func withoutOuter(objects map[string]*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	maps.DeleteFunc(objects, func(_ string, o *unstructured.Unstructured) bool {
		return o.GetKind() == "CustomResourceDefinition" || o.GetKind() == "Namespace"
	})
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

// TestChartHasTheCRDs compares the CRDs that a release has with the generated ones: they are the same, and stay when the
// release goes, unless the values say otherwise.
func TestChartHasTheCRDs(t *testing.T) {
	text, err := manifests.Kustomize(filepath.Join(configDir, "crd"))
	if err != nil {
		t.Fatal(err)
	}
	want := byName(t, string(text), "")
	if len(want) < 2 {
		t.Fatalf("config/crd has %v", slices.Sorted(maps.Keys(want)))
	}
	for _, row := range []struct {
		values, policy string
		enabled        bool
	}{
		{"", "keep", true},
		{"crds: {keep: false}", "", true},
		{"crds: {enabled: false}", "", false},
	} {
		objects, _ := release{"mta", "mail", row.values}.all(t)
		for key, w := range want {
			got := objects[key]
			if (got != nil) != row.enabled {
				t.Errorf("%q: is %s made? %v", row.values, key, got != nil)
			}
			if got == nil {
				continue
			}
			if policy := got.GetAnnotations()["helm.sh/resource-policy"]; policy != row.policy {
				t.Errorf("%q: %s has the policy %q, want %q", row.values, key, policy, row.policy)
			}
			if !reflect.DeepEqual(got.Object["spec"], w.Object["spec"]) {
				t.Errorf("%s is not that of config/crd: run make generate", key)
			}
		}
	}
	if loose := loadChart(t).CRDObjects(); len(loose) > 0 {
		t.Errorf("the folder crds of the chart has %d CRDs, which Helm would not upgrade", len(loose))
	}
}
