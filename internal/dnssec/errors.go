package dnssec

import (
	"fmt"
	"strings"
)

// Reason says in one word why data does not validate.
type Reason string

// The reasons.
const (
	// NoAnchor: no trust anchor of the zone is configured.
	NoAnchor Reason = "NoAnchor"
	// NoZone: the name is inside a zone, and no zone itself.
	NoZone Reason = "NoZone"
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
	// BadAlias: the alias that the server made from a DNAME is not what the DNAME says.
	BadAlias Reason = "BadAlias"
	// UnsignedDelegation: a parent proves that it has no DS record of the zone.
	UnsignedDelegation Reason = "UnsignedDelegation"
	// OptOut: the name is in a gap of the zone where unsigned delegations may be (RFC 5155 section 6).
	OptOut Reason = "OptOut"
	// Iterations: the zone's NSEC3 records have more iterations than are computed (RFC 9276).
	Iterations Reason = "Iterations"
	// Unreachable: no server gave a usable answer.
	Unreachable Reason = "Unreachable"
	// Busy: nobody was asked, for too many other questions were on the way, in all or to the server.
	Busy Reason = "Busy"
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
	// Zone whose data or delegation it is about, and Server that gave it; empty when not known here.
	Zone, Server string
	// Extended are the extended errors that came with the server's answer (RFC 8914).
	Extended []string
}

// Error gives zone and server where they are known: they are who must act.
func (e *Error) Error() string {
	text := e.Detail
	if len(e.Extended) > 0 {
		text += " (the server says: " + strings.Join(e.Extended, "; ") + ")"
	}
	if e.Subject != "" {
		text = e.Subject + ": " + text
	}
	if e.Server != "" {
		text = "server " + e.Server + ": " + text
	}
	if e.Zone != "" {
		text = "zone " + e.Zone + ": " + text
	}
	return text
}

// in says which zone it is about; from says which server gave it, with what extended errors, unless that is known
// already; of does so by the server's reply.
func (e *Error) in(zone string) *Error {
	if e.Zone == "" {
		e.Zone = zone
	}
	return e
}

func (e *Error) from(server string, extended ...string) *Error {
	if e.Server == "" {
		e.Server, e.Extended = server, extended
	}
	return e
}

func (e *Error) of(r reply) *Error { return e.from(r.server, ExtendedErrors(r.msg)...) }

// State is the state of data that failed for this reason (RFC 4035 section 4.3): without an anchor
// nothing can be said, nor without an answer; algorithms that nobody here knows make a zone insecure, not bogus (RFC 4035
// section 5.2); everything else is bogus.
func (e *Error) State() State {
	switch e.Reason {
	case NoAnchor, Unreachable, Busy:
		return Indeterminate
	case Unsupported, UnsignedDelegation, OptOut, Iterations:
		return Insecure
	default:
		return Bogus
	}
}

func fail(reason Reason, subject, format string, args ...any) *Error {
	return &Error{Reason: reason, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}
