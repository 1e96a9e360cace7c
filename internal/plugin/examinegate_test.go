package plugin

import (
	"context"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// gateOf is a gate policy for the operator of a namespace, bound in some namespaces, or everywhere.
func gateOf(name, account string, in ...string) []client.Object {
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	policy.Spec.MatchConditions = []admissionv1.MatchCondition{
		{Name: "gated", Expression: "'" + v1alpha1.GateAnnotation + "' in oldObject.metadata.annotations"},
		{Name: "not-the-operator", Expression: "request.userInfo.username != 'system:serviceaccount:" + account + ":dane-operator'"},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	binding.Spec.PolicyName, binding.Spec.ValidationActions = name, []admissionv1.ValidationAction{admissionv1.Deny}
	if len(in) > 0 {
		here := metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: in}
		binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{here}}}
	}
	return []client.Object{policy, binding}
}

// TestGatesOfSeveralOperators: each operator's policy refuses all others, so two must not hold in one namespace; and where
// none holds, no request is held.
func TestGatesOfSeveralOperators(t *testing.T) {
	mail := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	mail.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	stage := mail.DeepCopy()
	stage.Name, stage.Namespace, stage.Spec.Rollover.Strategy = "stage", "shop", v1alpha1.StrategyStage
	for _, c := range []struct {
		reason  string
		objects [][]client.Object
		want    []string // a state and a word each
	}{
		{"one operator for all", [][]client.Object{gateOf("a", "one")}, []string{"ok a"}},
		{"two operators, each with its namespaces", [][]client.Object{gateOf("a", "one", "mail"), gateOf("b", "two", "shop", "dns")}, []string{"ok in mail", "ok in shop, dns"}},
		{"two operators for all", [][]client.Object{gateOf("a", "one"), gateOf("b", "two")}, []string{"ok a", "FAILED refuses the operator of the other"}},
		{"one for all beside one with a namespace", [][]client.Object{gateOf("a", "one"), gateOf("b", "two", "mail")}, []string{"ok a", "FAILED in mail"}},
		{"two with a namespace in common", [][]client.Object{gateOf("a", "one", "mail", "dns"), gateOf("b", "two", "dns")}, []string{"ok in mail, dns", "FAILED in dns"}},
		{"a policy of one's own for the same account", [][]client.Object{gateOf("a", "one"), gateOf("b", "one")}, []string{"ok a", "ok b"}},
		{"a namespace without a gate", [][]client.Object{gateOf("a", "one", "dns")}, []string{"ok in dns", "FAILED the gate in namespace mail"}},
		{"a policy that nothing binds", [][]client.Object{gateOf("a", "one")[:1]}, []string{"FAILED no ValidatingAdmissionPolicyBinding"}},
		{"no policy", nil, []string{"FAILED no ValidatingAdmissionPolicy heeds"}},
	} {
		k := clusterWith(t, append([][]client.Object{{mail, stage}}, c.objects...)...)
		found := examineGate(t.Context(), k, time.Now())
		for i, want := range c.want {
			state, says, _ := strings.Cut(want, " ")
			if i >= len(found) || string(found[i].state) != state || !strings.Contains(found[i].what+": "+found[i].advice, says) {
				t.Errorf("%s: wanted %q at %d of %+v", c.reason, want, i, found)
			}
		}
		if len(found) != len(c.want) {
			t.Errorf("%s: %+v", c.reason, found)
		}
	}
}

// TestRightsWhereTheGateHolds: an operator with rights in its namespaces alone is not called broken for want of others.
func TestRightsWhereTheGateHolds(t *testing.T) {
	has := func(of *authorizationv1.ResourceAttributes) bool {
		return of.Resource == "signers" || of.Namespace == "mail"
	}
	for _, c := range []struct {
		reason string
		gate   []client.Object
		want   health
		says   string
	}{
		{"its rights are those that it needs", gateOf("a", "one", "mail"), fine, ""},
		{"it lacks those of another namespace", gateOf("a", "one", "mail", "dns"), broken, "get secrets in dns"},
		{"it should work everywhere", gateOf("a", "one"), broken, "get secrets,"},
	} {
		asked := interceptor.NewClient(clusterWith(t, c.gate), interceptor.Funcs{
			Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
				review := o.(*authorizationv1.SubjectAccessReview)
				review.Status.Allowed = has(review.Spec.ResourceAttributes)
				return nil
			},
		})
		found := examineRights(t.Context(), asked, time.Now())
		if len(found) != 1 || found[0].state != c.want || !strings.Contains(found[0].advice, c.says) {
			t.Errorf("%s: %+v", c.reason, found)
		}
	}
}

func clusterWith(t *testing.T, objects ...[]client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for _, list := range objects {
		b.WithObjects(list...)
	}
	return b.Build()
}
