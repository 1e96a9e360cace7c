// Package zone talks to the name servers of one zone: it sends RFC 2136 updates with TSIG as
// compare-and-swap, coalesces the changes of many owners into few messages, and sweeps every
// authoritative address to see what is really served. NOERROR to an update proves nothing; only the
// read-back does. One Actor serves one zone; it has one update message in flight at a time.
package zone

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// Protocol is the transport of updates.
type Protocol string

// The transports.
const (
	TCP Protocol = "TCP"
	UDP Protocol = "UDP"
	TLS Protocol = "TLS"
)

// TSIG is a transaction signature key (RFC 8945).
type TSIG struct {
	// Name of the key; it is lower-cased and made absolute before use.
	Name string
	// Algorithm as in the API: HMACSHA1, HMACSHA224, HMACSHA256, HMACSHA384 or HMACSHA512.
	Algorithm string
	// Secret is the base64 text of the key. It is never printed.
	Secret string
}

// Server is one authoritative address.
type Server struct {
	// Name of the name server; empty for static addresses.
	Name string
	Addr netip.AddrPort
	// Ignored says that the user excepted it: it is asked, and its answer holds nothing up.
	Ignored bool
}

// TLSConfig says how the primary is authenticated with protocol TLS (RFC 9103's profile of RFC 7858).
type TLSConfig struct {
	ServerName string
	// CABundle is PEM; empty for the system's roots.
	CABundle []byte
	// ClientCert and ClientKey are PEM; empty for none.
	ClientCert, ClientKey []byte
}

// Config says how one zone is written and asked. It is replaced as a whole.
type Config struct {
	// Zone apex, lower case, absolute (with the trailing dot).
	Zone string
	// Primary is host:port of the update server; the host may be a name, resolved by the system.
	Primary  string
	Protocol Protocol
	TLS      *TLSConfig
	// TSIG key; nil sends unsigned updates (the API allows that by insecureUnsigned alone).
	TSIG *TSIG

	// Static servers to ask; with Delegation, more to ask.
	Static []netip.AddrPort
	// Delegation finds the servers from the parent's and the zone's own NS sets.
	Delegation bool
	// Ignore lists names or addresses (with or without port) that hold nothing up.
	Ignore []string
	// Resolvers are recursive servers for finding the delegation; their word is only a hint where
	// to ask. Empty: the system's.
	Resolvers []string

	// Anchors are DS records of any zones. Those of the zone itself count alone where there are some; else
	// those of the deepest zone above it are where its chain of trust begins.
	Anchors []*dns.DS
	// Interval between sweeps.
	Interval time.Duration
	// Delay is how far servers that cannot be asked one by one may be behind the others, those of the parent zone included.
	Delay time.Duration
	// Known are the servers that an earlier process has known. They count for NewActor alone: from then on the actor
	// knows better.
	Known []Known
	// Signer is what an earlier process has seen of the zone's signer. It counts for NewActor alone, likewise.
	Signer health.Habit
}

// Change is what is wanted at one owner: compare-and-swap of its whole TLSA RRset.
type Change struct {
	// Owner, absolute and lower case.
	Owner string
	// Expect is the RRset that the primary must still have (prerequisite of RFC 2136 section
	// 2.4.2, or 2.4.3 when empty).
	Expect []tlsa.Record
	// Want is the RRset afterwards; empty removes it.
	Want []tlsa.Record
	TTL  time.Duration
}

// Class says in one word how an update ended.
type Class string

// The classes. Applied and Unchanged are the only successes, and both rest on a read-back.
const (
	// Applied: the primary now shows exactly the wanted RRset and TTL.
	Applied Class = "Applied"
	// Unchanged: the primary already showed it; nothing was sent.
	Unchanged Class = "Unchanged"
	// Conflict: the RRset was not what was expected; Current says what it is. Plan again.
	Conflict Class = "Conflict"
	// NotStored: NOERROR, and the read-back shows something else (Current).
	NotStored Class = "NotStored"
	// BadSecret, BadKeyOrACL, ClockSkew: TSIG errors 16, 17 and 18.
	BadSecret   Class = "BadSecret"
	BadKeyOrACL Class = "BadKeyOrACL"
	ClockSkew   Class = "ClockSkew"
	// NotPermitted: REFUSED.
	NotPermitted Class = "NotPermitted"
	// NotPrimary: NOTAUTH without a TSIG error: this server is not the primary of the zone.
	NotPrimary Class = "NotPrimary"
	// NotInZone: NOTZONE.
	NotInZone Class = "NotInZone"
	// UpdatesDisabled: NOTIMP.
	UpdatesDisabled Class = "UpdatesDisabled"
	// Malformed: FORMERR.
	Malformed Class = "Malformed"
	// OwnerIsAlias: the owner is a CNAME, or below a DNAME or a zone cut. Nothing was sent.
	OwnerIsAlias Class = "OwnerIsAlias"
	// UnsignedReply: the reply was not signed although the request was; it is not believed.
	UnsignedReply Class = "UnsignedReply"
	// ServerFailure: SERVFAIL. Ambiguous: it was read back and is to be tried again.
	ServerFailure Class = "ServerFailure"
	// Unreachable: no reply. Ambiguous likewise.
	Unreachable Class = "Unreachable"
	// ConfigError: the configuration cannot be used (bad secret text, bad CA bundle).
	ConfigError Class = "ConfigError"
)

// Result is how a Change ended.
type Result struct {
	Class Class
	// Message for the person who must act: zone, server, key, what happened, what to do. Stable:
	// no times; a clock skew is told roughly. Empty on success.
	Message string
	// Current is the RRset that the primary showed last, when it could be read (CurrentKnown).
	Current      []tlsa.Record
	CurrentKnown bool
	// Retryable says that the same change may succeed later without anybody's help.
	Retryable bool
	// At is when it ended.
	At time.Time
}

// Answer is what one authoritative address said of one owner in one sweep.
type Answer struct {
	Name, Address string
	// Reachable says that it answered with authority (AA) and an understandable answer.
	Reachable bool
	// Signed says that the answer validates; meaningless when DNSSEC is not required.
	Signed bool
	// Records is the RRset it gave, normalized; empty for a denial, and for an alias.
	Records []tlsa.Record
	// Alias is where the CNAME at the owner, or the DNAME above it, leads; empty without one. The
	// answer is that of the alias alone then: what the server adds for the target may be of another
	// zone, so the target is asked for by itself.
	Alias string
	// TTL of the RRset as served; it is what the publisher's TTL is compared with.
	TTL time.Duration
	// CacheTTL is the maximum of served TTL and RRSIG original TTL.
	CacheTTL time.Duration
	// SignatureExpires is when the first RRSIG of the answer runs out; zero without one.
	SignatureExpires time.Time
	// SignatureValidity is how long the zone signs for: the longest time from inception to
	// expiration among the RRSIGs of the answer; zero without one.
	SignatureValidity time.Duration
	// Message says what is wrong, for people; empty when nothing is.
	Message string
	// Ignored says that the user excepted this address.
	Ignored bool
	// Primary marks the answer of the update server when that is asked besides the public ones.
	Primary bool
	// Former says that the zone does not name the server any more, and that caches may. One that gives no answer is
	// left out of a sweep.
	Former bool
}

// Sweep is one round of asking every authoritative address directly for one owner.
type Sweep struct {
	Start, End time.Time
	Answers    []Answer
	// Unlike says that a server showed a DNSKEY set that none showed when the zone was looked at last (Client.Check), or that the
	// zone above has other DS records than then: a change that no Health tells of yet.
	Unlike bool
	// UnlikeTTL is the longest that a cache may keep what is unlike, or what it takes the place of; zero where nothing is.
	UnlikeTTL time.Duration
}

// Address says where a host is: the A and AAAA records that the zone's servers give.
type Address struct {
	Addrs []netip.Addr
	// Complete says that every server but the excepted ones answered: no server that a sender may ask
	// gives another address.
	Complete bool
	// Signed says that the answers validate.
	Signed bool
	// Message says why it is not complete, or else why it is not signed, or that there are none.
	Message string
}

// Health is what is known of the zone as a whole.
type Health struct {
	At time.Time
	// Servers that were asked, with their serials.
	Servers []ServerHealth
	// Serial at the primary.
	Serial uint32
	// PrimaryAccepts is how a signed no-op update (prerequisites alone) ended: Applied, or why not.
	PrimaryAccepts Result
	// Discovery is the error of finding the servers; empty when they are known.
	Discovery string
	DNSSEC    ZoneDNSSEC
	// Findings are what is wrong with the zone, the worst first.
	Findings []health.Finding
	// Signer is when the zone's signer makes signatures anew, as far as it was seen.
	Signer health.Habit
	// Owners is how many TLSA owners were looked at, of those that were swept before; OwnersWaiting how many of these no
	// look has covered yet.
	Owners, OwnersWaiting int
}

// ServerHealth is one authoritative address.
type ServerHealth struct {
	Server
	Serial    uint32
	Reachable bool
	Message   string
	// SignaturesExpire is when the first signature runs out that it shows; zero when none was seen.
	SignaturesExpire time.Time
	// LeadTTL is how long caches keep the records that lead to it, seven days at most; zero when not known.
	LeadTTL time.Duration
	// FormerUntil is when caches will have forgotten a server that the zone does not name any more; zero for others.
	FormerUntil time.Time
}

// ZoneDNSSEC is how the zone validates.
type ZoneDNSSEC struct { //nolint:revive // DNSSEC alone would be read as a switch
	State dnssec.State
	// Message says why, for people.
	Message string
	// Algorithms by mnemonic, Keys by tag, DS and CDS in presentation form; sorted.
	Algorithms, Keys, DS, CDS []string
	// Unsigned says that the zone above proves that it has no DS record of this one: nothing in the zone validates for
	// anybody who has no older DS records in a cache.
	Unsigned bool
	// DSUnknown says that what the DS records are could not be found out; there may be some.
	DSUnknown bool
	// SignaturesExpire is when the first signature seen runs out.
	SignaturesExpire time.Time
	// KeysChanging says that the DNSKEY set differs between servers, or changed less than KeyTTL ago.
	KeysChanging bool
	// KeysChangedAt is when the DNSKEY set last changed, as far as this process has seen: now while
	// servers differ, zero when that is longer ago than KeyTTL.
	KeysChangedAt time.Time
	// KeyTTL is the longest that a cache keeps the DNSKEY set, or the one before it while the change
	// is young. Zero before any server gave one.
	KeyTTL time.Duration
	// DSTTL is the longest that a cache keeps the DS records that the parent has now: the TTL that it signed. Zero
	// where there are none, where they are unknown, and for trust anchors of the zone itself.
	DSTTL time.Duration
	// Above are the DNSKEY and DS sets of the zones on the way from the trust anchor to this one, each with the TTL that
	// it was signed with; empty where they are not known, and for trust anchors of the zone itself.
	Above []dnssec.Passed
}

// Client is what the controllers need of a zone. Actor implements it. Every method but Close
// returns at once; done is called exactly once, from the actor's goroutine, and must not block.
type Client interface {
	// Configure replaces the configuration; it takes effect for everything started afterwards.
	Configure(Config)
	// Publish queues a change. Changes of a zone are gathered while a message is in flight.
	Publish(Change, func(Result))
	// Sweep asks every authoritative address, and the primary, for the TLSA RRset of the owner.
	// Sweeps that are asked for together are made together.
	Sweep(owner string, done func(Sweep))
	// SweepLater is Sweep for what nobody waits for: under a Ceiling all others go before it.
	SweepLater(owner string, done func(Sweep))
	// Addresses asks the zone's servers for the A and AAAA records of a host below the zone.
	Addresses(host string, done func(Address))
	// Check looks at the zone as a whole.
	Check(done func(Health))
	Delegating
	Keeping
	// Close stops the actor. Queued work ends with class Unreachable; a message in flight is
	// waited for as long as ctx allows.
	Close(ctx context.Context)
}
