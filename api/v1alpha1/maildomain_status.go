package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MailDomainStatus says what is. It is written by the operator alone, but for tlsReports. Losing it may slow a
// rollover and never makes one unsafe.
type MailDomainStatus struct {
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

	// nextTransition is the next thing that will happen by itself, and when.
	// +optional
	NextTransition *Transition `json:"nextTransition,omitempty"`

	// mailServers says what is known of each mail server.
	// +optional
	// +listType=map
	// +listMapKey=hostname
	// +kubebuilder:validation:MaxItems=16
	MailServers []MailServerStatus `json:"mailServers,omitempty"`

	// records says what is known of the other records of the mail domain; absent while the spec has none of mx,
	// tlsReporting, mtaSTS, spf and dmarc.
	// +optional
	// +listType=map
	// +listMapKey=record
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=40
	Records []MailRecordStatus `json:"records,omitempty"`

	// dkim says what is known of the keys that mail is signed with; absent while the spec has no dkim.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DKIM []DKIMStatus `json:"dkim,omitempty"`

	// tlsReports is what senders have reported in the last seven days; absent where no reports are taken in. It is
	// written by the receiver of reports.
	// +optional
	TLSReports *TLSReportsStatus `json:"tlsReports,omitempty"`
}

// MailServer is what is known of a host; nil when nothing is.
func (s *MailDomainStatus) MailServer(hostname string) *MailServerStatus {
	for i := range s.MailServers {
		if s.MailServers[i].Hostname == hostname {
			return &s.MailServers[i]
		}
	}
	return nil
}

// Transition is something that will happen.
type Transition struct {
	// time at which it happens; absent when it waits for something that has no known end.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
	// action is what is waited for, in words.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Action string `json:"action"`
}

// MailServerStatus says what is known of one mail server.
type MailServerStatus struct {
	// hostname of the mail server.
	// +required
	Hostname string `json:"hostname"`

	// zoneRef names the DNSZone that the records are written to.
	// +optional
	ZoneRef *ZoneReference `json:"zoneRef,omitempty"`

	// records are the TLSA records as the name servers show them, in presentation form.
	// +optional
	// +listType=atomic
	Records []string `json:"records,omitempty"`

	// foreignRecords are those among records that the operator did not write.
	// +optional
	// +listType=atomic
	ForeignRecords []string `json:"foreignRecords,omitempty"`

	// ownRecords are the TLSA RDATA that the operator has published at this host, or is about to.
	// What else stands there is foreign.
	// +optional
	// +listType=atomic
	OwnRecords []string `json:"ownRecords,omitempty"`

	// aliases are the TLSA owners of this host that are aliases (CNAME, DNAME), and where they end: the
	// records are written there.
	// +optional
	// +listType=atomic
	Aliases []AliasStatus `json:"aliases,omitempty"`

	// unsafe says that senders may fail, why and until when; absent while none can.
	// +optional
	Unsafe *UnsafeStatus `json:"unsafe,omitempty"`

	// senderView says what senders with DANE do with mail for this host; absent while it is not known, and
	// for hosts without a port that other mail servers deliver to.
	// +optional
	SenderView *SenderViewStatus `json:"senderView,omitempty"`

	// keys are the keys of this host that matter now.
	// +optional
	// +listType=atomic
	Keys []KeyStatus `json:"keys,omitempty"`

	// versions are the answers that caches may still hold.
	// +optional
	// +listType=atomic
	Versions []VersionStatus `json:"versions,omitempty"`

	// endpoints are the addresses that were probed, and what they presented.
	// +optional
	// +listType=atomic
	Endpoints []EndpointStatus `json:"endpoints,omitempty"`

	// nameservers are the authoritative addresses, and whether they show what is wanted.
	// +optional
	// +listType=atomic
	Nameservers []NameserverSync `json:"nameservers,omitempty"`

	// troubles are what was wrong of late, the oldest first: what reports of senders, which come a day later, are
	// compared with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Troubles []TroubleStatus `json:"troubles,omitempty"`
}

// AliasStatus is a TLSA owner whose records stand at another name, that it is an alias of.
type AliasStatus struct {
	// owner is the name asked for, such as _25._tcp.mx1.example.com.
	// +required
	Owner string `json:"owner"`
	// end is the name that the alias leads to, through others or not.
	// +required
	End string `json:"end"`
	// zoneRef names the DNSZone that end is written to; absent where none may be.
	// +optional
	ZoneRef *ZoneReference `json:"zoneRef,omitempty"`
}

// UnsafeStatus says that senders may meet a certificate that their cached records do not match.
type UnsafeStatus struct {
	// reason as in the condition RolloverSafe.
	// +required
	Reason string `json:"reason"`
	// message in words.
	// +optional
	Message string `json:"message,omitempty"`
	// since when.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// until is when the last cached answer that does not match is gone; absent while not known.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// TroubleKind says what a trouble is about: Nameserver, Endpoint, SenderView or Unsafe.
// +kubebuilder:validation:Enum=Nameserver;Endpoint;SenderView;Unsafe
type TroubleKind string

// The kinds of trouble.
const (
	// TroubleNameserver is an address of a name server that did not show the wanted records.
	TroubleNameserver TroubleKind = "Nameserver"
	// TroubleEndpoint is an endpoint that presented a certificate which the records did not match, or no TLS.
	TroubleEndpoint TroubleKind = "Endpoint"
	// TroubleSenderView is that senders with DANE did not deliver, as the operator found when it looked as they do.
	TroubleSenderView TroubleKind = "SenderView"
	// TroubleUnsafe is that some sender might meet a certificate that its cached records did not match.
	TroubleUnsafe TroubleKind = "Unsafe"
)

// TroubleStatus is something that was wrong with a mail server for a while.
type TroubleStatus struct {
	// kind is Nameserver, Endpoint, SenderView or Unsafe.
	// +required
	Kind TroubleKind `json:"kind"`
	// subject is the address concerned.
	// +optional
	Subject string `json:"subject,omitempty"`
	// message says what was seen first.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
	// since when.
	// +required
	Since metav1.Time `json:"since"`
	// until is when it was found to be over; absent while it lasts.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// SenderVerdict is what senders with DANE do with mail for a host (RFC 7672 section 2.2).
// +kubebuilder:validation:Enum=DANE;EncryptOnly;Opportunistic;Undeliverable
type SenderVerdict string

// The verdicts of senders.
const (
	// SenderDANE means that they authenticate the host, and deliver to it alone.
	SenderDANE SenderVerdict = "DANE"
	// SenderEncryptOnly means that they encrypt and do not authenticate: no TLSA record is usable.
	SenderEncryptOnly SenderVerdict = "EncryptOnly"
	// SenderOpportunistic means that they deliver with TLS or without: some link to the TLSA records is
	// insecure, or there are none.
	SenderOpportunistic SenderVerdict = "Opportunistic"
	// SenderUndeliverable means that they do not deliver to the host: something is bogus, cannot be
	// looked up, or does not match.
	SenderUndeliverable SenderVerdict = "Undeliverable"
)

// SenderViewStatus is how senders with DANE see a mail server, as the operator last found it. What the host
// presents is taken from the probes of it; where nothing was probed it is taken to present what it should.
type SenderViewStatus struct {
	// verdict is DANE, EncryptOnly, Opportunistic or Undeliverable.
	// +required
	Verdict SenderVerdict `json:"verdict"`
	// notInMX says that the MX records of the domain do not name the host: no sender is sent to it, and
	// the verdict is what it would be if one were.
	// +optional
	NotInMX bool `json:"notInMX,omitempty"`
	// message says which link of which name makes it so, and what to do.
	// +optional
	Message string `json:"message,omitempty"`
}

// KeyRole is the role of a key: Next, Current or Previous.
type KeyRole string

// The roles of a key.
const (
	// RoleNext is the role of a key that is not served yet.
	RoleNext KeyRole = "Next"
	// RoleCurrent is the role of a key that may be served.
	RoleCurrent KeyRole = "Current"
	// RolePrevious is the role of a key that was served.
	RolePrevious KeyRole = "Previous"
)

// Visibility says what caches may know of a key's records, in the words of RFC 7583.
type Visibility string

// The visibilities.
const (
	// VisibilityHidden means that no cache has the records.
	VisibilityHidden Visibility = "Hidden"
	// VisibilityRumoured means that some caches may have them.
	VisibilityRumoured Visibility = "Rumoured"
	// VisibilityOmnipresent means that every cache that has the RRset has them.
	VisibilityOmnipresent Visibility = "Omnipresent"
	// VisibilityUnretentive means that they are removed and some caches may still have them.
	VisibilityUnretentive Visibility = "Unretentive"
)

// KeyStatus is one key of a mail server.
type KeyStatus struct {
	// spkiSHA256 names the key: the SHA-256 digest of its public key (SPKI) in hex.
	// +required
	SPKISHA256 string `json:"spkiSHA256"`
	// certificate is the name of the cert-manager Certificate that the key belongs to.
	// +optional
	Certificate string `json:"certificate,omitempty"`
	// role of the key: Next, Current or Previous.
	// +required
	Role KeyRole `json:"role"`
	// visibility of the key's records in DNS.
	// +required
	Visibility Visibility `json:"visibility"`
	// since is when the key took its role.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// deployableAt is when the key may be handed to servers at the earliest; absent while that is
	// not known, because some name server has not shown the record yet.
	// +optional
	DeployableAt *metav1.Time `json:"deployableAt,omitempty"`
	// removableAt is when the records of a Previous key are taken out.
	// +optional
	RemovableAt *metav1.Time `json:"removableAt,omitempty"`
	// heldUntil is until when reports of senders keep the records of a Previous key, which would have been taken out
	// otherwise; absent while they do not.
	// +optional
	HeldUntil *metav1.Time `json:"heldUntil,omitempty"`
	// goneSince is the end of the first of the probe rounds in a row in which no endpoint
	// presented a Previous key.
	// +optional
	GoneSince *metav1.Time `json:"goneSince,omitempty"`
	// goneRounds counts those probe rounds, up to the number that is needed.
	// +optional
	GoneRounds int32 `json:"goneRounds,omitempty"`
	// leaving says that the records of a Previous key were found to be needed by nobody, and are being taken out.
	// +optional
	Leaving bool `json:"leaving,omitempty"`
	// deployed says that the key has been handed to servers.
	// +optional
	Deployed bool `json:"deployed,omitempty"`
	// serialNumber of the certificate in hex, where there is one.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
	// notAfter is the end of the certificate.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// records are the TLSA RDATA of this key, one per parameter set.
	// +optional
	// +listType=atomic
	Records []string `json:"records,omitempty"`
}

// VersionStatus is one answer that some cache may hold: the answer versions of the rollover rule.
type VersionStatus struct {
	// owner is the name asked for, such as _25._tcp.mx1.example.com.
	// +required
	Owner string `json:"owner"`
	// records is the TLSA RRset; empty for a denial.
	// +optional
	// +listType=atomic
	Records []string `json:"records,omitempty"`
	// unknown marks what may have been in DNS before the operator looked.
	// +optional
	Unknown bool `json:"unknown,omitempty"`
	// ttl in seconds: the longest that a cache may keep this answer.
	// +optional
	TTL int64 `json:"ttl,omitempty"`
	// firstSeen is when it was first seen, or last about to be written.
	// +optional
	FirstSeen *metav1.Time `json:"firstSeen,omitempty"`
	// lastSeen is the last instant at which some address may still have served it; while open is
	// true that instant has not come.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// open says that some address may still serve it.
	// +optional
	Open bool `json:"open,omitempty"`
	// planned says that it was about to be written and no name server has been seen with it yet.
	// +optional
	Planned bool `json:"planned,omitempty"`
	// absentSince is the end of the first of the green sweeps in a row that did not show it.
	// +optional
	AbsentSince *metav1.Time `json:"absentSince,omitempty"`
	// absentSweeps counts those sweeps, up to the number that is needed.
	// +optional
	AbsentSweeps int32 `json:"absentSweeps,omitempty"`
}

// EndpointStatus is one probed address.
type EndpointStatus struct {
	// address that was connected to.
	// +required
	Address string `json:"address"`
	// port that was connected to.
	// +required
	Port int32 `json:"port"`
	// spkiSHA256 of the leaf it presented; absent when it could not be learned.
	// +optional
	SPKISHA256 string `json:"spkiSHA256,omitempty"`
	// verified says that the chain matches the published records as a DANE sender would see it.
	// +optional
	Verified bool `json:"verified"`
	// lastProbe is when it was last connected to with another outcome than before: a probe that finds
	// what the one before found writes nothing.
	// +optional
	LastProbe *metav1.Time `json:"lastProbe,omitempty"`
	// message says what was found.
	// +optional
	Message string `json:"message,omitempty"`
}

// NameserverSync is one authoritative address and what it shows.
type NameserverSync struct {
	// name of the name server.
	// +optional
	Name string `json:"name,omitempty"`
	// address with port.
	// +required
	Address string `json:"address"`
	// inSync says that it shows exactly the wanted records, signed where that is required.
	// +optional
	InSync bool `json:"inSync"`
	// message says what differs.
	// +optional
	Message string `json:"message,omitempty"`
}
