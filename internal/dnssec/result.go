package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// Kind says what was found at the end of the aliases.
type Kind string

// The kinds.
const (
	// Data: the RRset is there.
	Data Kind = "Data"
	// NoData: the name has no RRset of the type. NXDomain: there is no such name.
	NoData   Kind = "NoData"
	NXDomain Kind = "NXDomain"
	// Alias: an alias leads on, and its target is to be asked for elsewhere.
	Alias Kind = "Alias"
	// TooLong: a DNAME makes a name that is too long (YXDOMAIN, RFC 6672 section 2.2).
	TooLong Kind = "TooLong"
)

// Hop is one alias on the way, with its own state: a secure alias may lead into an insecure zone.
type Hop struct {
	Name, Target string
	// DNAME says that the alias is made from a DNAME above the name.
	DNAME bool
	State State
	// Zone that signs the alias; empty when it is not secure.
	Zone string
	// Cause says why it is not Secure; nil when it is.
	Cause *Error
}

// Result is what is known of the RRset that was asked for.
type Result struct {
	Name string
	Type uint16
	// State of the whole: that of the weakest link.
	State State
	// Cause says why it is not Secure: what proves that it is insecure, what is bogus, or which server
	// does not answer. It is nil when it is secure.
	Cause *Error
	Kind  Kind
	// Hops are the aliases on the way; Final is the name at their end.
	Hops  []Hop
	Final string
	// RRs is the RRset; empty unless Kind is Data. It is there for Secure and Insecure alone.
	RRs []dns.RR
	// Zone that signs the end; empty when it is not secure.
	Zone string
	// TTL is how long the result may be kept (RFC 4035 section 5.3.3), the proof included.
	TTL time.Duration
	// SignedTTL is the TTL that was signed of the RRset: the longest that any cache keeps it, where TTL may be what is
	// left of it in the cache of a resolver that was asked. Zero unless the RRset is secure.
	SignedTTL time.Duration
	// SignaturesExpire is when the first signature used runs out; zero when none was.
	SignaturesExpire time.Time
	// Above are the sets of the zones above, from the trust anchor down, of a secure answer to LookupDS.
	Above []Passed
	// Server that gave the end of it, and the extended errors that servers sent (RFC 8914).
	Server   string
	Extended []string
}

// finding is what was found of one piece of an answer.
type finding struct {
	Piece
	state State
	cause *Error
	zone  string
	// expires is zero without a signature.
	expires time.Time
	ttl     time.Duration
	// signedTTL is zero without a signature over an RRset.
	signedTTL time.Duration
	server    string
	extended  []string
}

func newResult(name string, qtype uint16) Result {
	return Result{Name: name, Type: qtype, State: Secure, Final: name}
}

// add appends what was found of one more piece. One insecure link makes the rest insecure.
func (r *Result) add(f finding) {
	failed := f.state == Bogus || f.state == Indeterminate
	if failed || f.state != Secure && r.State == Secure {
		r.State, r.Cause = f.state, f.cause
	}
	r.limit(f)
	r.Server, r.Kind, r.Zone = f.server, f.kind, f.zone
	r.Extended = append(r.Extended, f.extended...)
	switch {
	case failed:
		r.RRs, r.TTL = nil, 0
	case f.kind == Alias:
		r.Hops = append(r.Hops, Hop{Name: f.name, Target: f.target, DNAME: f.dname, State: f.state, Zone: f.zone, Cause: f.cause})
		r.Final = f.target
		if f.endsAt(r.Type) {
			r.Kind, r.RRs = Data, []dns.RR{&dns.CNAME{Target: f.target, Hdr: dns.RR_Header{
				Name: f.name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: uint32(f.ttl / time.Second)}}}
		}
	case f.kind == Data:
		r.RRs = f.set
		if f.state == Secure {
			r.SignedTTL = f.signedTTL
		}
	}
}

// limit takes the least of the times of all pieces.
func (r *Result) limit(f finding) {
	if first := r.Kind == ""; first || f.ttl < r.TTL {
		r.TTL = f.ttl
	}
	if !f.expires.IsZero() && (r.SignaturesExpire.IsZero() || f.expires.Before(r.SignaturesExpire)) {
		r.SignaturesExpire = f.expires
	}
}
