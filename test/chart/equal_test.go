package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestChartInstallsWhatConfigInstalls compares releases of the same name and namespace with what config/ renders,
// object by object. Labels alone may differ, and what follows from them.
func TestChartInstallsWhatConfigInstalls(t *testing.T) {
	for _, row := range []struct {
		values  string
		folders []string
		reason  string
	}{
		{"", []string{"default"}, "the defaults"},
		{"namespaces: [mail]\nrbac: {scope: Namespaced}", []string{"namespaced"}, "one namespace"},
		{"networkPolicy: {create: true}", []string{"default", "network-policy"}, "a part that is not installed by default"},
		{"reports: {enabled: true}", []string{"default", "reports"}, "the receiver of reports"},
		{
			"networkPolicy: {create: true}\nreports: {enabled: true}", []string{"default", "network-policy", "reports", "reports-network-policy"},
			"the receiver with its policy",
		},
		{
			"namespaces: [mail]\nrbac: {scope: Namespaced}\nreports: {enabled: true}", []string{"namespaced", "reports-namespaced"},
			"the receiver in one namespace",
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			got, _ := release{like.name, like.namespace, like.values + "\n" + row.values}.manifests(t)
			want := map[string]*unstructured.Unstructured{}
			for _, folder := range row.folders {
				maps.Copy(want, fromConfig(t, folder))
			}
			compare(t, got, want)
		})
	}
}

// TestInstallYAMLIsConfigDefault: the file that people apply by its address is what config/default renders.
func TestInstallYAMLIsConfigDefault(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "dist", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, want := withoutOuter(byName(t, string(text), like.namespace)), fromConfig(t, "default")
	if !reflect.DeepEqual(got, want) {
		t.Error("dist/install.yaml is not what config/default renders: run make generate")
	}
	if kept := strings.Count(string(text), "\nkind: CustomResourceDefinition\n"); kept != 2 {
		t.Errorf("dist/install.yaml has %d CRDs", kept)
	}
}

func compare(t *testing.T, got, want map[string]*unstructured.Unstructured) {
	t.Helper()
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("the chart makes\n%v\nand config/\n%v", g, w)
	}
	for key, w := range want {
		g := got[key]
		for _, o := range []*unstructured.Unstructured{g, w} {
			o.SetLabels(nil)
			switch o.GetKind() {
			case "Deployment":
				withoutLabels(t, o)
			case "NetworkPolicy":
				unstructured.RemoveNestedField(o.Object, "spec", "podSelector")
			case "Service":
				unstructured.RemoveNestedField(o.Object, "spec", "selector")
			}
		}
		if !reflect.DeepEqual(g.Object, w.Object) {
			t.Errorf("%s: the chart makes\n%s\nand config/\n%s", key, text(t, g), text(t, w))
		}
	}
}

// withoutLabels takes away what differs between the two Deployments by design: the labels that the
// selector looks for, and the pull policy, whose default depends on the tag.
func withoutLabels(t *testing.T, deployment *unstructured.Unstructured) {
	t.Helper()
	selector, _, err := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	if err != nil {
		t.Fatal(err)
	}
	labels, _, err := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "labels")
	if err != nil {
		t.Fatal(err)
	}
	if len(selector) == 0 || !maps.Equal(selector, labels) {
		t.Errorf("the Deployment selects %v, and its pods have %v", selector, labels)
	}
	unstructured.RemoveNestedField(deployment.Object, "spec", "selector")
	unstructured.RemoveNestedField(deployment.Object, "spec", "template", "metadata")
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("%d containers: %v", len(containers), err)
	}
	delete(containers[0].(map[string]any), "imagePullPolicy")
	if err := unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
}

func text(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	out, err := yaml.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
