package api

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestDefaults reads back what the API server makes of the smallest specs, and of the sections that
// may be given in part.
func TestDefaults(t *testing.T) {
	rows := []struct {
		reason, kind, smallest, spec, want string
	}{
		{
			"a MailDomain with nothing but names", "MailDomain", smallestMailDomain, `{}`, `
domain: example.com
mailServers:
- hostname: mx1.example.com
  ports: [{port: 25}]
  probe: {mode: Enabled, proxyProtocol: Disabled}
tlsa: {ttl: 3600, parameters: ["3 1 1"], foreignRecords: Keep}
rollover:
  strategy: Gate
  standbyKey: Enabled
  publishSafety: 1h
  retireSafety: 24h
  deadline: {beforeExpiry: 48h, action: Hold}
dnssec: Required
deletionPolicy: Remove
`,
		},
		{
			"one value in a section leaves the others at their defaults", "MailDomain", smallestMailDomain,
			`{mailServers: [{hostname: a.example, probe: {serviceRef: {name: b}}}], tlsa: {ttl: 60}, rollover: {publishSafety: 0s, deadline: {action: Proceed}}}`, `
domain: example.com
mailServers:
- hostname: a.example
  ports: [{port: 25}]
  probe: {serviceRef: {name: b}, mode: Enabled, proxyProtocol: Disabled}
tlsa: {ttl: 60, parameters: ["3 1 1"], foreignRecords: Keep}
rollover:
  strategy: Gate
  standbyKey: Enabled
  publishSafety: 0s
  retireSafety: 24h
  deadline: {beforeExpiry: 48h, action: Proceed}
dnssec: Required
deletionPolicy: Remove
`,
		},
		{
			"a DNSZone with nothing but its primary and its key", "DNSZone", smallestDNSZone, `{}`, `
zone: example.com
update:
  nameserver: 192.0.2.53:53
  protocol: TCP
  tsigKeyName: dane
  tsigAlgorithm: HMACSHA256
  tsigSecretSecretRef: {name: tsig, key: secret}
nameservers: {discovery: Delegation}
propagation: {sweeps: 3, interval: 10s, delay: 5m, ttlFloor: 5m, timeout: 1h}
`,
		},
		{
			"sections of a DNSZone given in part", "DNSZone", smallestDNSZone,
			`{update: {protocol: TLS, tls: {caBundleSecretRef: {name: ca}}}, nameservers: {addresses: [192.0.2.1]}, propagation: {sweeps: 1}, grants: [{hostnames: [mx.example.com]}, {namespaces: {from: All}}]}`, `
zone: example.com
update:
  nameserver: 192.0.2.53:53
  protocol: TLS
  tls: {caBundleSecretRef: {name: ca, key: ca.crt}}
  tsigKeyName: dane
  tsigAlgorithm: HMACSHA256
  tsigSecretSecretRef: {name: tsig, key: secret}
nameservers: {discovery: Delegation, addresses: [192.0.2.1]}
propagation: {sweeps: 1, interval: 10s, delay: 5m, ttlFloor: 5m, timeout: 1h}
grants:
- {namespaces: {from: Same}, hostnames: [mx.example.com]}
- {namespaces: {from: All}}
`,
		},
	}
	namespace := cluster.Namespace(t.Context(), t)
	for _, r := range rows {
		t.Run(r.reason, func(t *testing.T) {
			object := build(t, r.kind, namespace, r.smallest, r.spec)
			if err := cluster.Client.Create(t.Context(), object, client.FieldValidation("Strict")); err != nil {
				t.Fatal(err)
			}
			read := &unstructured.Unstructured{}
			read.SetGroupVersionKind(object.GroupVersionKind())
			if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(object), read); err != nil {
				t.Fatal(err)
			}
			same(t, "spec", read.Object["spec"], normal(t, parse(t, r.want)))
			same(t, "status", read.Object["status"], map[string]any{"observedGeneration": int64(-1)})
		})
	}
}

// normal gives numbers the type that the client reads them as.
func normal(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{Object: object}
	u.SetAPIVersion("v1")
	u.SetKind("Normal")
	text, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	delete(u.Object, "apiVersion")
	delete(u.Object, "kind")
	return u.Object
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is\n  %v\nwant\n  %v", what, got, want)
	}
}

// TestTypedDefaults: an object written with the Go types gets the same defaults, so that no field of
// the zero value is sent as if it had been chosen.
func TestTypedDefaults(t *testing.T) {
	namespace := cluster.Namespace(t.Context(), t)
	md := &v1alpha1.MailDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
		Spec: v1alpha1.MailDomainSpec{
			Domain:      "example.com",
			MailServers: []v1alpha1.MailServer{{Hostname: "mx1.example.com"}},
		},
	}
	zone := &v1alpha1.DNSZone{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
		Spec: v1alpha1.DNSZoneSpec{
			Zone: "example.com",
			Update: v1alpha1.UpdateSpec{
				Nameserver:          "192.0.2.53",
				TSIGKeyName:         "dane",
				TSIGSecretSecretRef: &v1alpha1.SecretKeyReference{Name: "tsig"},
			},
		},
	}
	for _, object := range []client.Object{md, zone} {
		if err := cluster.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if md.Spec.TLSA.TTL != 3600 || md.Spec.Rollover.Strategy != v1alpha1.StrategyGate ||
		md.Spec.Rollover.Deadline.BeforeExpiry != "48h" || md.Spec.MailServers[0].Ports[0].Port != 25 ||
		md.Status.ObservedGeneration != -1 {
		t.Errorf("the MailDomain lacks defaults: %+v", md)
	}
	if zone.Spec.Propagation.Sweeps != 3 || zone.Spec.Update.TSIGSecretSecretRef.Key != "secret" ||
		zone.Spec.Nameservers.Discovery != v1alpha1.DiscoveryDelegation || zone.Status.ObservedGeneration != -1 {
		t.Errorf("the DNSZone lacks defaults: %+v", zone)
	}
}
