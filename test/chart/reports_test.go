package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dane-operator/dane-operator/test/kube"
)

// TestReceiverOfReports follows what the values say to the container, the Service and the policies of the receiver.
func TestReceiverOfReports(t *testing.T) {
	plain, _ := release{"x", "mail", ""}.manifests(t)
	for key := range plain {
		if strings.HasSuffix(key, "-reports") {
			t.Errorf("%s is made where nobody asked for it", key)
		}
	}
	objects, _ := release{"x", "mail", `
namespaces: [one, two]
metrics: {secure: true}
networkPolicy: {create: true, metricsFrom: [{podSelector: {}}]}
reports:
  enabled: true
  addresses: [tlsrpt@example.com]
  trustedProxies: [10.0.0.0/8]
  replicas: 2
  dsnSecret: postgres
  extraArgs: ["--retention=720h"]
  from: [{namespaceSelector: {}}]
  extraEgress: [{ports: [{port: 5432}]}]
`}.manifests(t)
	const name = "x-dane-operator-reports"
	d := deployment(t, objects, name)
	pod := d.Spec.Template.Spec
	want := []string{
		"reports", "--database-dsn-file=/etc/dane-operator-reports/dsn", "--https-bind-address=:8080", "--lmtp-bind-address=:2424",
		"--address=tlsrpt@example.com", "--trusted-proxy=10.0.0.0/8", "--metrics-bind-address=:8082", "--metrics-secure",
		"--namespace=one", "--namespace=two", "--retention=720h",
	}
	if got := pod.Containers[0].Args; !slices.Equal(got, want) {
		t.Errorf("its arguments are %q, want %q", got, want)
	}
	if pod.ServiceAccountName != name || *d.Spec.Replicas != 2 || pod.Volumes[0].Secret.SecretName != "postgres" || objects["PersistentVolumeClaim "+name] != nil {
		t.Errorf("it runs as %s, %d times, with %+v", pod.ServiceAccountName, *d.Spec.Replicas, pod.Volumes)
	}
	service, policy := &corev1.Service{}, &networkingv1.NetworkPolicy{}
	into(t, objects["Service "+name], service)
	into(t, objects["NetworkPolicy "+name], policy)
	labels := d.Spec.Template.Labels
	if len(labels) == 0 || !maps.Equal(service.Spec.Selector, labels) || !maps.Equal(policy.Spec.PodSelector.MatchLabels, labels) {
		t.Errorf("its pods have %v, and selected are %v and %v", labels, service.Spec.Selector, policy.Spec.PodSelector.MatchLabels)
	}
	operator := deployment(t, objects, "x-dane-operator")
	if maps.Equal(operator.Spec.Template.Labels, labels) || service.Spec.Ports[1].TargetPort.StrVal != "lmtp" {
		t.Errorf("the operator has %v, too; the ports are %v", labels, service.Spec.Ports)
	}
	if n := len(policy.Spec.Ingress[0].Ports); n != 2 || len(policy.Spec.Ingress[0].From) != 1 || len(policy.Spec.Ingress[1].From) != 1 || len(policy.Spec.Egress) != 3 {
		t.Errorf("the policy is %+v", policy.Spec)
	}
	_, err := release{"x", "mail", "reports: {enabled: true, replicas: 2}"}.render(t)
	if err == nil || !strings.Contains(err.Error(), "set reports.dsnSecret") {
		t.Errorf("two replicas with one file: %v", err)
	}
}

// TestReceiversRights asks a real API server: the receiver has its rights in the namespaces that are watched, and no other.
func TestReceiversRights(t *testing.T) {
	watched, other := cluster.Namespace(t.Context(), t), cluster.Namespace(t.Context(), t)
	r := release{"mta", restricted(t), "{namespaces: [" + watched + "], rbac: {scope: Namespaced}, reports: {enabled: true}}"}
	install(t, r)
	user := kube.ServiceAccount(r.namespace, "mta-dane-operator-reports")
	domains := schema.GroupResource{Group: "mail.dane-operator.io", Resource: "maildomains"}
	waitAllowed(t, user, watched, "list", domains)
	for _, no := range []struct {
		namespace, verb string
		resource        schema.GroupResource
	}{
		{other, "list", domains}, {watched, "update", domains}, {watched, "patch", domains}, {watched, "delete", domains},
		{watched, "get", schema.GroupResource{Resource: "secrets"}}, {watched, "list", schema.GroupResource{Group: domains.Group, Resource: "dnszones"}},
	} {
		if allowed(t, user, no.namespace, no.verb, no.resource) {
			t.Errorf("%s may %s %s in %s", user, no.verb, no.resource, no.namespace)
		}
	}
}
