package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/operator"
)

// pageOf is what the page answers to somebody.
func pageOf(t *testing.T, c *http.Client, address, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// bind lets a service account of the operator's namespace do what a ClusterRole says, in a namespace or with none in the
// cluster.
func bind(t *testing.T, account, role, namespace string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: account + "-" + role, Namespace: namespace}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	who := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operatorSpace, Name: account}}
	var binding client.Object = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: who}
	if namespace != "" {
		binding = &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: who}
	}
	if err := cluster.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

// unbind takes a right away that another test wants the operator not to have from the start.
func unbind(t *testing.T, name string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := cluster.Client.Delete(context.Background(), binding); err != nil {
		t.Error(err)
	}
}

// served starts an operator with the page about two namespaces, each with a host, and gives its address.
func served(t *testing.T, one, two string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	for _, namespace := range []string{one, two} {
		md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "page"}}
		md.Spec.Domain, md.Spec.MailServers = namespace+".example", []v1alpha1.MailServer{{Hostname: "mx." + namespace + ".example"}}
		if err := cluster.Client.Create(t.Context(), md); err != nil {
			t.Fatal(err)
		}
	}
	process, err := operator.Start(t.Context(), cluster, operator.Options{
		WithoutPolicy: true, Args: []string{"--dashboard-address", address, "--namespace", one, "--namespace", two},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(process.Tail(20))
		}
		_ = process.Stop()
	})
	return "http://" + address
}

// TestDashboard: the page is for those who may list what it shows, by the rights of config/dashboard; a tenant sees his
// namespace. A token is entered once, and what changes is told.
func TestDashboard(t *testing.T) {
	one, two := cluster.Namespace(t.Context(), t), cluster.Namespace(t.Context(), t)
	if err := cluster.EnsureNamespace(t.Context(), operatorSpace); err != nil {
		t.Fatal(err)
	}
	page := served(t, one, two)
	applyFile(t, "config", "dashboard", "roles.yaml")
	oncall, tenant, stranger := tokenOf(t, "oncall"), tokenOf(t, "tenant"), tokenOf(t, "stranger")
	bind(t, "oncall", "dane-operator-dashboard-reader", "")
	bind(t, "tenant", "dane-operator-dashboard-user", "")
	bind(t, "tenant", "dane-operator-dashboard-reader", one)
	until := func(status int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			got, body := pageOf(t, http.DefaultClient, page, oncall)
			if got == status {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the page answers %d %q, want %d", got, body, status)
			}
		}
	}
	until(http.StatusInternalServerError) // nobody can be asked who that is
	applyFile(t, "config", "dashboard", "auth.yaml")
	t.Cleanup(func() { unbind(t, "dane-operator-dashboard-auth") })
	until(http.StatusOK)
	for _, row := range []struct {
		reason, query, token string
		want                 int
		shows                []string
	}{
		{"no token", "", "", http.StatusUnauthorized, nil},
		{"a token that nobody has", "", "made-up", http.StatusUnauthorized, nil},
		{"somebody without the right", "", stranger, http.StatusForbidden, nil},
		{"who has it", "", oncall, http.StatusOK, []string{one, two}},
		{"a tenant everywhere", "", tenant, http.StatusForbidden, nil},
		{"a tenant at home", "?namespace=" + one, tenant, http.StatusOK, []string{one}},
		{"a tenant at another's", "?namespace=" + two, tenant, http.StatusForbidden, nil},
	} {
		status, body := pageOf(t, http.DefaultClient, page+"/"+row.query, row.token)
		var shows []string
		for _, namespace := range []string{one, two} {
			if strings.Contains(body, "mx."+namespace+".example") {
				shows = append(shows, namespace)
			}
		}
		if status != row.want || fmt.Sprint(shows) != fmt.Sprint(row.shows) {
			t.Errorf("%s: %d with the hosts of %v, want %d and %v", row.reason, status, shows, row.want, row.shows)
		}
	}
	entered(t, page, oncall)
	told(t, page, oncall, one)
}

// entered enters a token in the form, as a browser does, and looks at the page with the cookie that comes of it.
func entered(t *testing.T, page, token string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page+"/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if status, body := pageOf(t, browser, page+"/zones", ""); status != http.StatusOK {
		t.Errorf("after the token was entered (%d) the page answers %d %q", response.StatusCode, status, body)
	}
}

// told changes a MailDomain, and wants that to be told.
func told(t *testing.T, page, token, namespace string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan string, 100)
	go func() {
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "event: ") {
				events <- lines.Text()
			}
		}
	}()
	defer func() { _ = response.Body.Close() }()
	for i := range 2 { // the first comes with the stream
		select {
		case <-events:
		case <-time.After(30 * time.Second):
			t.Fatalf("nothing is told, or of %d changes only the first", i+1)
		}
		md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "page"}}
		patch := fmt.Sprintf(`{"metadata":{"labels":{"change":"%d"}}}`, i)
		if err := cluster.Client.Patch(t.Context(), md, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
}
