// Package delegation decides what the DS RRset of a zone in its parent should become, by what the zone
// asks for in its CDS and CDNSKEY records (RFC 7344, RFC 8078). It is one pure function: facts in,
// decision out, with no I/O and no clock. It refuses what BIND's dnssec-cds refuses, and more: what a
// single server of either side does not confirm is not acted on.
package delegation

import (
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Facts are what was seen of both sides of a delegation in one look.
type Facts struct {
	// Child is the apex of the zone, absolute and in lower case.
	Child string
	// Now is the instant that signatures are judged at.
	Now time.Time
	// Parents are the answers for the DS RRset at every address of every server of the parent zone.
	Parents []Parent
	// Children are the answers at every address of every server of the zone itself.
	Children []Child
	// Mark is the newest signature inception that was acted on or remembered: what was signed before is
	// a replay (RFC 7344 section 6.2). Zero when nothing is remembered.
	Mark time.Time
	// Signals are what the zone's operators say at _dsboot names under their own (RFC 9615), for all of
	// Signallers. They count without AcceptInitial alone.
	Signals []Signal
	Policy  Policy
}

// Policy is what the owner of the zone allows.
type Policy struct {
	// AcceptInitial are the DS records that may begin a chain of trust where the parent has none. When there are any,
	// no others do, whoever vouches for them.
	AcceptInitial []*dns.DS
	// AllowDelete lets the zone take its DS records away (RFC 8078 section 4).
	AllowDelete bool
}

// Parent is what one server of the parent zone answers for the DS RRset.
type Parent struct {
	// Server names it for people.
	Server string
	// Problem says why there is no usable answer; empty when there is one.
	Problem string
	// DS is empty when the answer denies that there are any.
	DS []*dns.DS
	// State of the answer, by the chain of the parent zone; Message says why it is not Secure.
	State   dnssec.State
	Message string
	// Nameservers are the names in the NS records of the delegation, absolute and in lower case.
	Nameservers []string
}

// Child is what one server of the zone itself answers.
type Child struct {
	Server string
	// Problem says why there is no usable answer; empty when there is one.
	Problem              string
	DNSKEY, CDS, CDNSKEY Set
	// Nameservers are the names in its own NS records, absolute and in lower case; NameserversProblem says
	// why those could not be read. They count for the first DS records alone.
	Nameservers        []string
	NameserversProblem string
}

// Set is an RRset with its signatures; empty when there is none.
type Set struct {
	Records    []dns.RR
	Signatures []*dns.RRSIG
}

// Action is what is to be done to the DS RRset in the parent.
type Action string

// The actions.
const (
	// Keep leaves it as it is.
	Keep Action = "Keep"
	// Replace puts Want in the place of Expect, which is not empty.
	Replace Action = "Replace"
	// Begin puts Want where nothing stands.
	Begin Action = "Begin"
	// Remove takes Expect away: the zone becomes insecure.
	Remove Action = "Remove"
)

// Reason says in one word why.
type Reason string

// The reasons. Only InSync and NothingAsked are no trouble; the first group waits for a change to be
// carried out.
const (
	// Asked: the zone asks for another DS RRset, and everything speaks for it.
	Asked Reason = "Asked"
	// InitialAccepted: there is no DS RRset yet, and the zone's is vouched for.
	InitialAccepted Reason = "InitialAccepted"
	// DeleteAsked: the zone asks to have its DS RRset removed, and that is allowed.
	DeleteAsked Reason = "DeleteAsked"

	// InSync: every server of the parent shows what every server of the zone asks for.
	InSync Reason = "InSync"
	// NothingAsked: the zone publishes neither CDS nor CDNSKEY: nothing is to change (RFC 7344 section 4.1).
	NothingAsked Reason = "NothingAsked"

	// ParentUnreachable: a server of the parent gives no usable answer.
	ParentUnreachable Reason = "ParentUnreachable"
	// ParentNotSecure: the answer of a server of the parent does not validate: it may be anybody's.
	ParentNotSecure Reason = "ParentNotSecure"
	// ParentDiffers: the servers of the parent show different DS RRsets, as they do while one is late.
	ParentDiffers Reason = "ParentDiffers"
	// ChildUnreachable: a server of the zone gives no usable answer.
	ChildUnreachable Reason = "ChildUnreachable"
	// ChildDiffers: the servers of the zone show different CDS or CDNSKEY records.
	ChildDiffers Reason = "ChildDiffers"
	// Malformed: a CDS or CDNSKEY record is none that could be meant, or there are more records than are looked at.
	Malformed Reason = "Malformed"
	// Contradictory: the CDS and CDNSKEY records are not of the same keys.
	Contradictory Reason = "Contradictory"
	// NotValidated: the zone's records are not signed by a key that the DS RRset stands for.
	NotValidated Reason = "NotValidated"
	// Replayed: the records were signed before those that were acted on last.
	Replayed Reason = "Replayed"
	// DeleteNotAllowed: the zone asks to have its DS RRset removed, and that is not allowed.
	DeleteNotAllowed Reason = "DeleteNotAllowed"
	// InitialNotAccepted: there is no DS RRset yet, and nothing vouches for the zone's.
	InitialNotAccepted Reason = "InitialNotAccepted"
	// WeakDigest: a key is asked for with digest types alone that are weak or unknown.
	WeakDigest Reason = "WeakDigest"
	// WeakAlgorithm: an algorithm is asked for that rests on SHA-1 or MD5 and is not in use yet.
	WeakAlgorithm Reason = "WeakAlgorithm"
	// UnevenDigests: one digest type covers other keys than another.
	UnevenDigests Reason = "UnevenDigests"
	// WouldBreak: with the DS RRset asked for, the keys that a server shows would not validate.
	WouldBreak Reason = "WouldBreak"
)

// Decision is what follows from the facts.
type Decision struct {
	Action Action
	// Expect is the DS RRset that all servers of the parent show, sorted; Want is what it should be, and
	// is the same with Keep.
	Expect, Want []*dns.DS
	// Asked is the DS RRset that all servers of the zone ask for, whatever comes of it; where they ask for
	// nothing, the one in the parent, or else that of the keys they show.
	Asked []*dns.DS
	// ExpectKnown and AskedKnown say that those could be found out.
	ExpectKnown, AskedKnown bool
	Reason                  Reason
	// Message is for people: which zone and server, what is wrong, what to do. Empty when nothing is.
	Message string
	// Server is the one that holds things up; empty when none does by itself.
	Server string
	// Nameservers are those of the delegation where it is their signals that let a chain begin: that holds
	// for no other delegation.
	Nameservers []string
	// Mark is to be remembered, and given back in the facts of the next look.
	Mark time.Time
}
