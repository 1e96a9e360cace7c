package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
)

const operatorSpace = "dane-operator-system"

// scraped is what a scrape with a token is answered; status 0 when nobody answers.
func scraped(ctx context.Context, scheme, address, token string) (status int, body string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // as the PodMonitor does: the certificate is the operator's own
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/metrics", nil)
	if err != nil {
		return 0, err.Error()
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// tokenOf makes a token of a service account of the operator's namespace, which it makes where it is missing.
func tokenOf(t *testing.T, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorSpace, Name: name}}
	_ = cluster.Client.Create(t.Context(), account)
	request := &authenticationv1.TokenRequest{}
	if err := cluster.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func applyFile(t *testing.T, parts ...string) {
	t.Helper()
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Apply(t.Context(), string(text)); err != nil {
		t.Fatal(err)
	}
}

// untilScraped waits for a scrape to be answered with a status.
func untilScraped(t *testing.T, address, token string, want int, log func() string) string {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, body := scraped(t.Context(), "https", address, token)
		if status == want {
			return body
		}
		if time.Now().After(until) {
			t.Fatalf("the scrape is answered %d %.300q, want %d\n%s", status, body, want, log())
		}
	}
}

// configFile is a configuration of the operator that serves metrics to those who may get them.
func configFile(t *testing.T, address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf(`apiVersion: config.dane-operator.io/v1alpha1
kind: OperatorConfiguration
watch: {namespaces: [%s]}
metrics: {bindAddress: %q, secure: true}
`, operatorSpace, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSecureMetrics: with metrics.secure in a configuration file metrics are for those who may get them, by the rights of
// config/secure-metrics; without these rights of the operator for nobody.
func TestSecureMetrics(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	process, err := operator.Start(t.Context(), cluster, operator.Options{
		WithoutPolicy: true, Args: []string{"--config", configFile(t, address)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Stop() })
	log := func() string { return fmt.Sprint(process.Tail(20)) }
	if err := cluster.EnsureNamespace(t.Context(), operatorSpace); err != nil {
		t.Fatal(err)
	}
	applyFile(t, "config", "secure-metrics", "metrics_reader.yaml")
	applyFile(t, "config", "secure-metrics", "scraper.yaml")
	reader, stranger := tokenOf(t, "dane-operator-metrics-scraper"), tokenOf(t, "stranger")
	untilScraped(t, address, reader, http.StatusInternalServerError, log) // nobody can be asked who that is
	applyFile(t, "config", "secure-metrics", "metrics_auth.yaml")
	if body := untilScraped(t, address, reader, http.StatusOK, log); !strings.Contains(body, "dane_operator_trust_anchors_usable") {
		t.Errorf("the metrics are %q", body)
	}
	for _, row := range []struct {
		reason, scheme, token string
		want                  int
	}{
		{"no token", "https", "", http.StatusUnauthorized},
		{"a token that nobody has", "https", "made-up", http.StatusUnauthorized},
		{"somebody without the right", "https", stranger, http.StatusForbidden},
		{"who has it", "https", reader, http.StatusOK},
		{"without TLS", "http", reader, http.StatusBadRequest},
	} {
		if status, body := scraped(t.Context(), row.scheme, address, row.token); status != row.want ||
			(status == http.StatusOK) != strings.Contains(body, "dane_operator") {
			t.Errorf("%s: %d %q, want %d", row.reason, status, body, row.want)
		}
	}
}
