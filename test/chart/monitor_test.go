package chart

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// overlay renders config/ with what somebody adds to it: folders of resources, and of components.
func overlay(t *testing.T, resources, components string) map[string]*unstructured.Unstructured {
	t.Helper()
	return withoutOuter(overlayOf(t, "resources: ["+resources+"]\ncomponents: ["+components+"]\n"))
}

// monitors are the two ways to have the metrics scraped: a value of the chart, and what is added to config/.
var monitors = []struct {
	value, kind, endpoints string
	resources, components  string
}{
	{"podMonitor", "PodMonitor", "podMetricsEndpoints", "../default, ../prometheus", ""},
	{"serviceMonitor", "ServiceMonitor", "endpoints", "../default, ../prometheus", "../service-monitor"},
}

// TestMonitorsAreThoseOfConfig compares a release that is scraped by either monitor with what config/ renders: labels
// alone differ, and with metrics.secure it is the same.
func TestMonitorsAreThoseOfConfig(t *testing.T) {
	for _, m := range monitors {
		for _, secure := range []bool{false, true} {
			with, components := like, m.components
			with.values += "\nprometheus: {rules: {enabled: true}, " + m.value + ": {enabled: true}}"
			if secure {
				with.values += "\nmetrics: {secure: true}"
				components = strings.TrimPrefix(components+", ../secure-metrics", ", ")
			}
			got, _ := with.manifests(t)
			want := overlay(t, m.resources, components)
			for _, objects := range []map[string]*unstructured.Unstructured{got, want} {
				if objects[m.kind+" dane-operator"] == nil {
					t.Fatalf("%s, secure %t: there is no %s", m.value, secure, m.kind)
				}
				unstructured.RemoveNestedField(objects[m.kind+" dane-operator"].Object, "spec", "selector") // TestMonitorsReachThePods
			}
			compare(t, got, want)
		}
	}
}

// TestMonitorsTakeTheirValues sets every value of either, and wants the types of the Prometheus operator to know each.
func TestMonitorsTakeTheirValues(t *testing.T) {
	for _, m := range monitors {
		objects, _ := release{"mta", "mail", `
metrics: {secure: true, port: 9090}
prometheus:
  ` + m.value + `:
    enabled: true
    labels: {release: p, app.kubernetes.io/name: mine}
    interval: 1m
    scrapeTimeout: 20s
    tlsConfig: {serverName: mta.mail.svc, ca: {configMap: {name: ca, key: ca.crt}}}
    relabelings: [{action: replace, targetLabel: cluster, replacement: one}]
    metricRelabelings: [{action: labeldrop, regex: pod}]
`}.manifests(t)
		o := objects[m.kind+" mta-dane-operator"]
		known := map[string]any{"PodMonitor": &monitoringv1.PodMonitor{}, "ServiceMonitor": &monitoringv1.ServiceMonitor{}}
		into(t, o, known[m.kind])
		endpoints, _, _ := unstructured.NestedSlice(o.Object, "spec", m.endpoints)
		want := []any{map[string]any{
			"port": "metrics", "honorLabels": true, "interval": "1m", "scrapeTimeout": "20s", "scheme": "https",
			"tlsConfig":     map[string]any{"serverName": "mta.mail.svc", "ca": map[string]any{"configMap": map[string]any{"name": "ca", "key": "ca.crt"}}},
			"authorization": map[string]any{"credentials": map[string]any{"name": "mta-dane-operator-metrics-scraper", "key": "token"}},
			"relabelings":   []any{map[string]any{"action": "replace", "targetLabel": "cluster", "replacement": "one"}},

			"metricRelabelings": []any{map[string]any{"action": "labeldrop", "regex": "pod"}},
		}}
		if !reflect.DeepEqual(endpoints, want) {
			t.Errorf("%s scrapes %v, want %v", m.kind, endpoints, want)
		}
		if of := o.GetLabels(); o.GetNamespace() != "mail" || of["release"] != "p" || of["app.kubernetes.io/name"] != "dane-operator" {
			t.Errorf("%s is in %s and has the labels %v", m.kind, o.GetNamespace(), of)
		}
		if objects["Secret mta-dane-operator-metrics-scraper"] == nil {
			t.Errorf("%s: the token that it presents is not made", m.kind)
		}
	}
}

// TestMonitorsThatCannotWork are refused with a word on why.
func TestMonitorsThatCannotWork(t *testing.T) {
	for _, row := range []struct{ values, says, reason string }{
		{"{metrics: {enabled: false}, prometheus: {podMonitor: {enabled: true}}}", "needs metrics.enabled", "there is nothing to scrape"},
		{"{metrics: {enabled: false}, prometheus: {serviceMonitor: {enabled: true}}}", "needs metrics.enabled", "there is nothing to scrape"},
		{"prometheus: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}}", "scraped twice", "counts would be doubled"},
		{"prometheus: {serviceMonitor: {enabled: true, tlsConfig: {serverName: a}}}", "needs metrics.secure", "nothing speaks TLS"},
		{"prometheus: {serviceMonitor: {interval: 30}}", "/prometheus/serviceMonitor/interval", "a number has no unit"},
		{"prometheus: {podMonitor: {scrapeTimeout: soon}}", "/prometheus/podMonitor/scrapeTimeout", "no duration"},
		{"prometheus: {serviceMonitor: {relabelings: {}}}", "/prometheus/serviceMonitor/relabelings", "a list of steps"},
		{"prometheus: {serviceMonitor: {scheme: https}}", "scheme", "it follows from metrics.secure"},
	} {
		if _, err := (release{"mta", "mail", row.values}).render(t); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s (%s): got %v", row.values, row.reason, err)
		}
	}
}

// TestMonitorsReachThePods follows each monitor, by way of its Services, to the named port of the pods: every one that
// serves metrics, and each once.
func TestMonitorsReachThePods(t *testing.T) {
	const others = "\ndashboard: {enabled: true, service: {create: true}}\nmetrics: {port: 9090}"
	for _, m := range monitors {
		monitor := "\nprometheus: {" + m.value + ": {enabled: true}}"
		for values, want := range map[string][]string{
			"":                                  {"mta-dane-operator"},
			others:                              {"mta-dane-operator"},
			"reports: {enabled: true}":          {"mta-dane-operator", "mta-dane-operator-reports"},
			"reports: {enabled: true}" + others: {"mta-dane-operator", "mta-dane-operator-reports"},
		} {
			objects, _ := release{"mta", "mail", values + monitor}.manifests(t)
			if got := reached(t, objects, m.kind); !slices.Equal(got, want) {
				t.Errorf("%s with %q reaches %v, want %v", m.kind, values, got, want)
			}
		}
		config := overlay(t, m.resources, m.components)
		if got := reached(t, config, m.kind); !slices.Equal(got, []string{"dane-operator"}) {
			t.Errorf("the %s of config/ reaches %v", m.kind, got)
		}
	}
}

// reached are the Deployments whose pods the monitors of a kind scrape, sorted, and each as often as it is scraped.
func reached(t *testing.T, objects map[string]*unstructured.Unstructured, kind string) []string {
	t.Helper()
	var out []string
	for _, o := range objects {
		switch {
		case o.GetKind() == kind && kind == "PodMonitor":
			monitor := &monitoringv1.PodMonitor{}
			into(t, o, monitor)
			out = append(out, selected(t, objects, monitor.Spec.Selector, *monitor.Spec.PodMetricsEndpoints[0].Port)...)
		case o.GetKind() == kind && kind == "ServiceMonitor":
			monitor := &monitoringv1.ServiceMonitor{}
			into(t, o, monitor)
			for _, service := range services(t, objects, monitor.Spec.Selector) {
				for _, port := range service.Spec.Ports {
					if port.Name == monitor.Spec.Endpoints[0].Port {
						out = append(out, selected(t, objects, metav1.LabelSelector{MatchLabels: service.Spec.Selector}, port.TargetPort.String())...)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func services(t *testing.T, objects map[string]*unstructured.Unstructured, by metav1.LabelSelector) []*corev1.Service {
	t.Helper()
	var out []*corev1.Service
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if objects[key].GetKind() != "Service" || !matches(t, by, objects[key].GetLabels()) {
			continue
		}
		service := &corev1.Service{}
		into(t, objects[key], service)
		out = append(out, service)
	}
	return out
}

// selected are the Deployments whose pods have the labels, and a port of the name.
func selected(t *testing.T, objects map[string]*unstructured.Unstructured, by metav1.LabelSelector, port string) []string {
	t.Helper()
	var out []string
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		d := &appsv1.Deployment{}
		into(t, o, d)
		named := slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port })
		if named && matches(t, by, d.Spec.Template.Labels) {
			out = append(out, d.Name)
		}
	}
	return out
}

func matches(t *testing.T, by metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(&by)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(of))
}
