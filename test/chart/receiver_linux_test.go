package chart

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/pod"
)

// podPatience is how long the receiver may take for what takes a minute: to tell in the status what came.
const podPatience = 4 * time.Minute

// TestReceiversDeploymentRuns runs the pod that the Deployment of the receiver makes, of config/ and of the chart: with its
// arguments, its user, its mounts, a root folder that is read only, and its account's token and no other rights. It has to
// pass the probes, listen on the ports that are named and on no others, take a report in by the port that the Service leads
// to, keep it in its volume, and tell of it in the status.
func TestReceiversDeploymentRuns(t *testing.T) {
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	program, err := operator.BuildForImage(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(*testing.T) (map[string]*unstructured.Unstructured, string){
		"Config": func(t *testing.T) (map[string]*unstructured.Unstructured, string) {
			if err := cluster.EnsureNamespace(t.Context(), like.namespace); err != nil {
				t.Fatal(err)
			}
			return apply(t, fromConfig(t, "reports")), "dane-operator-reports"
		},
		"Chart": func(t *testing.T) (map[string]*unstructured.Unstructured, string) {
			return install(t, release{"mta", restricted(t), "reports: {enabled: true, addresses: [tlsrpt@example.com]}"}), "mta-dane-operator-reports"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, deploymentName := make(t)
			service := &corev1.Service{}
			into(t, objects["Service "+deploymentName], service)
			r := &receiverPod{T: t, Pod: pod.Start(t, cluster, deployment(t, objects, deploymentName), program), domain: strings.ToLower(name) + ".example"}
			r.namespace, r.own = cluster.Namespace(t.Context(), t), service.Namespace
			r.probes()
			r.confined()
			r.rights()
			r.takesIn(service)
		})
	}
}

// receiverPod is the receiver as a pod, and the MailDomain that a report is about.
type receiverPod struct {
	*testing.T
	*pod.Pod
	// namespace is that of the MailDomain, own that of the pod.
	namespace, own, domain string
}

func (r *receiverPod) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// until waits until there is no error.
func (r *receiverPod) until(what string, try func() error) {
	r.Helper()
	var err error
	for end := time.Now().Add(podPatience); time.Now().Before(end) && r.Process.Running(); time.Sleep(200 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	r.Fatalf("%s: not within %s, or the program has ended: %v", what, podPatience, err)
}

// probes wants both to be passed, and the ports to be those of the container.
func (r *receiverPod) probes() {
	r.Helper()
	c := r.Spec.Containers[0]
	r.until("it is ready", func() error { return r.Probe(r.Context(), c.ReadinessProbe) })
	r.must(r.Probe(r.Context(), c.LivenessProbe))
	want := map[int32]bool{}
	for _, p := range c.Ports {
		want[p.ContainerPort] = true
	}
	if got := r.Listens(); len(want) < 3 || fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("it listens on %v, and the container's ports are %v", got, want)
	}
	if _, err := r.Dial(r.Context(), intstr.FromString("nothing")); err == nil {
		r.Error("there is a port of a name that nobody gave")
	}
}

// confined wants what the security contexts say to be so, and the program to run all the same.
func (r *receiverPod) confined() {
	r.Helper()
	proc := fmt.Sprintf("/proc/%d/", r.Process.PID())
	text, err := os.ReadFile(proc + "status")
	r.must(err)
	lines := strings.Split(strings.ReplaceAll(string(text), "\t", " "), "\n")
	for _, want := range []string{
		"Name: dane-operator", "Uid: 65532 65532 65532 65532", "Gid: 65532 65532 65532 65532", "NoNewPrivs: 1",
		"CapPrm: 0000000000000000", "CapEff: 0000000000000000",
	} {
		if !slices.Contains(lines, want) {
			r.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, place := range []string{"here", "tmp/here", "var/run/secrets/kubernetes.io/serviceaccount/here"} {
		if err := os.WriteFile(proc+"root/"+place, nil, 0o600); !errors.Is(err, syscall.EROFS) {
			r.Errorf("%s can be written: %v", place, err)
		}
	}
	info, err := os.Stat(filepath.Join(r.Folder("data"), "reports.db"))
	r.must(err)
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 65532 || owner.Gid != 65532 {
		r.Errorf("the database is of %d:%d", owner.Uid, owner.Gid)
	}
}

// rights wants the token to give those that the receiver needs, and no others.
func (r *receiverPod) rights() {
	r.Helper()
	c, err := client.New(r.Config(), client.Options{Scheme: kube.Scheme()})
	r.must(err)
	ctx := r.Context()
	for what, err := range map[string]error{
		"list the Secrets of all":         c.List(ctx, &corev1.SecretList{}),
		"list the Secrets of its own":     c.List(ctx, &corev1.SecretList{}, client.InNamespace(r.own)),
		"read a Secret":                   c.Get(ctx, client.ObjectKey{Namespace: r.own, Name: "any"}, &corev1.Secret{}),
		"list DNSZones":                   c.List(ctx, &v1alpha1.DNSZoneList{}),
		"make a MailDomain":               c.Create(ctx, r.mailDomain()),
		"make a token of its own account": c.SubResource("token").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.own, Name: r.Spec.ServiceAccountName}}, &corev1.Pod{}),
	} {
		if !apierrors.IsForbidden(err) {
			r.Errorf("it may %s: %v", what, err)
		}
	}
	// Every account has some, such as to ask what it may.
	nobody, err := cluster.AddUser(kube.ServiceAccount(r.own, "nobody"), "system:serviceaccounts", "system:serviceaccounts:"+r.own)
	r.must(err)
	everybodys := r.rules(nobody.Config)
	got := slices.DeleteFunc(r.rules(r.Config()), func(rule string) bool { return slices.Contains(everybodys, rule) })
	want := []string{"[mail.dane-operator.io] [maildomains/status] [patch]", "[mail.dane-operator.io] [maildomains] [get list watch]"}
	if !slices.Equal(got, want) {
		r.Errorf("its rights are %q, want %q", got, want)
	}
}

// rules are the rights of somebody in the namespace of the MailDomain, as the API server tells them.
func (r *receiverPod) rules(config *rest.Config) []string {
	r.Helper()
	c, err := client.New(config, client.Options{Scheme: kube.Scheme()})
	r.must(err)
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: r.namespace}}
	r.must(c.Create(r.Context(), review))
	var out []string
	for _, rule := range review.Status.ResourceRules {
		out = append(out, fmt.Sprint(rule.APIGroups, rule.Resources, rule.Verbs))
	}
	slices.Sort(out)
	return out
}

func (r *receiverPod) mailDomain() *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "example"}}
	md.Spec.Domain = r.domain
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1." + r.domain}}
	return md
}

// takesIn sends a report by the Service's port, and wants it to be counted at the port for that, and told in the status.
func (r *receiverPod) takesIn(service *corev1.Service) {
	r.Helper()
	r.must(cluster.Client.Create(r.Context(), r.mailDomain()))
	r.Cleanup(func() { _ = cluster.Client.Delete(context.Background(), r.mailDomain()) })
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	report := fmt.Sprintf(`{"organization-name": "Sender", "report-id": "1", "date-range": {"start-datetime": %q, "end-datetime": %q},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": %q}, "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0}}]}`,
		day.Format(time.RFC3339), day.Add(time.Hour).Format(time.RFC3339), r.domain)
	r.until("its report is taken in and counted", func() error {
		// A MailDomain that is new is known a moment later: until then the report is nobody's.
		post, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://pod/v1/tlsrpt", strings.NewReader(report))
		r.must(err)
		post.Header.Set("Content-Type", "application/tlsrpt+json")
		if status, body, err := r.Do(post, service.Spec.Ports[0].TargetPort); err != nil || status != http.StatusOK {
			return fmt.Errorf("status %d: %s: %w", status, body, err)
		}
		scrape, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://pod/metrics", nil)
		r.must(err)
		_, text, err := r.Do(scrape, intstr.FromString("metrics"))
		if err == nil && !strings.Contains(text, `dane_operator_tls_reports_total{channel="https",outcome="kept"} 1`) {
			err = errors.New("none is counted as kept")
		}
		return err
	})
	md := r.mailDomain()
	r.must(cluster.WaitFor(r.Context(), md, podPatience, func() string {
		if told := md.Status.TLSReports; told == nil || told.SuccessfulSessions != 7 {
			return fmt.Sprintf("the status tells %+v", told)
		}
		return ""
	}))
}
