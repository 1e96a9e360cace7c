package chart

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
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

// TestAlertsAndDashboardAreThoseOfConfig wants both to be those of config/ word for word, and neither where it is not asked
// for.
func TestAlertsAndDashboardAreThoseOfConfig(t *testing.T) {
	objects, _ := release{"mta", "mail", "prometheus: {rules: {enabled: true, labels: {release: p}}, dashboard: {enabled: true}}"}.manifests(t)
	rules := &monitoringv1.PrometheusRule{}
	into(t, objects["PrometheusRule mta-dane-operator"], rules)
	if rules.Namespace != "mail" || rules.Labels["release"] != "p" || rules.Labels["app.kubernetes.io/instance"] != "mta" {
		t.Errorf("the alerts are in %s, with the labels %v", rules.Namespace, rules.Labels)
	}
	if !reflect.DeepEqual(objects["PrometheusRule mta-dane-operator"].Object["spec"], ofConfig(t, "rules.yaml").Object["spec"]) {
		t.Error("the alerts are others than those of config/prometheus")
	}
	config := &corev1.ConfigMap{}
	into(t, objects["ConfigMap mta-dane-operator-dashboard"], config)
	shown, err := os.ReadFile(filepath.Join(configDir, "grafana", "dane-operator.json"))
	if err != nil || config.Data["dane-operator.json"] != strings.TrimSpace(string(shown)) || config.Labels["grafana_dashboard"] != "1" {
		t.Errorf("the dashboard is another one than that of config/grafana, or has the labels %v: %v", config.Labels, err)
	}
	plain, _ := release{"mta", "mail", ""}.manifests(t)
	for key, o := range plain {
		if o.GroupVersionKind().Group == monitoringv1.SchemeGroupVersion.Group || strings.HasPrefix(key, "ConfigMap") || strings.HasPrefix(key, "Service ") {
			t.Errorf("%s is made although nobody asked for it", key)
		}
	}
}
