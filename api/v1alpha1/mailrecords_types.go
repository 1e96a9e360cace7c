package v1alpha1

// This file has the parts of a mail domain beside TLSA: MX, TLS-RPT, MTA-STS, SPF and DMARC. Each is optional. What is
// absent is looked at, reported in status.records as NotManaged, and never written.
//
// No field here has a default that the API server fills in: what is absent stays absent, and what it means is said with
// the field.

// MXSpec says whether the MX records of the domain are published.
//
// +kubebuilder:validation:XValidation:rule="self.policy == 'Manage' || !has(self.adopt) || !self.adopt",fieldPath=".adopt",message="spec.mx.adopt goes with spec.mx.policy Manage: with Check nothing is written"
type MXSpec struct {
	// policy is Check: the MX records are looked at and reported; or Manage: they are published, one for each of
	// mailServers with its preference. A mail server that is new is named once senders with DANE can deliver to it,
	// and the TLSA records of one that has left are kept until no cache names it any more.
	// +required
	Policy MXPolicy `json:"policy"`

	// adopt, with Manage, replaces MX records that the operator did not write. Default false: they are reported as a
	// conflict, and nothing is written.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// MXPolicy says what becomes of MX records. Check or Manage.
// +kubebuilder:validation:Enum=Check;Manage
type MXPolicy string

// The policies for MX records.
const (
	MXCheck  MXPolicy = "Check"
	MXManage MXPolicy = "Manage"
)

// TLSReportingSpec says where senders report how TLS with the domain went (RFC 8460). The record stands at
// _smtp._tls.DOMAIN.
type TLSReportingSpec struct {
	// rua are where reports go: mailto: and an address, or an https: URI. A comma, a semicolon and an exclamation mark
	// within one are written %2C, %3B and %21. One at least should not be a mailbox of the domain itself, which
	// senders may not reach just when TLS fails.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	RUA []TLSReportURI `json:"rua"`

	// mailServers Enabled publishes the same record for each of mailServers that has certificates, at _smtp._tls. before
	// its name, in a DNSZone that grants that name in mailDomains: the policy domain of DANE is the mail server (RFC 8460
	// section 1.1), and some senders look there. Enabled or Disabled; absent is Disabled.
	// +optional
	MailServers TLSReportMailServers `json:"mailServers,omitempty"`

	// ingest Disabled keeps the report receiver from taking in reports of the domain. Enabled or Disabled; absent is
	// Enabled: what a receiver has taken in, where one runs, is summed up in status.tlsReports.
	// +optional
	Ingest ReportIngest `json:"ingest,omitempty"`

	// adopt replaces TLS-RPT records that the operator did not write. Default false: they are reported as a conflict,
	// and nothing is written.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// TLSReportMailServers says whether mail servers have a record of their own. Enabled or Disabled.
// +kubebuilder:validation:Enum=Enabled;Disabled
type TLSReportMailServers string

// Whether mail servers have a record of their own.
const (
	TLSReportMailServersEnabled  TLSReportMailServers = "Enabled"
	TLSReportMailServersDisabled TLSReportMailServers = "Disabled"
)

// TLSReportURI is where reports go (RFC 8460 section 3).
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="(self.startsWith('mailto:') || self.startsWith('https://')) && self.matches('^[!-~]+$') && !self.contains(',') && !self.contains(';') && !self.contains('!')",message="spec.tlsReporting.rua: want mailto: and an address, or an https: URI, in ASCII without spaces; write %2C, %3B and %21 for a comma, a semicolon and an exclamation mark (RFC 8460 section 3)"
type TLSReportURI string

// ReportIngest says whether reports are taken in. Enabled or Disabled.
// +kubebuilder:validation:Enum=Enabled;Disabled
type ReportIngest string

// Whether reports are taken in.
const (
	IngestEnabled  ReportIngest = "Enabled"
	IngestDisabled ReportIngest = "Disabled"
)

// MTASTSSpec says which policy senders that know MTA-STS go by (RFC 8461). The names of the mail servers in it are those
// of mailServers and, with mx.policy Manage, those that have left and that caches may still name. The record stands at
// _mta-sts.DOMAIN. It is written, with a new id, once https://mta-sts.DOMAIN/.well-known/mta-sts.txt gives the policy that
// status.records shows.
type MTASTSSpec struct {
	// mode is Enforce: senders do not deliver where the certificate does not prove the name; Testing: they deliver
	// and report; or None: there is no policy any more, which is how one is withdrawn (RFC 8461 section 8.3).
	// +required
	Mode MTASTSMode `json:"mode"`

	// maxAge is how long senders keep the policy, in seconds: at most 31557600. Absent is 604800, a week.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31557600
	MaxAge int32 `json:"maxAge,omitempty"`

	// adopt replaces MTA-STS records that the operator did not write. Default false: they are reported as a conflict,
	// and nothing is written.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// DefaultMTASTSMaxAge is what an absent maxAge means, in seconds.
const DefaultMTASTSMaxAge = 604800

// MTASTSMode is a mode of MTA-STS. Enforce, Testing or None.
// +kubebuilder:validation:Enum=Enforce;Testing;None
type MTASTSMode string

// The modes of MTA-STS.
const (
	MTASTSEnforce MTASTSMode = "Enforce"
	MTASTSTesting MTASTSMode = "Testing"
	MTASTSNone    MTASTSMode = "None"
)

// SPFSpec says which hosts may send mail with the domain in the envelope (RFC 7208). The record is a TXT record of the
// domain itself; other TXT records there are kept as they are.
type SPFSpec struct {
	// mechanisms in their order, such as "mx", "ip4:192.0.2.0/24" or "include:_spf.example.net". Receivers look up at
	// most ten terms, those of included records counted: more is refused, and nothing is written.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Mechanisms []SPFMechanism `json:"mechanisms,omitempty"`

	// all says what receivers make of every other host: Fail (-all), SoftFail (~all) or Neutral (?all).
	// +required
	All SPFAll `json:"all"`

	// adopt replaces SPF records that the operator did not write. Default false: they are reported as a conflict, and
	// nothing is written.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// SPFMechanism is a mechanism of SPF, with a qualifier or without.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^[-+~?]?((a|mx)([:/][!-~]+)?|(include|exists|ip4|ip6):[!-~]+)$')",message="spec.spf.mechanisms: want a, mx, ip4:ADDRESS, ip6:ADDRESS, include:NAME or exists:NAME, each with a qualifier (+ - ~ ?) or without; what is said of all other hosts goes into spec.spf.all, and ptr is not to be used (RFC 7208 section 5)"
type SPFMechanism string

// SPFAll is what receivers make of all other hosts. Fail, SoftFail or Neutral.
// +kubebuilder:validation:Enum=Fail;SoftFail;Neutral
type SPFAll string

// What receivers may make of all other hosts.
const (
	SPFFail     SPFAll = "Fail"
	SPFSoftFail SPFAll = "SoftFail"
	SPFNeutral  SPFAll = "Neutral"
)

// DMARCSpec says what receivers do with mail that fails DMARC (RFC 9989, before that RFC 7489). The record stands at
// _dmarc.DOMAIN.
type DMARCSpec struct {
	// policy is None: receivers deliver what fails, and report; Quarantine: they take it for suspicious; or Reject.
	// +required
	Policy DMARCPolicy `json:"policy"`

	// subdomainPolicy is the same for subdomains. Absent means that policy counts for them, too.
	// +optional
	SubdomainPolicy DMARCPolicy `json:"subdomainPolicy,omitempty"`

	// rua are where aggregate reports go: mailto: and an address. A domain elsewhere has to agree to that by a record of
	// its own (RFC 9990 section 4): until it does, this one is not changed. Where a DNSZone grants that domain in
	// mailDomains, the operator publishes the agreement.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	RUA []DMARCReportURI `json:"rua,omitempty"`

	// ruf are where failure reports go, which have parts of mail in them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	RUF []DMARCReportURI `json:"ruf,omitempty"`

	// alignment says how alike the domain of the signature, or of the envelope, and that in From: have to be.
	// +optional
	Alignment *DMARCAlignmentSpec `json:"alignment,omitempty"`

	// adopt replaces DMARC records that the operator did not write. Default false: they are reported as a conflict, and
	// nothing is written.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// DMARCPolicy is what receivers do. None, Quarantine or Reject.
// +kubebuilder:validation:Enum=None;Quarantine;Reject
type DMARCPolicy string

// The policies of DMARC.
const (
	DMARCNone       DMARCPolicy = "None"
	DMARCQuarantine DMARCPolicy = "Quarantine"
	DMARCReject     DMARCPolicy = "Reject"
)

// DMARCReportURI is where reports go (RFC 9989 section 4.7).
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^mailto:[!-~]+$') && !self.contains(',') && !self.contains(';') && !self.contains('!')",message="spec.dmarc: rua and ruf want mailto: and an address, in ASCII without spaces; write %2C, %3B and %21 for a comma, a semicolon and an exclamation mark in it (RFC 9989 section 4.7)"
type DMARCReportURI string

// DMARCAlignmentSpec says how alike domains have to be.
type DMARCAlignmentSpec struct {
	// dkim is Relaxed: the organizational domains are the same; or Strict: the domains are. Absent is Relaxed.
	// +optional
	DKIM DMARCAlignment `json:"dkim,omitempty"`

	// spf is Relaxed or Strict. Absent is Relaxed.
	// +optional
	SPF DMARCAlignment `json:"spf,omitempty"`
}

// DMARCAlignment is Relaxed or Strict.
// +kubebuilder:validation:Enum=Relaxed;Strict
type DMARCAlignment string

// The alignments of DMARC.
const (
	AlignmentRelaxed DMARCAlignment = "Relaxed"
	AlignmentStrict  DMARCAlignment = "Strict"
)

// MailRecord names a part of a mail domain that is a record. MX, TLSRPT, MTASTS, SPF, DMARC, or DMARCReport: the
// agreement of another domain to take reports.
// +kubebuilder:validation:Enum=MX;TLSRPT;MTASTS;SPF;DMARC;DMARCReport
type MailRecord string

// The records.
const (
	RecordMX     MailRecord = "MX"
	RecordTLSRPT MailRecord = "TLSRPT"
	RecordMTASTS MailRecord = "MTASTS"
	RecordSPF    MailRecord = "SPF"
	RecordDMARC  MailRecord = "DMARC"
	// RecordDMARCReport is the agreement of a domain to take reports about another one.
	RecordDMARCReport MailRecord = "DMARCReport"
)
