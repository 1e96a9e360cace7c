package walk

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
)

// TestInstallPage follows docs/install.md in a cluster that has nothing yet, not the CRDs either: the one file brings all.
// The image is tested by test-image and in hack/image, and Helm's way in by test/chart.
func TestInstallPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, kube.Options{WithoutCRDs: true})
	started := ""
	d.containers["manager"] = func(deployment *appsv1.Deployment) { started = deployment.Spec.Template.Spec.Containers[0].Image }
	elsewhere := func(string) {}
	d.follow("docs/install.md", instead{"go install": elsewhere, "make image": elsewhere, "crane push": elsewhere, "helm test": elsewhere})
	if started != "REGISTRY/dane-operator:TAG" {
		t.Errorf("the Deployment has the image %q", started)
	}
	// Nothing but the image is another one: the comment above says how to do it again.
	made, err := os.ReadFile(filepath.Join(d.dir, "install.yaml"))
	d.must(err)
	had, err := os.ReadFile(filepath.Join("..", "..", "dist", "install.yaml"))
	d.must(err)
	if string(made) != strings.Replace(string(had), "image: dane-operator:latest\n", "image: REGISTRY/dane-operator:TAG\n", 1) {
		t.Error("the command of the page changes more than the image")
	}
	for _, name := range []string{"maildomains.mail.dane-operator.io", "dnszones.mail.dane-operator.io"} {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		err := d.cluster.WaitFor(t.Context(), crd, time.Minute, func() string {
			for _, c := range crd.Status.Conditions {
				if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
					return ""
				}
			}
			return "the API server to serve it"
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestGitOpsPage follows docs/gitops.md in a cluster that has an argocd-cm. What the page has for Flux and for kustomize is
// tried in test/chart.
func TestGitOpsPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, kube.Options{WithoutCRDs: true})
	d.must(d.cluster.EnsureNamespace(t.Context(), "argocd"))
	had := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "argocd", Name: "argocd-cm", Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"},
	}, Data: map[string]string{"url": "https://argo.example.com"}}
	d.must(d.cluster.Client.Create(t.Context(), had))
	for _, folder := range []string{"dane-operator", "clusters/production", "apps"} { // those of the reader's repository
		d.must(os.MkdirAll(filepath.Join(d.dir, folder), 0o755)) //nolint:gosec // as a checkout
	}
	d.follow("docs/gitops.md", nil)

	cm := &corev1.ConfigMap{}
	d.must(d.cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(had), cm))
	script, err := os.ReadFile(filepath.Join("..", "..", "hack", "argocd", "health.lua"))
	d.must(err)
	for _, kind := range []string{"MailDomain", "DNSZone"} {
		if cm.Data["resource.customizations.health.mail.dane-operator.io_"+kind] != string(script) {
			t.Errorf("the script for %s is not that of hack/argocd, which is tested: %v", kind, cm.Data)
		}
	}
	if len(cm.Data) != 3 || cm.Data["url"] != had.Data["url"] || cm.Labels["app.kubernetes.io/part-of"] != "argocd" {
		t.Errorf("of what stood there %v is left, with the labels %v", cm.Data, cm.Labels)
	}
	stray := types.NamespacedName{Namespace: "default", Name: cm.Name}
	if err := d.cluster.Client.Get(context.Background(), stray, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("a ConfigMap is made where no Argo CD is: %v", err)
	}
}
