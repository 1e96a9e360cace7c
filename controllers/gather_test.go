package controllers

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// request is an open request of Certificate mx for a new key, and the key's name.
func request(t *testing.T) (*cmapi.CertificateRequest, string) {
	t.Helper()
	key, err := newPrivateKey(rand.Reader, &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"mx1.example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	spki, err := tlsa.SPKIFromCSR(text)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "mail", Name: "mx-1", Annotations: map[string]string{requestNameAnnotation: "mx", cmapi.CertificateRequestRevisionAnnotationKey: "1"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: "mx", UID: "mx-uid", Controller: &yes}},
		},
		Spec: cmapi.CertificateRequestSpec{Request: text},
	}, tlsa.SPKISHA256(spki)
}

func fakeClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	return fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(objects...).
		WithIndex(&cmapi.CertificateRequest{}, requestIndex, byAnnotation(requestNameAnnotation)).Build()
}

// TestCacheThatLagsDropsNoKey starts from a status that knows a key, with a cache that does not show its
// request yet, as after a restart against an API server that is behind: the records stay.
func TestCacheThatLagsDropsNoKey(t *testing.T) {
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx", UID: "mx-uid"}, Spec: cmapi.CertificateSpec{SecretName: "mx-tls"}}
	pending, key := request(t)
	behind, live := fakeClient(t, crt), fakeClient(t, crt, pending)
	rows := []struct {
		reason string
		live   client.Client
		known  bool
	}{
		{"the request is there, and the cache lags", live, true},
		{"the request is gone", behind, false},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			z := &v1alpha1.DNSZone{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "zone"}, Spec: v1alpha1.DNSZoneSpec{Zone: "example.com"}}
			md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
			md.Spec = v1alpha1.MailDomainSpec{
				Domain: "example.com", TLSA: v1alpha1.TLSASpec{TTL: 3600, Parameters: []v1alpha1.TLSAParameters{"3 1 1"}},
				Rollover: v1alpha1.RolloverSpec{Strategy: v1alpha1.StrategyGate, StandbyKey: v1alpha1.StandbyDisabled},
				MailServers: []v1alpha1.MailServer{{
					Hostname: "mx1.example.com", Ports: []v1alpha1.MailServerPort{{Port: 25}}, Certificates: []v1alpha1.CertificateReference{{Name: "mx"}},
				}},
			}
			md.Status.MailServers = []v1alpha1.MailServerStatus{{Hostname: "mx1.example.com", Keys: []v1alpha1.KeyStatus{
				{SPKISHA256: key, Certificate: "mx", Role: v1alpha1.RoleNext, Visibility: v1alpha1.VisibilityOmnipresent, Records: []string{"3 1 1 " + key}},
			}}}
			r := &MailDomainReconciler{keys: keyReader{cached: behind, live: row.live}, zones: newZoneRegistry(), observer: newObserver(func(types.NamespacedName) {})}
			r.zones.update(types.NamespacedName{Namespace: "mail", Name: "zone"}, func(e *zoneEntry) { e.client = &scriptedZone{} })
			w := &world{zones: zoneList{*z}, domains: []v1alpha1.MailDomain{*md}, namespaceLabels: map[string]map[string]string{"mail": {}}}
			run := &domainRun{md: md, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			h := r.newHost(md, md.Spec.MailServers[0])
			if err := r.gatherHost(t.Context(), run, w, h); err != nil {
				t.Fatal(err)
			}
			known := slices.ContainsFunc(h.decision.Keys, func(k rollover.KeyState) bool { return k.SPKI == key })
			if !h.decided || known != row.known {
				t.Errorf("decided %t; the key is known: %t, want %t", h.decided, known, row.known)
			}
		})
	}
}
