package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/door"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// readTimeout bounds how long a page waits for a cache that is not filled yet.
const readTimeout = 5 * time.Second

//go:embed web
var web embed.FS

// templates escape whatever stands in them by where it stands; there is no way around that in them.
var templates = template.Must(template.New("").ParseFS(web, "web/*.html"))

// Options are what a page needs.
type Options struct {
	// Reader reads MailDomains and DNSZones: the cache.
	Reader client.Reader
	// Door says who may see what.
	Door Doorkeeper
	// Watch tells of changes, while somebody looks.
	Watch Watch
	// Namespaces that the operator watches; none for all.
	Namespaces []string
	// Shard are the objects that it shows.
	Shard shard.Shard
	Clock clock.WithTicker
	// Random makes the key of sessions.
	Random io.Reader
	// Secure says that it is served over TLS.
	Secure bool
	Log    logr.Logger
}

// Page serves the page.
type Page struct {
	o         Options
	admission admission
	sessions  *sessions
	hub       *hub
	http.Handler
}

// New makes a Page.
func New(o Options) (*Page, error) {
	s, err := newSessions(o.Random, o.Clock, o.Secure)
	if err != nil {
		return nil, err
	}
	p := &Page{o: o, admission: admission{o.Door, o.Namespaces}, sessions: s, hub: newHub(o.Watch)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.admitted(p.overview))
	mux.HandleFunc("GET /host", p.admitted(p.host))
	mux.HandleFunc("GET /zones", p.admitted(p.zones))
	mux.HandleFunc("GET /zone", p.admitted(p.zone))
	mux.HandleFunc("GET /events", p.events)
	mux.Handle("GET /login", http.RedirectHandler("/", http.StatusSeeOther)) // who reloads after he was refused
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("POST /logout", p.logout)
	for _, name := range []string{"style.css", "page.js", "icon.svg"} {
		mux.HandleFunc("GET /"+name, static(name))
	}
	// A form of another site logs nobody in or out.
	p.Handler = withHeaders(http.NewCrossOriginProtection().Handler(mux))
	return p, nil
}

// Close ends all streams, so that the server can end.
func (p *Page) Close() { p.hub.close() }

// withHeaders says to the browser that a page loads and sends nothing but what comes from here, stands in no frame, and is
// kept nowhere.
func withHeaders(inside http.Handler) http.Handler {
	headers := map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		inside.ServeHTTP(w, r)
	})
}

// static serves a file that is the same for everybody.
func static(name string) http.HandlerFunc {
	text, err := web.ReadFile("web/" + name)
	if err != nil {
		panic(err) // a programming error: the files are built in
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	}
}

// view is what every template is given.
type view struct {
	// Title of the page, and Summary, which is read out when it changes.
	Title, Summary string
	Now            Instant
	// Namespace that is looked at; empty for all.
	Namespace string
	// Session says that a cookie holds the token, so that there is something to end.
	Session bool
	// Live says that the page brings itself up to date.
	Live bool
	// To is the address of this page.
	To   string
	Body any
	// Message says what is wrong.
	Message string
}

func (p *Page) viewOf(r *http.Request) view {
	now := p.o.Clock.Now()
	return view{Now: instant(now, now), Namespace: r.URL.Query().Get("namespace"), Session: door.Bearer(r) == "", To: r.URL.RequestURI()}
}

// render writes a page. It is made as a whole before, so that none is sent by halves.
func (p *Page) render(w http.ResponseWriter, status int, name string, v view) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, v); err != nil {
		p.o.Log.Error(err, "a page could not be made", "page", name)
		http.Error(w, "a fault of the operator: its log tells more", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// content makes the body of a page from what the cache has.
type content func(ctx context.Context, r *http.Request, v *view) (name string, err error)

// admitted shows a page to those who may see it.
func (p *Page) admitted(of content) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.admit(w, r) {
			return
		}
		v := p.viewOf(r)
		v.Live = true
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		name, err := of(ctx, r, &v)
		switch {
		case errors.Is(err, errNotThere) || apierrors.IsNotFound(err):
			v.Title, v.Message, v.Live = "Not there", "There is no such object, or the operator does not watch its namespace, or its labels are another operator's.", false
			p.render(w, http.StatusNotFound, "message.html", v)
		case err != nil:
			p.o.Log.Error(err, "the cache could not be read for a page")
			v.Title, v.Message, v.Live = "Not ready", "The cache of the operator cannot be read. It may have just started: try again in a moment.", false
			p.render(w, http.StatusServiceUnavailable, "message.html", v)
		default:
			p.render(w, http.StatusOK, name, v)
		}
	}
}

var errNotThere = errors.New("there is no such object")

func (p *Page) overview(ctx context.Context, r *http.Request, v *view) (string, error) {
	f := filterOf(r.URL.Query())
	domains, err := p.domainsIn(ctx, f.Namespace)
	if err != nil {
		return "", err
	}
	zones, err := p.zonesIn(ctx, f.Namespace)
	if err != nil {
		return "", err
	}
	o := NewOverview(domains, zones, f, v.Now.Time)
	v.Title, v.Summary, v.Body = o.Headline, o.Headline, o
	return "overview.html", nil
}

func (p *Page) host(ctx context.Context, r *http.Request, v *view) (string, error) {
	q := r.URL.Query()
	var md v1alpha1.MailDomain
	if err := p.read(ctx, q.Get("namespace"), q.Get("maildomain"), &md); err != nil {
		return "", err
	}
	h, ok := NewHostPage(&md, q.Get("host"), v.Now.Time)
	if !ok {
		return "", errNotThere
	}
	v.Title, v.Summary, v.Body = h.Name+": "+h.Level.Word(), h.summary(), h
	return "host.html", nil
}

func (p *Page) zones(ctx context.Context, r *http.Request, v *view) (string, error) {
	f := filterOf(r.URL.Query())
	zones, err := p.zonesIn(ctx, f.Namespace)
	if err != nil {
		return "", err
	}
	v.Title, v.Body = "Zones", NewZones(zones, f, v.Now.Time)
	return "zones.html", nil
}

func (p *Page) zone(ctx context.Context, r *http.Request, v *view) (string, error) {
	q := r.URL.Query()
	var dz v1alpha1.DNSZone
	if err := p.read(ctx, q.Get("namespace"), q.Get("dnszone"), &dz); err != nil {
		return "", err
	}
	z := NewZonePage(&dz, v.Now.Time)
	v.Title, v.Summary, v.Body = z.Zone.Zone+": "+z.Level.ZoneWord(), z.Zone.Zone+" is "+z.Level.ZoneWord(), z
	return "zone.html", nil
}
