package chart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dane-operator/dane-operator/test/kube"
)

// everything is all that the chart can make at once.
const everything = `
networkPolicy: {create: true}
metrics: {secure: true}
dashboard: {enabled: true, service: {create: true}}
reports: {enabled: true, addresses: [tlsrpt@example.com]}
replicas: 2
trustAnchors: example. IN DS 1 13 2 00
prometheus: {rules: {enabled: true}, dashboard: {enabled: true}, serviceMonitor: {enabled: true, interval: 1m}}
`

// TestNoWayInDrifts: whatever a pipeline has applied (server-side) of any of the ways in, it finds as it was: to apply it
// again changes no object, the monitors and alerts among them, which are held against the CRDs of the Prometheus operator.
func TestNoWayInDrifts(t *testing.T) {
	c := kube.ForTest(t, kube.Options{}) // of its own: all of that would be in the way of the other tests
	withMonitoring(t, c)
	installed, err := os.ReadFile(filepath.Join("..", "..", "dist", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all, _ := release{"mta", c.Namespace(t.Context(), t), everything}.manifests(t)
	scraped, _ := release{"mtb", c.Namespace(t.Context(), t), "prometheus: {podMonitor: {enabled: true, interval: 1m}}"}.manifests(t)
	for _, way := range []struct {
		name    string
		objects map[string]*unstructured.Unstructured
	}{
		{"the chart with everything", all},
		{"the chart with a PodMonitor", scraped},
		{"dist/install.yaml", byName(t, string(installed), like.namespace)},
		{"every part of config", overlayOf(t, "resources: [../default, ../prometheus, ../grafana, ../network-policy, ../reports, ../reports-network-policy]\n"+
			"components: [../service-monitor, ../secure-metrics, ../dashboard]\n")},
		{"config with a PodMonitor", overlayOf(t, "resources: [../default, ../prometheus]\n")},
	} {
		t.Run(way.name, func(t *testing.T) {
			for _, key := range inOrder(way.objects) {
				same(t, c, key, way.objects[key])
			}
		})
	}
}

// inOrder has namespaces first, which others stand in.
func inOrder(objects map[string]*unstructured.Unstructured) []string {
	return slices.SortedFunc(maps.Keys(objects), func(a, b string) int {
		isNamespace := func(key string) int { return strings.Count(key, "Namespace ") }
		if n := isNamespace(b) - isNamespace(a); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
}

// same applies an object three times, and wants the third not to have changed anything.
func same(t *testing.T, c *kube.Cluster, key string, manifest *unstructured.Unstructured) {
	t.Helper()
	var versions []string
	var generations []int64
	for range 3 {
		o := manifest.DeepCopy()
		if err := c.ApplyObject(t.Context(), o); err != nil {
			t.Errorf("%s: %v", key, err)
			return
		}
		versions, generations = append(versions, o.GetResourceVersion()), append(generations, o.GetGeneration())
	}
	// The first time after it was created the API server puts the fields' owners in another form.
	if versions[1] != versions[2] || generations[0] != generations[2] {
		t.Errorf("%s changed when it was applied again", key)
	}
}

// withMonitoring installs the CRDs of the Prometheus operator that the chart has objects of.
func withMonitoring(t *testing.T, c *kube.Cluster) {
	t.Helper()
	installGenerated(t, c, goTypes{
		"github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "monitoring.coreos.com",
		[]string{"podmonitors", "servicemonitors", "prometheusrules"},
	})
}
