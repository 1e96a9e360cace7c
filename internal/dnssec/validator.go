package dnssec

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Config says what a Validator trusts and whom it asks.
type Config struct {
	// Anchors are DS records of zones, several for one zone if wanted. The anchors of the deepest zone
	// at or above a name count, and no others (RFC 4035 section 4.3 leaves that to us).
	Anchors []Anchor
	// Transport carries every question.
	Transport Transport
	// Now is the clock that signatures are compared with.
	Now func() time.Time
	// Forwarders are recursive servers; they need not validate and are not trusted. With none, the
	// Validator iterates itself.
	Forwarders []netip.AddrPort
	// FindForwarders gives more of them, anew for each message: those that are known by name. An error
	// keeps that message from being sent, and no other.
	FindForwarders func(ctx context.Context) ([]netip.AddrPort, error)
	// Stubs are the servers of zones where iteration begins, by absolute name; "." are the root's. What is
	// found by delegation below them is asked on public addresses and in the networks Allowed alone, unless one of
	// the servers given is itself not public.
	Stubs   map[string][]netip.AddrPort
	Allowed []netip.Prefix
	// Fallback are recursive servers for when no root server gives signed answers; Forwarders go before.
	Fallback []netip.AddrPort
	// Port of the servers that are found by delegation; zero for 53.
	Port uint16
	// SHA1 lets signatures of algorithms 5 and 7 count. Without it they make a zone insecure (RFC 9905).
	SHA1 bool
	// Cache of verified signatures, to be shared with others; nil for one of its own.
	Cache *Cache

	// anywhere lets servers have any address, for the cases of others.
	anywhere bool
}

// Validator finds RRsets and validates them from trust anchors downwards (RFC 4035 section 5). It keeps
// the keys of zones, and which names are no zones, for as long as their TTLs say. It is safe for use
// by many goroutines.
type Validator struct {
	config  Config
	checked *Cache
	also    map[uint8]check
	// iterations as in Keys.
	iterations uint16
	source     source

	// turns are taken by questions that are being answered.
	turns chan struct{}

	mu    sync.Mutex
	links map[string]link
}

// maxTurns is how many questions are answered at the same time; others wait. So few of the many that a program
// asks when it starts go up to the root: the rest finds what they have learnt.
const maxTurns = 32

const (
	// maxWait is how long a question waits for its turn, and maxTime how long it may take from then on. Of eight
	// servers of a zone seven may be silent, over UDP and TCP, for two seconds each: the eighth still answers in time.
	maxWait = 30 * time.Second
	maxTime = 30 * time.Second
	// MaxLookup is how long a question takes at the most, the wait for its turn included.
	MaxLookup = maxWait + maxTime
)

// ErrConfig is wrapped by the error of New.
var ErrConfig = errors.New("the validator cannot be used")

// New makes a Validator.
func New(c Config) (*Validator, error) {
	switch {
	case c.Transport == nil || c.Now == nil:
		return nil, errors.Join(ErrConfig, errors.New("it has no transport or no clock"))
	case !c.forwards() && len(c.Stubs) == 0:
		return nil, errors.Join(ErrConfig, errors.New("it has neither forwarders nor servers to begin with: give root servers"))
	}
	if c.Port == 0 {
		c.Port = dnsPort
	}
	if c.Cache == nil {
		c.Cache = NewCache()
	}
	v := &Validator{config: c, checked: c.Cache, links: map[string]link{}, turns: make(chan struct{}, maxTurns)}
	if c.SHA1 {
		v.also = map[uint8]check{dns.RSASHA1: (*dns.RRSIG).Verify, dns.RSASHA1NSEC3SHA1: (*dns.RRSIG).Verify}
	}
	switch {
	case c.forwards():
		v.source = &forwarder{servers: c.Forwarders, more: c.FindForwarders}
	case len(c.Fallback) > 0:
		v.source = &fallback{iterator: newIterator(c), forward: &forwarder{servers: c.Fallback}}
	default:
		v.source = newIterator(c)
	}
	return v, nil
}

func (c *Config) forwards() bool { return len(c.Forwarders) > 0 || c.FindForwarders != nil }

// lookup is one question of a caller, with all that is asked for its sake.
type lookup struct {
	*Validator
	now      time.Time
	work     *work
	messages int
	// depth of questions for addresses of name servers within questions.
	depth int
	// renewed are names of whose DS records and keys nothing counts that was said before. Young wants of all others what
	// is no older than maxAge.
	renewed map[string]bool
	young   bool
	// found are names of which this lookup itself has found that out.
	found map[string]bool
	// passed are the keys of the zones that it came by.
	passed map[string]*Keys
	// servers whose addresses were looked for.
	servers map[string][]netip.AddrPort
	// unreferred says that recursive servers were asked in the root's place, who show no delegations.
	unreferred bool
	// cuts is its walker, nil before there was need of one; spent is the time that such a one took.
	cuts  *lookup
	spent time.Duration
}

// begin waits for a turn and begins a question, which ends with end; limited is the context that it is answered
// in. The wait does not count against its time: who asks much must not make the questions of others fail. The error
// is that there was no turn; then there is nothing to end.
func (v *Validator) begin(ctx context.Context) (limited context.Context, l *lookup, end func(), err *Error) {
	patient, stop := context.WithTimeout(ctx, maxWait)
	defer stop()
	select {
	case v.turns <- struct{}{}:
	case <-patient.Done():
		return nil, nil, nil, busy()
	}
	limited, cancel := context.WithTimeout(ctx, maxTime)
	l = &lookup{
		Validator: v, now: v.config.Now(), work: newQueryWork(), renewed: map[string]bool{}, found: map[string]bool{},
		passed: map[string]*Keys{}, servers: map[string][]netip.AddrPort{},
	}
	return limited, l, func() { cancel(); <-v.turns }, nil
}

func busy() *Error {
	return fail(Busy, "", "nobody was asked: the operator has as many DNS questions on the way as it may have, most of them of zones whose servers do not answer; it is asked later")
}

// Lookup finds an RRset, following aliases, and validates every step.
func (v *Validator) Lookup(ctx context.Context, name string, qtype uint16) Result {
	name = dns.CanonicalName(name)
	limited, l, end, err := v.begin(ctx)
	if err != nil {
		return unasked(name, qtype, err)
	}
	defer end()
	return l.look(limited, name, qtype)
}

func unasked(name string, qtype uint16, err *Error) Result {
	out := newResult(name, qtype)
	out.State, out.Cause = err.State(), err
	return out
}

// LookupDS finds the DS records of a zone as its parent has them now: what a referral said earlier does not
// count, and what is known of the zones above does, for maxAge at the most.
func (v *Validator) LookupDS(ctx context.Context, zone string) Result {
	zone = dns.CanonicalName(zone)
	limited, l, end, err := v.begin(ctx)
	if err != nil {
		return unasked(zone, dns.TypeDS, err)
	}
	defer end()
	l.renewed[zone], l.young = true, true
	out := l.look(limited, zone, dns.TypeDS)
	if out.State == Secure {
		out.Above = l.above(zone)
	}
	return out
}

func (l *lookup) look(ctx context.Context, name string, qtype uint16) Result {
	out := newResult(name, qtype)
	if _, ok := dns.IsDomainName(name); !ok {
		out.State, out.Cause = Indeterminate, fail(BadRRset, name, "this is not a domain name")
		return out
	}
	seen := map[string]bool{}
	for range maxHops {
		f := l.find(ctx, out.Final, qtype)
		out.add(f)
		if f.kind != Alias || f.endsAt(qtype) || f.state == Bogus || f.state == Indeterminate {
			return out
		}
		if seen[f.target] {
			break
		}
		seen[f.target] = true
	}
	out.State, out.RRs = Bogus, nil
	out.Cause = fail(TooMuchWork, name+" "+typeText(qtype), "its aliases lead in a circle, or there are more than %d of them", maxHops)
	return out
}

// find asks for one name and validates what it is told of that name. A server whose answer is bogus
// does not stand for the others.
func (l *lookup) find(ctx context.Context, name string, qtype uint16) finding {
	var found finding
	trusted := l.trusted((&Piece{name: name, qtype: qtype}).top())
	err := l.source.find(ctx, l, name, qtype, func(r reply) *Error {
		p, err := readPiece(r.msg, name, qtype, trusted)
		found = finding{Piece: p, state: Secure, server: r.server, extended: ExtendedErrors(r.msg)}
		if err != nil {
			return err.of(r)
		}
		return l.validate(ctx, &found)
	})
	if err != nil {
		// Of several answers that are no good it is this one that the result rests on.
		found.Piece, found.extended = Piece{name: name, qtype: qtype}, err.Extended
		found.fail(err)
	}
	return found
}

// trusted is the zone of the trust anchor by which a name is judged; the root where there is none.
func (l *lookup) trusted(name string) string {
	if zone, ok := anchorZone(name, l.config.Anchors); ok {
		return zone
	}
	return "."
}

// validate judges a piece by the keys of the zone that signs it. An error is that it is bogus, or
// that this cannot be known.
func (l *lookup) validate(ctx context.Context, f *finding) *Error {
	signer := f.signer()
	if signer == "" {
		signer = f.top()
	}
	err := l.validateBy(ctx, f, signer)
	// Anybody can name a signer above the zone of the trust anchor: that does not take the anchor away, and a zone above that
	// is secure by another anchor may not speak for it either.
	if err == nil && below(signer, l.trusted(f.top())) {
		signer = f.top()
		err = l.validateBy(ctx, f, signer)
	}
	// A zone without DNSSEC may well have signatures that are no good.
	if err != nil && err.State() == Bogus && signer != f.top() {
		if z := l.zoneOf(ctx, f.top()); z.err != nil && z.err.State() == Insecure {
			f.fail(z.err)
			return nil
		}
	}
	return err
}

func (l *lookup) validateBy(ctx context.Context, f *finding, signer string) *Error {
	z := l.zoneOf(ctx, signer)
	err := z.err
	if err == nil {
		f.state, f.cause, f.zone = Secure, nil, z.keys.zone
		if err = z.keys.verifyPiece(f, l.now, l.work); err != nil {
			err = err.in(z.keys.zone).from(f.server, f.extended...)
		}
	}
	if err == nil {
		err = l.nothingBetween(ctx, z.keys.zone, f)
	}
	if err != nil && err.State() == Insecure {
		f.fail(err)
		return nil
	}
	return err
}
