package v1alpha1

// RolloverSpec says how keys are changed. Every wait accepts 0s, for labs and tests.
type RolloverSpec struct {
	// strategy is Gate (the default): hold the certificate request until the new key is published
	// and every cache knows it; Stage: let cert-manager issue, and copy the new certificate to the
	// Secret that the server mounts when that is safe; or Follow: hold nothing back.
	// +optional
	// +kubebuilder:default=Gate
	Strategy Strategy `json:"strategy,omitempty"`

	// standbyKey, with strategy Gate, keeps the next key generated and published at all times, so
	// that neither a renewal nor an emergency has to wait. Enabled (the default) or Disabled.
	// +optional
	// +kubebuilder:default=Enabled
	StandbyKey StandbyKeyMode `json:"standbyKey,omitempty"`

	// publishSafety is added to the wait before a new key is deployed. Default 1h.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.rollover.publishSafety must be between 0s and 8760h"
	PublishSafety Duration `json:"publishSafety,omitempty"`

	// retireSafety is how long a record stays after the last endpoint stopped presenting its key.
	// Default 24h; twice the TTL at least.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.rollover.retireSafety must be between 0s and 8760h"
	RetireSafety Duration `json:"retireSafety,omitempty"`

	// deadline says what happens when a certificate is about to expire while its successor waits.
	// +optional
	// +kubebuilder:default={}
	Deadline DeadlineSpec `json:"deadline,omitzero"`

	// compromisedKeys are SHA-256 digests (hex) of the public keys (SPKI) to leave now: a renewal
	// is started, the records are dropped as soon as no endpoint presents the key, and the key is
	// never used again.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	CompromisedKeys []SPKIDigest `json:"compromisedKeys,omitempty"`
}

// KeepsStandbyKey says whether the key of the next renewal is kept, published beforehand.
func (r *RolloverSpec) KeepsStandbyKey() bool {
	return r.Strategy == StrategyGate && r.StandbyKey != StandbyDisabled
}

// SPKIDigest is the SHA-256 digest of a public key (SPKI) in hex.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Fa-f]{64}$')",message="spec.rollover.compromisedKeys: want the SHA-256 digest of the public key as 64 hex digits, as status.mailServers[].keys[].spkiSHA256 shows it"
type SPKIDigest string

// Strategy names a way to change keys. Gate, Stage or Follow.
// +kubebuilder:validation:Enum=Gate;Stage;Follow
type Strategy string

// The strategies.
const (
	StrategyGate   Strategy = "Gate"
	StrategyStage  Strategy = "Stage"
	StrategyFollow Strategy = "Follow"
)

// StandbyKeyMode switches the standby key. Enabled or Disabled.
// +kubebuilder:validation:Enum=Enabled;Disabled
type StandbyKeyMode string

// The modes of the standby key.
const (
	StandbyEnabled  StandbyKeyMode = "Enabled"
	StandbyDisabled StandbyKeyMode = "Disabled"
)

// DeadlineSpec says what happens when a certificate is about to expire.
type DeadlineSpec struct {
	// beforeExpiry is how long before the certificate's end the action is taken. Default 48h.
	// +optional
	// +kubebuilder:default="48h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.rollover.deadline.beforeExpiry must be between 0s and 8760h"
	BeforeExpiry Duration `json:"beforeExpiry,omitempty"`

	// action is Hold (the default): never deploy a key too early, DANE senders ignore expiry; or
	// Proceed: deploy it all the same, and say in RolloverSafe for how long senders may fail.
	// +optional
	// +kubebuilder:default=Hold
	Action DeadlineAction `json:"action,omitempty"`
}

// DeadlineAction is Hold or Proceed.
// +kubebuilder:validation:Enum=Hold;Proceed
type DeadlineAction string

// The deadline actions.
const (
	DeadlineHold    DeadlineAction = "Hold"
	DeadlineProceed DeadlineAction = "Proceed"
)
