package grafana

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

var screenshots = flag.String("screenshots", "", "write pictures of the dashboard to this folder")

const (
	namespace = "mail"
	zoneName  = "example.test"
	// interval of the scrapes.
	interval = time.Second
	// patience is how long a step may take on a busy machine.
	patience = 6 * time.Minute
)

// timing turns hours into seconds: a key without a standby waits about half a minute.
var timing = lab.Timing{TTL: 10, PublishSafety: "12s", RetireSafety: "15s", TTLFloor: "1s", Delay: "0s", Interval: "500ms"}

// party is a MailDomain with one host, its certificate and its mail server.
type party struct {
	name    string
	rollout v1alpha1.Strategy
	standby bool
}

func (p party) host() string { return "mx." + p.name + "." + zoneName }

var parties = []party{
	{"shop", v1alpha1.StrategyGate, true},
	{"club", v1alpha1.StrategyGate, false},
	{"school", v1alpha1.StrategyFollow, false},
}

// world is a whole installation with a Prometheus that scrapes the operator.
type world struct {
	*testing.T
	lab  *lab.Lab
	zone *ns.Zone
	// tree is the resolver of the operator.
	tree  *ns.Tree
	prom  v1.API
	begun time.Time
	// scrape is where the operator shows its metrics.
	scrape string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, scrape: net.JoinHostPort("127.0.0.1", strconv.Itoa(int(servers.FreePort(t, "127.0.0.1"))))}
	var err error
	w.tree, err = ns.StartTree("127.0.0.1:0")
	w.must(err)
	t.Cleanup(w.tree.Stop)
	w.lab, err = lab.Start(t.Context(), lab.Options{
		Namespace: namespace, Progress: func(line string) { t.Log(line) },
		Operator: operator.Options{Args: []string{"--metrics-bind-address", w.scrape, "--resolvers", w.tree.Addr}},
	})
	w.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the operator said last:\n%s", w.lab.Operator.Tail(40))
		}
		if err := w.lab.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.prometheus()
	w.nameServers()
	w.must(w.lab.Client.Create(t.Context(), kube.SelfSignedIssuer(namespace, "selfsigned")))
	for _, p := range parties {
		w.create(p)
	}
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// prometheus starts one that scrapes the operator.
func (w *world) prometheus() {
	w.Helper()
	w.prom, w.begun = startPrometheus(w.T, w.lab.Cluster, w.scrape), time.Now()
	await(w.T, "Prometheus to see the operator", func() bool {
		value, _, err := w.prom.Query(w.Context(), "dane_operator_trust_anchors_usable", time.Now())
		return err == nil && strings.Contains(value.String(), "=> 1")
	})
}

// startPrometheus starts one that scrapes an address, as the monitors of config/ have it scraped.
func startPrometheus(t *testing.T, c *kube.Cluster, target string) v1.API {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Appendf(nil,
		"global: {scrape_interval: %s}\nscrape_configs: [{job_name: dane-operator, honor_labels: true, static_configs: [{targets: [%q]}]}]\n", interval, target)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(servers.FreePort(t, "127.0.0.1"))))
	_, err := c.StartProcess("prometheus", servers.Find(t, "prometheus"), []string{
		"--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := api.NewClient(api.Config{Address: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	return v1.NewAPI(asked)
}

// await waits for something.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// nameServers starts a primary that signs and two secondaries, one of them late, and makes the DNSZone.
func (w *world) nameServers() {
	w.Helper()
	var err error
	w.zone, err = ns.NewZone(zoneName, "ns1."+zoneName, "ns2."+zoneName, "ns3."+zoneName)
	w.must(err)
	primary, err := w.zone.StartPrimary("127.0.0.1:0")
	w.must(err)
	w.Cleanup(primary.Stop)
	w.tree.Add(primary)
	of := lab.Zone{Name: zoneName, Primary: primary.Addr, Servers: []string{primary.Addr}, TSIGName: w.zone.TSIGName, TSIGSecret: w.zone.TSIGSecret, DS: w.zone.DS()}
	for _, late := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond} {
		secondary, err := w.zone.StartSecondary("127.0.0.1:0", late)
		w.must(err)
		w.Cleanup(secondary.Stop)
		of.Servers = append(of.Servers, secondary.Addr)
	}
	_, err = w.lab.CreateZone(w.Context(), "example-test", of, timing)
	w.must(err)
}

// create makes a party's certificate, its mail server, which takes a new certificate after a second, and its MailDomain.
func (w *world) create(p party) {
	w.Helper()
	w.must(w.zone.Add(p.host() + ". 60 IN A 127.0.0.1"))
	w.must(w.zone.Add(p.name + "." + zoneName + ". 60 IN MX 10 " + p.host() + "."))
	w.must(w.lab.Client.Create(w.Context(), kube.Certificate(namespace, p.name, "selfsigned", p.host())))
	source := func() ([]byte, []byte) { return w.lab.TLSSecret(context.Background(), p.name+"-tls") }
	server, err := mail.Start("127.0.0.1:0", source, time.Second)
	w.must(err)
	w.Cleanup(server.Stop)
	_, port, err := lab.SplitAddr(server.Addr)
	w.must(err)
	md := w.lab.MailDomain(p.name, p.name+"."+zoneName, p.host(), port, timing, p.name)
	md.Spec.Rollover.Strategy, md.Spec.Rollover.StandbyKey = p.rollout, v1alpha1.StandbyDisabled
	if p.standby {
		md.Spec.Rollover.StandbyKey = v1alpha1.StandbyEnabled
	}
	w.must(w.lab.Client.Create(w.Context(), md))
}

// settled waits until a party is at rest, with another key than old.
func (w *world) settled(p party, old string) {
	w.Helper()
	_, err := w.lab.WaitDomain(w.Context(), p.name, patience, func(md *v1alpha1.MailDomain) string {
		if old != "" && lab.CurrentKey(md, p.host()) == old {
			return "another key to be in use"
		}
		return lab.Settled(md, p.host(), p.standby)
	})
	w.must(err)
}

// renew starts a renewal, and returns the key in use.
func (w *world) renew(p party) string {
	w.Helper()
	md, err := w.lab.Domain(w.Context(), p.name)
	w.must(err)
	w.must(w.lab.Renew(w.Context(), namespace, p.name))
	return lab.CurrentKey(md, p.host())
}

// play lets each party renew once, or twice where a picture is taken, and the second one begin once more: its key is
// published and waits for caches when play returns.
func (w *world) play() {
	w.Helper()
	for _, p := range parties {
		w.settled(p, "")
	}
	rounds := parties
	if *screenshots != "" {
		rounds = slices.Concat(parties, parties)
	}
	for _, p := range rounds {
		w.settled(p, w.renew(p))
	}
	again := parties[1]
	w.renew(again)
	_, err := w.lab.WaitDomain(w.Context(), again.name, patience, func(md *v1alpha1.MailDomain) string {
		for _, k := range lab.Keys(md, again.host(), v1alpha1.RoleNext) {
			if k.DeployableAt != nil {
				return ""
			}
		}
		return "a key that waits for caches"
	})
	w.must(err)
	// What is asked for is what has been scraped.
	await(w.T, "Prometheus to see the key that waits", func() bool {
		value, _, err := w.prom.Query(w.Context(), "dane_operator_host_key_deployable_timestamp_seconds > time()", time.Now())
		return err == nil && value.String() != ""
	})
}

// empty are the queries that give nothing in a world like this, and why.
var empty = map[string]string{
	"dane_operator_panics_total":                "there is no fault of the operator",
	"dane_operator_host_standby_keys_missing":   "no standby key is missing: the query leaves out zeros",
	"dane_operator_zone_finding{":               "the zone may have no findings",
	"controller_runtime_reconcile_errors_total": "no controller may have ended with an error",
	"dane_operator_tls_report":                  "the receiver has a test of its own, with reports that were seen in public",
	"host_unsafe_start_timestamp_seconds":       "senders may fail for a while, and may not any more",
	"removal_hold_end_timestamp_seconds":        "nobody has reported a failure",
}

// TestDashboardWithData asks every query of the dashboard of a Prometheus that has watched renewals, each of which has to
// give data, and draws the dashboard of it.
func TestDashboardWithData(t *testing.T) {
	dashboard, err := Read(filepath.Join("..", "..", "config", "grafana", "dane-operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.play()
	over := Over(time.Now(), time.Since(w.begun))
	wrong := Panel{Type: "stat", Title: "wrong", Targets: []Target{{Expr: "dane_operator_host_sane", Instant: true}}}
	filled, err := Ask(t.Context(), w.prom, &Dashboard{Panels: append(slices.Clone(dashboard.Panels), wrong)}, over, interval)
	w.must(err)
	if last := filled[len(filled)-1]; len(last.Empty) != 1 {
		t.Errorf("a query of a metric that there is not is not seen to give nothing: %+v", last)
	}
	filled = filled[:len(filled)-1]
	queries := 0
	for _, f := range filled {
		queries += len(f.Targets)
		for _, query := range f.Empty {
			if why := excused(query); why != "" {
				t.Logf("panel %q has no data, since %s", f.Title, why)
				continue
			}
			t.Errorf("panel %q: no data for %s", f.Title, query)
		}
	}
	if queries < 20 {
		t.Errorf("only %d queries were asked: does the test still read them?", queries)
	}
	drawn(t, dashboard, filled, over)
}

func excused(query string) string {
	for metric, why := range empty {
		if strings.Contains(query, metric) {
			return why
		}
	}
	return ""
}

// pictures are the rows of the dashboard that a picture shows.
var pictures = map[string][]string{
	"grafana-mail.png": {"Does mail arrive?", "Rollovers"}, "grafana-operator.png": {"Zones", "The operator"},
}

// drawn makes the pages, and where that is asked for pictures of them.
func drawn(t *testing.T, d *Dashboard, filled []Filled, over v1.Range) {
	t.Helper()
	for name, rows := range pictures {
		var page bytes.Buffer
		high, err := Page(&page, d, Rows(filled, rows...), over)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if !strings.Contains(page.String(), row) {
				t.Errorf("%s has no row %q", name, row)
			}
		}
		if *screenshots != "" {
			photograph(t, page.Bytes(), high, filepath.Join(*screenshots, name))
		}
	}
}

// photograph has Chromium make a picture of a page.
func photograph(t *testing.T, page []byte, high int, file string) {
	t.Helper()
	html := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(html, page, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	take := exec.CommandContext(ctx, servers.Find(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", //nolint:gosec // a program of Debian
		"--user-data-dir="+t.TempDir(), fmt.Sprintf("--window-size=%d,%d", Width, high), "--screenshot="+file, "file://"+html)
	if out, err := take.CombinedOutput(); err != nil {
		t.Fatalf("take a picture: %v\n%s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 10_000 {
		t.Errorf("%s is no picture: %v", file, err)
	}
}
