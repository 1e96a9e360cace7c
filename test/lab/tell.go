package lab

import (
	"context"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// tell logs what the objects of a namespace say when a test has failed: what it waited for is one sentence, and
// why it did not come stands there. Secrets are left out.
func (l *Lab) tell(ctx context.Context, t testing.TB, namespace string) {
	t.Helper()
	var (
		domains  v1alpha1.MailDomainList
		zones    v1alpha1.DNSZoneList
		certs    cmapi.CertificateList
		requests cmapi.CertificateRequestList
	)
	for _, list := range []client.ObjectList{&domains, &zones, &certs, &requests} {
		if err := l.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			t.Logf("list what is in namespace %s: %v", namespace, err)
		}
	}
	for i := range domains.Items {
		l.show(t, "MailDomain", &domains.Items[i], domains.Items[i].Status)
	}
	for i := range zones.Items {
		l.show(t, "DNSZone", &zones.Items[i], zones.Items[i].Status)
	}
	for i := range certs.Items {
		l.show(t, "Certificate", &certs.Items[i], certs.Items[i].Status)
	}
	for i := range requests.Items {
		l.show(t, "CertificateRequest", &requests.Items[i], requests.Items[i].Status.Conditions)
	}
}

func (l *Lab) show(t testing.TB, kind string, object client.Object, status any) {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"annotations": object.GetAnnotations(), "status": status})
	if err != nil {
		t.Logf("%s %s: %v", kind, object.GetName(), err)
		return
	}
	t.Logf("%s %s:\n    %s", kind, object.GetName(), strings.ReplaceAll(string(text), "\n", "\n    "))
}
