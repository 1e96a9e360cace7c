package controllers

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// golden compares all that a collector shows with a file of testdata, and holds it against the conventions of Prometheus.
func golden(t *testing.T, c prometheus.Collector, file string) {
	t.Helper()
	want, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close() //nolint:errcheck // was read
	if err := testutil.CollectAndCompare(c, want); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetricsOfZones: a zone that nobody has looked at yet has none, and one without signatures no end of them.
func TestMetricsOfZones(t *testing.T) {
	zones := newZoneRegistry()
	seen := func(namespace, name, zoneName string, h *zone.Health) {
		zones.update(types.NamespacedName{Namespace: namespace, Name: name}, func(e *zoneEntry) {
			e.own, e.client, e.config, e.health = namespace != "elsewhere", &scriptedZone{}, zone.Config{Zone: zoneName}, h
		})
	}
	seen("mail", "example", "example.com.", &zone.Health{
		DNSSEC:   zone.ZoneDNSSEC{SignaturesExpire: time.Unix(1_800_000_000, 0)},
		Findings: found(health.SignatureExpired, health.NoTCP, health.NoUDP, health.NoTCP),
	})
	seen("dns", "insecure", "example.net.", &zone.Health{})
	seen("mail", "unseen", "example.org.", nil)
	seen("elsewhere", "of another operator", "example.com.", &zone.Health{})
	golden(t, zoneCollector{zones, &Trust{problem: "line 1"}}, "zones.txt")
	for _, trust := range []*Trust{nil, RootTrust()} {
		usable := "# HELP dane_operator_trust_anchors_usable Whether the file of --trust-anchors, as it is now, can be used: 1, or 0 while the trust anchors before it count.\n" +
			"# TYPE dane_operator_trust_anchors_usable gauge\ndane_operator_trust_anchors_usable 1\n"
		if err := testutil.CollectAndCompare(zoneCollector{zones, trust}, strings.NewReader(usable), "dane_operator_trust_anchors_usable"); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := registerMetrics(nil, zoneCollector{zones, nil}); err != nil {
			t.Errorf("a second manager in one process: %v", err)
		}
	}
}

// TestMetricsOfSenderViews: every verdict has its number, also 0, and what is not known yet has one, too.
func TestMetricsOfSenderViews(t *testing.T) {
	view := func(v v1alpha1.SenderVerdict) *v1alpha1.SenderViewStatus {
		return &v1alpha1.SenderViewStatus{Verdict: v}
	}
	w := &senderWatch{
		newResolver: func([]dnssec.Anchor) senderview.Resolver { return nil },
		domains: map[types.NamespacedName]*senderDomain{
			{Namespace: "mail", Name: "a"}: {hosts: []senderHost{
				{"mx1", view(v1alpha1.SenderDANE), nil}, {"mx2", view(v1alpha1.SenderDANE), view(v1alpha1.SenderUndeliverable)},
				{"mx3", view(v1alpha1.SenderEncryptOnly), nil}, {"mx4", nil, view(v1alpha1.SenderDANE)},
			}},
			{Namespace: "mail", Name: "b"}: {hosts: []senderHost{
				{"mx1", view(v1alpha1.SenderDANE), nil}, {"mx2", view(v1alpha1.SenderUndeliverable), nil}, {"mx3", view(v1alpha1.SenderUndeliverable), nil},
			}},
		},
	}
	golden(t, senderCollector{w}, "senders.txt")
}

// nameOf finds the name of a metric in its description.
var nameOf = regexp.MustCompile(`fqName: "([a-z_]+)"`)

// TestEveryMetricIsInAGolden wants each metric of the operator to stand with a value in a file that a test compares whole.
func TestEveryMetricIsInAGolden(t *testing.T) {
	shown := ""
	for _, file := range []string{"testdata/zones.txt", "testdata/senders.txt", "../internal/metrics/testdata/status.txt", "../internal/metrics/testdata/events.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown += "\n" + string(text)
	}
	all := Metrics()
	for _, d := range all {
		name := nameOf.FindStringSubmatch(d.String())[1]
		if !regexp.MustCompile(`(?m)^` + name + `(_bucket)?(\{.*\})? \S+$`).MatchString(shown) {
			t.Errorf("no golden has %s", name)
		}
	}
	if len(all) < 20 {
		t.Errorf("there are %d metrics: does the test still find them?", len(all))
	}
}

// labelText are the values of the labels, in the order of their names.
func labelText(m *dto.Metric) string {
	text := ""
	for _, l := range m.Label {
		text += " " + l.GetValue()
	}
	return text
}
