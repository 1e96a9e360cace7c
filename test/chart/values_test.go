package chart

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// monitored are the values of either monitor with which its others count.
const monitored = "metrics: {secure: true}\nprometheus: {KIND: {enabled: true}}"

// changes are, for each value of the chart, another one than its default, as --set-json takes it, and the values without
// which it is none of a release's business.
var changes = map[string]struct{ value, with string }{
	"replicas":                           {"2", ""},
	"image.repository":                   {`"r"`, ""},
	"image.tag":                          {`"t"`, ""},
	"image.digest":                       {`"sha256:` + strings.Repeat("0a", 32) + `"`, ""},
	"image.pullPolicy":                   {`"Always"`, ""},
	"imagePullSecrets":                   {`[{"name": "registry"}]`, ""},
	"fullnameOverride":                   {`"d"`, ""},
	"crds.enabled":                       {"false", ""},
	"crds.keep":                          {"false", ""},
	"serviceAccount.create":              {"false", "serviceAccount: {name: mine}"},
	"serviceAccount.name":                {`"mine"`, ""},
	"serviceAccount.annotations":         {`{"a": "b"}`, ""},
	"rbac.create":                        {"false", ""},
	"rbac.scope":                         {`"Namespaced"`, "namespaces: [mail]"},
	"rbac.secrets":                       {`"Read"`, ""},
	"rbac.approve":                       {"false", ""},
	"gatePolicy.create":                  {"false", ""},
	"gatePolicy.operators":               {`[{"namespace": "n", "name": "other"}]`, ""},
	"namespaces":                         {`["mail"]`, ""},
	"selector":                           {`"shard=a"`, ""},
	"trustAnchors":                       {`"example. IN DS 1 13 2 00"`, ""},
	"resolvers":                          {`["192.0.2.53:53"]`, ""},
	"queriesPerServer":                   {"0", ""},
	"workers":                            {"3", ""},
	"probe.allowCIDRs":                   {`["10.0.0.0/8"]`, ""},
	"probe.heloName":                     {`"mx.example"`, ""},
	"log.level":                          {"1", ""},
	"log.format":                         {`"console"`, ""},
	"metrics.enabled":                    {"false", ""},
	"metrics.port":                       {"9090", ""},
	"metrics.secure":                     {"true", ""},
	"dashboard.enabled":                  {"true", ""},
	"dashboard.port":                     {"9443", "dashboard: {enabled: true}"},
	"dashboard.certificateSecret":        {`"page"`, "dashboard: {enabled: true}"},
	"dashboard.service.create":           {"true", "dashboard: {enabled: true}"},
	"reports.enabled":                    {"true", ""},
	"reports.addresses":                  {`["tls-rpt@example.com"]`, "reports: {enabled: true}"},
	"reports.trustedProxies":             {`["10.0.0.0/8"]`, "reports: {enabled: true}"},
	"reports.replicas":                   {"2", "reports: {enabled: true, dsnSecret: pg}"},
	"reports.dsnSecret":                  {`"pg"`, "reports: {enabled: true}"},
	"reports.storage.size":               {`"2Gi"`, "reports: {enabled: true}"},
	"reports.storage.className":          {`"fast"`, "reports: {enabled: true}"},
	"reports.from":                       {`[{"podSelector": {}}]`, "{reports: {enabled: true}, networkPolicy: {create: true}}"},
	"reports.extraEgress":                {`[{"ports": [{"port": 5432}]}]`, "{reports: {enabled: true}, networkPolicy: {create: true}}"},
	"reports.extraArgs":                  {`["--retention=720h"]`, "reports: {enabled: true}"},
	"reports.resources":                  {`{"limits": {"memory": "1Gi"}}`, "reports: {enabled: true}"},
	"prometheus.rules.enabled":           {"true", ""},
	"prometheus.rules.labels":            {`{"release": "p"}`, "prometheus: {rules: {enabled: true}}"},
	"prometheus.dashboard.enabled":       {"true", ""},
	"prometheus.dashboard.labels":        {`{"grafana": "x"}`, "prometheus: {dashboard: {enabled: true}}"},
	"podDisruptionBudget.create":         {"false", "replicas: 2"},
	"networkPolicy.create":               {"true", ""},
	"networkPolicy.metricsFrom":          {`[{"podSelector": {}}]`, "networkPolicy: {create: true}"},
	"networkPolicy.dashboardFrom":        {`[{"podSelector": {}}]`, "{networkPolicy: {create: true}, dashboard: {enabled: true, service: {create: true}}}"},
	"networkPolicy.dnsPorts":             {"[5353]", "networkPolicy: {create: true}"},
	"networkPolicy.mailPorts":            {"[2525]", "networkPolicy: {create: true}"},
	"networkPolicy.apiServerPorts":       {"[16443]", "networkPolicy: {create: true}"},
	"networkPolicy.extraIngress":         {`[{"ports": [{"port": 1}]}]`, "networkPolicy: {create: true}"},
	"networkPolicy.extraEgress":          {`[{"ports": [{"port": 1}]}]`, "networkPolicy: {create: true}"},
	"extraArgs":                          {`["--unknown-history=48h"]`, ""},
	"extraEnv":                           {`[{"name": "GOMEMLIMIT", "value": "400MiB"}]`, ""},
	"extraVolumes":                       {`[{"name": "ca", "configMap": {"name": "ca"}}]`, ""},
	"extraVolumeMounts":                  {`[{"name": "ca", "mountPath": "/ca"}]`, ""},
	"resources":                          {`{"limits": {"memory": "1Gi"}}`, ""},
	"podAnnotations":                     {`{"a": "b"}`, ""},
	"podLabels":                          {`{"a": "b"}`, ""},
	"priorityClassName":                  {`"high"`, ""},
	"nodeSelector":                       {`{"disk": "ssd"}`, ""},
	"tolerations":                        {`[{"operator": "Exists"}]`, ""},
	"affinity":                           {`{"podAntiAffinity": {}}`, ""},
	"topologySpreadConstraints":          {`[{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]`, ""},
	"test.create":                        {"false", ""},
	"podDisruptionBudget.maxUnavailable": {`"50%"`, "replicas: 2"},
}

// changesOf adds the values that both monitors have.
func changesOf() map[string]struct{ value, with string } {
	out := maps.Clone(changes)
	for _, kind := range []string{"podMonitor", "serviceMonitor"} {
		for name, value := range map[string]string{
			"labels": `{"release": "p"}`, "interval": `"1m"`, "scrapeTimeout": `"20s"`, "tlsConfig": `{"serverName": "a"}`,
			"relabelings": `[{"action": "labeldrop", "regex": "pod"}]`, "metricRelabelings": `[{"action": "labeldrop", "regex": "pod"}]`,
		} {
			out["prometheus."+kind+"."+name] = struct{ value, with string }{value, strings.Replace(monitored, "KIND", kind, 1)}
		}
		out["prometheus."+kind+".enabled"] = struct{ value, with string }{"true", ""}
	}
	return out
}

// TestEveryValueHasAnEffect sets each value of values.yaml by itself, and wants what is rendered to be another: a value that
// no template reads would be taken, and do nothing.
func TestEveryValueHasAnEffect(t *testing.T) {
	defaults, _ := ofChart(t)
	all, tried := leaves("", defaults, map[string]any{}), changesOf()
	for _, path := range slices.Sorted(maps.Keys(tried)) {
		if _, ok := all[path]; !ok {
			t.Errorf("there is no value %s to change", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		change, ok := tried[path]
		if !ok {
			t.Errorf("the test has no other value for %s", path)
			continue
		}
		before, err := release{"x", "mail", change.with}.render(t)
		if err != nil {
			t.Fatalf("without %s: %v", path, err)
		}
		after, err := release{"x", "mail", setting(t, change.with, path+"="+change.value)}.render(t)
		if err != nil {
			t.Errorf("%s=%s: %v", path, change.value, err)
		} else if reflect.DeepEqual(before, after) {
			t.Errorf("%s=%s changes nothing of what is rendered", path, change.value)
		}
	}
}

// setting is what helm makes of values and one --set-json.
func setting(t *testing.T, values, set string) string {
	t.Helper()
	out := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(values), &out); err != nil {
		t.Fatal(err)
	}
	if err := strvals.ParseJSON(set, out); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
