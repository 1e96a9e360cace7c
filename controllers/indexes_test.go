package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// countingLists is an API server that counts how often a list is asked for.
func countingLists(t *testing.T, lists *int, objects ...client.Object) client.Client {
	t.Helper()
	return fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			*lists++
			return c.List(ctx, list, opts...)
		},
	}).Build()
}

// TestConcernedZones wants a MailDomain to be found by every DNSZone that could matter to it.
func TestConcernedZones(t *testing.T) {
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.MailServers = []v1alpha1.MailServer{
		{Hostname: "mx1.example.com"},
		{Hostname: "mx.example.net", ZoneRef: &v1alpha1.ZoneReference{Namespace: "dns", Name: "net"}},
	}
	md.Status.MailServers = []v1alpha1.MailServerStatus{{
		Hostname: "old.example.org", ZoneRef: &v1alpha1.ZoneReference{Name: "org"},
		Aliases: []v1alpha1.AliasStatus{{End: "_25._tcp.mx.elsewhere.test."}},
	}}
	have := concernedZones(md)
	for _, row := range []struct {
		reason, key string
		want        bool
	}{
		{"the zone of a host", "example.com", true},
		{"the DNSZone that a host names", "dns/net", true},
		{"the zone of a host that has left the spec", "example.org", true},
		{"the DNSZone that it was written to", "mail/org", true},
		{"the zone where an alias ends", "elsewhere.test", true},
		{"a zone beside those", "example", false},
	} {
		if slices.Contains(have, row.key) != row.want {
			t.Errorf("%s: %s is among %v: %t, want %t", row.reason, row.key, have, !row.want, row.want)
		}
	}
}

// TestSecretFindsItsDomains wants the Secrets of a Certificate to wake who names it, by the full name in
// cert-manager's annotation and by what fits into a label.
func TestSecretFindsItsDomains(t *testing.T) {
	long := strings.Repeat("a", 70)
	md := func(name, certificate string) *v1alpha1.MailDomain {
		out := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: name}}
		out.Spec.MailServers = []v1alpha1.MailServer{{Hostname: name + ".example.com", Certificates: []v1alpha1.CertificateReference{{Name: certificate}}}}
		return out
	}
	of := func(keys func(*v1alpha1.MailDomain) []string) client.IndexerFunc {
		return func(o client.Object) []string { return keys(o.(*v1alpha1.MailDomain)) }
	}
	api := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(md("short", "mx"), md("long", long)).
		WithIndex(&v1alpha1.MailDomain{}, certificateIndex, namedCertificates).
		WithIndex(&v1alpha1.MailDomain{}, certificateLabelIndex, of(certificateLabels)).Build()
	secret := func(annotation, label string) *metav1.PartialObjectMetadata {
		out := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "s"}}
		if annotation != "" {
			out.Annotations = map[string]string{"cert-manager.io/certificate-name": annotation}
		}
		if label != "" {
			out.Labels = map[string]string{v1alpha1.CertificateLabel: label}
		}
		return out
	}
	for _, row := range []struct {
		reason string
		secret *metav1.PartialObjectMetadata
		want   string
	}{
		{"a Certificate's own Secret", secret("mx", ""), "short"},
		{"ours", secret("", "mx"), "short"},
		{"a long name in the annotation", secret(long, ""), "long"},
		{"a long name cut to a label", secret("", labelValue(long)), "long"},
		{"nobody's", secret("other", ""), ""},
	} {
		var found []string
		for _, r := range domainsOfSecret(api)(t.Context(), row.secret) {
			found = append(found, r.Name)
		}
		slices.Sort(found)
		if got := strings.Join(slices.Compact(found), " "); got != row.want {
			t.Errorf("%s wakes %q, want %q", row.reason, got, row.want)
		}
	}
}
