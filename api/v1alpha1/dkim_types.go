package v1alpha1

import "time"

// DKIMSpec says which keys mail of the domain is signed with (RFC 6376). The operator makes the keys, publishes their
// public halves below _domainkey.DOMAIN, and puts the private ones into Secrets for the signer, each when every cache can
// know it.
//
// +kubebuilder:validation:XValidation:rule="self.keys.all(a, self.keys.exists_one(b, a.secretName == b.secretName))",fieldPath=".keys",message="spec.dkim.keys: each key needs a secretName of its own"
type DKIMSpec struct {
	// keys that mail is signed with. An RSA key is read by every receiver; one of Ed25519 (RFC 8463) goes beside it, since
	// not every receiver reads that.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Keys []DKIMKeySpec `json:"keys"`

	// rotation says how often keys are changed. Absent is {every: 2160h, keepRetired: 168h}.
	// +optional
	Rotation *DKIMRotationSpec `json:"rotation,omitempty"`

	// ttl of the records in seconds, 1 to 86400. Absent is 3600. Every rotation waits at least twice as long.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	TTL int32 `json:"ttl,omitempty"`

	// adopt replaces TXT records at the name of a key that the operator did not write. Default false: they are reported
	// as a conflict, and the key is not used.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// DKIMKeySpec is one key.
//
// +kubebuilder:validation:XValidation:rule="self.algorithm == 'RSA' || !has(self.size)",fieldPath=".size",message="spec.dkim.keys: size is for RSA; an Ed25519 key has one size (RFC 8463 section 4)"
type DKIMKeySpec struct {
	// name of the key. Its selectors begin with it: each key that is made has one of its own, NAME-HASH.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="spec.dkim.keys: want a name of lower-case letters, digits and hyphens, which selectors can begin with (RFC 6376 section 3.1)"
	Name string `json:"name"`

	// algorithm is RSA or Ed25519.
	// +required
	Algorithm DKIMAlgorithm `json:"algorithm"`

	// size of an RSA key in bits: 2048, 3072 or 4096. Absent is 2048. Less is weak, and verifiers need not read more
	// (RFC 8301 section 3.2).
	// +optional
	// +kubebuilder:validation:Enum=2048;3072;4096
	Size int32 `json:"size,omitempty"`

	// secretName is the Secret of this namespace that the signer mounts: selector, domain and private key. The operator
	// makes it, and another one, SECRETNAME-dane-dkim, in which it keeps the next key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=240
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$') && !self.endsWith('-dane-dkim')",message="spec.dkim.keys: want the name of a Secret (RFC 1123) that does not end with -dane-dkim"
	SecretName string `json:"secretName"`
}

// DKIMAlgorithm is an algorithm of keys. RSA or Ed25519.
// +kubebuilder:validation:Enum=RSA;Ed25519
type DKIMAlgorithm string

// The algorithms.
const (
	DKIMRSA     DKIMAlgorithm = "RSA"
	DKIMEd25519 DKIMAlgorithm = "Ed25519"
)

// DKIMRotationSpec says how often keys are changed.
//
// +kubebuilder:validation:XValidation:rule="(has(self.every) ? duration(self.every) : duration('2160h')) == duration('0s') || (has(self.keepRetired) ? duration(self.keepRetired) : duration('168h')) <= (has(self.every) ? duration(self.every) : duration('2160h'))",fieldPath=".keepRetired",message="spec.dkim.rotation: keepRetired must not be longer than every, or the records of old keys pile up"
// +kubebuilder:validation:XValidation:rule="!has(self.keepRevoked) || (has(self.retired) && self.retired == 'Revoke')",fieldPath=".keepRevoked",message="spec.dkim.rotation: keepRevoked is for retired: Revoke"
// +kubebuilder:validation:XValidation:rule="!has(self.keepRevoked) || (has(self.every) ? duration(self.every) : duration('2160h')) == duration('0s') || duration(self.keepRevoked) <= (has(self.every) ? duration(self.every) : duration('2160h'))",fieldPath=".keepRevoked",message="spec.dkim.rotation: keepRevoked must not be longer than every, or the records of old keys pile up"
type DKIMRotationSpec struct {
	// every is how long mail is signed with a key before the next one is made. Absent is 2160h. With 0s a key is changed
	// only when the spec asks for another algorithm or size, or the key is lost.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('87600h')",message="spec.dkim.rotation.every must be between 0s and 87600h"
	Every Duration `json:"every,omitempty"`

	// keepRetired is how long the record of an old key stays after the signer's Secret got the next one: until the signer
	// has loaded that, and no mail with an old signature is under way any more. Absent is 168h; twice the TTL at least.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.dkim.rotation.keepRetired must be between 0s and 8760h"
	KeepRetired Duration `json:"keepRetired,omitempty"`

	// retired says what becomes of that record then. Remove (what absent means) takes it out. Revoke puts one without a key
	// in its place, "v=DKIM1; p=" (RFC 6376 section 3.6.1), and takes that out after keepRevoked.
	// +optional
	Retired DKIMRetired `json:"retired,omitempty"`

	// keepRevoked is how long the record of a revoked key stays. Absent is as long as keepRetired. The record goes at once
	// with the MailDomain, or when retired becomes Remove, and with the key where that leaves the spec.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.dkim.rotation.keepRevoked must be between 0s and 8760h"
	KeepRevoked Duration `json:"keepRevoked,omitempty"`
}

// DKIMRetired says what becomes of the record of an old key. Remove or Revoke.
// +kubebuilder:validation:Enum=Remove;Revoke
type DKIMRetired string

// What may become of it.
const (
	DKIMRemove DKIMRetired = "Remove"
	DKIMRevoke DKIMRetired = "Revoke"
)

// DKIMTimes are the times of a rotation, with what absent ones mean. An every of 0 is never.
func (s *DKIMSpec) DKIMTimes() (every, keepRetired time.Duration) {
	const days90, week = 2160 * time.Hour, 168 * time.Hour
	if s == nil || s.Rotation == nil {
		return days90, week
	}
	return s.Rotation.Every.Or(days90), s.Rotation.KeepRetired.Or(week)
}

// Revokes says whether old keys are revoked before their records go, and how long those stay.
func (s *DKIMSpec) Revokes() (keep time.Duration, yes bool) {
	if s == nil || s.Rotation == nil || s.Rotation.Retired != DKIMRevoke {
		return 0, false
	}
	_, keepRetired := s.DKIMTimes()
	return s.Rotation.KeepRevoked.Or(keepRetired), true
}
