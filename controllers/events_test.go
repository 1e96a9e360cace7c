package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// indexer registers indexes with an API server in memory.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, o client.Object, field string, of client.IndexerFunc) error {
	i.WithIndex(o, field, of)
	return nil
}

// byIndexAlone is an API server that fails a test by each list that no index gives: such a list takes longer the more objects
// there are.
func byIndexAlone(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	b := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if o := new(client.ListOptions).ApplyOptions(options); o.FieldSelector == nil || o.FieldSelector.Empty() {
				t.Errorf("%T is listed without an index", list)
			}
			return c.List(ctx, list, options...)
		},
	})
	if err := AddIndexes(t.Context(), indexer{b}); err != nil {
		t.Fatal(err)
	}
	return b.Build()
}

// TestEventsGoByIndex changes an object of each kind that is watched, and wants the MailDomains and DNSZones that it concerns to be
// found without a look at all of them.
func TestEventsGoByIndex(t *testing.T) {
	long := strings.Repeat("a", 70)
	md := func(name, host, certificate string) *v1alpha1.MailDomain {
		out := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name, UID: types.UID(name)}}
		out.Spec.MailServers = []v1alpha1.MailServer{{
			Hostname: host, Certificates: []v1alpha1.CertificateReference{{Name: certificate}},
			Probe: v1alpha1.ProbeSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "of-" + certificate}},
		}}
		return out
	}
	z := dnsZone("mail", "zone", "example.com")
	z.Spec.Update.TSIGSecretSecretRef = &v1alpha1.SecretKeyReference{Name: "tsig", Key: "secret"}
	api := byIndexAlone(t, md("one", "mx1.example.com", "mx1"), md(long, "mx2.example.com", "mx2"), &z)
	domains := (&MailDomainReconciler{Client: api, observer: newObserver(func(types.NamespacedName) {})}).Watches()
	zones := (&DNSZoneReconciler{Client: api}).Watches()
	object := func(name string, labels, annotations map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "mail", Name: name, Labels: labels, Annotations: annotations}
	}
	secret := func(o metav1.ObjectMeta) client.Object {
		out := secretMetadata()
		out.ObjectMeta = o
		return out
	}
	tried := map[string]bool{}
	for _, row := range []struct {
		reason  string
		watches []Watch
		changed client.Object
		want    string
	}{
		{"another MailDomain with the host", domains, md("two", "mx1.example.com", "other"), "one"},
		{"a Certificate", domains, &cmapi.Certificate{ObjectMeta: object("mx1", nil, nil)}, "one"},
		{"a request", domains, &cmapi.CertificateRequest{ObjectMeta: object("mx1-1", nil, map[string]string{requestNameAnnotation: "mx1"})}, "one"},
		{"endpoints of a Service", domains, &discoveryv1.EndpointSlice{ObjectMeta: object("s", map[string]string{discoveryv1.LabelServiceName: "of-mx1"}, nil)}, "one"},
		{"the Secret of a Certificate", domains, secret(object("mx1-tls", nil, map[string]string{cmapi.CertificateNameKey: "mx1"})), "one"},
		{"a standby key", domains, secret(object("mx1-standby", map[string]string{v1alpha1.CertificateLabel: "mx1"}, nil)), "one"},
		{"a DKIM key", domains, secret(object("dkim", map[string]string{v1alpha1.DKIMDomainLabel: "one"}, nil)), "one"},
		{"a DKIM key of a name that no label holds", domains, secret(object("dkim", map[string]string{v1alpha1.DKIMDomainLabel: labelValue(long)}, nil)), long},
		{"the key of a zone", zones, secret(object("tsig", nil, nil)), "zone"},
	} {
		found := map[string]bool{}
		for _, w := range row.watches {
			if kind := fmt.Sprintf("%T", w.Object); kind == fmt.Sprintf("%T", row.changed) {
				tried[kind] = true
				for _, r := range w.Of(t.Context(), row.changed) {
					found[r.Name] = true
				}
			}
		}
		if len(found) != 1 || !found[row.want] {
			t.Errorf("%s wakes %v, want %s", row.reason, found, row.want)
		}
	}
	for _, w := range slices.Concat(domains, zones) {
		if kind := fmt.Sprintf("%T", w.Object); !tried[kind] {
			t.Errorf("no change of a %s was tried", kind)
		}
	}
	woken := 0
	wake := func(types.NamespacedName) { woken++ }
	wakeDomains(api, wake, client.ObjectKeyFromObject(&z), z.Spec.Zone)
	wakeRequests(api, wake, "mail", "mx1")
	if woken != 2 {
		t.Errorf("a DNSZone and a decision wake %d, want the two MailDomains of the zone", woken)
	}
}
