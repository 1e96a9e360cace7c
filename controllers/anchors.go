package controllers

import (
	"fmt"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// anchorsOf are the trust anchors of a zone: its own, or the operator's.
func (r *DNSZoneReconciler) anchorsOf(z *v1alpha1.DNSZone) ([]dnssec.Anchor, error) {
	if len(z.Spec.DNSSEC.TrustAnchors) == 0 {
		return r.anchors, nil
	}
	var out []dnssec.Anchor
	for _, text := range z.Spec.DNSSEC.TrustAnchors {
		ds, err := dnssec.ParseDS(string(text), z.Spec.Zone+".")
		if err != nil {
			return nil, &configError{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.dnssec.trustAnchors: %q: %v", text, err)}
		}
		out = append(out, ds)
	}
	return out, nil
}
