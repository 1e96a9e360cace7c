package pod

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestNetwork: a namespace has ports of its own, is entered by a test, and reaches outside what is forwarded and nothing else.
func TestNetwork(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "outside") }))
	defer outside.Close()
	n, err := newNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	at := outside.Listener.Addr().String()
	if conn, err := n.dial(t.Context(), "tcp", at); err == nil {
		_ = conn.Close()
		t.Error("what is outside is reached without being forwarded")
	}
	// The port is taken outside.
	listener, err := n.forward(at, at, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: n.dial, DisableKeepAlives: true}}
	for range 20 {
		response, err := client.Get("http://" + at)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(text) != "outside" {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if conn, err := net.Dial("tcp", at); err != nil {
		t.Errorf("the test is in the namespace now: %v", err)
	} else {
		_ = conn.Close()
	}
}
