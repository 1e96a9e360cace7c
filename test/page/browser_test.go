package page

import (
	"context"
	"crypto/rand"
	_ "embed"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dashboard"
	"github.com/dane-operator/dane-operator/internal/door"
)

//go:embed checks.js
var checks string

var screenshots = flag.String("screenshots", "", "write pictures of the page to this folder")

// patience is how long a test waits for what comes at once.
const patience = 30 * time.Second

// anybody with the token "token" may see everything.
type anybody struct{}

func (anybody) Ask(_ context.Context, token string, _ door.Access) (int, error) {
	if token == "token" {
		return http.StatusOK, nil
	}
	return http.StatusUnauthorized, nil
}

// world is a page about a scene, and a browser that is logged in.
type world struct {
	*testing.T
	client  client.Client
	browser context.Context
	server  string

	mu      sync.Mutex
	changed func(string)
	wrong   []string
}

func start(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	s := scene{time.Now().Truncate(time.Second)}
	w := &world{T: t, client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(s.objects()...).Build()}
	page, err := dashboard.New(dashboard.Options{
		Reader: w.client, Door: anybody{}, Clock: clock.RealClock{}, Random: rand.Reader, Log: logr.Discard(),
		Watch: func(changed func(string)) (func(), error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = changed
			return func() {}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	t.Cleanup(page.Close)
	w.server = server.URL
	w.browser = browser(t)
	w.login()
	return w
}

// browser starts Chromium, which hack/deps.sh installs.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("there is no chromium (Debian package chromium; hack/deps.sh installs it): %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute)) //nolint:gocritic // a new list
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) do(steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.browser, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](w *world, expression string) T {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.browser, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		w.Fatalf("%s: %v", expression, err)
	}
	return out
}

// until waits for an expression to be true.
func (w *world) until(expression string) {
	w.Helper()
	for end := time.Now().Add(patience); !ask[bool](w, expression); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain for %s; the page has\n%s", expression, ask[string](w, "document.body.innerText"))
		}
	}
}

// login enters the token as a person does, by the keyboard alone.
func (w *world) login() {
	w.Helper()
	if err := chromedp.Do(w.browser, chromedp.Navigate("about:blank")); err != nil { // it starts the browser
		w.Fatal(err)
	}
	w.do(chromedp.Navigate(w.server + "/"))
	w.until(`document.activeElement.id === "token"`)
	w.judge("the login")
	w.do(chromedp.KeyEvent("token"), chromedp.KeyEvent(kb.Enter))
	w.until(`!!document.querySelector("h1.headline")`)
	if in := ask[string](w, "location.href + document.cookie"); strings.Contains(in, "token") {
		w.Errorf("the token is in the address, or a script can read it: %s", in)
	}
	if err := chromedp.Listen(w.browser, w.listen); err != nil {
		w.Fatal(err)
	}
}

// listen notes what no page of ours does: errors, and requests to somebody else.
func (w *world) listen(event any) {
	var wrong string
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		wrong = fmt.Sprintf("exception: %s at line %d", e.ExceptionDetails.Text, e.ExceptionDetails.LineNumber)
	case *cdpruntime.EventConsoleAPICalled:
		wrong = fmt.Sprintf("console.%s: %v", e.Type, e.Args)
	case *cdplog.EventEntryAdded:
		wrong = fmt.Sprintf("log: %s (%s)", e.Entry.Text, e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, w.server+"/") {
			wrong = "request to " + e.Request.URL
		}
	}
	if wrong != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wrong = append(w.wrong, wrong)
	}
}

// judge looks for what is wrong with the page that is shown.
func (w *world) judge(where string) {
	w.Helper()
	for _, wrong := range ask[[]string](w, checks) {
		w.Errorf("%s: %s", where, wrong)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wrong := range w.wrong {
		w.Errorf("%s: %s", where, wrong)
	}
	w.wrong = nil
}

// as sets the size of the screen and the colours that are preferred.
func (w *world) as(width, height int64, scheme string) {
	w.Helper()
	w.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

var pages = map[string]string{
	"overview": "/", "found": "/?q=cedar&state=safe", "nothing": "/?q=nobody", "zones": "/zones",
	"rollover": "/host?namespace=mail&maildomain=example&host=mx1.example.com",
	"unsafe":   "/host?namespace=shop&maildomain=shop&host=mx.shop.example",
	"zone":     "/zone?namespace=school&dnszone=school",
}

// TestPageInABrowser looks at every page on a desk and on a phone, by day and by night.
func TestPageInABrowser(t *testing.T) {
	w := start(t)
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 900}, {"phone", 360, 740}} {
		for _, scheme := range []string{"light", "dark"} {
			w.as(screen.width, screen.height, scheme)
			for name, path := range pages {
				w.do(chromedp.Navigate(w.server + path))
				w.until(`document.getElementById("live").textContent === "Live"`)
				// What is folded is looked at, too.
				ask[int](w, `[...document.querySelectorAll("details")].map((d) => d.open = true).length`)
				w.judge(name + " on a " + screen.name + ", " + scheme)
			}
			w.picture(screen.name + "-" + scheme)
		}
	}
	w.keyboard()
	w.live()
	w.withoutScripts()
}

// pictured are the pages that the documentation shows, by screen and colours.
var pictured = map[string][]string{"desktop-light": {"overview"}, "desktop-dark": {"rollover"}, "phone-dark": {"rollover"}}

// picture writes what the documentation shows.
func (w *world) picture(as string) {
	w.Helper()
	if *screenshots == "" {
		return
	}
	for _, name := range pictured[as] {
		w.do(chromedp.Navigate(w.server + pages[name]))
		w.until(`document.getElementById("live").textContent === "Live"`)
		out, err := chromedp.Run(w.browser, chromedp.CaptureScreenshot())
		if err != nil {
			w.Fatal(err)
		}
		file := filepath.Join(*screenshots, "dashboard-"+name+"-"+as+".png")
		if err := os.WriteFile(file, out, 0o644); err != nil { //nolint:gosec // a file of the repository, for everybody
			w.Fatal(err)
		}
	}
}

// keyboard goes through pages by the tab key: it reaches everything that can be used, shows where it is, and is still there
// when the page has been brought up to date.
func (w *world) keyboard() {
	w.Helper()
	w.as(1280, 900, "light")
	for _, name := range []string{"overview", "rollover"} {
		w.do(chromedp.Navigate(w.server + pages[name]))
		w.until(`document.getElementById("live").textContent === "Live"`)
		const usable = `[...document.querySelectorAll("a, button, input:not([type=hidden]), summary, [tabindex='0']")]`
		want := ask[int](w, usable+`.length`)
		reached := map[int]bool{}
		for range want + 2 {
			w.do(chromedp.KeyEvent(kb.Tab))
			at := ask[int](w, usable+`.indexOf(document.activeElement)`)
			if at < 0 {
				continue // the browser's own
			}
			reached[at] = true
			ask[bool](w, `(document.querySelector("main").old = true, document.dispatchEvent(new Event("visibilitychange")))`)
			w.until(`!document.querySelector("main").old`)
			if now := ask[int](w, usable+`.indexOf(document.activeElement)`); now != at {
				w.Fatalf("%s: the page was brought up to date, and the focus went from element %d to %d", name, at, now)
			}
			if !ask[bool](w, `getComputedStyle(document.activeElement).outlineStyle !== "none" && document.activeElement.matches(":focus-visible")`) {
				w.Errorf("%s: nobody sees that %s has the focus", name, ask[string](w, `document.activeElement.outerHTML`))
			}
		}
		for i := range want {
			if !reached[i] {
				w.Errorf("%s: the keyboard does not reach %s", name, ask[string](w, fmt.Sprintf(`%s[%d].outerHTML`, usable, i)))
			}
		}
	}
}

// live changes a status while somebody looks: the page follows by itself, and leaves him where he is.
func (w *world) live() {
	w.Helper()
	w.do(chromedp.Navigate(w.server + pages["unsafe"]))
	w.until(`document.getElementById("live").textContent === "Live"`)
	ask[bool](w, `window.before = true`)
	ask[bool](w, `(document.getElementById("help-why").open = true, document.querySelector("#help-RolloverSafe summary").parentElement.open = true)`)
	ask[bool](w, `(document.getElementById("zone").focus(), true)`)
	var md v1alpha1.MailDomain
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, &md); err != nil {
		w.Fatal(err)
	}
	md.Status.MailServers[0].Unsafe.Message = "somebody has changed it"
	if err := w.client.Update(w.Context(), &md); err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	changed := w.changed
	w.mu.Unlock()
	changed("shop")
	w.until(`document.querySelector("main .why").textContent === "somebody has changed it"`)
	w.until(`document.getElementById("announce").textContent.includes("somebody has changed it")`)
	if !ask[bool](w, `window.before && document.getElementById("help-why").open && document.activeElement.id === "zone"`) {
		w.Error("the page was loaded anew, or has lost what somebody had opened, or where he was")
	}
	w.judge("the page that has followed")
}

// withoutScripts wants the page to be readable, and the search to work.
func (w *world) withoutScripts() {
	w.Helper()
	w.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}), chromedp.Navigate(w.server+"/"))
	text := ask[string](w, "document.body.innerText")
	for _, want := range []string{"2 of 22 hosts are unsafe", "mx.shop.example", "Senders may fail until", "in 5", "All times are UTC"} {
		if !strings.Contains(text, want) {
			w.Errorf("without scripts nobody reads %q:\n%s", want, text)
		}
	}
	w.do(chromedp.Navigate(w.server+"/"), chromedp.SendKeys(chromedp.CSS("#q"), "cedar"+kb.Enter))
	w.until(`location.search.includes("q=cedar") && document.querySelectorAll(".hosts tbody tr").length === 2`)
}
