package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const alertRules = "../config/prometheus/rules.yaml"

var (
	alertName     = regexp.MustCompile(`- alert: (\S+)`)
	alertSeverity = regexp.MustCompile(`severity: (\w+)\}`)
	runbook       = regexp.MustCompile(`runbook_url: \S+/docs/alerts\.md#(\S+)`)
)

// TestEveryAlertHasItsPage fails when docs/alerts.md misses an alert, tells another severity of it, says nothing
// that one could do, or has a section of one that is no more; and when an alert links elsewhere.
func TestEveryAlertHasItsPage(t *testing.T) {
	have, want := sectionsOf(t, "alerts.md"), map[string]bool{}
	rules := strings.Split(string(read(t, alertRules)), "    - alert: ")[1:]
	if len(rules) < 10 {
		t.Fatalf("only %d alerts were found: does the test still read the right file?", len(rules))
	}
	for _, rule := range rules {
		name := alertName.FindStringSubmatch("- alert: " + rule)[1]
		want[name] = true
		text, ok := have[name]
		severity := alertSeverity.FindStringSubmatch(rule)
		link := runbook.FindStringSubmatch(rule)
		switch {
		case !ok:
			t.Errorf("alerts.md has no section %q", name)
		case len(severity) == 0 || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), severity[1]+". "):
			t.Errorf("section %q of alerts.md does not begin with the severity %v", name, severity)
		case !strings.Contains(text, "\nWhat to do: "):
			t.Errorf("section %q of alerts.md does not say what to do", name)
		}
		if len(link) == 0 || link[1] != strings.ToLower(name) {
			t.Errorf("alert %q links to %v", name, link)
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(have)) {
		if !want[heading] {
			t.Errorf("section %q of alerts.md is stale: there is no such alert", heading)
		}
	}
}

var ownMetric = regexp.MustCompile(`dane_operator_[a-z_]+`)

// TestMetricsPageIsComplete compares the metrics that docs/metrics.md tells of with those that there are, and
// wants every one that an alert rests on to be among them.
func TestMetricsPageIsComplete(t *testing.T) {
	page := map[string]bool{}
	for _, name := range ownMetric.FindAllString(string(read(t, "metrics.md")), -1) {
		page[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(metricNames(t))) {
		if !page[name] {
			t.Errorf("metrics.md does not tell of %s", name)
		}
		delete(page, name)
	}
	for _, name := range slices.Sorted(maps.Keys(page)) {
		t.Errorf("metrics.md tells of %s, which is not there", name)
	}
	names := metricNames(t)
	for _, name := range ownMetric.FindAllString(string(read(t, alertRules)), -1) {
		if !names[name] {
			t.Errorf("an alert rests on %s, which is not there", name)
		}
	}
}

var (
	described = regexp.MustCompile(`(?:desc\(|Name: +prefix \+ )"([a-z_]+)"`)
	spelled   = regexp.MustCompile(`"(dane_operator_[a-z_]+)"`)
)

// metricNames are those that the sources name.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, file := range []string{"../internal/metrics/describe.go", "../internal/metrics/events.go"} {
		for _, found := range described.FindAllStringSubmatch(string(read(t, file)), -1) {
			out["dane_operator_"+found[1]] = true
		}
	}
	for _, found := range spelled.FindAllStringSubmatch(string(read(t, "../controllers/metrics.go")), -1) {
		out[found[1]] = true
	}
	if len(out) < 20 {
		t.Fatalf("only %d metrics were found: does the test still read the right files?", len(out))
	}
	return out
}
