package grafana

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/conformance"
	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// reportsRow is the row of the panels that the receiver of reports fills.
const reportsRow = "Reports of senders"

// seen is a report that was seen in public.
type seen struct {
	file string
	data []byte
	read tlsrpt.Report
}

// seenReports are those of the corpora.
func seenReports(t *testing.T) []seen {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(conformance.Dir(t), "tlsrpt-reports", "*", "*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d reports: %v", len(files), err)
	}
	var out []seen
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		read, err := tlsrpt.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, seen{file, data, read})
	}
	return out
}

// expected are the sessions that charts have to show, by the name of their line.
type expected struct {
	failed, succeeded map[string]float64
	// channels are the lines of the reports themselves.
	channels map[string]float64
}

// expectedOf counts what reports say of names that are owned. One of the same organization, id and time is known: several
// projects have copied that of RFC 8460.
func expectedOf(t *testing.T, reports []seen, owned map[string]bool) expected {
	t.Helper()
	out := expected{map[string]float64{}, map[string]float64{}, map[string]float64{}}
	known := map[string]bool{}
	for _, s := range reports {
		r := s.read
		ours := slices.ContainsFunc(r.Policies, func(p tlsrpt.Policy) bool { return about(p, owned) })
		id := fmt.Sprint(r.Organization, r.ID, r.Start, r.End)
		switch {
		case !ours:
			out.channels["https: foreign"]++
			continue
		case known[id]:
			out.channels["https: known"]++
			continue
		}
		known[id] = true
		out.channels["https: kept"]++
		for _, p := range r.Policies {
			if !about(p, owned) {
				continue
			}
			if p.Successful > 0 {
				out.succeeded[string(p.Type)] += float64(p.Successful)
			}
			for _, f := range p.Detailed() {
				if f.Sessions > 0 {
					out.failed[string(p.Type)+": "+string(f.Result)] += float64(f.Sessions)
				}
			}
		}
	}
	if len(out.failed) < 5 || len(out.succeeded) < 3 {
		t.Fatalf("the reports tell of too little: %+v", out)
	}
	return out
}

// about says whether a policy is about a name that is owned: some senders do not name the domain, and tell the host.
func about(p tlsrpt.Policy, owned map[string]bool) bool {
	return owned[p.Domain] || p.Domain == "" && slices.ContainsFunc(p.MXHosts, func(host string) bool { return owned[host] })
}

// mailDomains makes a MailDomain for each domain that a report is about, and returns the names of them and of their hosts.
func mailDomains(t *testing.T, c *kube.Cluster, reports []seen) map[string]bool {
	t.Helper()
	owned := map[string]bool{}
	for _, s := range reports {
		for _, p := range s.read.Policies {
			if p.Domain == "" || owned[p.Domain] {
				continue
			}
			md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.ReplaceAll(p.Domain, ".", "-")}}
			md.Spec.Domain = p.Domain
			md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx." + p.Domain}}
			if err := c.Client.Create(t.Context(), md); err != nil {
				t.Fatalf("%s: %v", s.file, err)
			}
			owned[p.Domain], owned["mx."+p.Domain] = true, true
		}
	}
	return owned
}

func freeAddress(t *testing.T) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(servers.FreePort(t, "127.0.0.1"))))
}

// startReceiver starts the receiver of reports, and returns where reports are posted to, and where it shows its metrics.
func startReceiver(t *testing.T, c *kube.Cluster) (posts, metrics string) {
	t.Helper()
	root, err := kube.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Build(t.Context(), root, c.Dir); err != nil {
		t.Fatal(err)
	}
	posts, metrics = freeAddress(t), freeAddress(t)
	health := freeAddress(t)
	process, err := operator.Reports(t.Context(), c, "reports", operator.Options{Args: []string{
		"--database", filepath.Join(t.TempDir(), "reports.db"), "--https-bind-address", posts, "--metrics-bind-address", metrics, "--health-probe-bind-address", health,
	}})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the receiver to be ready\n"+process.Tail(5), func() bool {
		response, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return posts, metrics
}

// TestReportPanelsWithData: a receiver takes the reports in that were seen in public, a Prometheus scrapes it, and the charts
// of the dashboard show how many sessions failed and succeeded, and what became of the reports, to the number.
func TestReportPanelsWithData(t *testing.T) {
	reports := seenReports(t)
	dashboard, err := Read(filepath.Join("..", "..", "config", "grafana", "dane-operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := kube.ForTest(t, kube.Options{Dir: t.TempDir()})
	if err := c.EnsureNamespace(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	want := expectedOf(t, reports, mailDomains(t, c, reports))
	posts, metrics := startReceiver(t, c)
	begun := time.Now()
	prom := startPrometheus(t, c, metrics)
	await(t, "Prometheus to see the receiver", func() bool { return found(t, prom, `dane_operator_tls_reports_total{outcome="kept"} == 0`) })
	for _, s := range reports {
		post(t, posts, s)
	}
	await(t, "Prometheus to see what came", func() bool {
		return found(t, prom, fmt.Sprintf("sum(dane_operator_tls_reports_total) == %d", len(reports)))
	})

	// The last step of a range may be a second before its end.
	over := Over(time.Now().Add(2*interval), time.Since(begun)+2*interval)
	filled, err := Ask(t.Context(), prom, dashboard, over, interval)
	if err != nil {
		t.Fatal(err)
	}
	for title, lines := range map[string]map[string]float64{"Sessions that failed": want.failed, "Sessions that succeeded": want.succeeded} {
		if got := ends(filled, title); !maps.Equal(got, lines) {
			t.Errorf("panel %q shows\n%v, want\n%v", title, got, lines)
		}
	}
	// These were 0 before: Prometheus draws the slope out to the day, and the numbers are near to what came.
	if got := ends(filled, "Reports"); !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want.channels))) {
		t.Errorf("panel Reports shows %v, want %v", got, want.channels)
	}
	var page bytes.Buffer
	if _, err := Page(&page, dashboard, Rows(filled, reportsRow), over); err != nil || !strings.Contains(page.String(), "sts: certificate-expired") {
		t.Errorf("the page of the row does not name a failure: %v", err)
	}
}

// ends are the newest values of the lines of a panel, by their names.
func ends(filled []Filled, title string) map[string]float64 {
	out := map[string]float64{}
	for _, f := range filled {
		if f.Title == title {
			for _, s := range f.Series {
				out[s.Name] = s.last()
			}
		}
	}
	return out
}

func post(t *testing.T, to string, s seen) {
	t.Helper()
	response, err := http.Post("http://"+to+"/v1/tlsrpt", "application/tlsrpt+json", bytes.NewReader(s.data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", s.file, response.Status)
	}
}

// found says whether a query gives anything now.
func found(t *testing.T, prom v1.API, query string) bool {
	t.Helper()
	value, _, err := prom.Query(t.Context(), query, time.Now())
	return err == nil && value.String() != ""
}
