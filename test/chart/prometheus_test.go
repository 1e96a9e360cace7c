package chart

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dane-operator/dane-operator/test/kube"
)

// ofConfig reads the one object of a file of config/prometheus.
func ofConfig(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(configDir, "prometheus", file))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Decode(string(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%s has %d objects: %v", file, len(objects), err)
	}
	return objects[0]
}

// TestPrometheusIsThatOfConfig wants the alerts to be those of config/prometheus word for word, the scrape to be the same
// but for the labels of the release, and neither where it is not asked for.
func TestPrometheusIsThatOfConfig(t *testing.T) {
	objects, _ := release{"mta", "mail", `
prometheus:
  podMonitor: {enabled: true, labels: {release: p}, interval: 1m}
  rules: {enabled: true, labels: {release: p}}
`}.manifests(t)
	rules, monitor := objects["PrometheusRule mta-dane-operator"], objects["PodMonitor mta-dane-operator"]
	if rules == nil || monitor == nil {
		t.Fatal("the alerts or the scrape are missing")
	}
	for _, o := range []*unstructured.Unstructured{rules, monitor} {
		if o.GetNamespace() != "mail" || o.GetLabels()["release"] != "p" || o.GetLabels()["app.kubernetes.io/instance"] != "mta" {
			t.Errorf("%s: namespace %s, labels %v", o.GetKind(), o.GetNamespace(), o.GetLabels())
		}
	}
	if !reflect.DeepEqual(rules.Object["spec"], ofConfig(t, "rules.yaml").Object["spec"]) {
		t.Error("the alerts are others than those of config/prometheus")
	}
	selected, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	if err != nil {
		t.Fatal(err)
	}
	pod := deployment(t, objects, "mta-dane-operator").Spec.Template
	for key, value := range selected {
		if pod.Labels[key] != value {
			t.Errorf("the scrape selects %s=%s, the pod has %q", key, value, pod.Labels[key])
		}
	}
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "podMetricsEndpoints")
	want, _, _ := unstructured.NestedSlice(ofConfig(t, "podmonitor.yaml").Object, "spec", "podMetricsEndpoints")
	want[0].(map[string]any)["interval"] = "1m"
	if !reflect.DeepEqual(endpoints, want) || endpoints[0].(map[string]any)["port"] != pod.Spec.Containers[0].Ports[0].Name {
		t.Errorf("scraped is %v, want %v", endpoints, want)
	}
	dashboard, _ := release{"mta", "mail", "prometheus: {dashboard: {enabled: true}}"}.manifests(t)
	config := &corev1.ConfigMap{}
	into(t, dashboard["ConfigMap mta-dane-operator-dashboard"], config)
	shown, err := os.ReadFile(filepath.Join(configDir, "grafana", "dane-operator.json"))
	if err != nil || config.Data["dane-operator.json"] != strings.TrimSpace(string(shown)) || config.Labels["grafana_dashboard"] != "1" {
		t.Errorf("the dashboard is another one than that of config/grafana, or has the labels %v: %v", config.Labels, err)
	}
	plain, _ := release{"mta", "mail", ""}.manifests(t)
	for key := range plain {
		if strings.HasPrefix(key, "P") || strings.HasPrefix(key, "ConfigMap") {
			t.Errorf("%s is made although nobody asked for it", key)
		}
	}
	if _, err := (release{"mta", "mail", "{metrics: {enabled: false}, prometheus: {podMonitor: {enabled: true}}}"}).render(t); err == nil {
		t.Error("a scrape without metrics is taken")
	}
}
