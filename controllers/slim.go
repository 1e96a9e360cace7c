package controllers

import (
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Slim takes out of an object what no controller here reads, before it is cached. What is written back
// loses nothing: managed fields are the API server's own, an issued request is not written any more, and
// of Secrets the metadata alone is cached, which is not written.
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
	case *metav1.PartialObjectMetadata:
		o.Annotations = only(o.Annotations, cmapi.CertificateNameKey)
		o.OwnerReferences = nil
	}
	return object, nil
}

// only keeps one entry of a map.
func only(of map[string]string, key string) map[string]string {
	if value, ok := of[key]; ok {
		return map[string]string{key: value}
	}
	return nil
}
