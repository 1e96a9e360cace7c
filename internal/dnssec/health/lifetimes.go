package health

import (
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// life is what is to be known of the times of an RRset's signature.
type life struct {
	subject string
	expires time.Time
	// validity is the time from inception to expiration.
	validity     time.Duration
	ttl, origTTL time.Duration
}

// Parts of the validity of a signature. BIND keeps 5 days of 14, PowerDNS one week of three, dnssec-signzone a
// quarter; Knot makes signatures anew at a tenth plus TTL and propagation delay. That counts until the habit of the
// zone's own signer is known.
const (
	latePart    = 4
	overduePart = 10
	// urgent is what counts as very soon where signatures are made for two weeks or more, and urgentPart what does of a
	// shorter time: less than the tenth at which Knot makes them anew.
	urgent     = 24 * time.Hour
	urgentPart = 14
	// tooLong is half a year.
	tooLong = 180 * 24 * time.Hour
)

// lives are the times of the signatures over an RRset: for each algorithm of the server's keys the signature
// that holds longest, since one is enough.
func (l *look) lives(s *server, set []dns.RR, sigs []*dns.RRSIG) []life {
	longest := map[uint8]life{}
	h := set[0].Header()
	for _, sig := range sigs {
		if !s.keys.Has(sig.KeyTag, sig.Algorithm) {
			continue
		}
		this := life{
			subject: h.Name + " " + dns.TypeToString[h.Rrtype], expires: dnssec.SerialTime(sig.Expiration, l.Now),
			validity: seconds(sig.Expiration - sig.Inception), ttl: seconds(h.Ttl), origTTL: seconds(sig.OrigTtl),
		}
		if have, ok := longest[sig.Algorithm]; !ok || have.expires.Before(this.expires) {
			longest[sig.Algorithm] = this
		}
	}
	var out []life
	for _, of := range longest {
		out = append(out, of)
	}
	return out
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func earliest(lives []life) time.Time {
	var first time.Time
	for _, of := range lives {
		if first.IsZero() || of.expires.Before(first) {
			first = of.expires
		}
	}
	return first
}

// lifetimes judges how long signatures last.
func (l *look) lifetimes() {
	for _, s := range l.servers {
		worst := Code("")
		for _, of := range s.lives {
			left := of.expires.Sub(l.Now)
			if left <= 0 {
				continue
			}
			if code := l.age(left, of.validity); worst == "" || code != "" && rank(code.Severity()) < rank(worst.Severity()) {
				worst = code
			}
			if of.validity > tooLong {
				l.add(SignatureTooLong, s, "signatures of the zone %s are valid for more than half a year: old records can be replayed as long; sign for weeks", l.Zone)
			}
			if of.ttl > left {
				l.add(TTLBeyondExpiration, s, "the TTL of %s goes beyond the end of its signature: sign earlier, or lower the TTL", of.subject)
			}
			if of.ttl > of.origTTL {
				l.add(TTLAboveOriginal, s, "the TTL of %s is larger than the one that was signed: resolvers shorten it; give the server the signed zone unaltered", of.subject)
			}
		}
		l.refresh(s, worst)
		l.expire(s)
	}
}

// age is the code of a signature with so much time left of its validity; empty while that is plenty.
func (l *look) age(left, validity time.Duration) Code {
	switch {
	case left < min(urgent, validity/urgentPart):
		return SignaturesExpiring
	case left < l.Habit.overdue(validity):
		return RefreshOverdue
	case left < validity/latePart && (!l.Habit.Known() || !l.Habit.of(validity)):
		return RefreshLate
	}
	return ""
}

func (l *look) refresh(s *server, code Code) {
	const look = "see the signer's log, and whether the server still gets new copies of the zone"
	switch code {
	case SignaturesExpiring:
		l.add(code, s, "signatures of the zone %s are about to run out: validating resolvers will refuse it; sign it now, and %s", l.Zone, look)
	case RefreshOverdue:
		l.add(code, s, "signatures of the zone %s should have been made anew by now: less than a tenth of their time is left, or less by far than this signer has left so far; %s", l.Zone, look)
	case RefreshLate:
		l.add(code, s, "signatures of the zone %s have less than a quarter of their time left, when most signers have made them anew (Knot does so at a tenth): if yours should have, %s", l.Zone, look)
	}
}

// expire compares SOA EXPIRE with the validity of signatures.
func (l *look) expire(s *server) {
	if s.soa == nil {
		return
	}
	for _, of := range s.lives {
		if !of.expires.After(l.Now) || seconds(s.soa.Expire) < of.validity {
			continue
		}
		l.add(ExpireBeyondSignatures, s, "SOA EXPIRE of %s is not shorter than its signatures are valid: a secondary that is cut off goes on serving signatures that have run out; lower EXPIRE, or sign for longer", l.Zone)
		return
	}
}
