package controllers

import (
	"unique"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// Slim takes out of an object what no controller here reads, before it is cached. What is written back
// loses nothing: managed fields are the API server's own, an issued request is not written any more, and
// of Secrets the metadata alone is cached, which is not written. What stays is copied: the decoder leaves room
// at the end of each list that a copy does not have.
func Slim(object any) (any, error) {
	if _, gone := object.(cache.DeletedFinalStateUnknown); gone {
		return object, nil
	}
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	switch o := object.(type) {
	case *cmapi.CertificateRequest:
		if len(o.Status.Certificate) > 0 {
			o.Spec.Request, o.Status.CA = nil, nil
		}
		o.Spec.Extra, o.Spec.Groups = nil, nil
		share(&o.Spec.Username, &o.Spec.UID)
		shareSpec(&o.TypeMeta, &o.Spec.IssuerRef, o.Spec.Usages)
		for i := range o.Status.Conditions {
			share(&o.Status.Conditions[i].Reason, &o.Status.Conditions[i].Message)
		}
		shareLabels(&o.ObjectMeta)
		return o.DeepCopy(), nil
	case *cmapi.Certificate:
		shareSpec(&o.TypeMeta, &o.Spec.IssuerRef, o.Spec.Usages)
		for i := range o.Status.Conditions {
			share(&o.Status.Conditions[i].Reason, &o.Status.Conditions[i].Message)
		}
		shareLabels(&o.ObjectMeta)
		return o.DeepCopy(), nil
	case *v1alpha1.MailDomain:
		shareWords(o.Status.Conditions)
		share(&o.APIVersion, &o.Kind, &o.Namespace)
		for i := range o.Finalizers {
			share(&o.Finalizers[i])
		}
		return o.DeepCopy(), nil
	case *metav1.PartialObjectMetadata:
		o.Annotations = only(o.Annotations, cmapi.CertificateNameKey)
		o.OwnerReferences = nil
	}
	return object, nil
}

// shareWords keeps one copy of the words that the conditions of all objects are made of.
func shareWords(conditions []metav1.Condition) {
	for i := range conditions {
		share(&conditions[i].Type, &conditions[i].Reason, &conditions[i].Message)
	}
}

// shareSpec does the same with what most Certificates and requests ask for alike.
func shareSpec(kind *metav1.TypeMeta, issuer *cmmeta.IssuerReference, usages []cmapi.KeyUsage) {
	share(&kind.APIVersion, &kind.Kind, &issuer.Name, &issuer.Kind, &issuer.Group)
	for i := range usages {
		usages[i] = unique.Make(usages[i]).Value()
	}
}

// shareLabels does the same with what labels and annotations are called, and with what all objects have in common.
func shareLabels(o *metav1.ObjectMeta) {
	for _, words := range []*map[string]string{&o.Labels, &o.Annotations} {
		if *words == nil {
			continue
		}
		kept := make(map[string]string, len(*words))
		for name, value := range *words {
			share(&name)
			kept[name] = value
		}
		*words = kept
	}
	share(&o.Namespace)
	for i := range o.OwnerReferences {
		share(&o.OwnerReferences[i].APIVersion, &o.OwnerReferences[i].Kind)
	}
}

// share has one copy kept of texts that many objects have.
func share(texts ...*string) {
	for _, text := range texts {
		*text = unique.Make(*text).Value()
	}
}

// only keeps one entry of a map.
func only(of map[string]string, key string) map[string]string {
	if value, ok := of[key]; ok {
		return map[string]string{key: value}
	}
	return nil
}
