package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DNSZoneSpec says how a zone is written, who must show a record before it counts as published,
// and who may write which names.
type DNSZoneSpec struct {
	// zone is the apex, in lower case, as A-labels, without a trailing dot. It is never guessed.
	// It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.zone cannot be changed: create another DNSZone for the other zone"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",message="spec.zone must be a zone name in lower case, as A-labels (xn--... for other scripts), without a trailing dot, such as example.com"
	Zone string `json:"zone"`

	// update says how changes are sent (RFC 2136). The field names are those of cert-manager's
	// rfc2136 solver.
	// +required
	Update UpdateSpec `json:"update"`

	// nameservers says who must show a record before it counts as published.
	// +optional
	// +kubebuilder:default={discovery: Delegation}
	Nameservers NameserversSpec `json:"nameservers,omitzero"`

	// propagation says how it is made sure that a change is visible everywhere.
	// +optional
	// +kubebuilder:default={}
	Propagation PropagationSpec `json:"propagation,omitzero"`

	// dnssec says how the zone's answers are validated.
	// +optional
	DNSSEC ZoneDNSSECSpec `json:"dnssec,omitzero"`

	// grants say which namespaces may write which names. Without any, only the namespace of the
	// DNSZone may, and every name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Grants []ZoneGrant `json:"grants,omitempty"`
}

// UpdateSpec says how dynamic updates are sent.
//
// +kubebuilder:validation:XValidation:rule="has(self.tsigKeyName) == has(self.tsigSecretSecretRef)",fieldPath=".tsigKeyName",message="spec.update.tsigKeyName and spec.update.tsigSecretSecretRef go together: set both, or neither"
// +kubebuilder:validation:XValidation:rule="has(self.tsigKeyName) || (has(self.insecureUnsigned) && self.insecureUnsigned)",fieldPath=".tsigKeyName",message="spec.update.tsigKeyName is required: updates without TSIG can be forged by anyone on the path; set tsigKeyName and tsigSecretSecretRef, or insecureUnsigned: true for a lab"
// +kubebuilder:validation:XValidation:rule="!has(self.tsigKeyName) || !has(self.insecureUnsigned) || !self.insecureUnsigned",fieldPath=".insecureUnsigned",message="spec.update.insecureUnsigned has no meaning beside tsigKeyName: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.protocol == 'TLS'",fieldPath=".tls",message="spec.update.tls needs spec.update.protocol TLS"
type UpdateSpec struct {
	// nameserver is the primary: HOST, HOST:PORT, ADDRESS, ADDRESS:PORT, [V6] or [V6]:PORT. The
	// default port is 53, and 853 with protocol TLS.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=270
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9_.-]+|[[][0-9A-Fa-f:.]+[]])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$') && (!self.startsWith('[') || isIP(self.substring(1, self.indexOf(']'))))",message="spec.update.nameserver: want HOST, HOST:PORT, an IPv4 address with or without port, or an IPv6 address in brackets, such as 192.0.2.53:53 or [2001:db8::53]:53"
	Nameserver string `json:"nameserver"`

	// protocol is TCP (the default), UDP or TLS.
	// +optional
	// +kubebuilder:default=TCP
	Protocol UpdateProtocol `json:"protocol,omitempty"`

	// tls says how the primary is authenticated with protocol TLS.
	// +optional
	TLS *UpdateTLS `json:"tls,omitempty"`

	// tsigKeyName is the name of the TSIG key as the primary knows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_.-]+$')",message="spec.update.tsigKeyName must be a domain name of letters, digits, '-', '_' and dots, as in the key file of the primary"
	TSIGKeyName string `json:"tsigKeyName,omitempty"`

	// tsigAlgorithm of the key. Default HMACSHA256. MD5 is refused.
	// +optional
	// +kubebuilder:default=HMACSHA256
	TSIGAlgorithm TSIGAlgorithm `json:"tsigAlgorithm,omitempty"`

	// tsigSecretSecretRef names the Secret of this namespace that holds the key: the base64 text
	// of BIND's key file.
	// +optional
	TSIGSecretSecretRef *SecretKeyReference `json:"tsigSecretSecretRef,omitempty"`

	// insecureUnsigned allows updates without TSIG. For labs alone.
	// +optional
	InsecureUnsigned bool `json:"insecureUnsigned,omitempty"`
}

// UpdateProtocol is the transport of updates.
// +kubebuilder:validation:Enum=TCP;UDP;TLS
type UpdateProtocol string

// The update protocols.
const (
	UpdateTCP         UpdateProtocol = "TCP"
	UpdateUDP         UpdateProtocol = "UDP"
	UpdateTLSProtocol UpdateProtocol = "TLS"
)

// TSIGAlgorithm names an HMAC (RFC 8945), in cert-manager's spelling.
// +kubebuilder:validation:Enum=HMACSHA1;HMACSHA224;HMACSHA256;HMACSHA384;HMACSHA512
type TSIGAlgorithm string

// The TSIG algorithms.
const (
	HMACSHA1   TSIGAlgorithm = "HMACSHA1"
	HMACSHA224 TSIGAlgorithm = "HMACSHA224"
	HMACSHA256 TSIGAlgorithm = "HMACSHA256"
	HMACSHA384 TSIGAlgorithm = "HMACSHA384"
	HMACSHA512 TSIGAlgorithm = "HMACSHA512"
)

// SecretKeyReference names a key of a Secret of the same namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key within the Secret. Default "secret".
	// +optional
	// +kubebuilder:default=secret
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// SecretReference names a Secret of the same namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// UpdateTLS says how the primary is authenticated, and we to it.
type UpdateTLS struct {
	// serverName that the primary's certificate must have. Default: the host of nameserver.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
	// caBundleSecretRef names the PEM bundle that the primary's certificate must chain to (key
	// default "ca.crt"). Without it the system's roots are used.
	// +optional
	CABundleSecretRef *CABundleReference `json:"caBundleSecretRef,omitempty"`
	// clientCertSecretRef names a kubernetes.io/tls Secret that we present.
	// +optional
	ClientCertSecretRef *SecretReference `json:"clientCertSecretRef,omitempty"`
}

// CABundleReference names a PEM bundle in a Secret of the same namespace.
type CABundleReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key within the Secret. Default "ca.crt".
	// +optional
	// +kubebuilder:default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// NameserversSpec says who is asked.
//
// +kubebuilder:validation:XValidation:rule="self.discovery != 'Static' || (has(self.addresses) && size(self.addresses) > 0)",fieldPath=".addresses",message="spec.nameservers.addresses is required with discovery Static: list every authoritative address"
type NameserversSpec struct {
	// discovery is Delegation (the default): every address of the NS set of the parent and of the
	// zone itself; or Static: addresses are all of them.
	// +optional
	// +kubebuilder:default=Delegation
	Discovery NameserverDiscovery `json:"discovery,omitempty"`

	// addresses to ask: with Static all of them, with Delegation more (hidden servers, internal
	// views). IPv4 or IPv6 addresses, with a port after a colon (IPv6 in brackets) if it is not 53.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Addresses []ServerAddress `json:"addresses,omitempty"`

	// ignore lists name servers, by name or address, that need not show a record. An explicit
	// exception, shown in the conditions: a sender that asks an ignored server may fail.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Ignore []NameserverName `json:"ignore,omitempty"`
}

// ServerAddress is an address with an optional port.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="isIP(self) || (self.matches('^([0-9.]+|[[][0-9A-Fa-f:.]+[]])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$') && isIP(self.startsWith('[') ? self.substring(1, self.indexOf(']')) : self.split(':')[0]))",message="spec.nameservers.addresses: want IP addresses such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53, not names"
type ServerAddress string

// NameserverName is the name or address of a name server.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=270
type NameserverName string

// NameserverDiscovery is Delegation or Static.
// +kubebuilder:validation:Enum=Delegation;Static
type NameserverDiscovery string

// The ways of discovery.
const (
	DiscoveryDelegation NameserverDiscovery = "Delegation"
	DiscoveryStatic     NameserverDiscovery = "Static"
)

// PropagationSpec says how visibility is proved.
type PropagationSpec struct {
	// sweeps is how many rounds in a row every server must agree. Default 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Sweeps int32 `json:"sweeps,omitempty"`

	// interval between sweeps. Default 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="spec.propagation.interval must be between 0s and 24h"
	Interval Duration `json:"interval,omitempty"`

	// delay is added for servers that cannot be asked one by one, such as anycast nodes. Default 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.propagation.delay must be between 0s and 8760h"
	Delay Duration `json:"delay,omitempty"`

	// ttlFloor is the shortest time that a resolver is believed to keep an answer, whatever its
	// TTL. Default 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="spec.propagation.ttlFloor must be between 0s and 24h"
	TTLFloor Duration `json:"ttlFloor,omitempty"`

	// timeout is how long a change may take to be visible everywhere before NameserversInSync
	// turns False. Nothing is given up. Default 1h.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="spec.propagation.timeout must be between 0s and 8760h"
	Timeout Duration `json:"timeout,omitempty"`
}

// ZoneDNSSECSpec says how answers are validated.
type ZoneDNSSECSpec struct {
	// trustAnchors are DS RDATA of this zone ("12345 13 2 HEX"), or of an ancestor with its owner
	// ("test. DS 12345 13 2 HEX"), from which the chain of trust is followed down then. Those of the deepest
	// zone count. Default: the anchors of the operator, which are those of the public root unless it was
	// given others by --trust-anchors.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	TrustAnchors []TrustAnchor `json:"trustAnchors,omitempty"`

	// delegation says how the DS records in the parent are kept in step with what the zone asks for by
	// its CDS and CDNSKEY records. Without it nobody looks at the parent.
	// +optional
	Delegation *DelegationSpec `json:"delegation,omitempty"`
}

// TrustAnchor is a DS record in presentation form, with or without an owner.
// +kubebuilder:validation:MaxLength=400
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9_.-]+[.] +([0-9]+ +)?(IN +)?DS +|[.] +([0-9]+ +)?(IN +)?DS +)?[0-9]{1,5} +[0-9]{1,3} +(2 +[0-9A-Fa-f]{64}|4 +[0-9A-Fa-f]{96})$')",message="spec.dnssec.trustAnchors: want DS RDATA \"KEYTAG ALGORITHM DIGEST-TYPE HEX\" with digest type 2 (64 hex digits) or 4 (96), the digest in one piece, or the same with an owner in front, such as \"test. DS 12345 13 2 HEX\""
type TrustAnchor string

// DelegationSpec says how the delegation is kept right (RFC 7344, RFC 8078).
type DelegationSpec struct {
	// parentZoneRef names the DNSZone of the parent zone, where the DS records are written. That
	// DNSZone must grant the name of this zone to this namespace. Without it the parent is somebody
	// else's: the parent is told of changes where it wants to be (RFC 9859), and status shows what to
	// hand to the registrar.
	// +optional
	ParentZoneRef *ZoneReference `json:"parentZoneRef,omitempty"`

	// acceptInitialDS are DS RDATA of this zone's keys ("12345 13 2 HEX") that may begin the chain of
	// trust while the parent has no DS records. Compare them with the signer's own keys. With a list, no
	// other keys begin it. Without one, keys do that all of the zone's name servers outside the zone vouch
	// for (RFC 9615). The list means nothing once the parent has DS records.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	AcceptInitialDS []InitialDS `json:"acceptInitialDS,omitempty"`

	// allowDelete lets the zone have its DS records removed by publishing CDS 0 0 0 00 (RFC 8078
	// section 4). The zone is insecure afterwards, and senders ignore its TLSA records. Default false.
	// +optional
	AllowDelete bool `json:"allowDelete,omitempty"`
}

// InitialDS is the RDATA of a DS record in presentation form.
// +kubebuilder:validation:MaxLength=200
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,5} +[0-9]{1,3} +(2 +[0-9A-Fa-f]{64}|4 +[0-9A-Fa-f]{96})$')",message="spec.dnssec.delegation.acceptInitialDS: want DS RDATA \"KEYTAG ALGORITHM DIGEST-TYPE HEX\" with digest type 2 (64 hex digits) or 4 (96), the digest in one piece"
type InitialDS string

// ZoneGrant lets namespaces write names of the zone.
type ZoneGrant struct {
	// namespaces that are admitted.
	// +optional
	// +kubebuilder:default={from: Same}
	Namespaces GrantNamespaces `json:"namespaces,omitzero"`

	// hostnames are the TLSA base domains that may be written: a name, or *.NAME for every name
	// below NAME. Empty means all below the zone. A TLSA owner that is an alias (CNAME, DNAME) is
	// written at its end, and what must be granted is the base domain of that name: mx1.example.com
	// for _25._tcp.mx1.example.com, and the name itself where it does not begin with a port and a
	// protocol, such as tlsa.example.com.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Hostnames []GrantHostname `json:"hostnames,omitempty"`

	// mailDomains are the domains whose MX, TLS-RPT, MTA-STS, SPF and DMARC records may be written: a
	// name, or *.NAME for every name below NAME. Empty means none: a grant of TLSA records is none of
	// these.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	MailDomains []GrantHostname `json:"mailDomains,omitempty"`
}

// GrantHostname is a host name, or *. and a name.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([*][.])?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",message="spec.grants[].hostnames and mailDomains: want a name in lower case without a trailing dot, such as mx1.example.com, or *.tenant.example.com for every name below"
type GrantHostname string

// GrantNamespaces selects namespaces, as the listeners of a Gateway do.
//
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' ? has(self.selector) : !has(self.selector)",fieldPath=".selector",message="spec.grants[].namespaces.selector goes with from: Selector, and only with it"
type GrantNamespaces struct {
	// from is Same (the default): the namespace of the DNSZone; All; or Selector.
	// +optional
	// +kubebuilder:default=Same
	From GrantFrom `json:"from,omitempty"`

	// selector of namespaces by label, with from: Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// GrantFrom is Same, All or Selector.
// +kubebuilder:validation:Enum=Same;All;Selector
type GrantFrom string

// The sources of a grant.
const (
	GrantSame     GrantFrom = "Same"
	GrantAll      GrantFrom = "All"
	GrantSelector GrantFrom = "Selector"
)

// DNSZone is a DNS zone that the operator may write by dynamic update.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=dz,categories=dane
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.zone`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="DNSSEC",type=string,JSONPath=`.status.dnssec.state`
// +kubebuilder:printcolumn:name="In Sync",type=string,JSONPath=`.status.conditions[?(@.type=="NameserversInSync")].status`
// +kubebuilder:printcolumn:name="Updates",type=string,JSONPath=`.status.conditions[?(@.type=="UpdatesAccepted")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="DS In Sync",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="DelegationInSync")].status`
// +kubebuilder:printcolumn:name="DS",type=string,priority=1,JSONPath=`.status.dnssec.delegation.ds`
// +kubebuilder:printcolumn:name="Signatures Until",type=string,priority=1,JSONPath=`.status.dnssec.signaturesExpire`
// +kubebuilder:printcolumn:name="Worst Finding",type=string,priority=1,JSONPath=`.status.dnssec.findings[0].code`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DNSZone struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is wanted.
	// +required
	Spec DNSZoneSpec `json:"spec"`

	// status says what is.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DNSZoneStatus `json:"status,omitempty"`
}

// DNSZoneList is a list of DNSZones.
//
// +kubebuilder:object:root=true
type DNSZoneList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DNSZone `json:"items"`
}
