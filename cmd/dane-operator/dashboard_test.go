package main

import (
	"errors"
	"testing"

	"github.com/go-logr/logr"

	"github.com/dane-operator/dane-operator/internal/shard"
)

// TestTheTokenIsNotSentInTheClear: TLS is left away on addresses alone that nobody beside the pod reaches.
func TestTheTokenIsNotSentInTheClear(t *testing.T) {
	for _, row := range []struct {
		reason, address, certDir string
		want                     bool
	}{
		{"kubectl port-forward alone reaches it", "127.0.0.1:8082", "", false},
		{"so does it here", "[::1]:8082", "", false},
		{"by its name", "localhost:8082", "", false},
		{"a certificate is there to be used", "127.0.0.1:8082", "/etc/tls", true},
		{"every address", ":8443", "", true},
		{"every address, written out", "0.0.0.0:8443", "", true},
		{"an address of the network", "10.0.0.7:8443", "", true},
		{"a name may lead anywhere", "dane.example:8443", "", true},
		{"what cannot be read", "8443", "", true},
	} {
		if got := (&dashboardOptions{address: row.address, certDir: row.certDir}).secure(); got != row.want {
			t.Errorf("%s: %t, want %t", row.reason, got, row.want)
		}
	}
}

// TestNoPageUnasked: nothing is made, and nobody needed for it, where no page is wanted.
func TestNoPageUnasked(t *testing.T) {
	server, err := (&dashboardOptions{address: "0"}).server(t.Context(), nil, nil, shard.Shard{}, logr.Discard())
	if server != nil || err != nil {
		t.Errorf("%v, %v", server, err)
	}
	if _, err := (&dashboardOptions{address: "0", certDir: "/etc/tls"}).server(t.Context(), nil, nil, shard.Shard{}, logr.Discard()); !errors.Is(err, errCertWithoutPage) {
		t.Errorf("a certificate without a page: %v", err)
	}
}
