package controllers

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// TestSlim wants out of the cache what is not read, and nothing else.
func TestSlim(t *testing.T) {
	managed := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}}
	slim := func(o any) any {
		t.Helper()
		out, err := Slim(o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	open := slim(&cmapi.CertificateRequest{ObjectMeta: managed, Spec: cmapi.CertificateRequestSpec{Request: []byte("csr")}}).(*cmapi.CertificateRequest)
	if len(open.Spec.Request) == 0 || open.ManagedFields != nil {
		t.Error("a request that is open has to keep its key, and no managed fields")
	}
	named := metav1.ObjectMeta{
		Namespace: "mail", Labels: map[string]string{"a": "1"}, Annotations: map[string]string{requestNameAnnotation: "mx"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: "mx"}},
	}
	kept := slim(&cmapi.CertificateRequest{ObjectMeta: *named.DeepCopy()}).(*cmapi.CertificateRequest)
	if !reflect.DeepEqual(kept.ObjectMeta, named) {
		t.Errorf("a request that is named %+v is cached as %+v", named, kept.ObjectMeta)
	}
	issued := &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{Request: []byte("csr")}}
	issued.Status.Certificate, issued.Status.CA = []byte("chain"), []byte("ca")
	issued = slim(issued).(*cmapi.CertificateRequest)
	if len(issued.Status.Certificate) == 0 || issued.Spec.Request != nil || issued.Status.CA != nil {
		t.Error("a request that is fulfilled has to keep its chain alone")
	}
	secret := slim(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		cmapi.CertificateNameKey: "mx", "other": "x",
	}}}).(*metav1.PartialObjectMetadata)
	if len(secret.Annotations) != 1 || secret.Annotations[cmapi.CertificateNameKey] != "mx" {
		t.Errorf("the annotations of a Secret are %v", secret.Annotations)
	}
	domain := &v1alpha1.MailDomain{ObjectMeta: managed}
	domain.Status.Conditions = append(make([]metav1.Condition, 0, 8), metav1.Condition{Type: "Ready", Reason: "Succeeded", Message: "all is well"})
	slimmed := slim(domain).(*v1alpha1.MailDomain)
	if conditions := slimmed.Status.Conditions; slimmed.ManagedFields != nil || cap(conditions) != 1 || conditions[0].Message != "all is well" {
		t.Errorf("the conditions of a MailDomain are %v, with room for %d", conditions, cap(conditions))
	}
	gone := cache.DeletedFinalStateUnknown{Key: "mail/mx"}
	if slim(gone) != gone {
		t.Error("a tombstone was changed")
	}
}

// TestSlimShares wants one copy of what many objects say alike, and nothing changed by that.
func TestSlimShares(t *testing.T) {
	spec := cmapi.CertificateRequestSpec{
		IssuerRef: cmmeta.IssuerReference{Name: "letsencrypt-production", Kind: "ClusterIssuer", Group: "cert-manager.io"},
		Usages:    []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth},
		Username:  "system:serviceaccount:cert-manager:cert-manager", UID: "1-2-3",
	}
	made := func() *cmapi.CertificateRequest {
		o := &cmapi.CertificateRequest{Spec: *spec.DeepCopy()}
		for _, text := range []*string{&o.Spec.IssuerRef.Name, &o.Spec.Username} {
			*text = strings.Clone(*text)
		}
		out, err := Slim(o)
		if err != nil {
			t.Fatal(err)
		}
		return out.(*cmapi.CertificateRequest)
	}
	one, other := made(), made()
	if !reflect.DeepEqual(one.Spec, spec) {
		t.Errorf("a request for %+v is cached as one for %+v", spec, one.Spec)
	}
	for _, texts := range [][2]string{{one.Spec.IssuerRef.Name, other.Spec.IssuerRef.Name}, {one.Spec.Username, other.Spec.Username}} {
		if unsafe.StringData(texts[0]) != unsafe.StringData(texts[1]) {
			t.Errorf("%q is cached twice", texts[0])
		}
	}
}
