package health

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// Habit is what is known of when the signer of a zone makes signatures anew: BIND with 5 days left of 14, PowerDNS
// with a week of three, Knot with a tenth, ldns-signzone when cron runs it. A single look tells nothing of that: what
// a signer has left alone it may yet come to. So it is what was seen of signatures that were replaced over records
// that stayed the same.
type Habit struct {
	// Left is what a signature has left of its Validity when it is replaced.
	Left, Validity time.Duration
	// Rounds is how many times that was seen, a fifth of the validity apart, and Round when it last counted.
	Rounds int
	Round  time.Time
}

const (
	// enoughRounds make a habit: a zone may be signed early once, because somebody wanted it.
	enoughRounds = 3
	// roundPart of the validity is how far apart rounds are. PowerDNS makes one of a third of it.
	roundPart = 5
	// upwards is how slowly Left grows: by this part of what a signature has left more than that. It shrinks at once.
	upwards = 16
)

// Known says whether it was seen often enough to count.
func (h Habit) Known() bool { return h.Rounds >= enoughRounds }

// of says whether signatures of a validity are those that it is known of. BIND takes up to 12 hours of 14 days away.
func (h Habit) of(validity time.Duration) bool {
	return h.Validity > 0 && (h.Validity-validity).Abs() <= h.Validity/overduePart
}

// overdue is how much is left of a signature's time when it should have been replaced by now: a tenth of it, and with a
// habit a tenth less than usual, where that is more. Nothing is said before three quarters of the time are over: then there
// is time enough yet, and a signer that was hasty for a while is no worse for it.
func (h Habit) overdue(validity time.Duration) time.Duration {
	tenth := validity / overduePart
	if !h.Known() || !h.of(validity) {
		return tenth
	}
	return min(max(h.Left-tenth, tenth), validity/latePart)
}

// replaced is the habit after a signature was replaced, with so much left of its time.
func (h Habit) replaced(left, validity time.Duration, now time.Time) Habit {
	if !h.of(validity) {
		return Habit{Left: left, Validity: validity, Rounds: 1, Round: now}
	}
	counts := now.Sub(h.Round) >= validity/roundPart
	if counts {
		h.Rounds, h.Round = min(h.Rounds+1, enoughRounds), now
	}
	switch {
	case left < h.Left:
		h.Left = left
	case counts: // or else whatever is signed early many times in a row would be a habit
		h.Left += (left - h.Left) / upwards
	}
	return h
}

// SignerWatch sees signatures replaced from one look at a zone to the next. The zero value has seen none. What it has not
// seen because the process began anew counts for nothing.
//
// It is of a zone, and not of each server: secondaries have the signatures of others, and what one of them shows late says
// nothing of the signer. Servers that sign on their own with one key (PowerDNS on a shared database, BIND with copies of the
// keys) are told apart by what each of them showed before. Those with keys of their own (RFC 8901) may have other habits too:
// for one validity the habit of the latest of them counts, and for others than the one that was seen first none does. So
// nobody is blamed for what another does, and who stops is told of a little later.
type SignerWatch struct {
	// Habit as far as it is known; an earlier process may have known it.
	Habit Habit
	// newest is the newest signature that each server has shown of each RRset as it is, by a key.
	newest map[sighting]signed
}

// sighting is a server, and a digest of an RRset as it is with the key that signs it.
type sighting struct {
	server string
	of     [sha256.Size]byte
}

// signed is when a signature ends, and how long it was made for.
type signed struct {
	expires  time.Time
	validity time.Duration
}

// watched are the RRsets at the apex that the keys of the zone's data sign, and that seldom change. NSEC is none of them: it
// changes, and changes back, whenever the first name of the zone comes and goes, as _acme-challenge does.
var watched = []uint16{dns.TypeNS, dns.TypeMX}

// mostWatched bounds the memory for servers that show other records each time.
const mostWatched = 1024

// Look notes the signatures that a look has seen.
func (w *SignerWatch) Look(o Observations) {
	if o.Cache == nil {
		o.Cache = dnssec.NewCache()
	}
	shown := map[sighting]signed{}
	l := &look{Observations: &o}
	for i := range o.Servers {
		if s := l.read(&o.Servers[i]); s.keys != nil {
			l.watch(s, shown)
		}
	}
	first, found := signed{}, false
	for _, was := range w.replaced(shown) {
		earlier := was.expires.Before(first.expires) || was.expires.Equal(first.expires) && was.validity < first.validity
		if !found || earlier {
			first, found = was, true
		}
	}
	if found {
		w.Habit = w.Habit.replaced(max(first.expires.Sub(o.Now), 0), first.validity, o.Now)
	}
	w.keep(shown, o.Now)
}

// remade is a new signature: what is signed, and when it ends.
type remade struct {
	of      [sha256.Size]byte
	expires int64
}

// replaced are the signatures in the place of which new ones are shown. One that is new at a server and not in the world was
// made earlier, and has come late there; where several servers show the same new one, it took the place of the latest.
func (w *SignerWatch) replaced(shown map[sighting]signed) map[remade]signed {
	newest := map[[sha256.Size]byte]time.Time{}
	for at, was := range w.newest {
		newest[at.of] = later(newest[at.of], was.expires)
	}
	out := map[remade]signed{}
	for at, is := range shown {
		was, known := w.newest[at]
		if !known || !newest[at.of].Before(is.expires) || w.ofOthers(was, shown) {
			continue
		}
		if made := (remade{at.of, is.expires.Unix()}); out[made].expires.Before(was.expires) {
			out[made] = was
		}
	}
	return out
}

// ofOthers says whether a signature is by a signer with another habit than the one that is being learned, while that one's
// signatures are still shown.
func (w *SignerWatch) ofOthers(was signed, shown map[sighting]signed) bool {
	if w.Habit.Validity <= 0 || w.Habit.of(was.validity) {
		return false
	}
	for _, is := range shown {
		if w.Habit.of(is.validity) {
			return true
		}
	}
	return false
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// watch gathers the newest signatures of what is watched. One that does not count now, or is made for years, would be the
// newest for as long, whoever sent it.
func (l *look) watch(s *server, shown map[sighting]signed) {
	for _, qtype := range watched {
		m := s.authoritative(l.Zone, qtype)
		if m == nil {
			continue
		}
		set, sigs := find(m.Answer, l.Zone, qtype), signaturesOf(m.Answer, l.Zone, qtype)
		if len(set) == 0 || len(sigs) > dnssec.MaxSignatures { // so many are told as TooMuchWork
			continue
		}
		text := asRecords(set)
		for _, sig := range sigs {
			inception, is := dnssec.SerialTime(sig.Inception, l.Now), signed{dnssec.SerialTime(sig.Expiration, l.Now), seconds(sig.Expiration - sig.Inception)}
			if !s.keys.Has(sig.KeyTag, sig.Algorithm) || l.Now.Before(inception) || !is.expires.After(l.Now) || is.validity > tooLong {
				continue
			}
			at := sighting{s.Label, sha256.Sum256([]byte(strconv.Itoa(int(sig.KeyTag)) + " " + strconv.Itoa(int(sig.OrigTtl)) + text))}
			if shown[at].expires.Before(is.expires) {
				shown[at] = is
			}
		}
	}
}

// asRecords is an RRset as it is, as text, whatever is left of its TTL.
func asRecords(set []dns.RR) string {
	var lines []string
	for _, rr := range set {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		lines = append(lines, rr.String())
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// keep remembers what is shown, and what was and has not run out: a server may be out of reach for a look.
func (w *SignerWatch) keep(shown map[sighting]signed, now time.Time) {
	if w.newest == nil || len(w.newest) >= mostWatched {
		w.newest = map[sighting]signed{}
	}
	for at, was := range w.newest {
		if !was.expires.After(now) {
			delete(w.newest, at)
		}
	}
	for at, is := range shown {
		if w.newest[at].expires.Before(is.expires) {
			w.newest[at] = is
		}
	}
}
