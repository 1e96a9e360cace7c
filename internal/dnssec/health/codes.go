package health

import (
	"maps"
	"slices"
)

// Code names a finding. The names are stable: alerts and documentation rest on them.
type Code string

// Findings about servers.
const (
	// NoServerAnswers: no server of the zone answers for it.
	NoServerAnswers Code = "NoServerAnswers"
	// ServerUnreachable: the server answers neither over TCP nor over UDP.
	ServerUnreachable Code = "ServerUnreachable"
	// ServerLame: the server is listed and does not serve the zone (an error, or no SOA).
	ServerLame Code = "ServerLame"
	// NotAuthoritative: the server answers without the AA bit.
	NotAuthoritative Code = "NotAuthoritative"
	// NoTCP: the server answers over UDP alone (RFC 7766).
	NoTCP Code = "NoTCP"
	// NoUDP: the server answers over TCP alone.
	NoUDP Code = "NoUDP"
	// EDNSDropped: the server, or something before it, drops EDNS (RFC 6891).
	EDNSDropped Code = "EDNSDropped"
	// SignaturesStripped: the server shows keys and gives no signatures to queries with DO (RFC 3225).
	SignaturesStripped Code = "SignaturesStripped"
	// QuestionUnanswered: the server is silent to some questions about the zone.
	QuestionUnanswered Code = "QuestionUnanswered"
	// QuestionRefused: the server answers some questions about the zone with an error.
	QuestionRefused Code = "QuestionRefused"
	// AnswerMismatch: the server answers with records that were not asked for.
	AnswerMismatch Code = "AnswerMismatch"
	// FormerServer: a server that the zone does not name any more still answers for it.
	FormerServer Code = "FormerServer"
	// SingleServer: one address alone serves the zone (RFC 1034 section 4.1).
	SingleServer Code = "SingleServer"
	// NSMismatch: the parent names other servers than the zone does.
	NSMismatch Code = "NSMismatch"
	// NSDiffers: the servers do not agree on the NS set.
	NSDiffers Code = "NSDiffers"
	// SerialSpread: a server shows an older serial than others for too long.
	SerialSpread Code = "SerialSpread"
)

// Findings about the delegation.
const (
	// DSMatchesNoKey: there are DS records, and none of them matches a key of the zone.
	DSMatchesNoKey Code = "DSMatchesNoKey"
	// DSKeyDoesNotSign: DS records match keys, and none of these signs the DNSKEY RRset.
	DSKeyDoesNotSign Code = "DSKeyDoesNotSign"
	// DSAlgorithmDoesNotSign: an algorithm of the DS set has no key that signs (RFC 4035 section 2.2).
	DSAlgorithmDoesNotSign Code = "DSAlgorithmDoesNotSign"
	// DSOfUnsignedZone: there are DS records, and the zone has no keys.
	DSOfUnsignedZone Code = "DSOfUnsignedZone"
	// DSWithoutKey: a DS record matches no key, beside others that do.
	DSWithoutKey Code = "DSWithoutKey"
	// DSUnsupported: no DS record has an algorithm and digest type that validators support.
	DSUnsupported Code = "DSUnsupported"
	// DSUnsigned: the parent does not sign the DS records.
	DSUnsigned Code = "DSUnsigned"
	// DSDiffers: the parent's servers do not agree on the DS records.
	DSDiffers Code = "DSDiffers"
	// DSDigestWeak: all DS records have digest types that must not be used (RFC 8624, RFC 9905).
	DSDigestWeak Code = "DSDigestWeak"
	// DSDigestObsolete: some DS records have such digest types, beside others.
	DSDigestObsolete Code = "DSDigestObsolete"
	// DSDigestUnknown: the digest type of a DS record is reserved, unassigned or private.
	DSDigestUnknown Code = "DSDigestUnknown"
	// DSWithoutSHA256: no DS record has the digest type that every validator knows.
	DSWithoutSHA256 Code = "DSWithoutSHA256"
	// AnchorNotInDS: the trust anchors configured for the zone are not among its DS records.
	AnchorNotInDS Code = "AnchorNotInDS"
	// SignedWithoutDS: the zone is signed, and the parent has no DS records: it is insecure.
	SignedWithoutDS Code = "SignedWithoutDS"
	// ZoneUnsigned: the zone is not signed.
	ZoneUnsigned Code = "ZoneUnsigned"
	// UnsignedAtServer: the server shows no keys, and others do.
	UnsignedAtServer Code = "UnsignedAtServer"
	// ParentUnanswered: no server of the parent zone tells the DS records.
	ParentUnanswered Code = "ParentUnanswered"
)

// Findings about keys and signatures.
const (
	// AlgorithmDeprecated: a key has an algorithm that must not be used (RFC 8624, RFC 9905).
	AlgorithmDeprecated Code = "AlgorithmDeprecated"
	// AlgorithmNotRecommended: a key has an algorithm that is not recommended for signing.
	AlgorithmNotRecommended Code = "AlgorithmNotRecommended"
	// AlgorithmUnknown: the algorithm of a key is reserved, unassigned, private or not for zones.
	AlgorithmUnknown Code = "AlgorithmUnknown"
	// AlgorithmDoesNotSign: an algorithm of the keys does not sign the zone (RFC 4035 section 2.2).
	AlgorithmDoesNotSign Code = "AlgorithmDoesNotSign"
	// KeyTooShort: an RSA key has less than 2048 bits.
	KeyTooShort Code = "KeyTooShort"
	// KeysDiffer: the servers do not agree on the DNSKEY set.
	KeysDiffer Code = "KeysDiffer"
	// SignatureMissing: an RRset of the signed zone has no signature.
	SignatureMissing Code = "SignatureMissing"
	// SignatureExpired: the signatures of an RRset have run out.
	SignatureExpired Code = "SignatureExpired"
	// SignatureNotYetValid: the signatures of an RRset begin in the future.
	SignatureNotYetValid Code = "SignatureNotYetValid"
	// SignatureByUnknownKey: the signatures of an RRset are by keys that the zone does not show.
	SignatureByUnknownKey Code = "SignatureByUnknownKey"
	// SignatureInvalid: the signatures of an RRset do not verify.
	SignatureInvalid Code = "SignatureInvalid"
	// SignaturesExpiring: signatures run out very soon.
	SignaturesExpiring Code = "SignaturesExpiring"
	// RefreshOverdue: signatures should have been made anew by now, whatever the signer.
	RefreshOverdue Code = "RefreshOverdue"
	// RefreshLate: most signers would have made the signatures anew by now.
	RefreshLate Code = "RefreshLate"
	// SignatureTooLong: a signature is valid for more than half a year.
	SignatureTooLong Code = "SignatureTooLong"
	// TTLBeyondExpiration: an RRset has a TTL that goes beyond the end of its signature.
	TTLBeyondExpiration Code = "TTLBeyondExpiration"
	// TTLAboveOriginal: an RRset has a larger TTL than the one that was signed (RFC 4035 section 2.2).
	TTLAboveOriginal Code = "TTLAboveOriginal"
	// ExpireBeyondSignatures: a secondary that is cut off serves on after the signatures have run out
	// (RFC 6781 section 4.4.2.1).
	ExpireBeyondSignatures Code = "ExpireBeyondSignatures"
)

// Findings about the proofs of what is not there.
const (
	// DenialUnproven: a negative answer does not prove what it says.
	DenialUnproven Code = "DenialUnproven"
	// WildcardUnproven: an answer made from a wildcard does not prove that the wildcard applies.
	WildcardUnproven Code = "WildcardUnproven"
	// DenialWithoutSOA: a negative answer lacks the SOA record of the zone (RFC 2308 section 2).
	DenialWithoutSOA Code = "DenialWithoutSOA"
	// DenialMixed: a server uses NSEC and NSEC3 together.
	DenialMixed Code = "DenialMixed"
	// DenialDiffers: some servers use NSEC and others NSEC3.
	DenialDiffers Code = "DenialDiffers"
	// DenialTypes: NSEC or NSEC3 at the apex tells of other types than the apex has.
	DenialTypes Code = "DenialTypes"
	// DenialMultiple: there is more than one NSEC, NSEC3 or NSEC3PARAM record where one belongs.
	DenialMultiple Code = "DenialMultiple"
	// DenialMisplaced: an NSEC, NSEC3 or NSEC3PARAM record stands at another name than it should.
	DenialMisplaced Code = "DenialMisplaced"
	// NSEC3Iterations: NSEC3 hashes more than once (RFC 9276 section 3.1); the message says so where it is more often than
	// some validators do.
	NSEC3Iterations Code = "NSEC3Iterations"
	// NSEC3IterationsExcessive: NSEC3 hashes more often than this validator does; others may fail (RFC 9276 section 3.2).
	NSEC3IterationsExcessive Code = "NSEC3IterationsExcessive"
	// NSEC3Salt: NSEC3 has a salt (RFC 9276 section 3.1).
	NSEC3Salt Code = "NSEC3Salt"
	// NSEC3Hash: NSEC3 has a hash algorithm other than SHA-1, the only one there is.
	NSEC3Hash Code = "NSEC3Hash"
	// NSEC3Flags: NSEC3 has flags that nobody knows: validators ignore the record (RFC 5155 section 8.2).
	NSEC3Flags Code = "NSEC3Flags"
	// NSEC3OptOut: NSEC3 opts out: what is not signed can be slipped in below the zone.
	NSEC3OptOut Code = "NSEC3OptOut"
	// NSEC3Differs: the servers do not agree on the parameters of NSEC3.
	NSEC3Differs Code = "NSEC3Differs"
)

// Findings about CDS and CDNSKEY.
const (
	// CDSMismatch: CDS and CDNSKEY do not tell of the same keys (RFC 7344 section 4).
	CDSMismatch Code = "CDSMismatch"
	// CDSDiffers: the servers do not agree on CDS or CDNSKEY.
	CDSDiffers Code = "CDSDiffers"
	// CDSNotInParent: the parent has other DS records than CDS asks for.
	CDSNotInParent Code = "CDSNotInParent"
	// CDSMatchesNoKey: CDS or CDNSKEY tells of a key that the zone does not show.
	CDSMatchesNoKey Code = "CDSMatchesNoKey"
	// CDSKeyUnusable: CDS or CDNSKEY tells of a key that may not sign the zone.
	CDSKeyUnusable Code = "CDSKeyUnusable"
	// CDSKeyNotSEP: CDS or CDNSKEY tells of a key without the SEP flag.
	CDSKeyNotSEP Code = "CDSKeyNotSEP"
	// CDSKeyDoesNotSign: a key that CDS or CDNSKEY tells of does not sign the DNSKEY RRset.
	CDSKeyDoesNotSign Code = "CDSKeyDoesNotSign"
	// CDSNotSignedByItsKey: a key that CDS or CDNSKEY tells of does not sign the CDS RRset.
	CDSNotSignedByItsKey Code = "CDSNotSignedByItsKey"
	// CDSOfUnsignedZone: there is CDS or CDNSKEY in a zone without keys.
	CDSOfUnsignedZone Code = "CDSOfUnsignedZone"
	// CDSDelete: CDS or CDNSKEY asks the parent to remove the DS records (RFC 8078 section 4).
	CDSDelete Code = "CDSDelete"
	// CDSDeleteMixed: the request to remove the DS records stands beside others.
	CDSDeleteMixed Code = "CDSDeleteMixed"
)

// Findings about mail.
const (
	// TLSAUsagePKIX: TLSA records of port 25 have usage 0 or 1 (RFC 7672 section 3.1.3).
	TLSAUsagePKIX Code = "TLSAUsagePKIX"
	// TLSAMalformed: a TLSA record cannot match anything: wrong length, or unknown parameters.
	TLSAMalformed Code = "TLSAMalformed"
	// TLSATooMany: there are more TLSA records at a name than fit well into an answer.
	TLSATooMany Code = "TLSATooMany"
	// MXIsAlias: an MX host is an alias (RFC 2181 section 10.3).
	MXIsAlias Code = "MXIsAlias"
)

// severities of all codes.
var severities = map[Code]Severity{
	NoServerAnswers: Critical, ServerUnreachable: Warning, ServerLame: Warning, NotAuthoritative: Warning, NoTCP: Warning,
	NoUDP: Warning, EDNSDropped: Warning, SignaturesStripped: Critical, QuestionUnanswered: Warning, QuestionRefused: Warning, AnswerMismatch: Warning,
	FormerServer: Notice, SingleServer: Notice, NSMismatch: Warning, NSDiffers: Warning, SerialSpread: Warning,

	DSMatchesNoKey: Critical, DSKeyDoesNotSign: Critical, DSAlgorithmDoesNotSign: Critical, DSOfUnsignedZone: Critical,
	DSWithoutKey: Notice, DSUnsupported: Warning, DSUnsigned: Warning, DSDiffers: Warning, DSDigestWeak: Warning,
	DSDigestObsolete: Notice, DSDigestUnknown: Warning, DSWithoutSHA256: Notice, AnchorNotInDS: Warning,
	SignedWithoutDS: Warning, ZoneUnsigned: Warning, UnsignedAtServer: Critical, ParentUnanswered: Warning,

	AlgorithmDeprecated: Warning, AlgorithmNotRecommended: Notice, AlgorithmUnknown: Warning, AlgorithmDoesNotSign: Warning,
	KeyTooShort: Warning, KeysDiffer: Warning, SignatureMissing: Critical, SignatureExpired: Critical,
	SignatureNotYetValid: Critical, SignatureByUnknownKey: Critical, SignatureInvalid: Critical, SignaturesExpiring: Critical,
	RefreshOverdue: Warning, RefreshLate: Notice, SignatureTooLong: Notice, TTLBeyondExpiration: Warning,
	TTLAboveOriginal: Warning, ExpireBeyondSignatures: Warning,

	DenialUnproven: Critical, WildcardUnproven: Critical, DenialWithoutSOA: Warning, DenialMixed: Warning,
	DenialDiffers: Warning, DenialTypes: Warning, DenialMultiple: Warning, DenialMisplaced: Warning, NSEC3Iterations: Warning,
	NSEC3IterationsExcessive: Critical, NSEC3Salt: Warning, NSEC3Hash: Warning, NSEC3Flags: Warning, NSEC3OptOut: Notice,
	NSEC3Differs: Warning,

	CDSMismatch: Warning, CDSDiffers: Warning, CDSNotInParent: Warning, CDSMatchesNoKey: Warning, CDSKeyUnusable: Warning,
	CDSKeyNotSEP: Notice, CDSKeyDoesNotSign: Warning, CDSNotSignedByItsKey: Notice, CDSOfUnsignedZone: Warning,
	CDSDelete: Notice, CDSDeleteMixed: Warning,

	TLSAUsagePKIX: Warning, TLSAMalformed: Warning, TLSATooMany: Warning, MXIsAlias: Warning,
}

// Severity of the findings with this code.
func (c Code) Severity() Severity { return severities[c] }

// ofServer says that the code tells of a server and never of the zone, however many servers it is true of.
func (c Code) ofServer() bool {
	switch c {
	case ServerUnreachable, ServerLame, NotAuthoritative, NoTCP, NoUDP, EDNSDropped, QuestionUnanswered, QuestionRefused, AnswerMismatch, FormerServer, SerialSpread:
		return true
	}
	return false
}

// AboutServers says that the code tells of how the zone is served, and not of its DNSSEC.
func (c Code) AboutServers() bool {
	switch c {
	case NoServerAnswers, SingleServer, NSMismatch, NSDiffers:
		return true
	}
	return c.ofServer()
}

// Codes are all codes, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(severities)) }
