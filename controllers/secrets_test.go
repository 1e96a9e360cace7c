package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSecretsAreCachedWithoutTheirData: what is watched is in the cache, of every namespace. Of Secrets that is
// the metadata alone; keys are read by name when they are needed.
func TestSecretsAreCachedWithoutTheirData(t *testing.T) {
	for kind, watches := range map[string][]Watch{
		"MailDomain": (&MailDomainReconciler{}).Watches(), "DNSZone": (&DNSZoneReconciler{}).Watches(),
	} {
		found := false
		for _, w := range watches {
			if _, whole := w.Object.(*corev1.Secret); whole {
				t.Errorf("the reconciler of %s caches whole Secrets", kind)
			}
			if m, ok := w.Object.(*metav1.PartialObjectMetadata); ok && m.Kind == "Secret" {
				found = found || w.MetadataOnly
			}
		}
		if !found {
			t.Errorf("the reconciler of %s watches no metadata of Secrets: does the test still see its watches?", kind)
		}
	}
}
