package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DNSZoneStatus says what is.
type DNSZoneStatus struct {
	// observedGeneration is the generation of the spec that this status was made from; -1 before
	// the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions sum it up. See the condition types of this package.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// serial of the zone at the primary.
	// +optional
	Serial int64 `json:"serial,omitempty"`

	// nameservers are the authoritative addresses that are asked.
	// +optional
	// +listType=atomic
	Nameservers []ZoneNameserverStatus `json:"nameservers,omitempty"`

	// dnssec says how the zone validates.
	// +optional
	DNSSEC ZoneDNSSECStatus `json:"dnssec,omitzero"`
}

// ZoneNameserverStatus is one authoritative address.
type ZoneNameserverStatus struct {
	// name of the name server.
	// +optional
	Name string `json:"name,omitempty"`
	// address with port.
	// +required
	Address string `json:"address"`
	// serial of the zone there.
	// +optional
	Serial int64 `json:"serial,omitempty"`
	// reachable says that it answered with authority.
	// +optional
	Reachable bool `json:"reachable"`
	// message says what is wrong with it.
	// +optional
	Message string `json:"message,omitempty"`
	// signaturesExpire is when the first signature runs out that it shows, to within half a day: looks cover
	// the names of the zone in turn.
	// +optional
	SignaturesExpire *metav1.Time `json:"signaturesExpire,omitempty"`
	// leadTTL is how many seconds caches keep the NS and address records that lead to it, seven days at most; absent when
	// not known.
	// +optional
	LeadTTL int64 `json:"leadTTL,omitempty"`
	// formerUntil is set on a server that neither the delegation, nor the zone, nor spec.nameservers names any more: caches
	// may know it until then. It is asked on, and what it answers counts as that of any other server; when it does not
	// answer, it holds nothing up.
	// +optional
	FormerUntil *metav1.Time `json:"formerUntil,omitempty"`
}

// DNSSECState is the state of a zone: Secure, Insecure, Bogus or Indeterminate (RFC 4035 section 4.3).
type DNSSECState string

// The DNSSEC states.
const (
	DNSSECStateSecure        DNSSECState = "Secure"
	DNSSECStateInsecure      DNSSECState = "Insecure"
	DNSSECStateBogus         DNSSECState = "Bogus"
	DNSSECStateIndeterminate DNSSECState = "Indeterminate"
)

// ZoneDNSSECStatus says how a zone validates.
type ZoneDNSSECStatus struct {
	// state is Secure, Insecure, Bogus or Indeterminate.
	// +optional
	State DNSSECState `json:"state,omitempty"`
	// algorithms of the zone's keys, by mnemonic.
	// +optional
	// +listType=atomic
	Algorithms []string `json:"algorithms,omitempty"`
	// keys are the tags of the zone's DNSKEYs, as any server last gave them.
	// +optional
	// +listType=atomic
	Keys []string `json:"keys,omitempty"`
	// ds are the DS records that the zone is entered by.
	// +optional
	// +listType=atomic
	DS []string `json:"ds,omitempty"`
	// cds are the CDS records that the zone publishes.
	// +optional
	// +listType=atomic
	CDS []string `json:"cds,omitempty"`
	// delegation says how the DS records in the parent are. Absent without spec.dnssec.delegation.
	// +optional
	Delegation *DelegationStatus `json:"delegation,omitempty"`
	// signaturesExpire is when the first signature seen runs out, to within half a day. The metric
	// dane_operator_zone_signatures_expire_timestamp_seconds has it to the second.
	// +optional
	SignaturesExpire *metav1.Time `json:"signaturesExpire,omitempty"`
	// signer is when the zone's signer makes signatures anew, as far as that was seen. Absent before it was.
	// +optional
	Signer *SignerStatus `json:"signer,omitempty"`
	// above are the DNSKEY and DS sets of the zones between the trust anchor and this one: name, type, TTL in seconds and
	// a digest of the records, by which a change is seen. Empty with a trust anchor of the zone itself.
	// +optional
	// +listType=atomic
	Above []string `json:"above,omitempty"`
	// keysChangedAt is when the DNSKEY set, the DS records or the trust anchors last changed, or those of a zone above;
	// absent when that is longer ago than caches keep what was before: for the keys' TTL, and for that of the DS records
	// if they have changed. In a new DNSZone whose parent has no DS records it is when that was first seen: there may
	// have been some before. Until then no new key is handed to servers.
	// +optional
	KeysChangedAt *metav1.Time `json:"keysChangedAt,omitempty"`
	// findings are what is wrong with the zone, its delegation or its servers, the worst first.
	// docs/findings.md tells of each code.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Findings []ZoneFinding `json:"findings,omitempty"`
}

// SignerStatus is what was seen of a zone's signer: of signatures over records that stayed the same when they were made
// anew. The finding RefreshOverdue goes by it once it was seen three times.
type SignerStatus struct {
	// refreshLeft is how much of its time a signature has left when it is made anew, in seconds.
	// +required
	// +kubebuilder:validation:Minimum=0
	RefreshLeft int64 `json:"refreshLeft"`
	// validity is how long signatures are made for, in seconds.
	// +required
	// +kubebuilder:validation:Minimum=1
	Validity int64 `json:"validity"`
	// rounds is how many times this was seen, a fifth of the validity apart; it counts to 3.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3
	Rounds int32 `json:"rounds"`
	// lastRound is when the last of these was counted.
	// +required
	LastRound metav1.Time `json:"lastRound"`
}

// FindingSeverity is Critical, Warning or Notice.
type FindingSeverity string

// The severities of findings.
const (
	// FindingCritical: validating resolvers fail, or soon will, and mail of DANE senders stops.
	FindingCritical FindingSeverity = "Critical"
	// FindingWarning: nothing fails yet, or DANE is without effect; somebody should act.
	FindingWarning FindingSeverity = "Warning"
	// FindingNotice: worth knowing.
	FindingNotice FindingSeverity = "Notice"
)

// ZoneFinding is one thing that is wrong with a zone.
type ZoneFinding struct {
	// code of the finding, such as SignatureExpired; docs/findings.md tells of each.
	// +required
	Code string `json:"code"`
	// severity is Critical, Warning or Notice.
	// +required
	Severity FindingSeverity `json:"severity"`
	// server that it was found at; empty when it is true of the zone as a whole.
	// +optional
	Server string `json:"server,omitempty"`
	// message says what is wrong and what to do.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message"`
}
