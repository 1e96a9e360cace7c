// Package reports runs "dane-operator reports" as config/reports installs it: with the rights of its account, against a
// real API server, with SQLite and with PostgreSQL.
package reports

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
)

const patience = time.Minute

// rig is a cluster with a MailDomain, and the program.
type rig struct {
	*testing.T
	cluster *kube.Cluster
	program string
	account *kube.User
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, cluster: kube.ForTest(t, kube.Options{})}
	ctx := context.Background()
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	if r.program, err = operator.Build(ctx, root, r.cluster.Dir); err != nil {
		t.Fatal(err)
	}
	r.install()
	if err := r.cluster.EnsureNamespace(ctx, "mail"); err != nil {
		t.Fatal(err)
	}
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.Domain = "example.com"
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com"}}
	if err := r.cluster.Client.Create(ctx, md); err != nil {
		t.Fatal(err)
	}
	return r
}

// install applies what config/reports has, but for the kustomization, and takes the account's rights.
func (r *rig) install() {
	r.Helper()
	ctx := context.Background()
	root, err := kube.Root()
	if err != nil {
		r.Fatal(err)
	}
	if err := r.cluster.EnsureNamespace(ctx, "dane-operator-system"); err != nil {
		r.Fatal(err)
	}
	for _, file := range []string{"rbac", "policy", "volume", "deployment", "service"} {
		text, err := os.ReadFile(filepath.Join(root, "config/reports", file+".yaml"))
		if err != nil {
			r.Fatal(err)
		}
		if err := r.cluster.Apply(ctx, string(text)); err != nil {
			r.Fatal(err)
		}
	}
	if r.account, err = r.cluster.AddUser(operator.ReportsName); err != nil {
		r.Fatal(err)
	}
}

// receiver is a running program.
type receiver struct {
	*rig
	process           *kube.Process
	at, metrics, lmtp string
}

// start starts the program with more flags, and waits until it is ready.
func (r *rig) start(name string, args ...string) *receiver {
	r.Helper()
	return r.startIn(nil, name, args...)
}

// startIn starts it by another command, which runs it.
func (r *rig) startIn(by []string, name string, args ...string) *receiver {
	r.Helper()
	out := &receiver{rig: r, at: freeAddress(r), metrics: freeAddress(r), lmtp: freeAddress(r)}
	health := freeAddress(r)
	command := slices.Concat(by, []string{
		r.program, "reports", "--kubeconfig", r.account.Kubeconfig, "--https-bind-address", out.at, "--metrics-bind-address", out.metrics,
		"--lmtp-bind-address", out.lmtp, "--address", "tlsrpt@example.com", "--health-probe-bind-address", health,
	}, args)
	path, err := exec.LookPath(command[0])
	if err != nil {
		r.Fatal(err)
	}
	out.process, err = r.cluster.StartProcess("reports-"+name, path, command[1:], nil)
	if err != nil {
		r.Fatal(err)
	}
	r.until("it is ready", func() error {
		response, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out.process.Tail(20))
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	})
	return out
}

// until waits until there is no error.
func (r *rig) until(what string, try func() error) {
	r.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	r.Fatalf("%s: not within %s: %v", what, patience, err)
}

func freeAddress(r *rig) string {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func report(id, domain string) string {
	return fmt.Sprintf(`{"organization-name": "Sender", "report-id": %q,
 "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": %q, "policy-string": ["3 1 1 aa"]},
  "summary": {"total-successful-session-count": 10, "total-failure-session-count": 3},
  "failure-details": [{"result-type": "tlsa-invalid", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": 3}]}]}`, id, domain)
}

func (r *receiver) post(body string) {
	r.Helper()
	response, err := http.Post("http://"+r.at+"/v1/tlsrpt", "application/tlsrpt+json", strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		r.Fatalf("%s: %s", response.Status, text)
	}
}

// counts waits until the metrics have these lines.
func (r *receiver) counts(lines ...string) {
	r.Helper()
	r.until("the metrics have "+strings.Join(lines, ", "), func() error {
		response, err := http.Get("http://" + r.metrics + "/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				return fmt.Errorf("not %s", line)
			}
		}
		return nil
	})
}

func keptReports(n int) string {
	return fmt.Sprintf(`dane_operator_tls_reports_total{channel="https",outcome="kept"} %d`, n)
}

func knownReports(n int) string {
	return fmt.Sprintf(`dane_operator_tls_reports_total{channel="https",outcome="known"} %d`, n)
}

func TestReports(t *testing.T) {
	r := newRig(t)
	for name, test := range map[string]func(*rig){
		"Kept": (*rig).kept, "Account": (*rig).accountReadsMailDomainsAlone, "Writes": (*rig).accountWritesReportsAlone,
		"TLS": (*rig).overTLS, "Status": (*rig).status, "Replicas": (*rig).replicas, "Bombs": (*rig).bombs,
	} {
		t.Run(name, func(t *testing.T) { test(&rig{T: t, cluster: r.cluster, program: r.program, account: r.account}) })
	}
}

// Reports about names of MailDomains are kept and counted, others are not; and they last when the program is killed.
func (r *rig) kept() {
	t := r.T
	file := filepath.Join(t.TempDir(), "reports.db")
	one := r.start("reports", "--database", file)
	one.post(report("1", "example.com"))
	one.post(report("2", "mx1.example.com"))
	one.post(report("3", "example.net"))
	one.counts(keptReports(2),
		`dane_operator_tls_reports_total{channel="https",outcome="foreign"} 1`,
		`dane_operator_tls_report_sessions_total{name="example.com",policy="tlsa",proved="false",result="successful"} 10`,
		`dane_operator_tls_report_sessions_total{name="mx1.example.com",policy="tlsa",proved="false",result="tlsa-invalid"} 3`,
	)
	if err := one.process.Kill(); err != nil {
		t.Fatal(err)
	}
	two := r.start("again", "--database", file)
	two.post(report("1", "example.com"))
	two.counts(knownReports(1))
	r.newDomain()
	r.until("a new MailDomain is known", func() error {
		two.post(report("4", "example.org"))
		if response, err := http.Get("http://" + two.metrics + "/metrics"); err == nil {
			defer response.Body.Close()
			if text, _ := io.ReadAll(response.Body); strings.Contains(string(text), keptReports(1)+"\n") {
				return nil
			}
		}
		return fmt.Errorf("its report was not kept")
	})
	if err := two.process.Stop(); err != nil {
		t.Errorf("it did not end by itself: %v", err)
	}
}

func (r *rig) newDomain() {
	r.Helper()
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "another"}}
	md.Spec.Domain = "example.org"
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com"}}
	if err := r.cluster.Client.Create(context.Background(), md); err != nil {
		r.Fatal(err)
	}
}

// What the account may do is to read MailDomains.
func (r *rig) accountReadsMailDomainsAlone() {
	t := r.T
	ctx := context.Background()
	client, err := client.New(r.account.Config, client.Options{Scheme: kube.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.List(ctx, &v1alpha1.MailDomainList{}); err != nil {
		t.Errorf("MailDomains: %v", err)
	}
	for what, err := range map[string]error{
		"list Secrets":        client.List(ctx, &corev1.SecretList{}),
		"list DNSZones":       client.List(ctx, &v1alpha1.DNSZoneList{}),
		"delete a MailDomain": client.Delete(ctx, &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("it may %s: %v", what, err)
		}
	}
}
