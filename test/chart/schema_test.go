package chart

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestSchemaRefuses gives values that could not work, and wants the message to name the value.
func TestSchemaRefuses(t *testing.T) {
	for _, row := range []struct{ values, names, reason string }{
		{"replica: 2", "replica", "a misspelt name would be passed over in silence"},
		{"image: {repo: x}", "repo", "a misspelt name further down"},
		{"replicas: -1", "/replicas", "no Deployment has fewer than none"},
		{"replicas: '2'", "/replicas", "a string is not a number"},
		{"image: {repository: ''}", "/image/repository", "an image needs a name"},
		{"image: {repository: 'registry.example/x:1.0'}", "/image/repository", "the tag has a value of its own"},
		{"image: {tag: 'a b'}", "/image/tag", "no registry has such a tag"},
		{"image: {digest: 'sha256:abc'}", "/image/digest", "a cut digest"},
		{"image: {pullPolicy: Sometimes}", "/image/pullPolicy", "not a pull policy"},
		{"imagePullSecrets: [registry]", "/imagePullSecrets/0", "an object with a name, as in a pod"},
		{"fullnameOverride: Dane", "/fullnameOverride", "names of objects are lower case"},
		{"serviceAccount: {name: 'x:y'}", "/serviceAccount/name", "it would name another user in the policy"},
		{`serviceAccount: {name: "x' || true || 'y"}`, "/serviceAccount/name", "it would change the policy's expression"},
		{"serviceAccount: {create: 'yes'}", "/serviceAccount/create", "the string yes is not a truth value"},
		{"gatePolicy: {create: 'false'}", "/gatePolicy/create", "the string false would count as true"},
		{"gatePolicy: {operators: [other]}", "/gatePolicy/operators/0", "the namespace is missing"},
		{"gatePolicy: {operators: [{namespace: n}]}", "/gatePolicy/operators/0", "the name is missing"},
		{`gatePolicy: {operators: [{namespace: n, name: "x' || true || 'y"}]}`, "/gatePolicy/operators/0/name", "it would change the policy's expression"},
		{`gatePolicy: {operators: [{namespace: "n:m", name: x}]}`, "/gatePolicy/operators/0/namespace", "it would name another user in the policy"},
		{"selector: {shard: a}", "/selector", "a text, as kubectl takes it"},
		{`selector: "shard=a\n- --leader-elect=false"`, "/selector", "it would be another flag"},
		{"namespaces: mail", "/namespaces", "a list, also of one"},
		{"namespaces: ['mail,dns']", "/namespaces/0", "one name an entry"},
		{"namespaces: [mail, mail]", "/namespaces", "twice the same"},
		{"resolvers: [192.0.2.53]", "/resolvers/0", "the operator wants a port"},
		{"resolvers: ['2001:db8::53:53']", "/resolvers/0", "an IPv6 address needs brackets"},
		{"queriesPerServer: -1", "/queriesPerServer", "0 is no limit already"},
		{"queriesPerServer: 0.5", "/queriesPerServer", "the operator wants a whole number"},
		{"workers: 0", "/workers", "nobody would work"},
		{"workers: many", "/workers", "not a number"},
		{"probe: {allowCIDRs: [10.0.0.1]}", "/probe/allowCIDRs/0", "an address is not a network"},
		{"probe: {allowCIDRs: [10.0.0.0/33]}", "/probe/allowCIDRs/0", "IPv4 has 32 bits"},
		{"probe: {heloName: 'mx 1'}", "/probe/heloName", "not a host name"},
		{"log: {level: 11}", "/log/level", "there is no such level"},
		{"log: {format: text}", "/log/format", "the operator refuses it"},
		{"metrics: {port: 0}", "/metrics/port", "not a port"},
		{"metrics: {port: 8081}", "/metrics/port", "health is served there"},
		{"metrics: {secure: 'no'}", "/metrics/secure", "the string no would count as true"},
		{"dashboard: {port: 8081}", "/dashboard/port", "health is served there"},
		{"dashboard: {certificateSecret: 'a b'}", "/dashboard/certificateSecret", "no name of a Secret"},
		{"dashboard: {service: true}", "/dashboard/service", "a section, for more to come"},
		{"reports: {addresses: [example.com]}", "/reports/addresses/0", "not an address of mail"},
		{"reports: {trustedProxies: [10.0.0.1]}", "/reports/trustedProxies/0", "an address is not a network"},
		{"reports: {storage: {size: large}}", "/reports/storage/size", "not a size"},
		{"reports: {replicas: -1}", "/reports/replicas", "no Deployment has fewer than none"},
		{"prometheus: {podMonitor: {interval: 30}}", "/prometheus/podMonitor/interval", "a number has no unit"},
		{"prometheus: {rules: {labels: {a: 1}}}", "/prometheus/rules/labels/a", "labels are strings"},
		{"extraArgs: [workers=3]", "/extraArgs/0", "a flag begins with two dashes"},
		{"podLabels: {a: 1}", "/podLabels/a", "labels are strings"},
		{"crds: {keep: 'no'}", "/crds/keep", "the string no would count as true"},
		{"rbac: {scope: Namespace}", "/rbac/scope", "no scope"},
		{"rbac: {secrets: None}", "/rbac/secrets", "without reading them no TSIG key is found"},
		{"podDisruptionBudget: {maxUnavailable: 0}", "/podDisruptionBudget/maxUnavailable", "no node could be drained"},
		{"podDisruptionBudget: {maxUnavailable: '1'}", "/podDisruptionBudget/maxUnavailable", "a string is a percentage"},
		{"networkPolicy: {mailPorts: ['25']}", "/networkPolicy/mailPorts/0", "ports are numbers"},
		{"networkPolicy: {extraEgress: {}}", "/networkPolicy/extraEgress", "a list of rules"},
		{"extraEnv: [GOGC=50]", "/extraEnv/0", "an object with a name, as in a pod"},
		{"extraVolumes: [{configMap: {name: a}}]", "/extraVolumes/0", "a volume has a name"},
		{"extraVolumeMounts: [{name: a}]", "/extraVolumeMounts/0", "mounted nowhere"},
		{"topologySpreadConstraints: [{topologyKey: zone}]", "/topologySpreadConstraints/0", "the API server wants the other fields"},
	} {
		t.Run(row.values, func(t *testing.T) {
			_, err := release{name: "x", namespace: "y", values: row.values}.render(t)
			if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), row.names) {
				t.Errorf("%s: got %v", row.reason, err)
			}
		})
	}
}

// TestSchemaTakes gives values at the edge of what is right.
func TestSchemaTakes(t *testing.T) {
	for _, row := range []struct{ values, reason string }{
		{"", "the defaults"},
		{"replicas: 0", "stopped on purpose"},
		{"image: {repository: 'registry.example:5000/mail/dane-operator', tag: v1.2.3_x}", "a registry with a port"},
		{"image: {digest: 'sha256:" + strings.Repeat("0a", 32) + "'}", "pinned"},
		{"selector: 'mail.dane-operator.io/shard in (a, b), team!=x, !old, n>1'", "every form of a requirement"},
		{"namespaces: ['123']", "digits alone are a name"},
		{"resolvers: ['192.0.2.53:53', '[2001:db8::53]:5353', 'resolver.example:53']", "every form of an address"},
		{"probe: {allowCIDRs: [0.0.0.0/0, 'fd00::/8', '::/0']}", "both families"},
		{"{queriesPerServer: 0, workers: 1}", "no limit, and one at a time"},
		{"podDisruptionBudget: {maxUnavailable: 100%}", "all of them may go"},
		{"networkPolicy: {dnsPorts: [], apiServerPorts: [16443]}", "no ports, and one of one's own"},
		{"global: {anything: 1}", "Helm gives every chart the values of its parents"},
	} {
		t.Run(row.values, func(t *testing.T) {
			if _, err := (release{name: "x", namespace: "y", values: row.values}).render(t); err != nil {
				t.Errorf("%s: %v", row.reason, err)
			}
		})
	}
}

// valueSchema is what the tests read of a JSON schema.
type valueSchema struct {
	Type                 string                 `json:"type"`
	Properties           map[string]valueSchema `json:"properties"`
	AdditionalProperties any                    `json:"additionalProperties"`
}

// ofChart reads the values of the chart, and their schema.
func ofChart(t *testing.T) (values map[string]any, root valueSchema) {
	t.Helper()
	for file, into := range map[string]any{"values.yaml": &values, "values.schema.json": &root} {
		text, err := os.ReadFile(filepath.Join(chartDir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	delete(root.Properties, "global") // every chart has it, by Helm
	return values, root
}

// freeForm are the maps whose names are up to somebody else: the API of Kubernetes, the Prometheus operator, the user.
var freeForm = []string{
	"affinity", "nodeSelector", "podAnnotations", "podLabels",
	"prometheus.dashboard.labels", "prometheus.podMonitor.labels", "prometheus.podMonitor.tlsConfig", "prometheus.rules.labels",
	"prometheus.serviceMonitor.labels", "prometheus.serviceMonitor.tlsConfig",
	"reports.resources", "resources", "serviceAccount.annotations",
}

// leaves are the paths of all values that hold no more values of the chart, each with its default.
func leaves(at string, values map[string]any, out map[string]any) map[string]any {
	for name, value := range values {
		path := strings.TrimPrefix(at+"."+name, ".")
		if section, ok := value.(map[string]any); ok && !slices.Contains(freeForm, path) {
			leaves(path, section, out)
			continue
		}
		out[path] = value
	}
	return out
}

// known are the paths of all values that a schema names, and hold no more of them. A section that names its values lets no
// others pass; one that names none is free in its form.
func known(t *testing.T, at string, s valueSchema, out map[string]bool) map[string]bool {
	t.Helper()
	if s.AdditionalProperties != false {
		t.Errorf("values.schema.json lets any name pass in %q", at)
	}
	for name, of := range s.Properties {
		path := strings.TrimPrefix(at+"."+name, ".")
		switch free := slices.Contains(freeForm, path); {
		case of.Type == "object" && len(of.Properties) == 0 && !free:
			t.Errorf("values.schema.json lets any name pass in %q", path)
		case len(of.Properties) > 0 && free:
			t.Errorf("values.schema.json names what is in %q, which is free in its form", path)
		case len(of.Properties) > 0:
			known(t, path, of, out)
		default:
			out[path] = true
		}
	}
	return out
}

// inREADME finds the values in the table of the README of the chart: sections have a row there, too, but no default.
var inREADME = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| `")

// TestSchemaKnowsEveryValue wants values.yaml, the schema and the README to have the same values, down to the last section.
func TestSchemaKnowsEveryValue(t *testing.T) {
	values, root := ofChart(t)
	inSchema, inTable := known(t, "", root, map[string]bool{}), map[string]bool{}
	text, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range inREADME.FindAllStringSubmatch(string(text), -1) {
		inTable[found[1]] = true
	}
	inValues := map[string]bool{}
	for path := range leaves("", values, map[string]any{}) {
		inValues[path] = true
	}
	for file, has := range map[string]map[string]bool{"values.schema.json": inSchema, "README.md": inTable} {
		for _, path := range slices.Sorted(maps.Keys(has)) {
			if !inValues[path] {
				t.Errorf("values.yaml has no default for %s of %s", path, file)
			}
		}
		for _, path := range slices.Sorted(maps.Keys(inValues)) {
			if !has[path] {
				t.Errorf("%s does not know %s", file, path)
			}
		}
	}
	for _, path := range freeForm {
		if !inValues[path] || !inSchema[path] {
			t.Errorf("%s is free in its form, and there is no such value", path)
		}
	}
}
