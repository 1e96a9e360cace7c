package api

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestWhatCannotChange: the names that records hang on stay what they are.
func TestWhatCannotChange(t *testing.T) {
	rows := []struct {
		reason, kind, smallest, change, field, advice string
	}{
		{"another domain is another MailDomain", "MailDomain", smallestMailDomain, `{domain: example.net}`, "spec.domain", "spec.domain cannot be changed: create another MailDomain for the other domain"},
		{"another zone is another DNSZone", "DNSZone", smallestDNSZone, `{zone: example.net}`, "spec.zone", "spec.zone cannot be changed: create another DNSZone for the other zone"},
		{"servers come and go", "MailDomain", smallestMailDomain, `{mailServers: [{hostname: mx2.example.com}]}`, "", ""},
		{"a strategy can be changed", "MailDomain", smallestMailDomain, `{rollover: {strategy: Follow}}`, "", ""},
		{"a primary can move", "DNSZone", smallestDNSZone, `{update: {nameserver: 192.0.2.54}}`, "", ""},
		{"a change meets the rules, too", "MailDomain", smallestMailDomain, `{tlsa: {ttl: 0}}`, "spec.tlsa.ttl", "greater than or equal to 1"},
	}
	namespace := cluster.Namespace(t.Context(), t)
	for _, r := range rows {
		t.Run(r.reason, func(t *testing.T) {
			object := build(t, r.kind, namespace, r.smallest, `{}`)
			if err := cluster.Client.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			object.Object["spec"] = merge(object.Object["spec"].(map[string]any), normal(t, parse(t, r.change)))
			err := cluster.Client.Update(t.Context(), object, client.FieldValidation("Strict"))
			if problem := judge(err, r.field, r.advice); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// TestApplyAgain: what GitOps applies every few minutes changes nothing once the operator has written
// a status. (Before, the first repetition stores the default of the status, which a creation drops.)
func TestApplyAgain(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	rows := []struct{ reason, kind, smallest, spec string }{
		{"the smallest MailDomain", "MailDomain", smallestMailDomain, `{}`},
		{"a MailDomain with lists in it", "MailDomain", smallestMailDomain, `{
			mailServers: [{hostname: mx2.example.com, ports: [{port: 465}, {port: 25}], certificates: [{name: b}, {name: a}]}, {hostname: mx1.example.com}],
			tlsa: {parameters: ["3 1 2", "3 1 1"], additionalRecords: ["3 1 1 ` + sha256Hex + `"]}, rollover: {compromisedKeys: ["` + sha256Hex + `"]}}`},
		{"the smallest DNSZone", "DNSZone", smallestDNSZone, `{}`},
		{"a DNSZone with lists in it", "DNSZone", smallestDNSZone, `{
			nameservers: {addresses: [192.0.2.2, 192.0.2.1], ignore: [ns3.example.net]}, grants: [{}, {namespaces: {from: All}, hostnames: [b.example, a.example]}]}`},
	}
	for _, r := range rows {
		t.Run(r.reason, func(t *testing.T) {
			object := build(t, r.kind, namespace, r.smallest, r.spec)
			unstructured.RemoveNestedField(object.Object, "metadata", "generateName")
			object.SetName("again-" + sanitised(r.reason))
			again := object.DeepCopy()
			if err := cluster.ApplyObject(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if err := unstructured.SetNestedField(object.Object, int64(1), "status", "observedGeneration"); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Client.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if err := cluster.ApplyObject(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			if object.GetResourceVersion() != again.GetResourceVersion() || again.GetGeneration() != 1 {
				t.Errorf("the second apply made resourceVersion %s of %s, generation %d",
					again.GetResourceVersion(), object.GetResourceVersion(), again.GetGeneration())
			}
		})
	}
}

// sanitised makes an object name of a reason.
func sanitised(reason string) string {
	name := []byte(reason)
	for i, c := range name {
		switch {
		case c == ' ':
			name[i] = '-'
		case c >= 'A' && c <= 'Z':
			name[i] = c - 'A' + 'a'
		}
	}
	return string(name)
}
