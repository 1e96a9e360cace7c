package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/test/kube"
)

// TestOperatorsOfThePage renders the two releases whose values docs/configuration.md prints: each has its selector, there is
// one policy, and it lets both accounts approve.
func TestOperatorsOfThePage(t *testing.T) {
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	const namespace, key = "dane-operator-system", "mail.dane-operator.io/shard"
	policies := ""
	for name, selector := range map[string]string{"a": key + "=a", "b": key + "!=a"} {
		_, rest, found := strings.Cut(string(page), "    # "+name+".yaml")
		block, _, ended := strings.Cut(rest, "\n\n")
		_, values, ok := strings.Cut(block, "\n")
		if !found || !ended || !ok {
			t.Fatalf("the page has no values of %s: %q", name, block)
		}
		objects, _ := release{name, namespace, strings.ReplaceAll("\n"+values, "\n    ", "\n")}.manifests(t)
		if args := deployment(t, objects, name+"-dane-operator").Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--selector="+selector) {
			t.Errorf("%s runs with %q", name, args)
		}
		for id, o := range objects {
			if strings.HasPrefix(id, "ValidatingAdmissionPolicy ") {
				policies += text(t, o)
			}
		}
		if line := "    helm install " + name + " charts/dane-operator -n " + namespace; !strings.Contains(string(page), line) {
			t.Errorf("the page does not say %q", line)
		}
	}
	for _, name := range []string{"a", "b"} {
		if account := kube.ServiceAccount(namespace, name+"-dane-operator"); strings.Count(policies, account) != 1 {
			t.Errorf("%s is named %d times in the policies:\n%s", account, strings.Count(policies, account), policies)
		}
	}
}
