package rights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dane-operator/dane-operator/test/kube"
)

// right is one verb on one resource.
type right struct {
	// namespace in which it holds; empty for all.
	namespace string
	group     string
	// resource has its subresource behind a slash.
	resource, verb string
}

func (r right) String() string {
	where := "everywhere"
	if r.namespace != "" {
		where = "in " + r.namespace
	}
	return fmt.Sprintf("%s %s of %q %s", r.verb, r.resource, r.group, where)
}

// covers says whether a right lets a request pass.
func (r right) covers(q kube.Request) bool {
	resource := q.Of.Resource
	if q.Of.Subresource != "" {
		resource += "/" + q.Of.Subresource
	}
	return r.group == q.Of.Group && r.resource == resource && r.verb == q.Verb && (r.namespace == "" || r.namespace == q.Of.Namespace)
}

// rendered are the rights that config/rbac gives, those that hold everywhere first.
func rendered(t *testing.T) []right {
	t.Helper()
	files, err := filepath.Glob("../../config/rbac/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("config/rbac has %v: %v", files, err)
	}
	var out []right
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := kube.Decode(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, o := range objects {
			if kind := o.GetKind(); kind != "ClusterRole" && kind != "Role" {
				continue
			}
			// Of both kinds the rules are alike.
			role := &rbacv1.ClusterRole{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role); err != nil {
				t.Fatal(err)
			}
			out = append(out, rightsOf(t, role)...)
		}
	}
	slices.SortStableFunc(out, func(a, b right) int { return strings.Compare(a.namespace, b.namespace) })
	return out
}

func rightsOf(t *testing.T, role *rbacv1.ClusterRole) []right {
	t.Helper()
	var out []right
	for _, rule := range role.Rules {
		if len(rule.NonResourceURLs)+len(rule.ResourceNames) > 0 || len(rule.APIGroups)*len(rule.Resources)*len(rule.Verbs) == 0 {
			t.Fatalf("%s has the rule %+v, which this test does not understand", role.Name, rule)
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if group == "*" || resource == "*" || verb == "*" {
						t.Errorf("%s has a rule for everything: %+v", role.Name, rule)
					}
					out = append(out, right{role.Namespace, group, resource, verb})
				}
			}
		}
	}
	return out
}

// elsewhere are rights that the API server never asks for. cert-manager's webhook, which does not run here, asks
// for this one when somebody approves a request: it counts as used when that was done.
var elsewhere = map[right]right{
	{group: "cert-manager.io", resource: "signers", verb: "approve"}: {group: "cert-manager.io", resource: "certificaterequests/status", verb: "update"},
}

// judge compares what was asked for with the rights: what was refused, and what nobody needs.
func judge(rights []right, asked []kube.Request) (refused, unused []string) {
	used := map[right]bool{}
	for _, q := range asked {
		if q.Answer.Code == 401 || q.Answer.Code == 403 {
			refused = append(refused, fmt.Sprintf("%s %s: %d", q.Verb, q.URI, q.Answer.Code))
			continue
		}
		if q.Of == nil {
			continue
		}
		if i := slices.IndexFunc(rights, func(r right) bool { return r.covers(q) }); i >= 0 {
			used[rights[i]] = true
		}
	}
	for _, r := range rights {
		by, asks := elsewhere[r]
		if !used[r] && (!asks || !used[by]) {
			unused = append(unused, r.String())
		}
	}
	slices.Sort(refused)
	return slices.Compact(refused), unused
}

// TestJudge: a refusal and a right that is of no use are told, and one that a wider right covers is of no use.
func TestJudge(t *testing.T) {
	request := func(verb, resource, namespace string, code int32) kube.Request {
		q := kube.Request{Verb: verb, URI: "/" + resource, Of: &kube.RequestObject{Resource: resource, Namespace: namespace}}
		q.Answer.Code = code
		return q
	}
	rights := []right{{"", "", "secrets", "get"}, {"own", "", "secrets", "get"}, {"own", "", "leases", "get"}}
	refused, unused := judge(rights, []kube.Request{
		request("get", "secrets", "own", 404), request("get", "leases", "other", 403), {Verb: "get", URI: "/apis"},
	})
	if !slices.Equal(refused, []string{"get /leases: 403"}) || len(unused) != 2 || !strings.Contains(unused[1], "leases") {
		t.Errorf("refused %v, unused %v", refused, unused)
	}
}
