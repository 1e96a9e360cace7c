package api

import (
	"fmt"
	"strings"
	"testing"
)

// reference is a field that names another object.
type reference struct {
	// field as the API server writes it, below spec.
	field string
	// spec with the quoted value in place of %s.
	spec string
	// longest value that is accepted.
	longest int
	// optional fields may be missing.
	optional bool
}

// rows of a reference: the longest value, one longer, none, and no field at all.
func (r reference) rows() []row {
	set := func(value string) string { return fmt.Sprintf(r.spec, value) }
	field := "spec." + r.field
	rows := []row{
		{"the longest value", set(strings.Repeat("a", r.longest)), "", ""},
		{"too long", set(strings.Repeat("a", r.longest+1)), field, fmt.Sprint(r.longest)},
		{"empty", set(`""`), field, "at least 1 chars"},
	}
	if !r.optional {
		rows = append(rows, row{"missing", set("null"), field, "Required value"})
	}
	for i := range rows {
		rows[i].reason = r.field + ": " + rows[i].reason
	}
	return rows
}

// TestReferences: what names another object is there, is not empty, and is no longer than a name can be.
func TestReferences(t *testing.T) {
	server := func(item string) string { return "{mailServers: [{hostname: mx1.example.com, " + item + "}]}" }
	tls := func(item string) string { return "{update: {protocol: TLS, tls: {" + item + "}}}" }
	parent := func(item string) string { return "{dnssec: {delegation: {parentZoneRef: {" + item + "}}}}" }
	kinds := []struct {
		kind, smallest string
		references     []reference
	}{
		{"MailDomain", smallestMailDomain, []reference{
			{"mailServers[0].zoneRef.name", server("zoneRef: {name: %s}"), 253, false},
			{"mailServers[0].zoneRef.namespace", server("zoneRef: {name: a, namespace: %s}"), 63, true},
			{"mailServers[0].certificates[0].name", server("certificates: [{name: %s}]"), 253, false},
			{"mailServers[0].certificates[0].servingSecretName",
				`{rollover: {strategy: Stage}, mailServers: [{hostname: mx1.example.com, certificates: [{name: a, servingSecretName: %s}]}]}`, 253, true},
			{"mailServers[0].probe.serviceRef.name", server("probe: {serviceRef: {name: %s}}"), 63, false},
		}},
		{"DNSZone", smallestDNSZone, []reference{
			{"update.tsigKeyName", "{update: {tsigKeyName: %s}}", 253, true},
			{"update.tsigSecretSecretRef.name", "{update: {tsigSecretSecretRef: {name: %s}}}", 253, false},
			{"update.tsigSecretSecretRef.key", "{update: {tsigSecretSecretRef: {name: a, key: %s}}}", 253, true},
			{"update.tls.caBundleSecretRef.name", tls("caBundleSecretRef: {name: %s}"), 253, false},
			{"update.tls.caBundleSecretRef.key", tls("caBundleSecretRef: {name: a, key: %s}"), 253, true},
			{"update.tls.clientCertSecretRef.name", tls("clientCertSecretRef: {name: %s}"), 253, false},
			{"dnssec.delegation.parentZoneRef.name", parent("name: %s"), 253, false},
			{"dnssec.delegation.parentZoneRef.namespace", parent("name: a, namespace: %s"), 63, true},
		}},
	}
	for _, k := range kinds {
		var rows []row
		for _, r := range k.references {
			rows = append(rows, r.rows()...)
		}
		check(t, k.kind, k.smallest, rows)
	}
}
