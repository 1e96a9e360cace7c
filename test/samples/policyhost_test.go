package samples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// routes are the kinds of docs/mail-records.md that lead to the policy of MTA-STS.
var routes = regexp.MustCompile("(?ms)^```\n(apiVersion: (?:networking|gateway[.]networking)[.]k8s[.]io/v1\n.*?)^```")

// gatewayAPI has the API server know HTTPRoute, by the definition that the Gateway API publishes.
func gatewayAPI(t *testing.T) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Apply(t.Context(), string(text)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}}
		crd.SetName("httproutes.gateway.networking.k8s.io")
		_ = cluster.Client.Delete(context.Background(), crd)
	})
}

// receiversService is the Service of config/reports.
func receiversService(t *testing.T) *corev1.Service {
	t.Helper()
	text, err := os.ReadFile("../../config/reports/service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := &corev1.Service{}
	if err := yaml.UnmarshalStrict(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWaysToThePolicyHost: the Ingress and the HTTPRoute of docs/mail-records.md are taken by an API server, strictly, and lead from the
// host and path of a policy to a port that the Service of the receiver has.
func TestWaysToThePolicyHost(t *testing.T) {
	page, err := os.ReadFile("../../docs/mail-records.md")
	if err != nil {
		t.Fatal(err)
	}
	gatewayAPI(t)
	service := receiversService(t)
	if err := cluster.EnsureNamespace(t.Context(), service.Namespace); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, block := range routes.FindAllSubmatch(page, -1) {
		objects, err := kube.Decode(string(block[1]))
		if err != nil || len(objects) != 1 {
			t.Fatalf("%d objects: %v", len(objects), err)
		}
		o := objects[0]
		kinds = append(kinds, o.GetKind())
		servers.Eventually(t, "the API server takes the "+o.GetKind(), func() error { // it learns of a new kind in a moment
			return cluster.Client.Create(t.Context(), o.DeepCopy(), client.DryRunAll, client.FieldValidation("Strict"))
		})
		text := string(block[1])
		for _, want := range []string{mailrecord.MTASTSHost("example.com"), mailrecord.PolicyPath, "name: " + service.Name + ","} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q:\n%s", o.GetKind(), want, text)
			}
		}
		if o.GetNamespace() != service.Namespace {
			t.Errorf("%s is in namespace %s, and the Service in %s", o.GetKind(), o.GetNamespace(), service.Namespace)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"HTTPRoute", "Ingress"}) {
		t.Errorf("the page has %v", kinds)
	}
	if p := service.Spec.Ports[0]; p.Name != "http" || p.Port != 80 {
		t.Errorf("the Service has %+v, and the page says http and 80", p)
	}
}
