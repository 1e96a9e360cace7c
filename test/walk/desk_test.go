// Package walk follows the pages that users follow, the tutorial, the README and others, command by command, as they
// are printed: by bash, with the real kubectl, against a real API server with cert-manager's own controllers,
// and with the BIND and the operator that the pages have installed. What a container is told to run, the test runs beside
// the cluster, since no pod runs in it. A few commands need a network or Docker: each test lists them, and what it does
// in their stead.
package walk

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/test/kube"
)

// desk is where somebody follows a page: a folder with what a checkout has for it, a shell, and a cluster.
type desk struct {
	*testing.T
	cluster *kube.Cluster
	shell   *shell
	dir     string
	// here replaces what is called otherwise on this machine.
	here *strings.Replacer
	// containers start what the containers of that name run.
	containers map[string]func(*appsv1.Deployment)
	started    map[types.UID]bool
	// said is what every command of the page said, in its order.
	said []said
}

type said struct{ command, out string }

// newDesk starts the cluster and the shell.
func newDesk(t *testing.T, o kube.Options) *desk {
	t.Helper()
	d := &desk{
		T: t, cluster: kube.ForTest(t, o), dir: t.TempDir(), here: strings.NewReplacer(),
		containers: map[string]func(*appsv1.Deployment){}, started: map[types.UID]bool{},
	}
	for _, folder := range []string{"config", "charts", "dist", filepath.Join("hack", "argocd")} {
		d.must(os.CopyFS(filepath.Join(d.dir, folder), os.DirFS(filepath.Join("..", "..", folder))))
	}
	programs := t.TempDir()
	kubectl, err := kube.Program(t.Context(), "kubectl", func(line string) { t.Log(line) })
	d.must(err)
	d.must(os.WriteFile(filepath.Join(programs, "kubectl"), []byte(besidePods), 0o755)) //nolint:gosec // a program
	d.shell = newShell(t, d.dir, "PATH="+programs+":"+os.Getenv("PATH")+":/usr/sbin:/sbin", "KUBECTL="+kubectl,
		"KUBECONFIG="+d.cluster.Kubeconfig, "HOME="+t.TempDir())
	return d
}

// besidePods is kubectl, but for "exec", which does beside the cluster what is to be done in a pod.
const besidePods = `#!/usr/bin/env bash
set -e
words=("$@")
for ((i = 0; i < $#; i++)); do
	if [[ ${words[i]} == exec ]]; then
		"$KUBECTL" "${words[@]:0:i}" get "${words[i + 1]}" >/dev/null
		[[ ${words[i + 2]} == -- ]]
		exec "${words[@]:i+3}"
	fi
done
exec "$KUBECTL" "$@"
`

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// instead are what is done in the stead of the commands that begin so.
type instead map[string]func(command string)

// of finds how a command begins that something else is done for.
func (i instead) of(command string) (string, bool) {
	for begin := range i {
		if strings.HasPrefix(command, begin) {
			return begin, true
		}
	}
	return "", false
}

// follow does what a page wants, in its order, but for what is done in other ways.
func (d *desk) follow(page string, other instead) {
	d.Helper()
	used := map[string]bool{}
	for _, s := range steps(d.T, page) {
		switch {
		case s.language == "text":
			d.told(page, s.block)
			continue
		case s.command == "":
			d.save(page, s)
			continue
		}
		if begin, ok := other.of(s.command); ok {
			used[begin] = true
			other[begin](s.command)
			continue
		}
		d.run(s.command)
	}
	for begin := range other {
		if !used[begin] {
			d.Errorf("%s has no command that begins with %q: the test need not leave it out", page, begin)
		}
	}
}

// run types a command, and does for the Deployments that it has made what a cluster would.
func (d *desk) run(command string) string {
	d.Helper()
	d.Logf("$ %s", command)
	out, err := d.shell.run(d.here.Replace(command))
	d.must(err)
	d.said = append(d.said, said{command, out})
	d.kubelet()
	return out
}

// told compares the lines of a block with what the command before it said: each has to be among them, in this order. "…"
// stands for anything, and columns may be as wide as they like.
func (d *desk) told(page, block string) {
	d.Helper()
	if len(d.said) == 0 {
		d.Fatalf("%s shows an output before any command", page)
	}
	last := d.said[len(d.said)-1]
	if missing := missingLine(last.out, d.here.Replace(block)); missing != "" {
		d.Errorf("%s: after %q it shows\n%sand the command said\n%s\nwhich has no line like %q", page, last.command, block, last.out, missing)
	}
}

// missingLine is the first line of a pattern that an output does not have behind those before it; empty where it has all.
func missingLine(out, pattern string) string {
	rest := strings.Split(out, "\n")
	for line := range strings.Lines(pattern) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		words := strings.Fields(line)
		for i, w := range words {
			words[i] = strings.ReplaceAll(regexp.QuoteMeta(w), "…", ".*")
		}
		like := regexp.MustCompile(`^\s*` + strings.Join(words, `\s+`) + `\s*$`)
		at := slices.IndexFunc(rest, like.MatchString)
		if at < 0 {
			return strings.TrimSpace(line)
		}
		rest = rest[at+1:]
	}
	return ""
}

// TestMissingLine: what a page shows has to be there, in its order.
func TestMissingLine(t *testing.T) {
	const out = "NAME    READY\nmx1     True\n\nand 3 1 1 abc def\n"
	for pattern, want := range map[string]string{
		"NAME READY\nmx1 True\n":    "",
		"NAME …\n\nand 3 1 1 … …\n": "",
		"mx1 False\n":               "mx1 False",
		"mx1 True\nNAME READY\n":    "NAME READY",
		"3 1 1 … …\n":               "3 1 1 … …",
		"mx1 …\nmx1 …\n":            "mx1 …",
	} {
		if got := missingLine(out, pattern); got != want {
			t.Errorf("%q: %q, want %q", pattern, got, want)
		}
	}
}

// outputs are what the commands that begin so have said.
func (d *desk) outputs(begin string) []string {
	var out []string
	for _, s := range d.said {
		if strings.HasPrefix(s.command, begin) {
			out = append(out, s.out)
		}
	}
	return out
}

// save writes a block to the file that its first line names; one that names none is applied.
func (d *desk) save(page string, s step) {
	d.Helper()
	if s.language != "yaml" {
		d.Fatalf("%s has a block of language %q, and the test does not know what a reader does with it:\n%s", page, s.language, s.block)
	}
	first, _, _ := strings.Cut(s.block, "\n")
	name, named := strings.CutPrefix(first, "# ")
	if !named {
		name = "manifests.yaml"
	}
	d.must(os.WriteFile(filepath.Join(d.dir, filepath.FromSlash(name)), []byte(d.here.Replace(s.block)), 0o600))
	if !named {
		d.run("kubectl apply -f " + name)
	}
}

// kubelet starts what new Deployments are for, and says that they are available.
func (d *desk) kubelet() {
	d.Helper()
	var all appsv1.DeploymentList
	d.must(d.cluster.Client.List(d.Context(), &all))
	for i := range all.Items {
		deployment := &all.Items[i]
		if d.started[deployment.UID] {
			continue
		}
		d.started[deployment.UID] = true
		name := deployment.Spec.Template.Spec.Containers[0].Name
		start := d.containers[name]
		if start == nil {
			d.Fatalf("the test does not know how to run the container %q", name)
		}
		start(deployment)
		d.available(deployment)
	}
}

// available is the status of a Deployment that runs.
func (d *desk) available(deployment *appsv1.Deployment) {
	d.Helper()
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
		Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, LastUpdateTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
	}
	d.must(d.cluster.Client.Status().Update(d.Context(), deployment))
}

// mount writes the volumes of a Deployment into a folder, each where its container has it, as replace has it.
func (d *desk) mount(deployment *appsv1.Deployment, root string, replace *strings.Replacer) {
	d.Helper()
	pod := deployment.Spec.Template.Spec
	for _, m := range pod.Containers[0].VolumeMounts {
		for _, v := range pod.Volumes {
			if v.Name != m.Name {
				continue
			}
			dir := filepath.Join(root, m.MountPath)
			d.must(os.MkdirAll(dir, 0o755)) //nolint:gosec // as a volume
			for name, text := range d.volume(deployment.Namespace, v) {
				d.must(os.WriteFile(filepath.Join(dir, name), []byte(replace.Replace(text)), 0o600))
			}
		}
	}
}

// volume is what a ConfigMap or a Secret holds.
func (d *desk) volume(namespace string, v corev1.Volume) map[string]string {
	d.Helper()
	get := func(name string, o client.Object) {
		d.must(d.cluster.Client.Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: name}, o))
	}
	out := map[string]string{}
	switch {
	case v.ConfigMap != nil:
		var o corev1.ConfigMap
		get(v.ConfigMap.Name, &o)
		out = o.Data
	case v.Secret != nil:
		var o corev1.Secret
		get(v.Secret.SecretName, &o)
		for key, value := range o.Data {
			out[key] = string(value)
		}
	default:
		d.Fatalf("the volume %s is neither a ConfigMap nor a Secret", v.Name)
	}
	return out
}
