package reportserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

const policy = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmax_age: 604800\r\n"

// asking is a MailDomain with a policy, of some age.
func asking(name, domain string, age time.Duration, state v1alpha1.MailRecordState, policy string) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}}
	md.Spec.Domain = domain
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com"}}
	md.Status.Records = []v1alpha1.MailRecordStatus{{Record: v1alpha1.RecordSPF}, {Record: v1alpha1.RecordMTASTS, State: state, Policy: policy}}
	return md
}

func policies(t *testing.T, domains ...*v1alpha1.MailDomain) Policies {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := indexed{fake.NewClientBuilder().WithScheme(scheme)}
	if err := IndexNames(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, md := range domains {
		slim, err := NamesOnly(md)
		if err != nil {
			t.Fatal(err)
		}
		b.WithObjects(slim.(client.Object))
	}
	return Policies{Reader: b.Build(), Next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })}
}

// TestPolicies: each domain has its policy at its policy host, at one path, and nowhere else.
func TestPolicies(t *testing.T) {
	p := policies(t,
		asking("example", "example.com", 0, v1alpha1.MailRecordWaiting, policy),
		asking("thief", "example.org", time.Hour, v1alpha1.MailRecordRefused, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"),
		asking("owner", "example.org", 0, v1alpha1.MailRecordPublished, policy+"x: 1\r\n"),
		asking("refused", "example.net", 0, v1alpha1.MailRecordRefused, policy),
		asking("none", "example.info", 0, v1alpha1.MailRecordNotManaged, ""),
	)
	const path = "/.well-known/mta-sts.txt"
	for _, c := range []struct {
		reason, method, host, path string
		status                     int
		body                       string
	}{
		{"a policy", http.MethodGet, "mta-sts.example.com", path, http.StatusOK, policy},
		{"with a port, in capitals, with a dot", http.MethodGet, "MTA-STS.Example.Com.:8443", path, http.StatusOK, policy},
		{"of several, that of the one that is not refused", http.MethodGet, "mta-sts.example.org", path, http.StatusOK, policy + "x: 1\r\n"},
		{"what the operator refuses is not served", http.MethodGet, "mta-sts.example.net", path, http.StatusNotFound, ""},
		{"a domain without one", http.MethodGet, "mta-sts.example.info", path, http.StatusNotFound, ""},
		{"a domain of nobody", http.MethodGet, "mta-sts.elsewhere.example", path, http.StatusNotFound, ""},
		{"a mail server is no domain", http.MethodGet, "mta-sts.mx1.example.com", path, http.StatusNotFound, ""},
		{"another host of the domain", http.MethodGet, "www.example.com", path, http.StatusNotFound, ""},
		{"no host", http.MethodGet, "", path, http.StatusNotFound, ""},
		{"the policy host of nothing", http.MethodGet, "mta-sts.", path, http.StatusNotFound, ""},
		{"its head", http.MethodHead, "mta-sts.example.com", path, http.StatusOK, ""},
		{"nothing is posted there", http.MethodPost, "mta-sts.example.com", path, http.StatusMethodNotAllowed, ""},
		{"another path is for reports", http.MethodPost, "mta-sts.example.com", "/v1/tlsrpt", http.StatusTeapot, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "https://example.com"+c.path, http.NoBody)
		r.Host = c.host
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		got := w.Result()
		body, _ := io.ReadAll(got.Body)
		if got.StatusCode != c.status || c.status == http.StatusOK && string(body) != c.body {
			t.Errorf("%s: %d %q", c.reason, got.StatusCode, body)
		}
		if c.status == http.StatusOK && (!strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") || got.Header.Get("Location") != "") {
			t.Errorf("%s: %v", c.reason, got.Header)
		}
	}
}
