package cases

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/test/lab"
)

// harmless are the fields that no attempt goes through, and why none needs to.
var harmless = map[string]string{
	"MailDomain.dnssec":                                                "says what is required of answers, of the own hosts alone",
	"MailDomain.dmarc.alignment.dkim":                                  "a value of the own record",
	"MailDomain.dmarc.alignment.spf":                                   "a value of the own record",
	"MailDomain.dkim.rotation.every":                                   "a time",
	"MailDomain.dkim.rotation.keepRetired":                             "a time",
	"MailDomain.dkim.rotation.retired":                                 "says how the own old records go",
	"MailDomain.dkim.rotation.keepRevoked":                             "a time",
	"MailDomain.dkim.ttl":                                              "a number",
	"MailDomain.mtaSTS.maxAge":                                         "a time in the own policy",
	"MailDomain.tlsReporting.ingest":                                   "whether the own reports are summed up",
	"MailDomain.mailServers[].probe.proxyProtocol":                     "changes what is said at the beginning to the own endpoints",
	"MailDomain.rollover.deadline.beforeExpiry":                        "a time",
	"MailDomain.rollover.publishSafety":                                "a time",
	"MailDomain.rollover.retireSafety":                                 "a time",
	"MailDomain.rollover.standbyKey":                                   "the name of its Secret follows from the Certificate, of the own namespace",
	"MailDomain.suspend":                                               "holds back the own writes",
	"MailDomain.tlsa.parameters[]":                                     "says which records follow from the own keys",
	"MailDomain.tlsa.ttl":                                              "a number; every attempt changes it",
	"DNSZone.dnssec.delegation.acceptInitialDS[]":                      "counts for the own zone; what is written to the parent needs its grant",
	"DNSZone.dnssec.delegation.allowDelete":                            "counts for the own zone; what is written to the parent needs its grant",
	"DNSZone.dnssec.trustAnchors[]":                                    "counts for answers of the own DNSZone's servers alone",
	"DNSZone.grants[].namespaces.selector.matchLabels":                 "who else may write to the own DNSZone; TestZoneForAmongNamespaces has the traps",
	"DNSZone.grants[].namespaces.selector.matchExpressions[].key":      "as matchLabels",
	"DNSZone.grants[].namespaces.selector.matchExpressions[].operator": "as matchLabels",
	"DNSZone.grants[].namespaces.selector.matchExpressions[].values[]": "as matchLabels",
	"DNSZone.nameservers.discovery":                                    "who is asked about the own DNSZone",
	"DNSZone.nameservers.ignore[]":                                     "who is asked about the own DNSZone",
	"DNSZone.propagation.delay":                                        "a time",
	"DNSZone.propagation.interval":                                     "a time",
	"DNSZone.propagation.sweeps":                                       "a number",
	"DNSZone.propagation.timeout":                                      "a time",
	"DNSZone.propagation.ttlFloor":                                     "a time",
	"DNSZone.update.protocol":                                          "how the own updates are sent",
	"DNSZone.update.tls.serverName":                                    "whom the own updates are sent to",
	"DNSZone.update.tsigAlgorithm":                                     "how the own updates are signed",
}

// TestEveryFieldIsTried keeps TestHostileNamespace complete: each field of the two kinds is one that an attempt
// goes through, or one that leads nowhere for the reason given.
func TestEveryFieldIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, a := range attempts(&site{lab: &lab.Lab{}}, nil) {
		for _, field := range a.fields {
			tried[field] = true
		}
	}
	have := fieldsOfTheAPI(t)
	for _, field := range have {
		if tried[field] == (harmless[field] != "") {
			t.Errorf("%s: an attempt goes through it: %t; it is called harmless: %q", field, tried[field], harmless[field])
		}
	}
	for _, field := range append(slices.Sorted(maps.Keys(tried)), slices.Sorted(maps.Keys(harmless))...) {
		if !slices.Contains(have, field) {
			t.Errorf("the API has no field %s", field)
		}
	}
}

// TestNoSecretOfAnotherNamespace: the two references that lead to another namespace lead to DNSZones, which say
// whom they admit. All others name an object of the own one.
func TestNoSecretOfAnotherNamespace(t *testing.T) {
	allowed := []string{"MailDomain.mailServers[].zoneRef.namespace", "DNSZone.dnssec.delegation.parentZoneRef.namespace"}
	for _, field := range fieldsOfTheAPI(t) {
		last := field[strings.LastIndex(field, ".")+1:]
		if strings.Contains(strings.ToLower(last), "namespace") && !slices.Contains(allowed, field) {
			t.Errorf("%s leads to another namespace", field)
		}
	}
}

// fieldsOfTheAPI are the fields of both kinds' specs that hold a value.
func fieldsOfTheAPI(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("CRDs %v: %v", files, err)
	}
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			t.Fatal(err)
		}
		spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		out = append(out, leaves(crd.Spec.Names.Kind, &spec)...)
	}
	if len(out) < 40 {
		t.Fatalf("only the fields %v: does the test still find them?", out)
	}
	return out
}

func leaves(path string, schema *apiextensionsv1.JSONSchemaProps) []string {
	switch {
	case len(schema.Properties) > 0:
		var out []string
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			below := schema.Properties[name]
			out = append(out, leaves(path+"."+name, &below)...)
		}
		return out
	case schema.Items != nil:
		return leaves(path+"[]", schema.Items.Schema)
	}
	return []string{path}
}
