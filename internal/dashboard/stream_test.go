package dashboard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// patience is how long a test waits for what comes at once.
const patience = 20 * time.Second

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// listen opens a stream, and gives the lines of it.
func listen(t *testing.T, server, path, token string) (lines <-chan string, status int, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer func() { _ = answer.Body.Close() }()
		for scan := bufio.NewScanner(answer.Body); scan.Scan(); {
			if scan.Text() != "" {
				out <- scan.Text()
			}
		}
	}()
	return out, answer.StatusCode, cancel
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(patience):
		t.Fatal("the stream is silent")
		return ""
	}
}

// begun reads what a stream begins with.
func begun(t *testing.T, lines <-chan string) {
	t.Helper()
	for _, want := range []string{"retry: 5000", "event: changed", "data:"} {
		if got := next(t, lines); got != want {
			t.Fatalf("the stream begins with %q, want %q", got, want)
		}
	}
}

func (b *bed) streams() int {
	b.page.hub.mu.Lock()
	defer b.page.hub.mu.Unlock()
	return len(b.page.hub.streams)
}

func (b *bed) watches() int {
	b.page.hub.mu.Lock()
	defer b.page.hub.mu.Unlock()
	return b.watching
}

// TestChangesAreTold: to those whom they concern; and nothing is watched before the first looks and after the last has gone.
func TestChangesAreTold(t *testing.T) {
	b := newBed(t, clock.RealClock{}, nil)
	server := httptest.NewServer(b.page)
	defer server.Close()
	if b.watches() != 0 {
		t.Error("something is watched although nobody looks")
	}
	all, _, stopAll := listen(t, server.URL, "/events", "all")
	tenant, _, stopTenant := listen(t, server.URL, "/events?namespace=one", "tenant")
	begun(t, all)
	begun(t, tenant)
	if b.watches() != 1 {
		t.Errorf("%d watches for two streams", b.watches())
	}
	b.changed("two")
	if got := next(t, all); got != "event: changed" {
		t.Errorf("told is %q", got)
	}
	next(t, all)
	b.changed("one")
	for who, lines := range map[string]<-chan string{"all": all, "the tenant": tenant} {
		if got := next(t, lines); got != "event: changed" {
			t.Errorf("%s is told %q", who, got)
		}
	}
	if len(tenant) > 1 {
		t.Error("the tenant was told of a change in another namespace")
	}
	stopAll()
	stopTenant()
	eventually(t, "the watch to end", func() bool { return b.streams() == 0 })
	if b.watches() != 0 {
		t.Error("it is watched on although nobody looks")
	}
}

// TestNoMoreThanSoMany are told; the others are sent away.
func TestNoMoreThanSoMany(t *testing.T) {
	h := newHub(func(func(string)) (func(), error) { return func() {}, nil })
	var all []*stream
	for range maxStreams {
		s, err := h.join("")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if _, err := h.join(""); !errors.Is(err, errFull) {
		t.Errorf("one too many: %v", err)
	}
	for range 3 { // none of them reads, and nobody waits for them
		h.tell("anywhere")
	}
	if len(all[0].changed) != 1 {
		t.Errorf("%d words wait", len(all[0].changed))
	}
	h.leave(all[0])
	if _, err := h.join(""); err != nil {
		t.Errorf("when one has gone: %v", err)
	}
	h.close()
	h.close()
	if _, err := h.join(""); !errors.Is(err, errClosed) {
		t.Errorf("at the end: %v", err)
	}
}

// TestWatchThatFails: nobody is counted as told.
func TestWatchThatFails(t *testing.T) {
	h := newHub(func(func(string)) (func(), error) { return nil, errors.New("no informer") })
	if _, err := h.join(""); err == nil || len(h.streams) != 0 {
		t.Errorf("%v, %d streams", err, len(h.streams))
	}
}

// slowWriter is a browser that accepts nothing after the beginning.
type slowWriter struct {
	http.ResponseWriter
	accepts int
}

func (s *slowWriter) Write(text []byte) (int, error) {
	if s.accepts--; s.accepts < 0 {
		return 0, errors.New("the deadline is over")
	}
	return s.ResponseWriter.Write(text)
}

func (s *slowWriter) FlushError() error                 { return nil }
func (s *slowWriter) SetWriteDeadline(time.Time) error  { return nil }
func (s *slowWriter) SetReadDeadline(_ time.Time) error { return nil }

// TestSlowBrowserIsGivenUp, and costs nothing any more.
func TestSlowBrowserIsGivenUp(t *testing.T) {
	b := newBed(t, clock.RealClock{}, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil)
	r.Header.Set("Authorization", "Bearer all")
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.page.events(&slowWriter{httptest.NewRecorder(), 1}, r)
	}()
	eventually(t, "the stream to begin", func() bool { return b.streams() == 1 })
	b.changed("one")
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a browser that accepts nothing is waited for")
	}
	if b.streams() != 0 || b.watches() != 0 {
		t.Errorf("%d streams, %d watches", b.streams(), b.watches())
	}
}

// TestRightThatIsTakenAway ends the stream.
func TestRightThatIsTakenAway(t *testing.T) {
	c := fakeClock()
	b := newBed(t, c, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil)
	r.Header.Set("Authorization", "Bearer all")
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		b.page.events(&slowWriter{w, 1000}, r)
	}()
	eventually(t, "the stream to begin", c.HasWaiters)
	c.Step(pulse)
	eventually(t, "the beat", func() bool { return b.streams() == 1 })
	b.set("all", everyone)
	for ended := false; !ended; {
		c.Step(pulse)
		select {
		case <-done:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	if b.streams() != 0 {
		t.Error("it is told on")
	}
}

// TestServerEnds with its streams, and leaves no goroutine behind.
func TestServerEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBed(t, clock.RealClock{}, nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Page: b.page}).serve(ctx, listener) }()
	server := "http://" + listener.Addr().String()
	var all []<-chan string
	for range 3 {
		lines, status, stop := listen(t, server, "/events", "all")
		defer stop()
		if status != http.StatusOK {
			t.Fatal(status)
		}
		begun(t, lines)
		all = append(all, lines)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server waits for its streams")
	}
	for _, lines := range all {
		for range lines { //nolint:revive // until it is closed
		}
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, fmt.Sprintf("%d goroutines to be left", before), func() bool { return runtime.NumGoroutine() <= before })
}

// TestServerOverTLS signs a certificate itself, and speaks HTTP/1.1 alone.
func TestServerOverTLS(t *testing.T) {
	b := newBed(t, clock.RealClock{}, func(o *Options) { o.Secure = true })
	config, err := (&Server{Page: b.page}).tlsConfig(t.Context())
	if err != nil || len(config.Certificates) != 1 || strings.Join(config.NextProtos, " ") != "http/1.1" {
		t.Fatalf("%+v: %v", config, err)
	}
	if _, err := (&Server{Page: b.page, CertDir: t.TempDir()}).tlsConfig(t.Context()); err == nil || !strings.Contains(err.Error(), "--dashboard-cert-dir") {
		t.Errorf("a folder without a certificate: %v", err)
	}
}

// TestAddressInUse: the error names the flag.
func TestAddressInUse(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if err := (&Server{Address: listener.Addr().String()}).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--dashboard-address") {
		t.Errorf("%v", err)
	}
}
