package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// into reads a rendered object as its type; fields that the type does not have are an error.
func into(t *testing.T, o *unstructured.Unstructured, object any) {
	t.Helper()
	if o == nil {
		t.Fatalf("no %T is made", object)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, object, true); err != nil {
		t.Fatal(err)
	}
}

func deployment(t *testing.T, objects map[string]*unstructured.Unstructured, name string) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	into(t, objects["Deployment "+name], d)
	return d
}

// TestValuesBecomeFlags sets one value at a time and looks at the container's arguments.
func TestValuesBecomeFlags(t *testing.T) {
	always, metrics := "--leader-elect", "--metrics-bind-address=:8080"
	for _, row := range []struct {
		values, reason string
		want           []string
	}{
		{"", "what config/manager says", []string{always, metrics}},
		{"metrics: {enabled: false}", "the operator serves none by default", []string{always}},
		{"metrics: {port: 9090}", "the port follows", []string{always, "--metrics-bind-address=:9090"}},
		{"metrics: {secure: true}", "for those alone who may", []string{always, metrics, "--metrics-secure"}},
		{"metrics: {enabled: false, secure: true}", "there is nothing to protect", []string{always}},
		{"dashboard: {enabled: true}", "what config/dashboard says", []string{always, metrics, "--dashboard-address=127.0.0.1:8082"}},
		{"dashboard: {enabled: true, port: 9443, certificateSecret: page, service: {create: true}}", "every address, with a certificate",
			[]string{always, metrics, "--dashboard-address=:9443", "--dashboard-cert-dir=/etc/dane-operator-dashboard"}},
		{"dashboard: {certificateSecret: page, service: {create: true}}", "there is no page", []string{always, metrics}},
		{"namespaces: [mail, '12']", "a flag each", []string{always, metrics, "--namespace=mail", "--namespace=12"}},
		{"selector: 'mail.dane-operator.io/shard in (a, b), !old'", "commas and blanks are of one flag",
			[]string{always, metrics, "--selector=mail.dane-operator.io/shard in (a, b), !old"}},
		{"resolvers: ['[::1]:53']", "brackets are not a YAML list", []string{always, metrics, "--resolvers=[::1]:53"}},
		{"probe: {allowCIDRs: ['fd00::/8'], heloName: mx.example}", "colons are not a YAML map",
			[]string{always, metrics, "--probe-allow-cidr=fd00::/8", "--probe-helo-name=mx.example"}},
		{"{queriesPerServer: 0, workers: 4}", "0 is a value: no limit", []string{always, metrics, "--queries-per-server=0", "--workers=4"}},
		{"queriesPerServer: 2000000", "large numbers are written out", []string{always, metrics, "--queries-per-server=2000000"}},
		{"{queriesPerServer: 500, workers: 16}", "what the operator does by default", []string{always, metrics}},
		{"log: {level: 2, format: console}", "what differs from the defaults", []string{always, metrics, "--v=2", "--log-format=console"}},
		{"extraArgs: ['--workers=3', '--x=a: b #c']", "whatever else, unchanged", []string{always, metrics, "--workers=3", "--x=a: b #c"}},
		{"trustAnchors: example. IN DS 1 13 2 00", "the file is named", []string{always, metrics, "--trust-anchors=/etc/dane-operator/anchors.ds"}},
	} {
		t.Run(row.values, func(t *testing.T) {
			objects, _ := release{name: "dane-operator", namespace: "mail", values: row.values}.manifests(t)
			got := deployment(t, objects, "dane-operator").Spec.Template.Spec.Containers[0].Args
			if !slices.Equal(got, row.want) {
				t.Errorf("%s: got %q, want %q", row.reason, got, row.want)
			}
		})
	}
}

// TestTrustAnchorsAreMounted follows the DS records from the value to the file that the flag names.
func TestTrustAnchorsAreMounted(t *testing.T) {
	make1 := func(anchors string) (*appsv1.Deployment, *corev1.ConfigMap) {
		objects, _ := release{"dane-operator", "mail", "trustAnchors: |\n  " + anchors}.manifests(t)
		c := &corev1.ConfigMap{}
		into(t, objects["ConfigMap dane-operator-trust-anchors"], c)
		return deployment(t, objects, "dane-operator"), c
	}
	d, c := make1("example. IN DS 1 13 2 00\n  example.org. IN DS 2 13 2 01\n")
	if got, want := c.Data["anchors.ds"], "example. IN DS 1 13 2 00\nexample.org. IN DS 2 13 2 01\n"; got != want {
		t.Errorf("anchors.ds is %q, want %q", got, want)
	}
	pod := d.Spec.Template.Spec
	mounts := pod.Containers[0].VolumeMounts
	if len(mounts) != 1 || len(pod.Volumes) != 1 || mounts[0].Name != pod.Volumes[0].Name ||
		mounts[0].MountPath != "/etc/dane-operator" || pod.Volumes[0].ConfigMap.Name != c.Name {
		t.Errorf("the file is not where the flag says: %+v %+v", mounts, pod.Volumes)
	}
	// The operator reads the file again: a change makes no new pod, and gets to the mount of a whole folder alone.
	changed, _ := make1("example. IN DS 1 13 2 FF\n")
	if mounts[0].SubPath != "" || !reflect.DeepEqual(d.Spec.Template, changed.Spec.Template) {
		t.Errorf("other anchors make a new pod, or do not get there: %+v, %+v", d.Spec.Template, changed.Spec.Template)
	}
}

// TestPodValues sets everything that the pod takes over, and compares it field by field.
func TestPodValues(t *testing.T) {
	objects, _ := release{"x", "mail", `
replicas: 2
image: {repository: registry.example/dane-operator, tag: v1, digest: "sha256:` + strings.Repeat("0a", 32) + `", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
podAnnotations: {a: "1"}
podLabels: {team: mail, app.kubernetes.io/name: mine}
priorityClassName: system-cluster-critical
nodeSelector: {disk: "true"}
tolerations: [{key: k, operator: Exists, effect: NoSchedule}]
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {a: b}}}]}}
resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 1Gi, ephemeral-storage: 5M}}
`}.manifests(t)
	d := deployment(t, objects, "x-dane-operator")
	pod, container := d.Spec.Template, d.Spec.Template.Spec.Containers[0]
	away := &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
	}}}}
	for what, of := range map[string][2]any{
		"replicas":      {*d.Spec.Replicas, int32(2)},
		"image":         {container.Image, "registry.example/dane-operator@sha256:" + strings.Repeat("0a", 32)},
		"pull policy":   {container.ImagePullPolicy, corev1.PullAlways},
		"pull secrets":  {pod.Spec.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "registry"}}},
		"annotations":   {pod.Annotations, map[string]string{"a": "1"}},
		"labels":        {pod.Labels, map[string]string{"team": "mail", "app.kubernetes.io/name": "dane-operator", "app.kubernetes.io/instance": "x"}},
		"selector":      {d.Spec.Selector.MatchLabels, map[string]string{"app.kubernetes.io/name": "dane-operator", "app.kubernetes.io/instance": "x"}},
		"priority":      {pod.Spec.PriorityClassName, "system-cluster-critical"},
		"node selector": {pod.Spec.NodeSelector, map[string]string{"disk": "true"}},
		"tolerations":   {pod.Spec.Tolerations, []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}},
		"affinity":      {pod.Spec.Affinity, away},
		"requests":      {amounts(container.Resources.Requests), map[string]string{"cpu": "10m", "memory": "32Mi"}},
		"limits":        {amounts(container.Resources.Limits), map[string]string{"memory": "1Gi", "ephemeral-storage": "5M"}},
	} {
		if !reflect.DeepEqual(of[0], of[1]) {
			t.Errorf("%s: the pod has %+v, want %+v", what, of[0], of[1])
		}
	}
}

// amounts are those of resources, as they are written.
func amounts(of corev1.ResourceList) map[string]string {
	out := map[string]string{}
	for name, amount := range of {
		out[string(name)] = amount.String()
	}
	return out
}

// TestImage: a digest comes before a tag, and a tag before the version of the chart.
func TestImage(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for values, want := range map[string]string{
		"":                                  "dane-operator:" + loadChart(t).Metadata.AppVersion,
		"image: {repository: r, tag: t}":    "r:t",
		"image: {digest: '" + digest + "'}": "dane-operator@" + digest,
		"image: {tag: t, digest: '" + digest + "'}": "dane-operator@" + digest,
	} {
		objects, _ := release{"dane-operator", "mail", values}.all(t)
		tested := &corev1.Pod{}
		into(t, objects["Pod dane-operator-test"], tested)
		for what, got := range map[string]string{
			"operator":  deployment(t, objects, "dane-operator").Spec.Template.Spec.Containers[0].Image,
			"helm test": tested.Spec.Containers[0].Image,
		} {
			if got != want {
				t.Errorf("%q: the image of the %s is %s, want %s", values, what, got, want)
			}
		}
	}
}

// TestParts switches off what a cluster may bring by itself.
func TestParts(t *testing.T) {
	kinds := func(values string) (out []string, notes string) {
		objects, notes := release{"dane-operator", "mail", values}.manifests(t)
		for _, o := range objects {
			out = append(out, o.GetKind())
		}
		slices.Sort(out)
		return out, notes
	}
	for _, row := range []struct {
		values, reason string
		want           []string
	}{
		{"rbac: {create: false}", "rights are given otherwise",
			[]string{"Deployment", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}},
		{"gatePolicy: {create: false}", "another policy does it",
			[]string{"ClusterRole", "ClusterRoleBinding", "Deployment", "Role", "RoleBinding", "ServiceAccount"}},
		{"{serviceAccount: {create: false, name: mine}, rbac: {create: false}, gatePolicy: {create: false}}", "nothing but the operator",
			[]string{"Deployment"}},
	} {
		got, notes := kinds(row.values)
		if !slices.Equal(got, row.want) {
			t.Errorf("%s (%s): got %v, want %v", row.values, row.reason, got, row.want)
		}
		if warned := strings.Contains(notes, "gate policy is off"); warned != strings.Contains(row.values, "gatePolicy") {
			t.Errorf("%s: the notes say\n%s", row.values, notes)
		}
	}
	_, err := release{"x", "y", "serviceAccount: {create: false}"}.render(t)
	if err == nil || !strings.Contains(err.Error(), "set serviceAccount.name") {
		t.Errorf("an account that is neither made nor named: %v", err)
	}
}

// TestNotesSayWhatIsNext: the commands in NOTES.txt are those of this release, and each choice that leaves something to do
// or to know is told, and only where it was made.
func TestNotesSayWhatIsNext(t *testing.T) {
	const keep = "and the DNS records stay when the release is uninstalled"
	warnings := map[string]string{
		"gatePolicy: {create: false}": "Set gatePolicy.create=true unless a policy of your own does the same",
		"rbac: {secrets: Read}":       "MailDomains need strategy Follow, or Gate with standbyKey Disabled",
		"rbac: {approve: false}":      "MailDomains need strategy Stage or Follow",
		"crds: {keep: false}":         "Delete the\nMailDomains before, while the operator runs",
		"crds: {enabled: false}":      "before an upgrade, bring the CRDs up to date yourself (config/crd)",
		"dashboard: {enabled: true}":  "Bind who is to see it to the ClusterRole mta-dane-operator-dashboard-reader",
	}
	for _, values := range append(slices.Sorted(maps.Keys(warnings)), "") {
		objects, notes := release{"mta", "mail", values}.manifests(t)
		for _, want := range []string{"kubectl -n mail rollout status deployment/mta-dane-operator\n", "kubectl get md --all-namespaces\n", "a DNSZone", "a MailDomain"} {
			if !strings.Contains(notes, want) {
				t.Errorf("%q: NOTES.txt does not say %q:\n%s", values, want, notes)
			}
		}
		for of, says := range warnings {
			if strings.Contains(notes, says) != (of == values) {
				t.Errorf("%q: NOTES.txt says %q: %t\n%s", values, says, of != values, notes)
			}
		}
		if strings.Contains(notes, keep) != (values != "crds: {keep: false}") {
			t.Errorf("%q: of what stays NOTES.txt says\n%s", values, notes)
		}
		if objects["Deployment mta-dane-operator"] == nil {
			t.Errorf("%q: the notes name a Deployment that is not made", values)
		}
	}
	for _, dir := range []string{"samples", "crd"} { // that it names
		if _, err := os.Stat(filepath.Join(configDir, dir)); err != nil {
			t.Error(err)
		}
	}
}

// TestNamesFollowTheRelease renders releases of several names: every reference has to follow.
func TestNamesFollowTheRelease(t *testing.T) {
	long := strings.Repeat("r", 53) // the longest that Helm takes
	for _, row := range []struct {
		release
		name, account, reason string
	}{
		{release{"dane-operator", "mail", ""}, "dane-operator", "dane-operator", "the chart's own name is not repeated"},
		{release{"mta", "mail", ""}, "mta-dane-operator", "mta-dane-operator", "otherwise both"},
		{release{"mta", "123", "fullnameOverride: d"}, "d", "d", "a namespace of digits stays a string"},
		{release{"mta", "mail", "serviceAccount: {name: '1'}"}, "mta-dane-operator", "1", "an account of its own name"},
		{release{"mta", "mail", "serviceAccount: {name: given, create: false}"}, "mta-dane-operator", "given", "an account that is there"},
		{release{long, "mail", ""}, long[:32] + "-dane-operator", long[:32] + "-dane-operator", "names stay under 63 characters"},
	} {
		t.Run(row.reason, func(t *testing.T) { checkNames(t, row.release, row.name, row.account) })
	}
}

func checkNames(t *testing.T, r release, name, account string) {
	objects, _ := r.manifests(t)
	if got := deployment(t, objects, name).Spec.Template.Spec.ServiceAccountName; got != account {
		t.Errorf("the pod runs as %q, want %q", got, account)
	}
	for _, o := range objects {
		if !strings.HasPrefix(o.GetName(), name) && o.GetKind() != "ServiceAccount" {
			t.Errorf("%s is called %s", o.GetKind(), o.GetName())
		}
		if ns := o.GetNamespace(); ns != "" && ns != r.namespace {
			t.Errorf("%s %s is in %s", o.GetKind(), o.GetName(), ns)
		}
		if len(o.GetName()) > 63 || o.GetLabels()["app.kubernetes.io/instance"] != r.name {
			t.Errorf("%s: name %s, labels %v", o.GetKind(), o.GetName(), o.GetLabels())
		}
		all := text(t, o)
		if strings.Contains(all, "dane-operator-system") {
			t.Errorf("%s %s names the namespace of config/:\n%s", o.GetKind(), o.GetName(), all)
		}
	}
	for _, binding := range []string{"ClusterRoleBinding " + name, "RoleBinding " + name + "-leader-election"} {
		subjects, _, err := unstructured.NestedSlice(objects[binding].Object, "subjects")
		if err != nil || len(subjects) != 1 {
			t.Fatalf("%s: %v %v", binding, subjects, err)
		}
		subject := subjects[0].(map[string]any)
		if subject["name"] != account || subject["namespace"] != r.namespace {
			t.Errorf("%s gives the rights to %v", binding, subject)
		}
		kind, _, _ := strings.Cut(binding, "Binding")
		role, _, err := unstructured.NestedString(objects[binding].Object, "roleRef", "name")
		if err != nil || objects[kind+" "+role] == nil {
			t.Errorf("%s gives the rights of %s %s, which is not made (%v)", binding, kind, role, err)
		}
	}
	policy := text(t, objects["ValidatingAdmissionPolicy "+name+"-gate"])
	if want := "'system:serviceaccount:" + r.namespace + ":" + account + "'"; !strings.Contains(policy, want) {
		t.Errorf("the policy does not let %s approve:\n%s", want, policy)
	}
}
