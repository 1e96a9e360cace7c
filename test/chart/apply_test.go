package chart

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
)

var cluster *kube.Cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	cluster, err = kube.Start(context.Background(), kube.Options{Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = cluster.Stop() }()
	return m.Run()
}

// restricted makes a namespace that takes no pod but those of the restricted Pod Security standard.
func restricted(t *testing.T) string {
	t.Helper()
	namespace := cluster.Namespace(t.Context(), t)
	err := cluster.Apply(t.Context(), fmt.Sprintf(
		"{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted}}}", namespace))
	if err != nil {
		t.Fatal(err)
	}
	return namespace
}

// install applies a release as Helm would, the account first, and returns its objects.
func install(t *testing.T, r release) map[string]*unstructured.Unstructured {
	t.Helper()
	objects, _ := r.manifests(t)
	return apply(t, objects)
}

// apply applies objects for as long as the test runs.
func apply(t *testing.T, objects map[string]*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	t.Helper()
	for key, o := range objects {
		if err := cluster.ApplyObject(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	t.Cleanup(func() {
		for key, o := range objects {
			if err := cluster.Client.Delete(context.Background(), o); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
	})
	return objects
}

// TestChartApplies applies releases to a real API server, which refuses fields it does not know, and
// sends the Deployment's pod through Pod Security admission.
func TestChartApplies(t *testing.T) {
	for _, row := range []struct{ name, values, reason string }{
		{"dane-operator", "", "the defaults"},
		{"mta", `
replicas: 2
namespaces: [mail]
trustAnchors: example. IN DS 1 13 2 00
resolvers: ['[2001:db8::53]:53']
queriesPerServer: 0
workers: 4
probe: {allowCIDRs: [10.0.0.0/8], heloName: mx.example}
metrics: {enabled: false}
podAnnotations: {a: b}
podLabels: {a: b}
nodeSelector: {a: b}
tolerations: [{key: k, operator: Exists}]
imagePullSecrets: [{name: registry}]
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
extraEnv: [{name: GOGC, value: "50"}]
extraVolumes: [{name: ca, configMap: {name: own-ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ssl/certs}]
topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}]
networkPolicy: {create: true, metricsFrom: [{namespaceSelector: {}}], extraEgress: [{ports: [{port: 5353}]}]}
rbac: {secrets: Read, approve: false}
`, "every part of the templates"},
	} {
		t.Run(row.reason, func(t *testing.T) {
			r := release{row.name, restricted(t), row.values}
			objects := install(t, r)
			name := "dane-operator"
			if r.name != name {
				name = r.name + "-" + name
			}
			d := deployment(t, objects, name)
			all, _ := r.all(t)
			if err := cluster.Client.Create(t.Context(), all["Pod "+name+"-test"], client.DryRunAll); err != nil {
				t.Errorf("the pod of helm test is refused: %v", err)
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: r.namespace, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec}
			if err := cluster.Client.Create(t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
				t.Errorf("the restricted Pod Security standard refuses the pod: %v", err)
			}
			pod.Spec.Containers[0].SecurityContext.Capabilities.Drop = nil
			if err := cluster.Client.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
				t.Errorf("the namespace restricts nothing: %v", err)
			}
		})
	}
}

// approveAs has a user approve a request, and takes it back.
func approveAs(t *testing.T, request *unstructured.Unstructured, user string) error {
	t.Helper()
	as, err := cluster.AddUser(user, "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(as.Config, client.Options{Scheme: kube.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	o := request.DeepCopy()
	conditions := []any{map[string]any{"type": "Approved", "status": "True", "reason": "Test", "message": "m"}}
	if err := unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	return c.Status().Update(t.Context(), o, &client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{DryRun: []string{metav1.DryRunAll}}})
}

// TestTwoReleasesWithNamespacesOfTheirOwn: each release's operator may approve the requests of its namespaces, and nobody
// else may; the policy of the other release is in no way of it.
func TestTwoReleasesWithNamespacesOfTheirOwn(t *testing.T) {
	own := map[string]string{} // the account by the namespace of its requests
	requests := map[string]*unstructured.Unstructured{}
	for _, name := range []string{"one", "two"} {
		r, watched := release{name: name, namespace: restricted(t)}, cluster.Namespace(t.Context(), t)
		r.values = "namespaces: [" + watched + "]"
		install(t, r)
		own[watched] = kube.ServiceAccount(r.namespace, name+"-dane-operator")
		requests[watched] = gatedRequest(t, watched)
	}
	for watched, request := range requests {
		err := cluster.WaitFor(t.Context(), request.DeepCopy(), time.Minute, func() string {
			for of, user := range own {
				switch err := approveAs(t, request, user); {
				case of == watched && err != nil:
					return user + " to be let pass: " + err.Error()
				case of != watched && err == nil:
					return user + " to be refused"
				}
			}
			if err := approveAs(t, request, kube.ServiceAccount("cert-manager", "cert-manager")); err == nil {
				return "cert-manager to be refused"
			}
			return ""
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestOnePolicyForSeveralOperators: the release that makes the policy lets the accounts of the others approve, which make
// none, and nobody else.
func TestOnePolicyForSeveralOperators(t *testing.T) {
	b := release{"b", restricted(t), "{selector: 'shard=b', gatePolicy: {create: false}, crds: {enabled: false}}"}
	a := release{"a", restricted(t), "{selector: 'shard=a', gatePolicy: {operators: [{namespace: " + b.namespace + ", name: b-dane-operator}]}}"}
	install(t, a)
	for key := range install(t, b) {
		if strings.HasPrefix(key, "ValidatingAdmissionPolicy") {
			t.Errorf("the second release has %s", key)
		}
	}
	request := gatedRequest(t, a.namespace)
	err := cluster.WaitFor(t.Context(), request.DeepCopy(), time.Minute, func() string {
		for user, pass := range map[string]bool{
			kube.ServiceAccount(a.namespace, "a-dane-operator"): true, kube.ServiceAccount(b.namespace, "b-dane-operator"): true,
			kube.ServiceAccount(a.namespace, "b-dane-operator"): false, kube.ServiceAccount("cert-manager", "cert-manager"): false,
		} {
			if err := approveAs(t, request, user); (err == nil) != pass {
				return fmt.Sprintf("%s to be let pass (%t): %v", user, pass, err)
			}
		}
		return ""
	})
	if err != nil {
		t.Error(err)
	}
}

// TestGatePolicyKnowsTheReleasesAccount installs a release whose account is not that of config/, and
// lets three users approve a gated request.
func TestGatePolicyKnowsTheReleasesAccount(t *testing.T) {
	r := release{"mta", restricted(t), "serviceAccount: {name: own}"}
	install(t, r)
	request := gatedRequest(t, r.namespace)
	approve := func(user string) error { return approveAs(t, request, user) }
	others := []string{
		kube.ServiceAccount("cert-manager", "cert-manager"),
		kube.ServiceAccount("dane-operator-system", "dane-operator"),
		kube.ServiceAccount(r.namespace, "mta-dane-operator"),
	}
	own := kube.ServiceAccount(r.namespace, "own")
	// The API server learns of a policy by a watch, and may know one of that name, of a release before, that knew
	// another account.
	err := cluster.WaitFor(t.Context(), request, time.Minute, func() string {
		if err := approve(others[0]); err == nil {
			return "the policy to refuse " + others[0]
		}
		if err := approve(own); err != nil {
			return "the policy to know " + own
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range others {
		if err := approve(user); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "gated by MailDomain example-com") {
			t.Errorf("%s approves: %v", user, err)
		}
	}
	if err := approve(own); err != nil {
		t.Errorf("the release's own account may not approve: %v", err)
	}
}

// gatedRequest makes a CertificateRequest as cert-manager makes it of a gated Certificate.
func gatedRequest(t *testing.T, namespace string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
		"metadata": map[string]any{
			"name": "r", "namespace": namespace,
			"annotations": map[string]any{"mail.dane-operator.io/gate": "example-com"},
		},
		"spec": map[string]any{
			"request":   base64.StdEncoding.EncodeToString([]byte("a signing request")),
			"issuerRef": map[string]any{"name": "ca", "kind": "Issuer", "group": "cert-manager.io"},
		},
	}}
	if err := cluster.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestTheReleasesAccountHasItsRights asks the API server itself what the account may do, for every
// rule of config/rbac and a few things that it must not.
func TestTheReleasesAccountHasItsRights(t *testing.T) {
	r := release{"mta", restricted(t), "serviceAccount: {name: own}"}
	install(t, r)
	user := kube.ServiceAccount(r.namespace, "own")
	rules, _, err := unstructured.NestedSlice(fromConfig(t, "default")["ClusterRole dane-operator"].Object, "rules")
	if err != nil || len(rules) == 0 {
		t.Fatalf("config/rbac/role.yaml has the rules %v: %v", rules, err)
	}
	for _, rule := range rules {
		rule := rule.(map[string]any)
		for _, group := range rule["apiGroups"].([]any) {
			for _, resource := range rule["resources"].([]any) {
				for _, verb := range rule["verbs"].([]any) {
					waitAllowed(t, user, "mail", verb.(string), schema.GroupResource{Group: group.(string), Resource: resource.(string)})
				}
			}
		}
	}
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	waitAllowed(t, user, r.namespace, "update", leases)
	for _, row := range []struct {
		namespace, verb string
		of              schema.GroupResource
	}{
		{"mail", "update", leases},
		{"mail", "delete", schema.GroupResource{Resource: "secrets"}},
		{"mail", "create", schema.GroupResource{Resource: "pods"}},
	} {
		if allowed(t, user, row.namespace, row.verb, row.of) {
			t.Errorf("%s may %s %s in %s", user, row.verb, row.of, row.namespace)
		}
	}
}

// allowed asks with a SubjectAccessReview.
func allowed(t *testing.T, user, namespace, verb string, of schema.GroupResource) bool {
	t.Helper()
	resource, sub, _ := strings.Cut(of.Resource, "/")
	review := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
		"spec": map[string]any{"user": user, "groups": []any{"system:serviceaccounts"}, "resourceAttributes": map[string]any{
			"namespace": namespace, "verb": verb, "group": of.Group, "resource": resource, "subresource": sub,
		}},
	}}
	if err := cluster.Client.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	yes, _, err := unstructured.NestedBool(review.Object, "status", "allowed")
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// waitAllowed waits until the authorizer has seen the bindings, which it watches.
func waitAllowed(t *testing.T, user, namespace, verb string, of schema.GroupResource) {
	t.Helper()
	if of.Resource == "signers" {
		namespace = "" // signers are asked for cluster-wide
	}
	err := cluster.WaitFor(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, 15*time.Second, func() string {
		if allowed(t, user, namespace, verb, of) {
			return ""
		}
		return fmt.Sprintf("%s to be allowed to %s %s", user, verb, of)
	})
	if err != nil {
		t.Error(err)
	}
}
