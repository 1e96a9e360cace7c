package plugin

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// accountInGate finds the accounts that a gate policy lets pass.
var accountInGate = regexp.MustCompile(`system:serviceaccount:[a-z0-9.-]+:[a-z0-9.-]+`)

// gate is a policy that heeds the annotation of the gate.
type gate struct {
	name string
	// accounts are those that it lets pass: the operators', sorted.
	accounts []string
	// bound says whether a binding has it refuse anything, and namespaces where it does; everywhere without any.
	bound      bool
	namespaces []string
}

// holdsIn says whether requests of a namespace are gated by it.
func (g gate) holdsIn(namespace string) bool {
	return g.bound && (len(g.namespaces) == 0 || slices.Contains(g.namespaces, namespace))
}

// gates are the policies of the gate, sorted by name.
func gates(ctx context.Context, c client.Client) ([]gate, error) {
	var policies admissionv1.ValidatingAdmissionPolicyList
	if err := c.List(ctx, &policies); err != nil {
		return nil, err
	}
	out := map[string]gate{}
	for _, p := range policies.Items {
		text := ""
		for _, m := range p.Spec.MatchConditions {
			text += m.Expression + "\n"
		}
		if strings.Contains(text, v1alpha1.GateAnnotation) {
			accounts := accountInGate.FindAllString(text, -1)
			slices.Sort(accounts)
			out[p.Name] = gate{name: p.Name, accounts: slices.Compact(accounts)}
		}
	}
	var bindings admissionv1.ValidatingAdmissionPolicyBindingList
	if err := c.List(ctx, &bindings); err != nil {
		return nil, err
	}
	for _, b := range bindings.Items {
		if g, ok := out[b.Spec.PolicyName]; ok && slices.Contains(b.Spec.ValidationActions, admissionv1.Deny) {
			g.bound, g.namespaces = true, boundTo(b.Spec.MatchResources)
			out[g.name] = g
		}
	}
	return slices.SortedFunc(maps.Values(out), func(a, b gate) int { return strings.Compare(a.name, b.name) }), nil
}

// boundTo are the namespaces that a binding names, as the chart and config/namespaced have them named.
func boundTo(of *admissionv1.MatchResources) []string {
	if of == nil || of.NamespaceSelector == nil {
		return nil
	}
	for _, e := range of.NamespaceSelector.MatchExpressions {
		if e.Key == corev1.LabelMetadataName && e.Operator == metav1.LabelSelectorOpIn {
			return e.Values
		}
	}
	return nil
}

func examineGate(ctx context.Context, c client.Client, _ time.Time) []finding {
	found, err := gates(ctx, c)
	if err != nil {
		return unread("the gate policy", err)
	}
	if len(found) == 0 {
		return []finding{{broken, "the gate policy", "no ValidatingAdmissionPolicy heeds " + v1alpha1.GateAnnotation + ": with strategy Gate anybody may approve a key too early; apply config/policy"}}
	}
	var out []finding
	for i, g := range found {
		if g.bound {
			out = append(out, g.told(found[:i]))
		}
	}
	if len(out) == 0 {
		return []finding{{broken, "the gate policy", "no ValidatingAdmissionPolicyBinding with the action Deny binds it; apply config/policy"}}
	}
	return append(out, ungated(ctx, c, found)...)
}

// told is what is said of a policy beside others, of which each refuses whoever is none of its own accounts.
func (g gate) told(others []gate) finding {
	what := "the gate policy " + g.name
	if len(g.namespaces) > 0 {
		what += " in " + strings.Join(g.namespaces, ", ")
	}
	for _, o := range others {
		if o.bound && !slices.Equal(o.accounts, g.accounts) && g.meets(o) {
			return finding{broken, what, fmt.Sprintf("it and the policy %s hold in one namespace, and each refuses the operator of the other: no request is ever approved there; "+
				"give each operator its namespaces (Helm: namespaces; config/namespaced), or have one policy for all (Helm: gatePolicy.operators)", o.name)}
		}
	}
	return finding{fine, what, ""}
}

// meets says whether both hold in some namespace.
func (g gate) meets(o gate) bool {
	return len(g.namespaces) == 0 || len(o.namespaces) == 0 || slices.ContainsFunc(g.namespaces, o.holdsIn)
}

// ungated tells of the MailDomains with strategy Gate where no policy holds.
func ungated(ctx context.Context, c client.Client, all []gate) []finding {
	var list v1alpha1.MailDomainList
	if err := c.List(ctx, &list); err != nil {
		return nil // said by examineDomains
	}
	bare := map[string]bool{}
	for _, md := range list.Items {
		held := slices.ContainsFunc(all, func(g gate) bool { return g.holdsIn(md.Namespace) })
		if md.Spec.Rollover.Strategy == v1alpha1.StrategyGate && !held {
			bare[md.Namespace] = true
		}
	}
	var out []finding
	for _, namespace := range slices.Sorted(maps.Keys(bare)) {
		out = append(out, finding{broken, "the gate in namespace " + namespace, "no gate policy holds there, and its MailDomains have strategy Gate: anybody may approve a key too early; " +
			"add the namespace where the operator watches it (Helm: namespaces; config/namespaced)"})
	}
	return out
}

// needed are rights without which a rollover stands still.
var needed = []authorizationv1.ResourceAttributes{
	{Verb: "approve", Group: "cert-manager.io", Resource: "signers"},
	{Verb: "update", Group: "cert-manager.io", Resource: "certificaterequests", Subresource: "status"},
	{Verb: "patch", Group: "cert-manager.io", Resource: "certificates"},
	{Verb: "get", Resource: "secrets"},
	{Verb: "update", Resource: "secrets"},
	{Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "maildomains", Subresource: "status"},
}

// examineRights asks for those of the accounts that each gate policy lets pass, where the policy holds.
func examineRights(ctx context.Context, c client.Client, _ time.Time) []finding {
	found, err := gates(ctx, c)
	if err != nil || len(found) == 0 {
		return nil // said before
	}
	var out []finding
	for _, g := range found {
		for _, account := range g.accounts {
			out = append(out, g.rightsOf(ctx, c, account))
		}
	}
	return out
}

// rightsOf is what is said of the rights of an account that the policy lets pass.
func (g gate) rightsOf(ctx context.Context, c client.Client, account string) finding {
	what := "the rights of " + account
	switch missing, err := missingRights(ctx, c, g, account); {
	case err != nil:
		return unread(what, err)[0]
	case len(missing) > 0:
		return finding{broken, what, "it may not " + strings.Join(missing, ", ") + ": apply config/rbac"}
	}
	return finding{fine, what, ""}
}

// missingRights are those that an account does not have in all namespaces where its policy holds.
func missingRights(ctx context.Context, c client.Client, g gate, account string) ([]string, error) {
	var missing []string
	for _, right := range needed {
		in := g.namespaces
		if len(in) == 0 || right.Resource == "signers" { // signers are asked for cluster-wide
			in = []string{""}
		}
		for _, right.Namespace = range in {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: account, ResourceAttributes: &right}}
			if err := c.Create(ctx, review); err != nil {
				return nil, err
			}
			if !review.Status.Allowed {
				what := strings.TrimSuffix(right.Verb+" "+right.Resource+"/"+right.Subresource, "/")
				if right.Namespace != "" {
					what += " in " + right.Namespace
				}
				missing = append(missing, what)
			}
		}
	}
	return missing, nil
}
