package wire_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/dane-operator/dane-operator/test/wire"
)

// behind is an API server that counts what it was asked to write, and a proxy before it. Its watch sends a
// line every 10 ms.
func behind(t *testing.T, kill func() error) (*wire.API, *wire.Effects, string, *atomic.Int64) {
	t.Helper()
	var written atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			written.Add(1)
		}
		if r.URL.Query().Get("watch") != "true" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		for n := 0; r.Context().Err() == nil; n++ {
			fmt.Fprintln(w, n)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	t.Cleanup(server.Close)
	effects := wire.NewEffects(kill)
	api, err := wire.StartAPI(&rest.Config{Host: server.URL}, filepath.Join(t.TempDir(), "kubeconfig"), effects)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Stop)
	config, err := clientcmd.BuildConfigFromFlags("", api.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return api, effects, config.Host, &written
}

func send(method, url string) (int, error) {
	request, err := http.NewRequest(method, url, strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestWritesAreEffects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		effect       string
	}{
		{"PUT", "/apis/g/v1/namespaces/n/maildomains/md/status", "PUT maildomains/md/status"},
		{"PATCH", "/apis/g/v1/namespaces/n/certificates/mx1", "PATCH certificates/mx1"},
		{"POST", "/api/v1/namespaces/n/secrets", "POST secrets"},
		{"DELETE", "/api/v1/nodes/n", "DELETE /api/v1/nodes/n"},
		{"GET", "/api/v1/namespaces/n/secrets/s", ""},
		{"POST", "/apis/events.k8s.io/v1/namespaces/n/events", ""},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", ""},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ""},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			t.Parallel()
			_, effects, url, _ := behind(t, nil)
			if code, err := send(c.method, url+c.path); err != nil || code != http.StatusAccepted {
				t.Fatalf("status %d, %v", code, err)
			}
			if have := strings.Join(effects.Names(), ","); have != c.effect {
				t.Errorf("the effect is %q, want %q", have, c.effect)
			}
		})
	}
}

// A write before which the operator is killed does not arrive, and one after which it is killed does; neither
// is answered.
func TestWritesOfTheDying(t *testing.T) {
	t.Parallel()
	for moment, arrives := range map[wire.Moment]int64{wire.Before: 0, wire.After: 1} {
		t.Run(string(moment), func(t *testing.T) {
			t.Parallel()
			_, effects, url, written := behind(t, func() error { return nil })
			effects.Make(wire.At(1, moment))
			if code, err := send("PUT", url+"/x"); err == nil {
				t.Errorf("it was answered with %d", code)
			}
			if n := written.Load(); n != arrives {
				t.Errorf("%d writes arrived, want %d", n, arrives)
			}
		})
	}
}

// Held watches send nothing, and all of it afterwards.
func TestHoldWatches(t *testing.T) {
	t.Parallel()
	api, _, url, _ := behind(t, nil)
	response, err := http.Get(url + "/x?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() {
		t.Fatal("the watch says nothing")
	}
	api.HoldWatches(true)
	next := make(chan string)
	go func() {
		for lines.Scan() {
			next <- lines.Text()
		}
	}()
	for silent := false; !silent; { // what was under way comes first
		select {
		case <-next:
		case <-time.After(200 * time.Millisecond):
			silent = true
		}
	}
	if _, err := send("GET", url+"/x"); err != nil {
		t.Errorf("reads are not to be held: %v", err)
	}
	api.HoldWatches(false)
	select {
	case <-next:
	case <-time.After(10 * time.Second):
		t.Error("nothing came afterwards")
	}
}
