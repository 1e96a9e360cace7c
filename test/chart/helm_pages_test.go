package chart

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
)

// terminal is where somebody types what the pages say of Helm: the real program, in a checkout, and a cluster that has
// nothing yet.
type terminal struct {
	*testing.T
	cluster *kube.Cluster
	root    string
	path    string
}

// TestHelmCommandsOfThePages types every line of the pages that begins with helm: an installation, its test, an upgrade; and
// in the end what takes it out. The pod of helm test is run beside the cluster, with the operator's program.
func TestHelmCommandsOfThePages(t *testing.T) {
	d := newTerminal(t)
	d.types("README.md", "helm install")
	d.runs("REGISTRY/dane-operator:TAG")
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan []string, 1)
	go d.kubelet(ctx, ran)
	d.types("docs/install.md", "helm test")
	stop()
	if args := <-ran; len(args) != 1 {
		t.Errorf("the pods of helm test were started with %q", args)
	}
	d.types("docs/upgrade.md", "helm upgrade")
	d.runs("REGISTRY/dane-operator:TAG")
	d.say("helm uninstall dane-operator -n dane-operator-system")
	var left appsv1.DeploymentList
	var crds apiextensionsv1.CustomResourceDefinitionList
	if err := d.cluster.Client.List(t.Context(), &left); err != nil || len(left.Items) > 0 {
		t.Errorf("helm uninstall left %d Deployments: %v", len(left.Items), err)
	}
	if err := d.cluster.Client.List(t.Context(), &crds); err != nil || len(crds.Items) != 2 {
		t.Errorf("helm uninstall left %d CRDs, want both of ours: %v", len(crds.Items), err)
	}
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "helm").Output() // builds it, too
	if err != nil {
		t.Fatalf("build helm: %v", err)
	}
	programs := t.TempDir()
	if err := os.Symlink(strings.TrimSpace(string(path)), filepath.Join(programs, "helm")); err != nil {
		t.Fatal(err)
	}
	return &terminal{t, kube.ForTest(t, kube.Options{WithoutCRDs: true}), root, programs + ":" + os.Getenv("PATH")}
}

// types types the one line of a page that begins so.
func (d *terminal) types(page, begin string) {
	d.Helper()
	text, err := os.ReadFile(filepath.Join(d.root, page))
	if err != nil {
		d.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, begin+" ") {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		d.Fatalf("%s has the lines %q, want one that begins with %q", page, found, begin)
	}
	d.say(found[0])
}

// say runs a line in a shell.
func (d *terminal) say(line string) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), "bash", "-c", line)
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(), "PATH="+d.path, "KUBECONFIG="+d.cluster.Kubeconfig, "HOME="+d.TempDir())
	out, err := cmd.CombinedOutput()
	d.Logf("$ %s\n%s", line, out)
	if err != nil {
		d.Fatalf("%s: %v", line, err)
	}
}

// runs wants the operator's Deployment to have an image.
func (d *terminal) runs(image string) {
	d.Helper()
	deployment := &appsv1.Deployment{}
	err := d.cluster.Client.Get(d.Context(), client.ObjectKey{Namespace: "dane-operator-system", Name: "dane-operator"}, deployment)
	if err != nil || deployment.Spec.Template.Spec.Containers[0].Image != image {
		d.Errorf("the Deployment runs %+v, want %s: %v", deployment.Spec.Template.Spec.Containers, image, err)
	}
}

// kubelet runs what the pods are for, and says how that ended, until it is told to stop; then it sends with what arguments.
func (d *terminal) kubelet(ctx context.Context, ran chan<- []string) {
	var started []string
	defer func() { ran <- started }()
	program, err := operator.Build(ctx, d.root, d.cluster.Dir)
	if err != nil {
		d.Error(err)
		return
	}
	for done := map[string]bool{}; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		var pods corev1.PodList
		if err := d.cluster.Client.List(ctx, &pods); err != nil {
			continue
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if done[string(pod.UID)] {
				continue
			}
			done[string(pod.UID)] = true
			args := pod.Spec.Containers[0].Args
			started = append(started, strings.Join(args, " "))
			pod.Status.Phase = corev1.PodSucceeded
			if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil { //nolint:gosec // of the chart
				d.Errorf("%v: %v\n%s", args, err, out)
				pod.Status.Phase = corev1.PodFailed
			}
			if err := d.cluster.Client.Status().Update(ctx, pod); err != nil && !apierrors.IsNotFound(err) {
				d.Error(err)
			}
		}
	}
}
