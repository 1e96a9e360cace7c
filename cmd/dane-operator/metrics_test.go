package main

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

func TestMetricsServer(t *testing.T) {
	plain, err := (&metricsOptions{address: ":8080"}).server()
	if err != nil || plain.BindAddress != ":8080" || plain.SecureServing || plain.FilterProvider != nil {
		t.Errorf("%+v, %v", plain, err)
	}
	secure, err := (&metricsOptions{address: ":8443", secure: true, certDir: "/etc/tls"}).server()
	if err != nil || !secure.SecureServing || secure.FilterProvider == nil || secure.CertDir != "/etc/tls" {
		t.Errorf("%+v, %v", secure, err)
	}
	config := &tls.Config{NextProtos: []string{"h2"}} //nolint:gosec // what the library begins with
	for _, change := range secure.TLSOpts {
		change(config)
	}
	if slices.Contains(config.NextProtos, "h2") || config.MinVersion < tls.VersionTLS12 {
		t.Errorf("%v, %x", config.NextProtos, config.MinVersion)
	}
	if _, err := (&metricsOptions{address: ":8080", certDir: "/etc/tls"}).server(); !errors.Is(err, errCertWithoutTLS) {
		t.Errorf("a certificate without TLS: %v", err)
	}
}

// TestNothingIsServedUnasked: profiles tell of the memory of the operator, and metrics and the page of all tenants.
func TestNothingIsServedUnasked(t *testing.T) {
	flags := newCommand().Flags()
	for flag, want := range map[string]string{"pprof-bind-address": "0", "metrics-bind-address": "0", "dashboard-address": "0"} {
		if got := flags.Lookup(flag).DefValue; got != want {
			t.Errorf("--%s is %s by default, want %s", flag, got, want)
		}
	}
}

// TestStatusIsBehindTheDoor wants the status after the metrics of the library, for those whom the filter lets pass.
func TestStatusIsBehindTheDoor(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready"}}
	status := &metrics.Status{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(md).Build()}
	inside := promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{})
	door := func(config *rest.Config, _ *http.Client) (metricsserver.Filter, error) {
		if config == nil {
			return nil, errors.New("nobody can be asked")
		}
		return func(_ logr.Logger, inside http.Handler) (http.Handler, error) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				inside.ServeHTTP(w, r)
			}), nil
		}, nil
	}
	for _, row := range []struct {
		reason  string
		provide filterProvider
		token   string
		shown   bool
	}{
		{"whoever reaches the port", nil, "", true},
		{"the door is passed", door, "Bearer reader", true},
		{"the door is shut", door, "", false},
	} {
		filter, err := withStatus(row.provide, status)(&rest.Config{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		handler, err := filter(logr.Discard(), inside)
		if err != nil {
			t.Fatal(err)
		}
		r, w := httptest.NewRequest(http.MethodGet, "/metrics", nil), httptest.NewRecorder()
		r.Header.Set("Authorization", row.token)
		handler.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "dane_operator_maildomain_condition{") != row.shown {
			t.Errorf("%s: %d %q", row.reason, w.Code, w.Body)
		}
	}
	if _, err := withStatus(door, status)(nil, nil); err == nil {
		t.Error("there is no door, and metrics are served")
	}
}
