package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DKIMStatus is what is known of one of spec.dkim.keys, and of the keys made for it.
type DKIMStatus struct {
	// name as in spec.dkim.keys.
	// +required
	Name string `json:"name"`

	// secretName is the Secret that the signer mounts.
	// +required
	SecretName string `json:"secretName"`

	// zoneRef names the DNSZone that the records are written to; absent where none may be.
	// +optional
	ZoneRef *ZoneReference `json:"zoneRef,omitempty"`

	// state sums it up.
	// +required
	State DKIMState `json:"state"`

	// since is when it took its state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// selector is the one that the signer's Secret has now; absent before the first.
	// +optional
	Selector string `json:"selector,omitempty"`

	// message says what is wrong, or waited for, and what to do.
	// +optional
	Message string `json:"message,omitempty"`

	// nextRotation is when the next key is made; absent while one is under way, and where none is made by time.
	// +optional
	NextRotation *metav1.Time `json:"nextRotation,omitempty"`

	// removeAt is when the records of a key that has left the spec are taken out of DNS.
	// +optional
	RemoveAt *metav1.Time `json:"removeAt,omitempty"`

	// keys are those that matter now.
	// +optional
	// +listType=atomic
	Keys []DKIMKeyStatus `json:"keys,omitempty"`

	// own are the records that the operator has published, or is about to. What else stands at a selector is somebody
	// else's.
	// +optional
	// +listType=atomic
	Own []DKIMRecordStatus `json:"own,omitempty"`

	// versions are the answers that caches may still hold. What they hold is named by its digest.
	// +optional
	// +listType=atomic
	Versions []VersionStatus `json:"versions,omitempty"`
}

// DKIMKeyStatus is one key.
type DKIMKeyStatus struct {
	// selector of the key: its record stands at SELECTOR._domainkey.DOMAIN.
	// +required
	Selector string `json:"selector"`
	// role of the key: Next, Current or Previous.
	// +required
	Role KeyRole `json:"role"`
	// visibility of its record in DNS.
	// +required
	Visibility Visibility `json:"visibility"`
	// since is when the key took its role.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// deployed says that the signer's Secret has, or had, the key.
	// +optional
	Deployed bool `json:"deployed,omitempty"`
	// deployableAt is when the signer's Secret gets the key at the earliest; absent while that is not known, because some
	// name server has not shown the record yet.
	// +optional
	DeployableAt *metav1.Time `json:"deployableAt,omitempty"`
	// removableAt is when the record of a Previous key is taken out, or replaced by one that revokes the key
	// (spec.dkim.rotation.retired).
	// +optional
	RemovableAt *metav1.Time `json:"removableAt,omitempty"`
	// revokedAt is when the key was revoked; absent before. Its private key is in no Secret any more.
	// +optional
	RevokedAt *metav1.Time `json:"revokedAt,omitempty"`
	// leaving says that the record of a Previous key is being taken out.
	// +optional
	Leaving bool `json:"leaving,omitempty"`
	// record is the TXT record of the key, or the one that revokes it, as it stands in a zone file.
	// +required
	Record string `json:"record"`
}

// DKIMRecordStatus is a record at a selector.
type DKIMRecordStatus struct {
	// selector that it stands at.
	// +required
	Selector string `json:"selector"`
	// record as it stands in a zone file.
	// +required
	Record string `json:"record"`
}

// DKIMState sums up how a key of the spec stands.
// +kubebuilder:validation:Enum=InUse;Preparing;Conflict;Refused;Unverifiable;Removing;Unknown
type DKIMState string

// The states.
const (
	// DKIMInUse: the signer's Secret has a key that every receiver can verify by. A rotation does not change that.
	DKIMInUse DKIMState = "InUse"
	// DKIMPreparing: there is no key for the signer yet: the first one is being published.
	DKIMPreparing DKIMState = "Preparing"
	// DKIMConflict: the Secret, or a record at a selector, is somebody else's. Nothing is written there.
	DKIMConflict DKIMState = "Conflict"
	// DKIMRefused: the name may not be written, or the primary refuses it.
	DKIMRefused DKIMState = "Refused"
	// DKIMUnverifiable: the signer has a key whose record is missing at some server, or may be missing in caches.
	DKIMUnverifiable DKIMState = "Unverifiable"
	// DKIMRemoving: the records are taken out of DNS.
	DKIMRemoving DKIMState = "Removing"
	// DKIMUnknown: not enough is known.
	DKIMUnknown DKIMState = "Unknown"
)

// DKIMKey is what is known of one of spec.dkim.keys; nil when nothing is.
func (s *MailDomainStatus) DKIMKey(name string) *DKIMStatus {
	for i := range s.DKIM {
		if s.DKIM[i].Name == name {
			return &s.DKIM[i]
		}
	}
	return nil
}
