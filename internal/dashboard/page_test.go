package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/door"
)

// people are the tokens that the API server knows, and what each may do: "VERB PATH", or "NAMESPACE/RESOURCE" for what may
// be listed there, "*" being everywhere.
type people struct {
	mu      sync.Mutex
	may     map[string][]string
	failing error
}

func (p *people) Ask(_ context.Context, token string, a door.Access) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rights, known := p.may[token]
	if p.failing != nil || !known {
		return http.StatusUnauthorized, p.failing
	}
	for _, r := range rights {
		if r == a.Verb+" "+a.Path || a.Path == "" && a.Verb == "list" && a.Group == "mail.dane-operator.io" &&
			(r == "*/"+a.Resource || r == a.Namespace+"/"+a.Resource && a.Namespace != "") {
			return http.StatusOK, nil
		}
	}
	return http.StatusForbidden, nil
}

func (p *people) set(token string, rights ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.may[token] = rights
}

const everyone = "get /dashboard"

type bed struct {
	*testing.T
	*people
	page *Page
	// changed tells of a change, while watching is above 0.
	changed  func(string)
	watching int
}

// newBed makes a page about MailDomains of two namespaces and a zone.
func newBed(t *testing.T, c clock.WithTicker, edit func(*Options), more ...client.Object) *bed {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	one, two, zone := domain("one", "first", mx1), domain("two", "second", mx2), zoneFixture("zone")
	objects := append([]client.Object{&one, &two, &zone}, more...)
	b := &bed{T: t, people: &people{may: map[string][]string{
		"all": {everyone, "*/maildomains", "*/dnszones"}, "none": {}, "page": {everyone},
		"tenant": {everyone, "one/maildomains", "one/dnszones"}, "half": {everyone, "*/maildomains"}, "objects": {"*/maildomains", "*/dnszones"},
		"both": {everyone, "one/maildomains", "one/dnszones", "two/maildomains", "two/dnszones"},
	}}}
	o := Options{
		Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), Door: b.people, Clock: c, Random: rand.Reader, Log: logr.Discard(),
		Watch: func(changed func(string)) (func(), error) {
			b.changed, b.watching = changed, b.watching+1
			return func() { b.watching-- }, nil
		},
	}
	if edit != nil {
		edit(&o)
	}
	var err error
	if b.page, err = New(o); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.page.ServeHTTP(w, r)
	return w
}

func (b *bed) get(path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.do(r)
}

func (b *bed) post(path string, form url.Values, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(r)
	}
	return b.do(r)
}

func fakeClock() *testclock.FakeClock { return testclock.NewFakeClock(noon) }

// TestWhoSeesWhat: nobody sees more than he may list, whatever the address.
func TestWhoSeesWhat(t *testing.T) {
	host := func(namespace, name, host string) string {
		return "/host?" + url.Values{"namespace": {namespace}, "maildomain": {name}, "host": {host}}.Encode()
	}
	for _, row := range []struct {
		reason, path, token string
		want                int
	}{
		{"nobody", "/", "", http.StatusUnauthorized},
		{"a token that nobody has", "/", "made-up", http.StatusUnauthorized},
		{"who may nothing", "/", "none", http.StatusForbidden},
		{"who may get the page and list nothing", "/", "page", http.StatusForbidden},
		{"who may list all, but not get the page", "/", "objects", http.StatusForbidden},
		{"who may list one of the two kinds", "/", "half", http.StatusForbidden},
		{"who may all", "/", "all", http.StatusOK},
		{"in one namespace, too", "/?namespace=one", "all", http.StatusOK},
		{"a tenant everywhere", "/", "tenant", http.StatusForbidden},
		{"a tenant at home", "/?namespace=one", "tenant", http.StatusOK},
		{"a tenant at another's", "/?namespace=two", "tenant", http.StatusForbidden},
		{"his host", host("one", "first", mx1), "tenant", http.StatusOK},
		{"that of another", host("two", "second", mx2), "tenant", http.StatusForbidden},
		{"that of another, without a namespace", host("", "second", mx2), "tenant", http.StatusForbidden},
		{"of two namespaces the first counts, for the question and for the answer", host("two", "second", mx2) + "&namespace=one", "tenant", http.StatusForbidden},
		{"zones everywhere", "/zones", "tenant", http.StatusForbidden},
		{"zones at home", "/zones?namespace=one", "tenant", http.StatusOK},
		{"the zone of another", "/zone?namespace=dns&dnszone=zone", "tenant", http.StatusForbidden},
		{"changes everywhere", "/events", "tenant", http.StatusForbidden},
		{"changes without a token", "/events", "", http.StatusUnauthorized},
		{"a zone", "/zone?namespace=dns&dnszone=zone", "all", http.StatusOK},
		{"a host that is not there", host("one", "first", "other.example"), "all", http.StatusNotFound},
		{"a MailDomain that is not there", host("one", "lost", mx1), "all", http.StatusNotFound},
		{"what looks needs no right", "/style.css", "", http.StatusOK},
		{"no such page", "/metrics", "all", http.StatusNotFound},
	} {
		b := newBed(t, fakeClock(), nil)
		w := b.get(row.path, row.token)
		if w.Code != row.want {
			t.Errorf("%s: %d, want %d", row.reason, w.Code, row.want)
		}
		if tells := strings.Contains(w.Body.String(), mx1) || strings.Contains(w.Body.String(), mx2); tells && w.Code != http.StatusOK {
			t.Errorf("%s: refused, and told of a host", row.reason)
		}
		if row.token == "tenant" && strings.Contains(w.Body.String(), mx2) {
			t.Errorf("%s: the tenant is told of %s", row.reason, mx2)
		}
	}
}

// TestWatchedNamespaces: who may list in each namespace that the operator watches sees all that it knows.
func TestWatchedNamespaces(t *testing.T) {
	b := newBed(t, fakeClock(), func(o *Options) { o.Namespaces = []string{"one", "two"} })
	for token, want := range map[string]int{"both": http.StatusOK, "all": http.StatusOK, "tenant": http.StatusForbidden, "page": http.StatusForbidden} {
		if got := b.get("/", token).Code; got != want {
			t.Errorf("%s: %d, want %d", token, got, want)
		}
	}
	if got := newBed(t, fakeClock(), nil).get("/", "both").Code; got != http.StatusForbidden {
		t.Errorf("there are more namespaces than two: %d", got)
	}
}

// TestHeaders: no page loads anything from elsewhere, stands in a frame, or is kept.
func TestHeaders(t *testing.T) {
	b := newBed(t, fakeClock(), nil)
	for _, path := range []string{"/", "/zones", "/login", "/nowhere", "/style.css", "/events"} {
		h := b.get(path, "").Header()
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: no %q in %q", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
		if path != "/style.css" && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %q", path, h.Get("Cache-Control"))
		}
	}
}

// TestHostileText: whatever stands in status, and what somebody asks for, is text and nothing else.
func TestHostileText(t *testing.T) {
	const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>"' onmouseover="alert(3)" javascript:alert(4)`
	md := domain("one", "hostile", "h.example")
	s := &md.Status.MailServers[0]
	s.Unsafe = &v1alpha1.UnsafeStatus{Reason: hostile, Message: hostile, Since: hours(-1), Until: hours(1)}
	s.SenderView.Message, s.SenderView.Verdict = hostile, hostile
	s.ZoneRef = &v1alpha1.ZoneReference{Name: hostile, Namespace: hostile}
	s.Records, s.ForeignRecords = []string{hostile}, []string{hostile}
	s.Aliases = []v1alpha1.AliasStatus{{Owner: hostile, End: hostile}}
	s.Keys = []v1alpha1.KeyStatus{{SPKISHA256: hostile, Certificate: hostile, Role: hostile, Visibility: hostile, Since: hours(-1), NotAfter: hours(1)}}
	s.Endpoints = []v1alpha1.EndpointStatus{{Address: hostile, Message: hostile}}
	s.Nameservers = []v1alpha1.NameserverSync{{Name: hostile, Address: hostile, Message: hostile}}
	s.Versions = []v1alpha1.VersionStatus{{Owner: hostile, Records: []string{hostile}, FirstSeen: hours(-2)}}
	md.Status.NextTransition = &v1alpha1.Transition{Action: hostile}
	set(&md, condition(v1alpha1.ConditionReady, metav1.ConditionFalse, hostile, hostile))
	dz := zoneFixture("hostile", v1alpha1.ZoneFinding{Code: hostile, Severity: v1alpha1.FindingCritical, Server: hostile, Message: hostile})
	dz.Status.Nameservers = []v1alpha1.ZoneNameserverStatus{{Name: hostile, Address: hostile, Message: hostile}}
	dz.Status.DNSSEC.DS, dz.Status.DNSSEC.Algorithms = []string{hostile}, []string{hostile}
	dz.Status.DNSSEC.Delegation = &v1alpha1.DelegationStatus{Parent: hostile, ParentDS: []string{hostile}}
	b := newBed(t, fakeClock(), nil, &md, &dz)
	b.set("hostile", everyone)
	asked := url.QueryEscape(hostile)
	for _, path := range []string{
		"/", "/?q=" + asked + "&state=" + asked, "/?namespace=" + asked, "/host?namespace=one&maildomain=hostile&host=h.example",
		"/host?namespace=one&maildomain=hostile&host=" + asked, "/zones?q=" + asked, "/zone?namespace=dns&dnszone=hostile",
	} {
		for _, token := range []string{"all", "hostile", ""} {
			text := b.get(path, token).Body.String()
			for _, bad := range []string{"<script>", "<img src=x", `" onmouseover`, `href="javascript:`} {
				if strings.Contains(text, bad) {
					t.Errorf("%s for %q has %s in it", path, token, bad)
				}
			}
			if token == "all" && path == "/" && !strings.Contains(text, "&lt;script&gt;alert(1)") {
				t.Error("the text is not shown at all: does the test still reach it?")
			}
		}
	}
}

// TestSession: a token that was entered is good until the session ends, and leaves no trace in the cookie.
func TestSession(t *testing.T) {
	c := fakeClock()
	b := newBed(t, c, nil)
	w := b.post("/login", url.Values{"token": {" all\n"}, "to": {"/zones?q=a"}}, nil)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/zones?q=a" || len(cookies) != 1 {
		t.Fatalf("%d to %q with %v", w.Code, w.Header().Get("Location"), cookies)
	}
	cookie := cookies[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || strings.Contains(cookie.Value, "all") {
		t.Errorf("the cookie is %+v", cookie)
	}
	with := func(value string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		return b.do(r).Code
	}
	if got := with(cookie.Value); got != http.StatusOK {
		t.Errorf("with the cookie: %d", got)
	}
	flipped := "A" + cookie.Value[1:]
	if flipped == cookie.Value {
		flipped = "B" + cookie.Value[1:]
	}
	for reason, value := range map[string]string{"changed": flipped, "cut": cookie.Value[:20], "the token itself": "all", "nothing": "", "no base64": "%%%"} {
		if got := with(value); got != http.StatusUnauthorized {
			t.Errorf("a cookie that is %s: %d", reason, got)
		}
	}
	other := newBed(t, c, nil)
	other.page.sessions.seal, b.page.sessions.seal = b.page.sessions.seal, other.page.sessions.seal
	if got := with(cookie.Value); got != http.StatusUnauthorized {
		t.Errorf("a cookie of another process: %d", got)
	}
	b.page.sessions.seal = other.page.sessions.seal
	c.Step(sessionLasts - time.Second)
	if got := with(cookie.Value); got != http.StatusOK {
		t.Errorf("a second before its end: %d", got)
	}
	c.Step(time.Second)
	if got := with(cookie.Value); got != http.StatusUnauthorized {
		t.Errorf("at its end: %d", got)
	}
	if ended := b.post("/logout", nil, nil).Result().Cookies(); len(ended) != 1 || ended[0].MaxAge >= 0 || ended[0].Value != "" {
		t.Errorf("the end of a session sets %v", ended)
	}
}

// TestSecureCookie: over TLS no other host and no other port without TLS can set or get it.
func TestSecureCookie(t *testing.T) {
	b := newBed(t, fakeClock(), func(o *Options) { o.Secure = true })
	cookies := b.post("/login", url.Values{"token": {"all"}}, nil).Result().Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "__Host-") {
		t.Errorf("%v", cookies)
	}
}

func TestLoginRefuses(t *testing.T) {
	for _, row := range []struct {
		reason string
		form   url.Values
		edit   func(*http.Request)
		want   int
	}{
		{"a token that nobody has", url.Values{"token": {"made-up"}}, nil, http.StatusUnauthorized},
		{"no token", url.Values{}, nil, http.StatusUnauthorized},
		{"a form of another site", url.Values{"token": {"all"}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"a form of another site, by an old browser", url.Values{"token": {"all"}}, func(r *http.Request) { r.Header.Set("Origin", "https://other.example") }, http.StatusForbidden},
		{"a form without an end", url.Values{"token": {strings.Repeat("x", longestForm)}}, nil, http.StatusBadRequest},
		{"a token in the address", nil, func(r *http.Request) { r.URL.RawQuery = "token=all" }, http.StatusUnauthorized},
	} {
		w := newBed(t, fakeClock(), nil).post("/login", row.form, row.edit)
		if w.Code != row.want || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d with %v, want %d", row.reason, w.Code, w.Result().Cookies(), row.want)
		}
	}
	b := newBed(t, fakeClock(), nil)
	long := strings.Repeat("x", longestCookie)
	b.set(long, everyone)
	if w := b.post("/login", url.Values{"token": {long}}, nil); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "too long for a cookie") {
		t.Errorf("a token that no cookie holds: %d", w.Code)
	}
}

// TestLoginLeadsNowhereElse: the form cannot be used to send somebody to another site.
func TestLoginLeadsNowhereElse(t *testing.T) {
	for to, want := range map[string]string{
		"/host?host=a&namespace=b": "/host?host=a&namespace=b", "/": "/", "/?q=a": "/?q=a", "": "/", "https://other.example/zones": "/zones",
		"//other.example/x": "/", `/\other.example`: "/", "javascript:alert(1)": "/", "/events": "/", "%zz": "/",
	} {
		w := newBed(t, fakeClock(), nil).post("/login", url.Values{"token": {"all"}, "to": {to}}, nil)
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

// TestAPIServerAway: who cannot be asked about sees nothing, and is told that it is not his fault.
func TestAPIServerAway(t *testing.T) {
	b := newBed(t, fakeClock(), nil)
	b.failing = errors.New("no API server")
	for _, path := range []string{"/", "/events", "/zones"} {
		if w := b.get(path, "all"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "no API server") {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}

// brokenReader is a cache that cannot be read.
type brokenReader struct{ client.Reader }

func (brokenReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("not filled")
}

// TestCacheThatIsNotFilled: no host at all would look as if all were well.
func TestCacheThatIsNotFilled(t *testing.T) {
	b := newBed(t, fakeClock(), func(o *Options) { o.Reader = brokenReader{o.Reader} })
	if w := b.get("/", "all"); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "no mail servers") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestFilesAreNotSentTwice: the browser asks whether they have changed.
func TestFilesAreNotSentTwice(t *testing.T) {
	b := newBed(t, fakeClock(), nil)
	first := b.get("/page.js", "")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/page.js", nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	second := b.do(r)
	if text, _ := io.ReadAll(second.Body); second.Code != http.StatusNotModified || len(text) > 0 {
		t.Errorf("%d with %d octets", second.Code, len(text))
	}
}
