package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// API stands between an operator and the API server. It speaks to the API server as the operator's user; the
// operator speaks plain HTTP to it.
type API struct {
	// Kubeconfig is the path of a file by which a client comes through the proxy.
	Kubeconfig string

	effects *Effects
	server  *http.Server
	// behind is by how much the clock of the API server is behind, as its answers to reads tell.
	behind atomic.Int64
	// live ends with the proxy.
	live context.Context
	end  context.CancelFunc

	mu sync.Mutex
	// watch is closed while events pass.
	watch chan struct{}
	reads int
}

// StartAPI starts a proxy in front of the API server of a user's configuration. Writes go through effects.
// The kubeconfig is written to a path. Stop ends it.
func StartAPI(user *rest.Config, kubeconfig string, effects *Effects) (*API, error) {
	target, _, err := rest.DefaultServerUrlFor(user)
	if err != nil {
		return nil, fmt.Errorf("the API server's address %q: %w", user.Host, err)
	}
	transport, err := rest.TransportFor(user)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for an operator: %w", err)
	}
	a := &API{Kubeconfig: kubeconfig, effects: effects, watch: make(chan struct{})}
	a.live, a.end = context.WithCancel(context.Background())
	close(a.watch)
	if err := a.writeKubeconfig("http://" + l.Addr().String()); err != nil {
		_ = l.Close()
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, FlushInterval: -1, ErrorLog: quiet,
		ModifyResponse: a.setDate,
	}
	a.server = &http.Server{Handler: a.handler(forward), ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

func (a *API) writeKubeconfig(server string) error {
	c := clientcmdapi.NewConfig()
	c.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server}
	c.AuthInfos["operator"] = clientcmdapi.NewAuthInfo()
	c.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "operator"}
	c.CurrentContext = "proxy"
	text, err := clientcmd.Write(*c)
	if err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}
	return os.WriteFile(a.Kubeconfig, text, 0o600)
}

// setDate has an answer tell of another time.
func (a *API) setDate(r *http.Response) error {
	if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		r.Header.Set("Date", at.Add(-time.Duration(a.behind.Load())).Format(http.TimeFormat))
	}
	return nil
}

// SetBehind says by how much the clock of the API server is behind (negative: ahead), as its answers to reads tell.
func (a *API) SetBehind(by time.Duration) { a.behind.Store(int64(by)) }

// Stop ends the proxy and every connection through it, watches included.
func (a *API) Stop() {
	a.end()
	_ = a.server.Close()
}

// HoldWatches holds the events of all watches back: caches get old, and reads past them are fresh. When it
// ends, all events come at once.
func (a *API) HoldWatches(hold bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.watch:
		if hold {
			a.watch = make(chan struct{})
		}
	default:
		if !hold {
			close(a.watch)
		}
	}
}

// Reads is how many objects and lists were asked for.
func (a *API) Reads() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reads
}

// passing is closed while events pass.
func (a *API) passing() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.watch
}

func (a *API) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(a.live, cancel)()
		r = r.WithContext(ctx)
		switch {
		case r.URL.Query().Get("watch") == "true":
			forward.ServeHTTP(&held{ResponseWriter: w, api: a, ctx: ctx}, r)
		case isEffect(r):
			a.write(forward, w, r)
		default:
			a.mu.Lock()
			a.reads++
			a.mu.Unlock()
			forward.ServeHTTP(w, r)
		}
	})
}

// write carries out a write as an effect. The whole of it is read before, and its outcome told after, so
// that nothing of it happens at any other time.
func (a *API) write(forward http.Handler, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	outcome := httptest.NewRecorder()
	// Whether the operator waits for it or not, what has arrived is carried out.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if !a.effects.Do(nameOf(r), func() { forward.ServeHTTP(outcome, r) }) {
		panic(http.ErrAbortHandler) // ends the connection without an answer
	}
	for key, values := range outcome.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(outcome.Code)
	_, _ = w.Write(outcome.Body.Bytes()) // to an operator that may be gone
}

// noEffects are writes that do not last: leases, events, and questions that are asked by POST.
var noEffects = regexp.MustCompile(`/(leases|events|selfsubject\w+reviews|subjectaccessreviews|tokenreviews)(/|$)`)

func isEffect(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return !noEffects.MatchString(r.URL.Path)
	}
	return false
}

// nameOf is a write in words: its method, and what it concerns without the namespace.
func nameOf(r *http.Request) string {
	_, object, ok := strings.Cut(r.URL.Path, "/namespaces/")
	if _, rest, below := strings.Cut(object, "/"); ok && below {
		return r.Method + " " + rest
	}
	return r.Method + " " + r.URL.Path
}

// held is a watch whose events may be held back.
type held struct {
	http.ResponseWriter
	api *API
	ctx context.Context
}

func (h *held) Write(b []byte) (int, error) {
	select {
	case <-h.api.passing():
		return h.ResponseWriter.Write(b)
	case <-h.ctx.Done():
		return 0, errors.New("the watch has ended")
	}
}

// Unwrap lets http.ResponseController flush.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }
