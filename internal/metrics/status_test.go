package metrics_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// cached is a cache that holds these, or fails.
type cached []v1alpha1.MailDomain

func (c cached) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not asked for")
}

func (c cached) List(_ context.Context, out client.ObjectList, _ ...client.ListOption) error {
	if c == nil {
		return errors.New("no cache")
	}
	out.(*v1alpha1.MailDomainList).Items = c
	return nil
}

// bed is a server of metrics: one of a registry, and the status.
type bed struct {
	*testing.T
	url    string
	panics int
}

// registered is what the registry of a bed has.
const registered = "# HELP other Not of the status.\n# TYPE other gauge\nother 7\n"

func serve(t *testing.T, domains cached) *bed {
	registry := prometheus.NewRegistry()
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Not of the status."})
	other.Set(7)
	registry.MustRegister(other)
	return serveAfter(t, domains, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

func serveAfter(t *testing.T, domains cached, inside http.Handler) *bed {
	b := &bed{T: t}
	status := &metrics.Status{Reader: domains, Guard: guard.New(logr.Discard(), func(guard.Part) { b.panics++ })}
	server := httptest.NewServer(status.After(inside))
	t.Cleanup(server.Close)
	b.url = server.URL + "/metrics"
	return b
}

// reply is what a scrape got.
type reply struct {
	status int
	header http.Header
	text   string
	err    error
}

// get scrapes, with fields of the header ("Name: value"), and without more compression than they ask for.
func (b *bed) get(fields []string, query ...string) reply {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.url+"?"+strings.Join(query, "&"), nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		request.Header.Add(name, value)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text), err}
}

// TestStatusAsMetrics compares all that is shown of MailDomains in every state with testdata/status.txt.
func TestStatusAsMetrics(t *testing.T) {
	want, err := os.Open("testdata/status.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.ScrapeAndCompare(serve(t, theDomains()).url, io.MultiReader(want, strings.NewReader(registered))); err != nil {
		t.Error(err)
	}
}

const protobuf = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// TestTextIsThatOfTheLibrary compares the text with what the library makes of the same: it gets that in protobuf.
func TestTextIsThatOfTheLibrary(t *testing.T) {
	domains := theDomains()
	for _, odd := range []string{`say "what"`, `C:\dane`, "two\nlines", "no \xff UTF-8", "", "é", `\n`} {
		domains = append(domains, domain("odd", v1alpha1.MailDomainStatus{Conditions: []metav1.Condition{{Type: "Odd" + odd, Status: "False", Reason: odd}}}, nil))
	}
	b := serve(t, domains)
	text, coded := b.get(nil), b.get([]string{protobuf})
	if kind := text.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("the text is %s", kind)
	}
	var want strings.Builder
	from := expfmt.NewDecoder(strings.NewReader(coded.text), expfmt.Format(coded.header.Get("Content-Type")))
	for {
		var f dto.MetricFamily
		if err := from.Decode(&f); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		if _, err := expfmt.MetricFamilyToText(&want, &f); err != nil {
			t.Error(err)
		}
	}
	if got, want := inOrder(text.text), inOrder(want.String()); !slices.Equal(got, want) || len(got) < 50 {
		t.Errorf("the text is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// inOrder are lines: in which order series come does not matter.
func inOrder(text string) []string {
	out := strings.Split(text, "\n")
	slices.Sort(out)
	return out
}

// TestCompression wants gzip for those who take it (RFC 9110 section 12.5.3), and the same in it.
func TestCompression(t *testing.T) {
	b := serve(t, theDomains())
	want := b.get(nil)
	for _, row := range []struct {
		reason string
		fields []string
		zipped bool
	}{
		{"as Prometheus asks", []string{"Accept-Encoding: gzip"}, true},
		{"one of several", []string{"Accept-Encoding: zstd;q=0.9, GZIP ; q=0.5"}, true},
		{"in a second field", []string{"Accept-Encoding: br", "Accept-Encoding: gzip"}, true},
		{"refused", []string{"Accept-Encoding: gzip;q=0"}, false},
		{"refused in more digits", []string{"Accept-Encoding: gzip; q=0.000, identity"}, false},
		{"no weight", []string{"Accept-Encoding: gzip;q=much"}, false},
		{"another", []string{"Accept-Encoding: zstd"}, false},
		{"none", []string{"Accept-Encoding: identity"}, false},
	} {
		got := b.get(row.fields)
		text := got.text
		if zipped := got.header.Get("Content-Encoding") == "gzip"; zipped != row.zipped {
			t.Errorf("%s: gzip is %v", row.reason, zipped)
			continue
		}
		if row.zipped {
			text = unzipped(t, text)
		}
		if text != want.text {
			t.Errorf("%s: the answer is %q", row.reason, text)
		}
	}
}

func unzipped(t *testing.T, text string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestChosenMetrics wants those alone that a scrape names.
func TestChosenMetrics(t *testing.T) {
	b := serve(t, theDomains())
	for _, format := range []string{"Accept: text/plain", protobuf} {
		for _, row := range []struct {
			reason       string
			query        []string
			status, rest bool
		}{
			{"all", nil, true, true},
			{"one of the status", []string{"name[]=dane_operator_host_safe"}, true, false},
			{"another", []string{"name[]=other"}, false, true},
			{"both", []string{"name[]=other", "name[]=dane_operator_host_safe"}, true, true},
		} {
			got := b.get([]string{format}, row.query...)
			others := len(row.query) > 0 && strings.Contains(got.text, "dane_operator_host_keys")
			if strings.Contains(got.text, "dane_operator_host_safe") != row.status || strings.Contains(got.text, "other") != row.rest || others {
				t.Errorf("%s (%s): %q", row.reason, format, got.text)
			}
		}
	}
}

// failing is a collector that has nothing.
type failing struct{}

func (failing) Describe(chan<- *prometheus.Desc) {}
func (failing) Collect(out chan<- prometheus.Metric) {
	err := errors.New("of the test")
	out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
}

// TestAScrapeFailsAsAWhole: what is missing would look as if it were gone.
func TestAScrapeFailsAsAWhole(t *testing.T) {
	broken := prometheus.NewRegistry()
	broken.MustRegister(failing{})
	none := cached(nil)
	for _, row := range []struct {
		reason  string
		domains cached
		inside  http.Handler
		status  int
		panics  int
	}{
		{"the cache cannot be read", none, promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{}), http.StatusInternalServerError, 0},
		{"the registry cannot be gathered", theDomains(), promhttp.HandlerFor(broken, promhttp.HandlerOpts{}), http.StatusInternalServerError, 0},
		{"a panic after some of the answer", theDomains(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(registered, 1000))
			panic("of the test")
		}), 0, 1},
	} {
		b := serveAfter(t, row.domains, row.inside)
		_ = b.get(nil)
		got := b.get([]string{"Accept-Encoding: gzip"})
		switch {
		case strings.Contains(got.text, "dane_operator_host_safe"):
			t.Errorf("%s: the status was answered: %q", row.reason, got.text)
		case got.err == nil && (got.status != row.status || got.header.Get("Content-Encoding") != "" || got.text == ""):
			t.Errorf("%s: the answer is %d %v %q, want %d", row.reason, got.status, got.header, got.text, row.status)
		case (got.err != nil) != (row.status == 0):
			t.Errorf("%s: the answer came to its end: %v", row.reason, got.err)
		case b.panics != 2*row.panics:
			t.Errorf("%s: %d panics were counted", row.reason, b.panics)
		}
	}
}
