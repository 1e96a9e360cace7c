package samples

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
)

// TestOverlayOfReports follows docs/tls-reports.md: its kustomization with the lines for LMTP below it is built by kubectl, an API
// server takes what comes of it, and the flags and the port of the page are in it.
func TestOverlayOfReports(t *testing.T) {
	text, err := os.ReadFile("../../docs/tls-reports.md")
	if err != nil {
		t.Fatal(err)
	}
	overlay := ""
	for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
		if b := string(block[1]); strings.HasPrefix(b, "# reports/kustomization.yaml\n") || overlay != "" && strings.HasPrefix(b, "- target:") {
			overlay += b
		}
	}
	// kustomize takes no folder by an absolute path.
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS("../../config")); err != nil {
		t.Fatal(err)
	}
	local := strings.Replace(overlay, "https://github.com/dane-operator/dane-operator/config/reports", "../config/reports", 1)
	if local == overlay {
		t.Fatalf("the page does not name config/reports in\n%s", overlay)
	}
	if err := os.Mkdir(filepath.Join(dir, "reports"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "reports", "kustomization.yaml"), []byte(local), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl, err := kube.Program(t.Context(), "kubectl", func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(dir, "reports")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	receiverOf(t, string(out))
}

// receiverOf looks at what the overlay comes to.
func receiverOf(t *testing.T, manifests string) {
	t.Helper()
	objects, err := kube.Decode(manifests)
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var service corev1.Service
	for _, o := range objects {
		if err := cluster.EnsureNamespace(t.Context(), o.GetNamespace()); o.GetNamespace() != "" && err != nil {
			t.Fatal(err)
		}
		var into any
		switch o.GetKind() {
		case "Deployment":
			into = &deployment
		case "Service":
			into = &service
		}
		if into != nil {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
				t.Fatal(err)
			}
		}
		if err := cluster.Client.Create(t.Context(), o, client.DryRunAll); err != nil {
			t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	for _, want := range []string{"--trusted-proxy=10.0.0.0/8", "--lmtp-bind-address=:2424", "--address=tlsrpt@example.com"} {
		if !slices.Contains(container.Args, want) {
			t.Errorf("the container lacks %s: %v", want, container.Args)
		}
	}
	if container.Image != "registry.example.com/dane-operator:1.0" {
		t.Errorf("the image is %s", container.Image)
	}
	if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == 2424 }) {
		t.Errorf("the Service has the ports %v", service.Spec.Ports)
	}
}
