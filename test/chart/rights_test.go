package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dane-operator/dane-operator/test/kube"
)

// rightsOf are the rights that a ClusterRole gives, as "verb resource.group".
func rightsOf(t *testing.T, objects map[string]*unstructured.Unstructured, name string) map[string]bool {
	t.Helper()
	role := &rbacv1.ClusterRole{}
	into(t, objects["ClusterRole "+name], role)
	out := map[string]bool{}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out[verb+" "+schema.GroupResource{Group: group, Resource: resource}.String()] = true
				}
			}
		}
	}
	return out
}

// TestRightsFollowTheValues: each value takes away the rights that it says, and no others.
func TestRightsFollowTheValues(t *testing.T) {
	all := rightsOf(t, fromConfig(t, "default"), "dane-operator")
	for _, row := range []struct {
		values, reason string
		less           []string
	}{
		{"", "all that config/ gives", nil},
		{"rbac: {secrets: Read}", "Secrets are read only", []string{"create secrets", "update secrets"}},
		{"rbac: {approve: false}", "another approver decides", []string{"approve signers.cert-manager.io"}},
		{"{namespaces: [mail], rbac: {scope: Namespaced}}", "where they hold is no matter of the rules", nil},
	} {
		objects, _ := release{"dane-operator", "mail", row.values}.manifests(t)
		got, want := rightsOf(t, objects, "dane-operator"), maps.Clone(all)
		for _, right := range row.less {
			if !want[right] {
				t.Errorf("%s: config/ has no right %q to take away", row.reason, right)
			}
			delete(want, right)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", row.reason, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// TestRightsInNamespaces: with scope Namespaced a binding stands in each namespace that is watched, and what is bound
// in the cluster is what is about no namespace.
func TestRightsInNamespaces(t *testing.T) {
	objects, _ := release{"mta", "ops", "{namespaces: [mail, '12'], rbac: {scope: Namespaced}}"}.manifests(t)
	var bindings []string
	for key := range objects {
		if strings.Contains(key, "Binding mta") && !strings.HasPrefix(key, "Validating") {
			bindings = append(bindings, key)
		}
	}
	slices.Sort(bindings)
	want := []string{
		"ClusterRoleBinding mta-dane-operator-cluster", "RoleBinding mta-dane-operator in 12",
		"RoleBinding mta-dane-operator in mail", "RoleBinding mta-dane-operator-leader-election",
	}
	if !slices.Equal(bindings, want) {
		t.Fatalf("bound is %q, want %q", bindings, want)
	}
	for key, role := range map[string]string{want[0]: "mta-dane-operator-cluster", want[1]: "mta-dane-operator", want[2]: "mta-dane-operator"} {
		binding := &rbacv1.RoleBinding{} // of both kinds the fields are alike
		into(t, objects[key], binding)
		if binding.RoleRef.Kind != "ClusterRole" || binding.RoleRef.Name != role || len(binding.Subjects) != 1 ||
			binding.Subjects[0].Name != "mta-dane-operator" || binding.Subjects[0].Namespace != "ops" {
			t.Errorf("%s binds %+v to %+v", key, binding.RoleRef, binding.Subjects)
		}
	}
	got := slices.Sorted(maps.Keys(rightsOf(t, objects, "mta-dane-operator-cluster")))
	if want := []string{"approve signers.cert-manager.io", "get namespaces", "list namespaces", "watch namespaces"}; !slices.Equal(got, want) {
		t.Errorf("the whole cluster has %v, want %v", got, want)
	}
	_, err := release{"x", "y", "rbac: {scope: Namespaced}"}.render(t)
	if err == nil || !strings.Contains(err.Error(), "set namespaces") {
		t.Errorf("rights in no namespace: %v", err)
	}
}

// TestNamespacedRightsEndAtTheNamespace asks a real API server.
func TestNamespacedRightsEndAtTheNamespace(t *testing.T) {
	watched, other := cluster.Namespace(t.Context(), t), cluster.Namespace(t.Context(), t)
	r := release{"mta", restricted(t), "{namespaces: [" + watched + "], rbac: {scope: Namespaced}}"}
	install(t, r)
	user := kube.ServiceAccount(r.namespace, "mta-dane-operator")
	for right := range rightsOf(t, fromConfig(t, "default"), "dane-operator") {
		verb, of, _ := strings.Cut(right, " ")
		resource := schema.ParseGroupResource(of)
		waitAllowed(t, user, watched, verb, resource)
		everywhere := resource.Resource == "namespaces" || resource.Resource == "signers"
		for _, namespace := range []string{other, r.namespace, ""} {
			if got := allowed(t, user, namespace, verb, resource); got != everywhere {
				t.Errorf("%s may %s in the namespace %q: %v", user, right, namespace, got)
			}
		}
	}
}
