package rollover

import (
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// WaitCode says in one word what a key or a publication waits for.
type WaitCode string

// What may be waited for.
const (
	WaitNone           WaitCode = ""
	WaitSuspended      WaitCode = "Suspended"
	WaitNamed          WaitCode = "Named"          // a removed host may still be named by MX records
	WaitCertificate    WaitCode = "Certificate"    // no key is known yet
	WaitDeployment     WaitCode = "Deployment"     // first publication: the key that waits is not deployed yet; that says why
	WaitServers        WaitCode = "Servers"        // first publication: endpoints do not present a matching chain
	WaitDNSSEC         WaitCode = "DNSSEC"         // the zone is not Secure
	WaitUpdate         WaitCode = "Update"         // the records are to be written
	WaitPropagation    WaitCode = "Propagation"    // a name server does not show what is wanted
	WaitCaches         WaitCode = "Caches"         // older answers may be cached until the time named
	WaitSweep          WaitCode = "Sweep"          // a fresh sweep is needed
	WaitSignatures     WaitCode = "Signatures"     // signatures run out too soon
	WaitKeysChanging   WaitCode = "KeysChanging"   // DNSKEY or DS change in flight
	WaitTooManyRecords WaitCode = "TooManyRecords" // more than MaxRecords at one name
	WaitForeign        WaitCode = "Foreign"        // a record that is not ours stands where one key alone may
	WaitUnread         WaitCode = "Unread"         // an input could not be read
	WaitEndpoints      WaitCode = "Endpoints"      // an endpoint still presents the old key, or is unreachable
	WaitRetire         WaitCode = "Retire"         // the old key's records stay until the time named
	WaitReports        WaitCode = "Reports"        // senders report failures: the old key's records stay until the time named
	WaitCompromised    WaitCode = "Compromised"    // the key is listed as compromised and is never deployed
	WaitClock          WaitCode = "Clock"          // the clock stands before an instant that was noted earlier
)

// Wait is one thing that is waited for.
type Wait struct {
	Code WaitCode
	// Subject is the key ID or owner concerned.
	Subject string
	// Message is stable: no times, no counters.
	Message string
	// Until is when it ends by itself; zero when that is not known.
	Until time.Time
}

// UnsafeReason says why senders may fail.
type UnsafeReason string

// The ways in which a rollover can be unsafe.
const (
	UnsafeGateBypassed UnsafeReason = "GateBypassed"
	UnsafeDeadline     UnsafeReason = "DeadlineProceeded"
	UnsafeFollowed     UnsafeReason = "Followed"
	UnsafeServed       UnsafeReason = "ServedUnpublished"
)

// Unsafe says that senders may fail, why, and until when at most.
type Unsafe struct {
	Reason  UnsafeReason
	Message string
	Since   time.Time
	// Until is when the last cached answer that does not match is gone; zero while not known.
	Until time.Time
}

// OwnerDecision is what is wanted at one owner.
type OwnerDecision struct {
	Name string
	// End is where the records are written: the name that the owner's aliases lead to; empty for the
	// owner itself, and while the name servers do not agree.
	End string
	// Records that should stand there, foreign ones that are kept included; normalized.
	Records []tlsa.Record
	// Foreign are those among the served records that are neither ours nor additional.
	Foreign []tlsa.Record
	// Own are the records among Records that we answer for, additional ones included.
	Own []tlsa.Record
	// Write says that an update is wanted now: the primary shows something else and nothing holds
	// it back.
	Write bool
	// Expect is the RRset that the primary was last seen with: the prerequisite of the update.
	Expect []tlsa.Record
	// Versions to keep in status. When Write is true the version about to be written is among
	// them: it must be stored before the update is sent.
	Versions []Version
	// InSync says that the newest sweep was green for Records.
	InSync bool
	// Behind are the servers that kept it from being green, sorted.
	Behind []Fault
	// Warnings for people: more than six records, unusable additional records and the like.
	Warnings []string
}

// Decision is what follows from the facts.
type Decision struct {
	Owners []OwnerDecision
	// Keys are the new key states, sorted by role and ID.
	Keys []KeyState
	// Deploy are the IDs of the keys that may be handed to servers now, those that already are included.
	Deploy []string
	// Waits, the most telling first; empty when nothing is in motion.
	Waits []Wait
	// Unsafe is nil while every chain that may be presented matches every answer that may be cached.
	Unsafe *Unsafe
	// Published says that at least one of our records stands at every owner.
	Published bool
	// NeedSweep and NeedProbe ask for fresh facts now.
	NeedSweep, NeedProbe bool
	// Next is the next instant worth deciding at; zero when only a new fact can change anything.
	Next time.Time
	// NextAction says in words what happens then.
	NextAction string
	// UntrustAt is when, after the last non-empty answer was removed, no cache holds one any more;
	// zero while records still stand. Untrusted says that this instant has passed.
	UntrustAt time.Time
	Untrusted bool
}

// Limits on the number of records at one owner.
const (
	// WarnRecords at one owner are warned about (RFC 7671 section 10.1.1).
	WarnRecords = 6
	// MaxRecords at one owner are the most that is written; Microsoft's senders fail beyond.
	MaxRecords = 12
)
