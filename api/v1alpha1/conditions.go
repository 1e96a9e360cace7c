package v1alpha1

// Condition types of MailDomain. Every one but RolloverInProgress, Stalled and SendersReportFailures has positive
// polarity: True is good. A routine rollover touches RolloverInProgress alone.
const (
	// ConditionReady sums up: the records are published, the servers present matching
	// certificates, and nothing is wrong that a person should look at.
	ConditionReady = "Ready"
	// ConditionRecordsPublished says whether every authoritative server shows the wanted records.
	ConditionRecordsPublished = "RecordsPublished"
	// ConditionServersVerified says whether every probed endpoint presents a chain that the
	// published records match.
	ConditionServersVerified = "ServersVerified"
	// ConditionDNSSECSecure says whether the answers of the zones validate. Also used on DNSZone.
	ConditionDNSSECSecure = "DNSSECSecure"
	// ConditionRolloverSafe says whether no sender can meet a certificate that its cached records
	// do not match. While it is False the message says for how long senders may fail.
	ConditionRolloverSafe = "RolloverSafe"
	// ConditionRolloverInProgress is True from the arrival of a new key until the records of the
	// old one are gone. It is not a sign of trouble.
	ConditionRolloverInProgress = "RolloverInProgress"
	// ConditionMailRecordsPublished says whether every authoritative server shows the MX, TLS-RPT, MTA-STS,
	// SPF and DMARC records that the spec asks for. It is absent while the spec asks for none of them.
	ConditionMailRecordsPublished = "MailRecordsPublished"
	// ConditionDKIMReady says whether the signer has keys that every receiver can verify by, for each of spec.dkim.keys.
	// A rotation does not touch it. It is absent while the spec has no dkim.
	ConditionDKIMReady = "DKIMReady"
	// ConditionStalled is present and True when only a person can mend what is wrong.
	ConditionStalled = "Stalled"
	// ConditionSendersReportFailures is True while senders have reported failures of DANE in the last seven days, in
	// reports that a DKIM signature proves. The message says which, and what the operator saw at that time. It is
	// absent where no reports are taken in, and does not count for Ready.
	ConditionSendersReportFailures = "SendersReportFailures"
)

// Condition types of DNSZone, beside Ready and DNSSECSecure.
const (
	// ConditionUpdatesAccepted says whether the primary accepts our signed updates.
	ConditionUpdatesAccepted = "UpdatesAccepted"
	// ConditionNameserversInSync says whether every authoritative address answers with authority.
	ConditionNameserversInSync = "NameserversInSync"
	// ConditionDelegationInSync says whether the DS records in the parent are what the zone asks for.
	ConditionDelegationInSync = "DelegationInSync"
)

// Reasons of more than one condition.
const (
	// ReasonReady: all is well.
	ReasonReady = "Ready"
	// ReasonSuspended: spec.suspend is true, nothing is written or approved.
	ReasonSuspended = "Suspended"
	// ReasonDeleting: the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonUnknown: an input could not be read; nothing was changed.
	ReasonUnknown = "Unknown"
	// ReasonNotManaged: the hosts are somebody else's; they are checked and never written.
	ReasonNotManaged = "NotManaged"
	// ReasonUndeliverable: senders with DANE do not deliver to a host, and no other condition says why; it is the reason
	// of Ready.
	ReasonUndeliverable = "Undeliverable"
)

// Reasons of Stalled, and of Ready while it is.
const (
	// ReasonHostOwnedElsewhere: an older MailDomain names certificates for the same host and port in
	// the same DNSZone, or writes to the name that an alias of this host leads to.
	ReasonHostOwnedElsewhere = "HostOwnedElsewhere"
	// ReasonCertificateHeldElsewhere: a MailDomain that another operator acts for (--selector) names the same Certificate, with
	// strategy Gate, too. Its requests are not approved, and a host that has no records yet is not begun.
	ReasonCertificateHeldElsewhere = "CertificateHeldElsewhere"
	// ReasonZoneNotFound: no DNSZone covers the host, or the one that zoneRef names does not exist.
	ReasonZoneNotFound = "ZoneNotFound"
	// ReasonAmbiguousZone: no DNSZone of the own namespace holds the host, several namespaces offer
	// one that does, and no zoneRef says which to take.
	ReasonAmbiguousZone = "AmbiguousZone"
	// ReasonNotGranted: the DNSZone does not let this namespace write this name.
	ReasonNotGranted = "NotGranted"
	// ReasonCertificateNotFound: a Certificate that the spec names does not exist.
	ReasonCertificateNotFound = "CertificateNotFound"
	// ReasonServingSecretConflict: servingSecretName names a Secret that something else owns.
	ReasonServingSecretConflict = "ServingSecretConflict"
	// ReasonStandbySecretConflict: the Secret that the standby key belongs in is somebody else's.
	ReasonStandbySecretConflict = "StandbySecretConflict"
	// ReasonWriteRefused: the API server does not let the operator write what the spec asks for: a right is missing,
	// or a quota or an admission policy forbids it.
	ReasonWriteRefused = "WriteRefused"
	// ReasonCompromisedKeyKept: a compromised key is in use, and a renewal would keep it.
	ReasonCompromisedKeyKept = "CompromisedKeyKept"
	// ReasonTooManyRecords: more than 12 records would stand at one name.
	ReasonTooManyRecords = "TooManyRecords"
	// ReasonUpdateRefused: the primary refuses our updates; the message says what to change there.
	ReasonUpdateRefused = "UpdateRefused"
	// ReasonOwnerIsAlias: the TLSA owner is an alias (CNAME, DNAME) and its end may not be written, or
	// it stands below a zone cut.
	ReasonOwnerIsAlias = "OwnerIsAlias"
	// ReasonInvalidSpec: a value passed the schema and is wrong all the same.
	ReasonInvalidSpec = "InvalidSpec"
)

// Reasons of RecordsPublished.
const (
	// ReasonPublished: every authoritative server shows the wanted records.
	ReasonPublished = "Published"
	// ReasonWaitingForServers: the first publication waits until every endpoint presents a
	// certificate that the records would match.
	ReasonWaitingForServers = "WaitingForServers"
	// ReasonWaitingForCertificate: there is no certificate yet.
	ReasonWaitingForCertificate = "WaitingForCertificate"
	// ReasonWaitingForDNSSEC: the first publication waits until the zone validates.
	ReasonWaitingForDNSSEC = "WaitingForDNSSEC"
	// ReasonPropagating: the update is made, and some server does not show it yet.
	ReasonPropagating = "Propagating"
	// ReasonUpdateFailed: the update failed and is tried again; the message says how it failed.
	ReasonUpdateFailed = "UpdateFailed"
	// ReasonRecordsRemoved: the records have been taken out of DNS.
	ReasonRecordsRemoved = "RecordsRemoved"
)

// Reasons of MailRecordsPublished, beside Published, Propagating, UpdateFailed and RecordsRemoved. The message names each record
// concerned.
const (
	// ReasonRecordInvalid: what the spec asks for breaks a rule of the record, and nothing is written.
	ReasonRecordInvalid = "RecordInvalid"
	// ReasonRecordConflict: a record stands at the name that the operator did not write, and adopt is not set.
	ReasonRecordConflict = "RecordConflict"
	// ReasonRecordRefused: the name may not be written: it is in no DNSZone that grants it, belongs to an older
	// MailDomain, or is an alias; or the primary refuses the update.
	ReasonRecordRefused = "RecordRefused"
	// ReasonWaitingForOrder: a record waits for something that has to be done before it. That is no sign of trouble.
	ReasonWaitingForOrder = "WaitingForOrder"
	// ReasonRecordUnknown: it is not known what stands at a name.
	ReasonRecordUnknown = "RecordUnknown"
)

// Reasons of DKIMReady, beside RecordConflict, RecordRefused and RecordsRemoved.
const (
	// ReasonKeysInUse: the signer has a key that every receiver can verify by, for each of spec.dkim.keys.
	ReasonKeysInUse = "KeysInUse"
	// ReasonPreparingKeys: a key is being published before the signer gets it, and there is none to sign with until then.
	ReasonPreparingKeys = "PreparingKeys"
	// ReasonKeyUnverifiable: the signer has a key whose record is missing at a name server, or may be missing in caches.
	ReasonKeyUnverifiable = "KeyUnverifiable"
	// ReasonSigningSecretConflict: a Secret that spec.dkim names is somebody else's.
	ReasonSigningSecretConflict = "SigningSecretConflict"
	// ReasonKeyUnknown: not enough is known of a key, a Secret or a name server.
	ReasonKeyUnknown = "KeyUnknown"
)

// Reasons of ServersVerified.
const (
	// ReasonVerified: every endpoint presents a matching chain.
	ReasonVerified = "Verified"
	// ReasonMismatch: an endpoint presents a chain that the published records do not match.
	ReasonMismatch = "Mismatch"
	// ReasonNoTLS: an endpoint answers and offers no TLS.
	ReasonNoTLS = "NoTLS"
	// ReasonUnreachable: an endpoint could not be reached, so nothing is known of it.
	ReasonUnreachable = "Unreachable"
	// ReasonProbeDisabled: the user vouches for the endpoints.
	ReasonProbeDisabled = "ProbeDisabled"
	// ReasonNothingPublished: there are no records to compare with yet.
	ReasonNothingPublished = "NothingPublished"
)

// Reasons of DNSSECSecure.
const (
	// ReasonSecure: the answers of every server validate.
	ReasonSecure = "Secure"
	// ReasonInsecure: the zone is not signed, or a zone above proves that it is delegated without DNSSEC.
	ReasonInsecure = "Insecure"
	// ReasonBogus: an answer does not validate; senders do not deliver.
	ReasonBogus = "Bogus"
	// ReasonIndeterminate: it could not be found out.
	ReasonIndeterminate = "Indeterminate"
	// ReasonIgnored: spec.dnssec is Ignored.
	ReasonIgnored = "Ignored"
)

// Reasons of RolloverSafe.
const (
	// ReasonSafe: every chain that may be presented matches every answer that may be cached.
	ReasonSafe = "Safe"
	// ReasonHistoryUnknown: what stood in DNS before the operator looked may be cached for a while; it
	// is not known whether it matches.
	ReasonHistoryUnknown = "HistoryUnknown"
	// ReasonGateBypassed: a request was approved by somebody else before its key was deployable.
	ReasonGateBypassed = "GateBypassed"
	// ReasonDeadlineProceeded: the certificate was about to expire, and the action is Proceed.
	ReasonDeadlineProceeded = "DeadlineProceeded"
	// ReasonFollowed: strategy Follow does not hold a key back.
	ReasonFollowed = "Followed"
	// ReasonServedUnpublished: an endpoint presents a key that some cached answer does not match.
	ReasonServedUnpublished = "ServedUnpublished"
)

// Reasons of RolloverInProgress.
const (
	// ReasonNoRollover: no key is changing.
	ReasonNoRollover = "NoRollover"
	// ReasonPublishing: the new key's records are not on every server yet.
	ReasonPublishing = "Publishing"
	// ReasonWaitingForCaches: every server shows the new key; older answers may still be cached.
	ReasonWaitingForCaches = "WaitingForCaches"
	// ReasonDeploying: the new key may be served; not every endpoint presents it yet.
	ReasonDeploying = "Deploying"
	// ReasonRetiring: the old key is not served any more; its records stay for a while.
	ReasonRetiring = "Retiring"
	// ReasonHeld: the new key waits for something that has no known end; the message says what.
	ReasonHeld = "Held"
)

// Reasons of SendersReportFailures.
const (
	// ReasonDANEFailures: senders have reported failures of DANE that nobody has looked into.
	ReasonDANEFailures = "DANEFailures"
	// ReasonNoDANEFailures: no report that is proved tells of a failure of DANE.
	ReasonNoDANEFailures = "NoDANEFailures"
)

// Reasons of the conditions of DNSZone.
const (
	// ReasonAccepted: the primary accepts our updates.
	ReasonAccepted = "Accepted"
	// ReasonInSync: every server answers with authority.
	ReasonInSync = "InSync"
	// ReasonOutOfSync: a server does not answer, not with authority, or not the same.
	ReasonOutOfSync = "OutOfSync"
	// ReasonUnhealthy: the answers validate, and a finding in status.dnssec.findings is Critical.
	ReasonUnhealthy = "Unhealthy"
	// ReasonSecretNotFound: the TSIG Secret, or the key in it, does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: the TSIG secret is no base64 text, or shorter than 16 bytes.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonDiscoveryFailed: the authoritative servers could not be found.
	ReasonDiscoveryFailed = "DiscoveryFailed"
)

// Reasons of DelegationInSync.
const (
	// ReasonDSInSync: every server of the parent shows the DS records that the zone asks for.
	ReasonDSInSync = "DSInSync"
	// ReasonNothingRequested: the zone publishes neither CDS nor CDNSKEY records, so that its DS records
	// stay as they are.
	ReasonNothingRequested = "NothingRequested"
	// ReasonDSUpdating: the DS records are being changed, or not every server of the parent shows the
	// change yet.
	ReasonDSUpdating = "DSUpdating"
	// ReasonDSUpdateFailed: the primary of the parent does not take the change; the message says why.
	ReasonDSUpdateFailed = "DSUpdateFailed"
	// ReasonParentBehind: the parent, which is somebody else's, has not the DS records that the zone asks for.
	ReasonParentBehind = "ParentBehind"
	// ReasonParentZoneNotFound: the DNSZone that parentZoneRef names does not exist, or cannot be used now.
	ReasonParentZoneNotFound = "ParentZoneNotFound"
	// ReasonParentNotGranted: the DNSZone of the parent does not let this namespace write this name.
	ReasonParentNotGranted = "ParentNotGranted"
	// ReasonNotAncestor: the zone of the DNSZone that parentZoneRef names is not above this one, or is
	// this one itself.
	ReasonNotAncestor = "NotAncestor"
	// ReasonParentUnreachable: a server of the parent gives no usable answer for the DS records.
	ReasonParentUnreachable = "ParentUnreachable"
	// ReasonParentNotSecure: the answer of a server of the parent does not validate.
	ReasonParentNotSecure = "ParentNotSecure"
	// ReasonChildUnreachable: a server of the zone gives no usable answer for what it asks the parent for.
	ReasonChildUnreachable = "ChildUnreachable"
	// ReasonCDSInconsistent: the servers of the zone do not agree on CDS or CDNSKEY records, or these two
	// contradict each other.
	ReasonCDSInconsistent = "CDSInconsistent"
	// ReasonCDSUnusable: the CDS or CDNSKEY records are malformed, or ask for what is too weak.
	ReasonCDSUnusable = "CDSUnusable"
	// ReasonCDSNotValidated: the CDS or CDNSKEY records are not signed by a key that the DS records in the
	// parent stand for.
	ReasonCDSNotValidated = "CDSNotValidated"
	// ReasonCDSReplayed: the CDS or CDNSKEY records were signed before those that were acted on last.
	ReasonCDSReplayed = "CDSReplayed"
	// ReasonDeleteNotAllowed: the zone asks to have its DS records removed, and allowDelete is not set.
	ReasonDeleteNotAllowed = "DeleteNotAllowed"
	// ReasonInitialDSNotAccepted: the parent has no DS records yet, and nothing vouches for the first ones.
	ReasonInitialDSNotAccepted = "InitialDSNotAccepted"
	// ReasonWouldBreakChain: with the DS records asked for, the zone would not validate.
	ReasonWouldBreakChain = "WouldBreakChain"
)

// Names that the operator puts on other objects.
const (
	// GateAnnotation marks a Certificate whose requests only the operator may approve. cert-manager
	// copies it to the CertificateRequest; the ValidatingAdmissionPolicy looks for it.
	GateAnnotation = "mail.dane-operator.io/gate"
	// ApprovalReason is the reason of the condition Approved of a CertificateRequest that the operator has approved.
	ApprovalReason = "DANEDeployable"
	// AbandonAnnotation on a MailDomain that is being deleted lets it go although its records could
	// not be removed. The value must be "true".
	AbandonAnnotation = "mail.dane-operator.io/abandon-records"
	// ReportsSeenAnnotation on a MailDomain holds a time (RFC 3339): a person has looked into the reports of failures
	// that came by then, and they hold no records any more.
	ReportsSeenAnnotation = "mail.dane-operator.io/reports-seen"
	// CertificateLabel names, on a Secret that the operator made, the Certificate it belongs to.
	CertificateLabel = "mail.dane-operator.io/certificate"
	// DKIMAnnotation names, on a Secret that the operator made for a signer, the MailDomain and the key of its spec that it
	// belongs to: MAILDOMAIN/NAME.
	DKIMAnnotation = "mail.dane-operator.io/dkim-key"
	// DKIMDomainLabel names, on a Secret that the operator made for a signer, the MailDomain, shortened.
	DKIMDomainLabel = "mail.dane-operator.io/maildomain"
	// DKIMRole is the value of RoleLabel on a Secret that a signer mounts.
	DKIMRole = "dkim"
	// DKIMStoreRole is the value of RoleLabel on the Secret with the next key of a signer.
	DKIMStoreRole = "dkim-store"
	// DKIMStoreSuffix is what the name of that one has behind secretName.
	DKIMStoreSuffix = "-dane-dkim"
	// RoleLabel says, on a Secret that the operator made, what it is: StandbyRole, ServingRole, DKIMRole or DKIMStoreRole.
	RoleLabel = "mail.dane-operator.io/role"
	// StandbyRole is the value of RoleLabel on the Secret of a standby key.
	StandbyRole = "standby"
	// ServingRole is the value of RoleLabel on a Secret that servers mount.
	ServingRole = "serving"
	// Finalizer keeps a MailDomain until its records are removed.
	Finalizer = "mail.dane-operator.io/records"
)
