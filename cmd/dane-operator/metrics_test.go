package main

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"
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
