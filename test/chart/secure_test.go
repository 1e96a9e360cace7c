package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dane-operator/dane-operator/test/kube"
)

func decodeFile(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Decode(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

// TestSecureMetricsAreThoseOfConfig wants metrics.secure to make what config/secure-metrics has, and no right of it where
// it is off.
func TestSecureMetricsAreThoseOfConfig(t *testing.T) {
	plain, _ := like.manifests(t)
	secure := like
	secure.values = "{image: {tag: latest}, metrics: {secure: true}, prometheus: {podMonitor: {enabled: true}}}"
	got, _ := secure.manifests(t)
	want := map[string]*unstructured.Unstructured{}
	for _, file := range []string{"metrics_auth.yaml", "metrics_reader.yaml", "scraper.yaml"} {
		for _, o := range decodeFile(t, filepath.Join(configDir, "secure-metrics", file)) {
			want[o.GetKind()+" "+o.GetName()] = o
		}
	}
	for key, w := range want {
		if plain[key] != nil {
			t.Errorf("%s is made although nobody asked for it", key)
		}
		g := got[key]
		if g == nil {
			t.Errorf("the chart does not make %s", key)
			continue
		}
		g.SetLabels(nil)
		if !reflect.DeepEqual(g.Object, w.Object) {
			t.Errorf("%s: the chart makes\n%s\nand config/secure-metrics has\n%s", key, text(t, g), text(t, w))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if plain[key] == nil && want[key] == nil && got[key].GetKind() != "PodMonitor" {
			t.Errorf("the chart makes %s, which config/secure-metrics does not have", key)
		}
	}
	endpoints, _, err := unstructured.NestedSlice(got["PodMonitor dane-operator"].Object, "spec", "podMetricsEndpoints")
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("%v: %v", endpoints, err)
	}
	endpoint := endpoints[0].(map[string]any)
	credentials, _, _ := unstructured.NestedStringMap(endpoint, "authorization", "credentials")
	if endpoint["scheme"] != "https" || got["Secret "+credentials["name"]] == nil || credentials["key"] != "token" {
		t.Errorf("the scrape is %v", endpoint)
	}
	withoutScrape := like
	withoutScrape.values = "{image: {tag: latest}, metrics: {secure: true}}"
	objects, _ := withoutScrape.manifests(t)
	if objects["Secret dane-operator-metrics-scraper"] != nil {
		t.Error("a token is made that nothing presents")
	}
}
