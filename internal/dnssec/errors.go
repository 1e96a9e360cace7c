package dnssec

import "fmt"

// Reason says in one word why data does not validate.
type Reason string

// The reasons.
const (
	// NoAnchor: no trust anchor of the zone is configured.
	NoAnchor Reason = "NoAnchor"
	// NoKeys: the zone serves no DNSKEY RRset.
	NoKeys Reason = "NoKeys"
	// AnchorMismatch: no DNSKEY of the zone matches a trust anchor.
	AnchorMismatch Reason = "AnchorMismatch"
	// Unsupported: the algorithm or digest type cannot be checked by this program.
	Unsupported Reason = "Unsupported"
	// NoSignature: there is no RRSIG over the RRset by the zone.
	NoSignature Reason = "NoSignature"
	// WrongSigner: the signer is not the zone, or the owner is not below it.
	WrongSigner Reason = "WrongSigner"
	// NoSuchKey: the signature is by a key that the zone does not list, or one that must not be used.
	NoSuchKey Reason = "NoSuchKey"
	// Expired and NotYetValid: outside the validity period of the signature.
	Expired     Reason = "Expired"
	NotYetValid Reason = "NotYetValid"
	// BadSignature: the signature does not verify.
	BadSignature Reason = "BadSignature"
	// BadRRset: not an RRset, or the signature's fields do not fit it.
	BadRRset Reason = "BadRRset"
	// BadProof: the NSEC or NSEC3 records do not prove what the answer says.
	BadProof Reason = "BadProof"
	// TooMuchWork: more keys or signatures than a well-meant zone has (CVE-2023-50387).
	TooMuchWork Reason = "TooMuchWork"
)

// Error says why data does not validate, for people: what was looked at and what is wrong with it.
type Error struct {
	Reason Reason
	// Subject is the RRset or key concerned, such as "mx.example.com. TLSA".
	Subject string
	// Detail says what is wrong. It holds no times, so that it is stable.
	Detail string
}

func (e *Error) Error() string {
	if e.Subject == "" {
		return e.Detail
	}
	return e.Subject + ": " + e.Detail
}

// State is the state of data that failed for this reason (RFC 4035 section 4.3): without an anchor
// nothing can be said; algorithms that nobody here knows make a zone insecure, not bogus (RFC 4035
// section 5.2); everything else is bogus.
func (e *Error) State() State {
	switch e.Reason {
	case NoAnchor:
		return Indeterminate
	case Unsupported:
		return Insecure
	default:
		return Bogus
	}
}

func fail(reason Reason, subject, format string, args ...any) *Error {
	return &Error{Reason: reason, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}
