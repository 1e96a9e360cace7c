package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DelegationStatus says how the DS records of a zone are in its parent.
type DelegationStatus struct {
	// parent is the parent zone.
	// +optional
	Parent string `json:"parent,omitempty"`
	// ds are the DS records that the parent should have, in presentation form: what to hand to the
	// registrar when the parent is somebody else's. Empty while the zone asks for none.
	// +optional
	// +listType=atomic
	DS []string `json:"ds,omitempty"`
	// parentDS are the DS records that all servers of the parent show.
	// +optional
	// +listType=atomic
	ParentDS []string `json:"parentDS,omitempty"`
	// behindSince is since when the parent has not had ds.
	// +optional
	BehindSince *metav1.Time `json:"behindSince,omitempty"`
	// syncedDS are the DS records that the operator wrote to the parent last.
	// +optional
	// +listType=atomic
	SyncedDS []string `json:"syncedDS,omitempty"`
	// syncedAt is when the operator wrote syncedDS.
	// +optional
	SyncedAt *metav1.Time `json:"syncedAt,omitempty"`
	// notifiedDS are the DS records that every target of the parent was last told of by NOTIFY(CDS), and acknowledged
	// that (RFC 9859); "removal" when it was told that there should be none.
	// +optional
	// +listType=atomic
	NotifiedDS []string `json:"notifiedDS,omitempty"`
	// notifiedAt is when the parent was told of notifiedDS.
	// +optional
	NotifiedAt *metav1.Time `json:"notifiedAt,omitempty"`
	// signedAt is when the CDS records acted on last were signed: older ones are taken for a replay
	// (RFC 7344 section 6.2).
	// +optional
	SignedAt *metav1.Time `json:"signedAt,omitempty"`
}
