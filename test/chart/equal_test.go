package chart

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestChartInstallsWhatConfigInstalls compares a release of the same name and namespace with
// config/default, object by object. Labels alone may differ, and what follows from them.
func TestChartInstallsWhatConfigInstalls(t *testing.T) {
	got, _ := like.manifests(t)
	want := fromConfig(t)
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("the chart makes\n%v\nand config/default\n%v", g, w)
	}
	for key, w := range want {
		g := got[key]
		for _, o := range []*unstructured.Unstructured{g, w} {
			o.SetLabels(nil)
			if o.GetKind() == "Deployment" {
				withoutLabels(t, o)
			}
		}
		if !reflect.DeepEqual(g.Object, w.Object) {
			t.Errorf("%s: the chart makes\n%s\nand config/default\n%s", key, text(t, g), text(t, w))
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
