package walk

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// tutorial is a desk at which the tutorial is followed.
type tutorial struct {
	*desk
	// bindAt and postfixAt stand for the Services. BIND listens on no address that an interface does not have, so that
	// its port is another one.
	bindAt    netip.AddrPort
	postfixAt string
	// records are what the name server showed, by the times that the page looks.
	records [][]string
}

// TestTutorial follows docs/tutorial.md from nothing to a protected domain, through a renewal, and away again.
func TestTutorial(t *testing.T) {
	t.Parallel()
	d := &tutorial{
		desk:      newDesk(t, kube.Options{ServiceRange: "10.96.0.0/16"}), // as in kind
		bindAt:    netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), servers.FreePort(t, "127.0.0.1")),
		postfixAt: loopback(t, 25),
	}
	// A Service has the address of the page; what listens beside the cluster has another.
	d.here = strings.NewReplacer("clusterIP: 10.96.0.53", "clusterIP: 10.96.0.53", "clusterIP: 10.96.0.25", "clusterIP: 10.96.0.25",
		"nameserver: 10.96.0.53", "nameserver: "+d.bindAt.String(), `["10.96.0.53"]`, `["`+d.bindAt.String()+`"]`,
		"@10.96.0.53", fmt.Sprintf("@%s -p %d", d.bindAt.Addr(), d.bindAt.Port()), "10.96.0.53", d.bindAt.Addr().String(),
		"10.96.0.25", d.postfixAt, "10.0.0.0/8", "127.0.0.0/8")
	other := instead{
		"kind create cluster":                       func(string) {}, // the cluster is there
		"kubectl apply -f https://github.com/cert-": d.certManager,
		"kubectl -n cert-manager wait":              func(string) {}, // its controllers run beside the cluster
		"docker build":                              func(string) {},
		"kind load":                                 func(string) {},
		"make build":                                d.build,
		"kubectl -n dns exec deploy/bind -- dig":    d.dig,
		"kind delete cluster":                       func(string) {},
	}
	d.containers = map[string]func(*appsv1.Deployment){"manager": d.operator, "bind": d.bind, "postfix": d.postfix}
	d.follow("docs/tutorial.md", other)
	d.tells()
}

// loopback is an address on which a port is free. Others listen on these ports of addresses of their own.
func loopback(t *testing.T, port int) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.%d.%d.%d", port, rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // no secret
		if l, err := net.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(port))); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatalf("port %d of no loopback address is free, or this user may not listen there (root may)", port)
	return ""
}

// certManager starts the controllers of the version that the page names.
func (d *tutorial) certManager(command string) {
	text, err := os.ReadFile(filepath.Join("..", "certmanager", "go.mod"))
	d.must(err)
	version := regexp.MustCompile(`github.com/cert-manager/cert-manager (v\S+)`).FindStringSubmatch(string(text))[1]
	if !strings.Contains(command, "/download/"+version+"/cert-manager.yaml") {
		d.Errorf("the tests run cert-manager %s, and the page says %s", version, command)
	}
	_, err = d.cluster.StartCertManager(d.Context(), kube.CertManagerOptions{})
	d.must(err)
}

// build is "make build" for the folder of the test.
func (d *tutorial) build(string) {
	root, err := kube.Root()
	d.must(err)
	cmd := exec.CommandContext(d.Context(), "go", "build", "-C", root, "-o", filepath.Join(d.dir, "bin")+"/", "./cmd/dane-operator", "./cmd/kubectl-dane")
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.Fatalf("%v: %s", err, out)
	}
}

// operator starts the operator with the flags and as the account of its Deployment.
func (d *tutorial) operator(deployment *appsv1.Deployment) {
	pod := deployment.Spec.Template.Spec
	if image := pod.Containers[0].Image; image != "dane-operator:tutorial" {
		d.Errorf("the Deployment has the image %s, which nobody made", image)
	}
	user, err := d.cluster.AddUser(kube.ServiceAccount(deployment.Namespace, pod.ServiceAccountName),
		"system:serviceaccounts", "system:serviceaccounts:"+deployment.Namespace)
	d.must(err)
	// Beside the pod's own network, ports may be taken; outside of a pod, the namespace is not known.
	args := append([]string{"--kubeconfig", user.Kubeconfig}, pod.Containers[0].Args...)
	args = append(args, "--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-election-namespace="+deployment.Namespace)
	process, err := d.cluster.StartProcess("dane-operator", filepath.Join(d.dir, "bin", "dane-operator"), args, nil)
	d.must(err)
	d.Cleanup(func() {
		if d.Failed() {
			d.Logf("the operator said last:\n%s", process.Tail(40))
		}
	})
}

// bind runs the script of the container, but for the installation of the program, on an address of its own.
func (d *tutorial) bind(deployment *appsv1.Deployment) {
	root := d.TempDir()
	work := filepath.Join(root, "work")
	d.must(os.Mkdir(work, 0o700))
	here := strings.NewReplacer("/config/", root+"/config/", "/tsig/", root+"/tsig/", "/var/cache/bind", work,
		"apt-get ", ": apt-get ", " -u bind", "", " -o bind", "",
		"options {\n", fmt.Sprintf("controls { };\noptions {\n  listen-on port %d { %s; }; listen-on-v6 { none; }; pid-file \"named.pid\"; session-keyfile \"session.key\";\n",
			d.bindAt.Port(), d.bindAt.Addr()))
	d.mount(deployment, root, here)
	process, err := d.cluster.StartProcess("bind", "bash", []string{"-ec", here.Replace(deployment.Spec.Template.Spec.Containers[0].Args[0])},
		[]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"})
	d.must(err)
	d.Cleanup(func() {
		if d.Failed() {
			d.Logf("BIND said last:\n%s", process.Tail(25))
		}
	})
	servers.Eventually(d, "BIND serves the zone, signed", func() error {
		m, err := servers.Ask(d.bindAt, "example.test.", dns.TypeDNSKEY, false)
		if err == nil && len(m.Answer) < 2 {
			err = fmt.Errorf("the answer to DNSKEY is %v", m.Answer)
		}
		return err
	})
}

// postfix starts a Postfix of the judge's with the certificate that the container mounts. The page's own settings are
// for Debian's folders: they are set in another one, and Postfix's own program has to know them.
func (d *tutorial) postfix(deployment *appsv1.Deployment) {
	pod := deployment.Spec.Template.Spec
	if mounts := pod.Containers[0].VolumeMounts; len(mounts) != 1 || mounts[0].MountPath != "/tls" {
		d.Fatalf("the container mounts %v, want /tls", mounts)
	}
	etc := d.TempDir()
	for _, name := range []string{"main.cf", "master.cf"} {
		d.must(os.WriteFile(filepath.Join(etc, name), nil, 0o600))
	}
	for line := range strings.Lines(pod.Containers[0].Args[0]) {
		if strings.HasPrefix(line, "postconf ") {
			_, err := d.shell.run("MAIL_CONFIG=" + etc + " " + line)
			d.must(err)
		}
	}
	out, err := d.shell.run("MAIL_CONFIG=" + etc + " postconf -n")
	d.must(err)
	if !strings.Contains(out, "smtpd_tls_chain_files = /tls/tls.key,/tls/tls.crt\n") || strings.Contains(out, "warning") {
		d.Errorf("the settings of Postfix are %s", out)
	}
	namespace := &lab.Lab{Cluster: d.cluster, Namespace: deployment.Namespace}
	judge.StartPostfix(d, judge.PostfixOptions{
		Hostname: "mx1.example.test", Address: d.postfixAt, Port: 25, Lag: time.Second,
		Fetch: func() ([]byte, []byte) { return namespace.TLSSecret(d.Context(), pod.Volumes[0].Secret.SecretName) },
	})
}

// dig looks until the name server shows as many records as the page says. The operator stores a decision before it
// carries it out, and a reader is slower than this test.
func (d *tutorial) dig(command string) {
	want := []int{2, 2, 0}
	if len(d.records) == len(want) {
		d.Fatal("the page looks at the records once more than the test knows of")
	}
	servers.Eventually(d, command+" shows what the page says", func() error {
		out, err := d.shell.run(d.here.Replace(command))
		d.must(err)
		records := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
		if n := want[len(d.records)]; len(records) != n {
			return fmt.Errorf("%d records, want %d: %q", len(records), n, records)
		}
		d.records, d.said = append(d.records, records), append(d.said, said{command, out})
		return nil
	})
}

// tells compares what the commands said with what the page says of them.
func (d *tutorial) tells() {
	if len(d.records) != 3 {
		d.Fatalf("the page looks at the records %d times, want 3", len(d.records))
	}
	stayed := 0
	for _, r := range d.records[1] {
		if slices.Contains(d.records[0], r) {
			stayed++
		}
	}
	if stayed != 1 {
		d.Errorf("the renewal left %d of the records %q, want that of the standby key alone: %q", stayed, d.records[0], d.records[1])
	}
	if out := d.outputs("kubectl -n mail get md"); len(out) != 1 || !strings.Contains(out[0], "True") {
		d.Errorf("the list says %q", out)
	}
}
