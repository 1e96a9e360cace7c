package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/wire"
)

// started is an operator whose /readyz is looked at.
type started struct {
	*testing.T
	*kube.Process
	address string
}

// startedWith starts an operator as the user of a kubeconfig.
func startedWith(t *testing.T, name, kubeconfig string, args ...string) *started {
	t.Helper()
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Build(t.Context(), root, cluster.Dir); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &started{T: t, address: free.Addr().String()}
	_ = free.Close()
	s.Process, err = operator.Beside(cluster, name, kubeconfig, operator.Options{
		Args: append([]string{"--namespace", operatorSpace, "--health-probe-bind-address", s.address}, args...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// ready is what the kubelet is answered; status 0 when nobody answers.
func (s *started) ready() (status int, body string) {
	s.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.address + "/readyz?verbose")
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// until asks until it is answered so, and fails where it is ready before that.
func (s *started) until(want int, says string) {
	s.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, body := s.ready()
		if status == want && strings.Contains(body, says) {
			return
		}
		if status == http.StatusOK || time.Now().After(until) {
			s.Fatalf("/readyz answers %d %q, want %d %q\n%s", status, body, want, says, s.Tail(20))
		}
	}
}

// endsUnready waits for the operator to end by itself, without ever having been ready.
func (s *started) endsUnready(says string) {
	s.Helper()
	for until := time.Now().Add(time.Minute); s.Running(); time.Sleep(10 * time.Millisecond) {
		if status, body := s.ready(); status != 0 || time.Now().After(until) {
			s.Fatalf("it runs, and /readyz answers %d %q; want it to end with %q\n%s", status, body, says, s.Tail(20))
		}
	}
	if end := s.Tail(3); s.ExitCode() == 0 || !strings.Contains(end, says) {
		s.Errorf("it ended with %d and %s, want an error with %q", s.ExitCode(), end, says)
	}
}

// TestReadyz: /readyz says that the operator is ready once its trust anchors are read and its caches are filled, and not
// before. Without anchors that can be used it does not even listen: it ends, the kubelet starts it again, and then the file
// may be there. A file that is spoilt later ends nothing, since the anchors before it count.
func TestReadyz(t *testing.T) {
	user, err := cluster.AddUser("readyz")
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.EnsureNamespace(t.Context(), operatorSpace); err != nil {
		t.Fatal(err)
	}
	anchors := filepath.Join(t.TempDir(), "anchors.ds")
	s := startedWith(t, "ready", user.Kubeconfig, "--trust-anchors", anchors)
	s.endsUnready("--trust-anchors " + anchors + ": open ")
	write := func(text string) {
		if err := os.WriteFile(anchors, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct{ text, says string }{
		{"", "the file holds no DS or DNSKEY record"},
		{"; a comment alone\n", "the file holds no DS or DNSKEY record"},
		{"example.com. IN DS 12345 13 2 6BC5", fmt.Sprintf("--trust-anchors %s: ", anchors)},
		{"<TrustAnchor", fmt.Sprintf("--trust-anchors %s: ", anchors)},
	} {
		write(row.text)
		s.again()
		s.endsUnready(row.says)
	}
	write("example.com. IN DS 12345 13 2 " + strings.Repeat("6B", 32) + "\n")
	s.again()
	s.until(http.StatusInternalServerError, "[-]caches failed") // it may list nothing yet
	applyFile(t, "config", "rbac", "role.yaml")
	if err := cluster.GrantClusterRole(t.Context(), "dane-operator", user.Name); err != nil {
		t.Fatal(err)
	}
	s.until(http.StatusOK, "[+]caches ok")

	write("spoilt")
	for until := time.Now().Add(time.Minute); !strings.Contains(s.Tail(50), "the file of --trust-anchors cannot be used"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("nobody says that the file is spoilt:\n%s", s.Tail(20))
		}
	}
	if status, body := s.ready(); status != http.StatusOK {
		t.Errorf("with the file spoilt while it runs /readyz answers %d %q", status, body)
	}
}

// TestReadyzOfAClockThatIsBehind: while the clock of its machine is behind the API server's the operator is not ready, and its log says
// why. That goes by itself when the clocks agree.
func TestReadyzOfAClockThatIsBehind(t *testing.T) {
	user, err := cluster.AddUser("readyz-clock")
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.EnsureNamespace(t.Context(), operatorSpace); err != nil {
		t.Fatal(err)
	}
	applyFile(t, "config", "rbac", "role.yaml")
	if err := cluster.GrantClusterRole(t.Context(), "dane-operator", user.Name); err != nil {
		t.Fatal(err)
	}
	through, err := wire.StartAPI(user.Config, filepath.Join(t.TempDir(), "kubeconfig"), wire.NewEffects(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(through.Stop)
	through.SetBehind(-time.Hour)
	s := startedWith(t, "clock", through.Kubeconfig)
	zone := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: operatorSpace, Name: "clock"}}
	zone.Spec.Zone = "example.test"
	zone.Spec.Update = v1alpha1.UpdateSpec{Nameserver: "127.0.0.1:1", InsecureUnsigned: true}
	t.Cleanup(func() { _ = cluster.Client.Delete(context.Background(), zone) })
	if err := cluster.Client.Create(t.Context(), zone); err != nil {
		t.Fatal(err)
	}
	s.turns(http.StatusInternalServerError, "[-]clock failed")
	if tail := s.Tail(200); !strings.Contains(tail, "the clock of this machine is behind the API server's") {
		t.Errorf("its log does not say why:\n%s", tail)
	}
	through.SetBehind(0)
	s.turns(http.StatusOK, "[+]clock ok")
}

// turns waits until it is answered so, whatever it was before.
func (s *started) turns(want int, says string) {
	s.Helper()
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, body := s.ready()
		if status == want && strings.Contains(body, says) {
			return
		}
		if time.Now().After(until) {
			s.Fatalf("/readyz answers %d %q, want %d %q\n%s", status, body, want, says, s.Tail(20))
		}
	}
}

// again starts it as the kubelet does.
func (s *started) again() {
	s.Helper()
	if err := s.Start(); err != nil {
		s.Fatal(err)
	}
}
