package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MailDomainSpec says what a mail domain wants.
//
// +kubebuilder:validation:XValidation:rule="self.rollover.strategy != 'Gate' || self.tlsa.parameters.exists(p, p.startsWith('3 1 '))",fieldPath=".tlsa.parameters",message="spec.tlsa.parameters: strategy Gate needs a parameter set with usage 3 and selector 1 (\"3 1 1\" or \"3 1 2\"), because only the public key is known before the certificate exists; add one, or set spec.rollover.strategy to Stage"
// +kubebuilder:validation:XValidation:rule="self.rollover.strategy != 'Gate' || !self.tlsa.parameters.exists(p, p.startsWith('3 0 '))",fieldPath=".tlsa.parameters",message="spec.tlsa.parameters: strategy Gate cannot publish \"3 0 x\", the digest of a certificate that does not exist yet; use \"3 1 1\", or set spec.rollover.strategy to Stage"
// +kubebuilder:validation:XValidation:rule="self.rollover.strategy != 'Stage' || self.mailServers.all(s, !has(s.certificates) || s.certificates.all(c, has(c.servingSecretName)))",fieldPath=".mailServers",message="spec.mailServers[].certificates[].servingSecretName is required with spec.rollover.strategy Stage: it names the Secret that the mail server mounts"
// +kubebuilder:validation:XValidation:rule="self.rollover.strategy == 'Stage' || self.mailServers.all(s, !has(s.certificates) || s.certificates.all(c, !has(c.servingSecretName)))",fieldPath=".mailServers",message="spec.mailServers[].certificates[].servingSecretName is written with spec.rollover.strategy Stage only; with Gate and Follow the server mounts the Certificate's own Secret"
type MailDomainSpec struct {
	// domain is the mail domain, the part behind the @, as an A-label in lower case without a
	// trailing dot. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.domain cannot be changed: create another MailDomain for the other domain"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",message="spec.domain must be a domain name in lower case, as A-labels (xn--... for other scripts), without a trailing dot, such as example.com"
	Domain string `json:"domain"`

	// suspend stops every write to DNS, every approval and every change of a Secret; what that
	// holds up is said in the conditions. Default false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// mailServers are the MX hosts of the domain, those of others included.
	// +required
	// +listType=map
	// +listMapKey=hostname
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	MailServers []MailServer `json:"mailServers"`

	// tlsa says which TLSA records are published for each mail server that names certificates.
	// +optional
	// +kubebuilder:default={}
	TLSA TLSASpec `json:"tlsa,omitzero"`

	// rollover says how a key is changed.
	// +optional
	// +kubebuilder:default={}
	Rollover RolloverSpec `json:"rollover,omitzero"`

	// mx says whether the MX records of the domain are published.
	// +optional
	MX *MXSpec `json:"mx,omitempty"`

	// tlsReporting publishes where senders report how TLS went (TLS-RPT, RFC 8460).
	// +optional
	TLSReporting *TLSReportingSpec `json:"tlsReporting,omitempty"`

	// mtaSTS publishes a policy for senders that do not do DANE (MTA-STS, RFC 8461). It changes nothing for those that
	// do: a failure of DANE is never overridden by it.
	// +optional
	MTASTS *MTASTSSpec `json:"mtaSTS,omitempty"`

	// spf publishes which hosts may send mail with the domain in the envelope (RFC 7208).
	// +optional
	SPF *SPFSpec `json:"spf,omitempty"`

	// dmarc publishes what receivers do with mail that fails (RFC 9989).
	// +optional
	DMARC *DMARCSpec `json:"dmarc,omitempty"`

	// dkim makes the keys that mail of the domain is signed with, publishes and changes them (RFC 6376).
	// +optional
	DKIM *DKIMSpec `json:"dkim,omitempty"`

	// dnssec says whether records are published only into a zone whose answers validate.
	// Required is the default. Ignored is for labs: TLSA records without DNSSEC protect nothing,
	// and the condition DNSSECSecure says so.
	// +optional
	// +kubebuilder:default=Required
	DNSSEC DNSSECPolicy `json:"dnssec,omitempty"`

	// deletionPolicy says what becomes of the published records when the MailDomain is deleted.
	// Remove (the default) takes them out of DNS first and, with strategy Gate, keeps holding new
	// keys back until no cache has them. Retain leaves them. The serving Secrets stay either way.
	// It counts for the records of mx, tlsReporting, mtaSTS, spf and dmarc as well, and for those of
	// them but mx also when the part is taken out of the spec: what the operator has written is
	// removed, and nothing else. It counts for dkim, too, where a key that leaves the spec is kept
	// for keepRetired first.
	// +optional
	// +kubebuilder:default=Remove
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// DNSSECPolicy says whether DNSSEC is needed. Required or Ignored.
// +kubebuilder:validation:Enum=Required;Ignored
type DNSSECPolicy string

// The DNSSEC policies.
const (
	DNSSECRequired DNSSECPolicy = "Required"
	DNSSECIgnored  DNSSECPolicy = "Ignored"
)

// DeletionPolicy says what becomes of records on deletion. Remove or Retain.
// +kubebuilder:validation:Enum=Remove;Retain
type DeletionPolicy string

// The deletion policies.
const (
	DeletionRemove DeletionPolicy = "Remove"
	DeletionRetain DeletionPolicy = "Retain"
)

// MailServer is one MX host.
type MailServer struct {
	// hostname is the TLSA base domain: the name in the MX record, in lower case, as A-labels,
	// without a trailing dot.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=240
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",message="spec.mailServers[].hostname must be a host name in lower case, as A-labels (xn--... for other scripts), without a trailing dot, such as mx1.example.com"
	Hostname string `json:"hostname"`

	// zoneRef names the DNSZone that the TLSA records are written to. Without it, the DNSZone of this
	// namespace with the longest zone above hostname is taken; without such, the one that another
	// namespace grants. If several other namespaces grant one, nothing is written until zoneRef says
	// which.
	// +optional
	ZoneRef *ZoneReference `json:"zoneRef,omitempty"`

	// preference in the MX record, with spec.mx.policy Manage: senders try lower ones first, and those with the same in
	// any order. Absent is 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Preference *int32 `json:"preference,omitempty"`

	// ports are the TCP ports with a TLSA record. Default: 25.
	// +optional
	// +listType=map
	// +listMapKey=port
	// +kubebuilder:default={{port: 25}}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Ports []MailServerPort `json:"ports,omitempty"`

	// certificates are the cert-manager Certificates of this namespace that the host presents, one
	// per key type. Without any, the host is somebody else's: it is checked and never written.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4
	Certificates []CertificateReference `json:"certificates,omitempty"`

	// probe says how the host is connected to, to see which certificate it presents.
	// +optional
	// +kubebuilder:default={}
	Probe ProbeSpec `json:"probe,omitzero"`
}

// ZoneReference names a DNSZone.
type ZoneReference struct {
	// name of the DNSZone.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace of the DNSZone. Default: the namespace of the object that refers to it. A DNSZone elsewhere must
	// grant the name to this namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// MailServerPort is one TCP port of a mail server.
type MailServerPort struct {
	// port is the TCP port, 1 to 65535.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// protocol spoken on the port. Default by port: 465 SMTPS, 143 IMAP, 993 IMAPS, 110 POP3,
	// 995 POP3S, 4190 ManageSieve, every other one SMTP.
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`
}

// Protocol names a mail protocol. The ones that end in S start with TLS, the others use STARTTLS.
// +kubebuilder:validation:Enum=SMTP;SMTPS;IMAP;IMAPS;POP3;POP3S;ManageSieve
type Protocol string

// The protocols.
const (
	ProtocolSMTP        Protocol = "SMTP"
	ProtocolSMTPS       Protocol = "SMTPS"
	ProtocolIMAP        Protocol = "IMAP"
	ProtocolIMAPS       Protocol = "IMAPS"
	ProtocolPOP3        Protocol = "POP3"
	ProtocolPOP3S       Protocol = "POP3S"
	ProtocolManageSieve Protocol = "ManageSieve"
)

// CertificateReference names a cert-manager Certificate of the same namespace.
type CertificateReference struct {
	// name of the Certificate.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// servingSecretName, with strategy Stage, names the Secret that the mail server mounts. The
	// operator writes it; it must not be the Certificate's own secretName.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServingSecretName string `json:"servingSecretName,omitempty"`
}

// ProbeSpec says how a mail server is probed.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.serviceRef) && self.mode == 'Disabled')",fieldPath=".serviceRef",message="spec.mailServers[].probe.serviceRef has no meaning with mode Disabled: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!(has(self.proxyProtocol) && self.proxyProtocol != 'Disabled' && self.mode == 'Disabled')",fieldPath=".proxyProtocol",message="spec.mailServers[].probe.proxyProtocol has no meaning with mode Disabled: remove one of the two"
type ProbeSpec struct {
	// serviceRef names a Service of this namespace: every ready endpoint of it is probed instead
	// of the addresses of the host name.
	// +optional
	ServiceRef *ServiceReference `json:"serviceRef,omitempty"`

	// mode is Enabled (the default) or Disabled. With Disabled the user vouches for the endpoints:
	// the first publication does not wait for them, and a key is removed retireSafety after its
	// successor was deployed.
	// +optional
	// +kubebuilder:default=Enabled
	Mode ProbeMode `json:"mode,omitempty"`

	// proxyProtocol is Disabled (the default), V1 or V2: the version of the PROXY header that is sent
	// before anything else, to servers that refuse connections without one. Set it together with
	// serviceRef for endpoints behind a load balancer that adds the header, since they are connected
	// to past it. The header says that the connection is the operator's own, as in the health checks
	// of load balancers: V1 has the addresses of that connection, V2 the command LOCAL.
	// +optional
	// +kubebuilder:default=Disabled
	ProxyProtocol ProxyProtocol `json:"proxyProtocol,omitempty"`
}

// ServiceReference names a Service of the same namespace.
type ServiceReference struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// ProbeMode switches probing. Enabled or Disabled.
// +kubebuilder:validation:Enum=Enabled;Disabled
type ProbeMode string

// The probe modes.
const (
	ProbeEnabled  ProbeMode = "Enabled"
	ProbeDisabled ProbeMode = "Disabled"
)

// ProxyProtocol is a version of the PROXY protocol. Disabled, V1 or V2.
// +kubebuilder:validation:Enum=Disabled;V1;V2
type ProxyProtocol string

// The versions of the PROXY protocol.
const (
	ProxyProtocolDisabled ProxyProtocol = "Disabled"
	ProxyProtocolV1       ProxyProtocol = "V1"
	ProxyProtocolV2       ProxyProtocol = "V2"
)

// TLSASpec says which TLSA records are published.
type TLSASpec struct {
	// ttl of the records in seconds, 1 to 86400. Default 3600. Every rollover waits at least twice
	// as long.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	TTL int32 `json:"ttl,omitempty"`

	// parameters are the sets "USAGE SELECTOR MATCHING-TYPE" published for each key. Default
	// "3 1 1", as RFC 7672 section 3.1 advises.
	// +optional
	// +listType=set
	// +kubebuilder:default={"3 1 1"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Parameters []TLSAParameters `json:"parameters,omitempty"`

	// additionalRecords are TLSA RDATA in presentation form ("3 1 1 HEX") of keys that live
	// elsewhere; they are published beside our own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	AdditionalRecords []TLSARecord `json:"additionalRecords,omitempty"`

	// foreignRecords says what becomes of TLSA records at our owner names that the operator did
	// not write: Keep (the default) leaves and lists them, Remove takes them out. At the end of an
	// alias they are always kept: other names may lead there too.
	// +optional
	// +kubebuilder:default=Keep
	ForeignRecords ForeignRecordsPolicy `json:"foreignRecords,omitempty"`
}

// TLSAParameters is a parameter set "USAGE SELECTOR MATCHING-TYPE".
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^[23] [01] [12]$')",message="spec.tlsa.parameters: want \"USAGE SELECTOR MATCHING-TYPE\" with usage 2 or 3 (0 and 1 are not for mail, RFC 7672 section 3.1.3), selector 0 or 1, and matching type 1 or 2 (0, the full data, makes answers too large, RFC 7671 section 10.1.2), such as \"3 1 1\""
type TLSAParameters string

// TLSARecord is TLSA RDATA in presentation form.
// +kubebuilder:validation:MaxLength=160
// +kubebuilder:validation:XValidation:rule="self.matches('^[23] [01] (1 [0-9A-Fa-f]{64}|2 [0-9A-Fa-f]{128})$')",message="spec.tlsa.additionalRecords: want TLSA RDATA such as \"3 1 1 HEX\" with usage 2 or 3, selector 0 or 1, and 64 hex digits for matching type 1 or 128 for matching type 2"
// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().endsWith(' e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855') && !self.lowerAscii().endsWith(' cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e')",message="spec.tlsa.additionalRecords: this is the digest of an empty input, which no certificate matches"
type TLSARecord string

// ForeignRecordsPolicy says what becomes of foreign records. Keep or Remove.
// +kubebuilder:validation:Enum=Keep;Remove
type ForeignRecordsPolicy string

// The policies for foreign records.
const (
	ForeignKeep   ForeignRecordsPolicy = "Keep"
	ForeignRemove ForeignRecordsPolicy = "Remove"
)

// MailDomain keeps the TLSA records of a mail domain's servers in step with their certificates.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=md,categories=dane
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Safe",type=string,JSONPath=`.status.conditions[?(@.type=="RolloverSafe")].status`
// +kubebuilder:printcolumn:name="Waiting For",type=string,JSONPath=`.status.nextTransition.action`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.status.nextTransition.time`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Rollover",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="RolloverInProgress")].reason`
// +kubebuilder:printcolumn:name="DNSSEC",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="DNSSECSecure")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MailDomain struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is wanted.
	// +required
	Spec MailDomainSpec `json:"spec"`

	// status says what is.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status MailDomainStatus `json:"status,omitempty"`
}

// MailDomainList is a list of MailDomains.
//
// +kubebuilder:object:root=true
type MailDomainList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MailDomain `json:"items"`
}
