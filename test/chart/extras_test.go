package chart

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestExtras: what the chart does not know by name gets to the pod all the same.
func TestExtras(t *testing.T) {
	objects, _ := release{"x", "mail", `
trustAnchors: example. IN DS 1 13 2 00
extraEnv: [{name: GOMEMLIMIT, value: 400MiB}]
extraVolumes: [{name: ca, configMap: {name: own-ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ssl/certs, readOnly: true}]
topologySpreadConstraints:
- {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule}
- {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {a: b}}}
`}.manifests(t)
	d := deployment(t, objects, "x-dane-operator")
	pod := d.Spec.Template.Spec
	if env := pod.Containers[0].Env; !reflect.DeepEqual(env, []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: "400MiB"}}) {
		t.Errorf("environment %+v", env)
	}
	mounts := []corev1.VolumeMount{
		{Name: "trust-anchors", MountPath: "/etc/dane-operator", ReadOnly: true}, {Name: "ca", MountPath: "/etc/ssl/certs", ReadOnly: true},
	}
	volumes := []corev1.Volume{{Name: "trust-anchors", VolumeSource: fromConfigMap("x-dane-operator-trust-anchors")}, {Name: "ca", VolumeSource: fromConfigMap("own-ca")}}
	if got := pod.Containers[0].VolumeMounts; !reflect.DeepEqual(got, mounts) || !reflect.DeepEqual(pod.Volumes, volumes) {
		t.Errorf("mounted are %+v, of the volumes %+v", got, pod.Volumes)
	}
	// A constraint without a selector counts the pods of the release; a selector of one's own stays.
	spread := []corev1.TopologySpreadConstraint{
		{MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: d.Spec.Selector},
		{MaxSkew: 2, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
	}
	if !reflect.DeepEqual(pod.TopologySpreadConstraints, spread) {
		t.Errorf("pods spread by %+v, want %+v", pod.TopologySpreadConstraints, spread)
	}
}

func fromConfigMap(name string) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

// TestDisruptionBudget: there is one where it helps, and none that would only hold a node.
func TestDisruptionBudget(t *testing.T) {
	for _, row := range []struct{ values, want, reason string }{
		{"", "", "one replica: draining its node would wait for ever"},
		{"replicas: 0", "", "nothing runs"},
		{"replicas: 2", "1", "one of two may go"},
		{"{replicas: 3, podDisruptionBudget: {maxUnavailable: 50%}}", "50%", "a percentage"},
		{"{replicas: 2, podDisruptionBudget: {create: false}}", "", "not wanted"},
	} {
		objects, _ := release{"x", "mail", row.values}.manifests(t)
		o, got := objects["PodDisruptionBudget x-dane-operator"], ""
		if o != nil {
			budget := &policyv1.PodDisruptionBudget{}
			into(t, o, budget)
			got = budget.Spec.MaxUnavailable.String()
			if want := deployment(t, objects, "x-dane-operator").Spec.Selector; !reflect.DeepEqual(budget.Spec.Selector, want) {
				t.Errorf("%s: it is about %v, and not %v", row.reason, budget.Spec.Selector, want)
			}
		}
		if got != row.want {
			t.Errorf("%s: %q may be unavailable, want %q", row.reason, got, row.want)
		}
	}
}

// networkPolicy renders a policy, nil where there is none.
func networkPolicy(t *testing.T, values string) *networkingv1.NetworkPolicy {
	t.Helper()
	objects, _ := release{"x", "mail", values}.manifests(t)
	o := objects["NetworkPolicy x-dane-operator"]
	if o == nil {
		return nil
	}
	policy := &networkingv1.NetworkPolicy{}
	into(t, o, policy)
	if want := deployment(t, objects, "x-dane-operator").Spec.Selector; !reflect.DeepEqual(&policy.Spec.PodSelector, want) {
		t.Errorf("%q: the policy is about %v, and not %v", values, policy.Spec.PodSelector, want)
	}
	return policy
}

// TestNetworkPolicy: that what is asked for is let through and nothing else; the defaults are those of
// config/network-policy (TestChartInstallsWhatConfigInstalls).
func TestNetworkPolicy(t *testing.T) {
	if networkPolicy(t, "") != nil {
		t.Error("a policy is made although nobody asked for it")
	}
	policy := networkPolicy(t, `
networkPolicy:
  create: true
  metricsFrom: [{namespaceSelector: {matchLabels: {team: metrics}}}]
  dnsPorts: []
  mailPorts: [25]
  apiServerPorts: [6443]
  extraIngress: [{ports: [{port: 6060}]}]
  extraEgress: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 5353}]}]
`)
	if got := ports(policy.Spec.Egress[0].Ports, policy.Spec.Egress[1].Ports, policy.Spec.Egress[2].Ports); len(policy.Spec.Egress) != 3 || got != "25 6443 5353" {
		t.Errorf("%d rules, let out is %s", len(policy.Spec.Egress), got)
	}
	in := policy.Spec.Ingress
	if got := ports(in[0].Ports, in[1].Ports, in[2].Ports); len(in) != 3 || got != "metrics health 6060" {
		t.Errorf("%d rules, let in is %s", len(in), got)
	}
	if from := in[0].From; len(from) != 1 || from[0].NamespaceSelector.MatchLabels["team"] != "metrics" {
		t.Errorf("metrics are read by %+v", from)
	}
	const page = "{networkPolicy: {create: true, dashboardFrom: [{podSelector: {}}]}, dashboard: {enabled: true, service: {create: %t}}}"
	if in := networkPolicy(t, fmt.Sprintf(page, true)).Spec.Ingress; len(in) != 3 || ports(in[1].Ports) != "dashboard" || len(in[1].From) != 1 {
		t.Errorf("with a Service of the page %+v is let in", in)
	}
	if in := networkPolicy(t, fmt.Sprintf(page, false)).Spec.Ingress; len(in) != 2 {
		t.Errorf("for kubectl port-forward, which needs nothing, %+v is let in", in)
	}
	if in := networkPolicy(t, "{metrics: {enabled: false}, networkPolicy: {create: true}}").Spec.Ingress; ports(in[0].Ports) != "health" || len(in) != 1 {
		t.Errorf("without metrics %+v is let in", in)
	}
}

func ports(rules ...[]networkingv1.NetworkPolicyPort) string {
	var out []string
	for _, rule := range rules {
		for _, p := range rule {
			out = append(out, p.Port.String())
		}
	}
	return strings.Join(out, " ")
}

// TestTestPod: the pod of helm test is a hook, runs what the operator's pod runs, and is not taken for one of its.
func TestTestPod(t *testing.T) {
	const values = "{image: {repository: r, tag: t}, tolerations: [{key: k, operator: Exists}], imagePullSecrets: [{name: s}]}"
	objects, _ := release{"x", "mail", values}.all(t)
	pod := &corev1.Pod{}
	into(t, objects["Pod x-dane-operator-test"], pod)
	d := deployment(t, objects, "x-dane-operator")
	like := d.Spec.Template.Spec
	if pod.Annotations["helm.sh/hook"] != "test" || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("the pod is no test: %v, %s", pod.Annotations, pod.Spec.RestartPolicy)
	}
	if got, want := pod.Spec.Containers[0], like.Containers[0]; got.Image != want.Image || !reflect.DeepEqual(got.SecurityContext, want.SecurityContext) ||
		pod.Spec.ServiceAccountName != like.ServiceAccountName || !reflect.DeepEqual(pod.Spec.Tolerations, like.Tolerations) ||
		!reflect.DeepEqual(pod.Spec.ImagePullSecrets, like.ImagePullSecrets) || !reflect.DeepEqual(pod.Spec.SecurityContext, like.SecurityContext) {
		t.Errorf("the test runs something else than the operator's pod: %+v", pod.Spec)
	}
	if selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err != nil || selector.Matches(labels.Set(pod.Labels)) {
		t.Errorf("the Deployment takes the pod for one of its (%v)", err)
	}
	objects, _ = release{"x", "mail", "test: {create: false}"}.all(t)
	if objects["Pod x-dane-operator-test"] != nil {
		t.Error("a test is made although nobody wants it")
	}
}
