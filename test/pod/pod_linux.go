// Package pod runs the one container of a Deployment's pod, as near to how a kubelet would as a machine without one can: the
// program alone in a root folder, with the arguments, the environment, the user, the volumes and the mounts of the pod, in a
// network of its own, and with the token of the pod's service account. It takes root.
//
// A container runtime does three things more that it does not: the seccomp profile, the limits of resources, and a process
// namespace.
package pod

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"github.com/dane-operator/dane-operator/test/kube"
)

const (
	// entrypoint is that of the image.
	entrypoint = "/dane-operator"
	// The Service of the API server, as the pod sees it.
	serviceHost, servicePort = "127.0.0.1", "6443"
	// accountFolder is where pods find their account (k8s.io/client-go/rest.InClusterConfig).
	accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// Pod is a pod that runs.
type Pod struct {
	// Process is its program.
	Process *kube.Process
	// Spec is what it was made from.
	Spec corev1.PodSpec

	t       testing.TB
	cluster *kube.Cluster
	network *network
	// dir has the root folder and the volumes; namespace is that of Kubernetes.
	dir, namespace string
	uid, gid       int
	mounts         []mount
	http           *http.Client
}

// mount is a folder or file that is mounted into the root folder.
type mount struct {
	from, to string
	readOnly bool
}

// Start runs the pod of a Deployment that has been applied, with a program that is built as the image's. The pod ends with
// the test.
func Start(t testing.TB, c *kube.Cluster, d *appsv1.Deployment, program string) *Pod {
	t.Helper()
	p := &Pod{t: t, cluster: c, Spec: d.Spec.Template.Spec, namespace: d.Namespace, dir: t.TempDir()}
	if n := len(p.Spec.Containers); n != 1 || len(p.Spec.InitContainers) > 0 {
		t.Fatalf("the pod of %s has %d containers, and %d before them: want one", d.Name, n, len(p.Spec.InitContainers))
	}
	p.user()
	p.image(program)
	p.volumes()
	p.account()
	var err error
	p.network, err = newNetwork()
	p.must(err)
	t.Cleanup(p.network.stop)
	p.http = &http.Client{Transport: &http.Transport{DialContext: p.network.dial, DisableKeepAlives: true}}
	outside, err := url.Parse(c.Config.Host)
	p.must(err)
	server, err := p.network.forward(net.JoinHostPort(serviceHost, servicePort), outside.Host, func(err error) { t.Logf("the API server, as the pod reaches it: %v", err) })
	p.must(err)
	t.Cleanup(func() { _ = server.Close() })
	p.Process, err = c.StartProcess(d.Namespace+"-"+d.Name, p.find("nsenter"), p.command(), nil)
	p.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Process.Tail(20))
		}
		if err := p.Process.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *Pod) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *Pod) container() corev1.Container { return p.Spec.Containers[0] }

var imageUser = regexp.MustCompile(`(?m)^USER ([0-9]+):([0-9]+)$`)

// user is that of the image, unless the pod names another one. A kubelet refuses one that may be root where the pod says so.
func (p *Pod) user() {
	p.t.Helper()
	root, err := kube.Root()
	p.must(err)
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	p.must(err)
	found := imageUser.FindSubmatch(text)
	if found == nil {
		p.t.Fatal("the Dockerfile names no user by number: a kubelet could not tell whether that is root")
	}
	p.uid, _ = strconv.Atoi(string(found[1]))
	p.gid, _ = strconv.Atoi(string(found[2]))
	s := p.Spec.SecurityContext
	if s == nil {
		return
	}
	if s.RunAsUser != nil {
		p.uid = int(*s.RunAsUser)
	}
	if s.RunAsGroup != nil {
		p.gid = int(*s.RunAsGroup)
	}
	if s.RunAsNonRoot != nil && *s.RunAsNonRoot && p.uid == 0 {
		p.t.Fatal("the pod says runAsNonRoot, and its user is root: a kubelet does not start it")
	}
}

// image makes the root folder.
func (p *Pod) image(program string) {
	p.t.Helper()
	text, err := os.ReadFile(program) //nolint:gosec // a program that the test has built
	p.must(err)
	p.file(filepath.Join("root", entrypoint), text, 0o755)
	p.must(os.Chmod(p.root(), 0o755))
	p.must(os.MkdirAll(filepath.Join(p.root(), "tmp"), 0o755))
	p.must(os.Chmod(filepath.Join(p.root(), "tmp"), 0o777|os.ModeSticky))
	p.mount("/dev/null", "/dev/null", false)
	p.mount("/dev/urandom", "/dev/urandom", false)
}

func (p *Pod) root() string { return filepath.Join(p.dir, "root") }

func (p *Pod) file(name string, text []byte, mode os.FileMode) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	p.must(os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // the user of the pod reads it
	p.must(os.WriteFile(path, text, mode))
	p.must(os.Chmod(path, mode))
}

// mount notes a mount, and makes the place for it.
func (p *Pod) mount(from, to string, readOnly bool) {
	p.t.Helper()
	place := filepath.Join(p.root(), to)
	info, err := os.Stat(from)
	p.must(err)
	if info.IsDir() {
		p.must(os.MkdirAll(place, 0o755)) //nolint:gosec // the user of the pod reads it
	} else {
		p.file(filepath.Join("root", to), nil, 0o644)
	}
	p.mounts = append(p.mounts, mount{from, place, readOnly})
}

// command is what nsenter(1) is to run: it enters the network, and a shell in a mount namespace of its own prepares the root
// folder and becomes the program.
func (p *Pod) command() []string {
	var script strings.Builder
	line := func(words ...string) {
		for _, w := range words {
			script.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "' ")
		}
		script.WriteString("\n")
	}
	script.WriteString("set -e\n")
	line("mount", "--bind", p.root(), p.root())
	for _, m := range p.mounts {
		line("mount", "--bind", m.from, m.to)
		if m.readOnly {
			line("mount", "-o", "remount,bind,ro", m.to)
		}
	}
	s := p.container().SecurityContext
	if s != nil && s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem {
		line("mount", "-o", "remount,bind,ro", p.root())
	}
	words := append([]string{"exec", "env", "-i"}, p.environment()...)
	if s != nil && s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation {
		words = append(words, "setpriv", "--no-new-privs")
	}
	words = append(words, "chroot", fmt.Sprintf("--userspec=%d:%d", p.uid, p.gid), "--groups="+p.groups(), p.root())
	if len(p.container().Command) > 0 {
		words = append(words, p.container().Command...)
	} else {
		words = append(words, entrypoint)
	}
	line(append(words, p.container().Args...)...)
	return []string{"--net=" + p.network.path, "unshare", "--mount", "sh", "-c", script.String()}
}

func (p *Pod) groups() string {
	if s := p.Spec.SecurityContext; s != nil && s.FSGroup != nil {
		return strconv.FormatInt(*s.FSGroup, 10)
	}
	return strconv.Itoa(p.gid)
}

// environment is what a container has: what is said of it, and where the API server is.
func (p *Pod) environment() []string {
	p.t.Helper()
	out := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "KUBERNETES_SERVICE_HOST=" + serviceHost, "KUBERNETES_SERVICE_PORT=" + servicePort}
	for _, e := range p.container().Env {
		value := e.Value
		switch from := e.ValueFrom; {
		case from == nil:
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			value = p.namespace
		default:
			p.t.Fatalf("where the value of %s comes from is not known here: %+v", e.Name, from)
		}
		out = append(out, e.Name+"="+value)
	}
	return out
}

func (p *Pod) find(program string) string {
	p.t.Helper()
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"} {
		if path := filepath.Join(dir, program); exists(path) {
			return path
		}
	}
	p.t.Fatalf("there is no %s: install util-linux", program)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// port is the number of a port of the container, by its name or number; a name that no port has is an error.
func (p *Pod) port(of intstr.IntOrString) (int32, error) {
	for _, port := range p.container().Ports {
		if of.Type == intstr.String && port.Name == of.StrVal || of.Type == intstr.Int && port.ContainerPort == of.IntVal {
			return port.ContainerPort, nil
		}
	}
	return 0, fmt.Errorf("the container has no port %s", of.String())
}

// Dial connects to a port, as what comes through a Service does.
func (p *Pod) Dial(ctx context.Context, port intstr.IntOrString) (net.Conn, error) {
	number, err := p.port(port)
	if err != nil {
		return nil, err
	}
	return p.network.dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(number))))
}

// Do sends a request to a port; the URL has the path alone.
func (p *Pod) Do(r *http.Request, port intstr.IntOrString) (status int, body string, err error) {
	number, err := p.port(port)
	if err != nil {
		return 0, "", err
	}
	r.URL.Scheme, r.URL.Host = "http", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(number)))
	response, err := p.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // nothing is lost
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// Probe does what a kubelet does for a probe; nil where the pod passes it.
func (p *Pod) Probe(ctx context.Context, probe *corev1.Probe) error {
	if probe == nil || probe.HTTPGet == nil {
		return fmt.Errorf("there is no probe by HTTP: %+v", probe)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod"+probe.HTTPGet.Path, nil)
	if err != nil {
		return err
	}
	status, body, err := p.Do(r, probe.HTTPGet.Port)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Process.Tail(20))
	}
	if status < 200 || status >= 400 {
		return fmt.Errorf("it answers %d: %s", status, body)
	}
	return nil
}

// Listens are the ports that the program listens on.
func (p *Pod) Listens() map[int32]bool {
	p.t.Helper()
	out, err := listening(p.Process.PID())
	p.must(err)
	of, _ := strconv.Atoi(servicePort)
	delete(out, int32(of)) //nolint:gosec // a port: it is ours
	return out
}

// Config is how the program reaches the API server: with its account's token.
func (p *Pod) Config() *rest.Config {
	return &rest.Config{
		Host: p.cluster.Config.Host, BearerTokenFile: filepath.Join(p.dir, "account", "token"), QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(p.dir, "account", "ca.crt")},
	}
}

// Folder is where the files of a volume are.
func (p *Pod) Folder(volume string) string { return filepath.Join(p.dir, "volumes", volume) }
