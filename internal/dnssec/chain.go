package dnssec

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// link is what is known of a name on the way down from a trust anchor: the keys of the zone that it
// is in, or why there are none. Only what is proved is kept: keys, and insecure delegations.
type link struct {
	keys *Keys
	err  *Error
	// delegated says that DS records which validate make the name a zone of its own, whatever is wrong with its keys.
	delegated bool
	// last says that nothing below can be a zone of its own: the name does not exist, or is an alias.
	last  bool
	until time.Time
	// at is when it was found.
	at time.Time
}

// maxAge is how long what is known of the zones above counts for LookupDS: it is to tell of changes there, and caches may
// have the old keys for long after one.
const maxAge = 15 * time.Minute

// ZoneState is what is known of a zone: its keys when it is secure.
type ZoneState struct {
	Zone  string
	State State
	// Keys of the zone; nil unless it is Secure.
	Keys *Keys
	// Cause says why it is not Secure; for Insecure it is what proves it.
	Cause *Error
	// Until is how long this may be kept.
	Until time.Time
}

// errNoZone is what ZoneKeys says of a name inside a zone.
const errNoZone = "there is no zone cut at this name: it is inside the zone %s"

// ZoneKeys walks from the trust anchor down to a zone and gives its trusted keys, or the proof that it
// is delegated without DNSSEC, or why it is bogus. What is known of the zones above counts for as long as the
// TTLs on the way say; of the zone itself nothing counts that was found before.
func (v *Validator) ZoneKeys(ctx context.Context, zone string) ZoneState {
	zone = dns.CanonicalName(zone)
	out := ZoneState{Zone: zone, State: Secure}
	limited, l, end, err := v.begin(ctx)
	if err != nil {
		out.State, out.Cause = err.State(), err
		return out
	}
	defer end()
	l.renewed[zone] = true
	z := l.zoneOf(limited, zone)
	if z.err == nil && z.keys.zone != zone {
		z.err = fail(NoZone, zone, errNoZone, z.keys.zone)
	}
	if z.err != nil {
		out.State, out.Cause, out.Until = z.err.State(), z.err, z.until
		return out
	}
	out.Keys, out.Until = z.keys, z.until
	return out
}

// zoneOf walks down to the zone that a name is in.
func (l *lookup) zoneOf(ctx context.Context, name string) link {
	apex, ok := anchorZone(name, l.config.Anchors)
	if !ok {
		return link{err: fail(NoAnchor, name, "no trust anchor is configured for this name or a zone above it")}
	}
	at := l.known(apex, func() link {
		return l.keysOf(ctx, apex, given{anchors: ofZone(apex, l.config.Anchors), what: "trust anchor"})
	})
	l.pass(at)
	for labels := dns.CountLabel(apex) + 1; labels <= dns.CountLabel(name); labels++ {
		if at.err != nil || at.last {
			return at
		}
		above, child := at, suffix(name, labels)
		at = l.known(child, func() link { return l.descend(ctx, above, child) })
		l.pass(at)
	}
	return at
}

// pass notes the zone that a link leads to.
func (l *lookup) pass(at link) {
	if at.keys != nil && at.err == nil {
		l.passed[at.keys.zone] = at.keys
	}
}

// known gives what is kept, or finds it out and keeps it if it is proved. Two that ask at once may
// both find it out.
func (l *lookup) known(name string, find func() link) link {
	was, counts := l.kept(name)
	if counts && (!l.young || l.found[name] || l.now.Sub(was.at) < maxAge) {
		return was
	}
	if l.young {
		l.renewed[name] = true
	}
	k := find()
	if counts && k.err != nil && k.err.State() == Indeterminate {
		// Nobody contradicts it.
		return was
	}
	if k.err == nil || k.err.State() == Insecure {
		l.keep(name, k)
	}
	return k
}

// kept is what is known of a name, and whether it counts yet.
func (l *lookup) kept(name string) (link, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.links[name]
	return k, ok && (!l.renewed[name] || l.found[name]) && l.now.Before(k.until)
}

func (l *lookup) keep(name string, k link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.links) >= maxLinks {
		clear(l.links)
	}
	k.at = l.now
	l.links[name], l.found[name] = k, true
}

// maxLinks bounds the memory of a Validator.
const maxLinks = 50_000

// keysOf asks for the DNSKEY RRset of a zone and trusts it by DS records or trust anchors.
func (l *lookup) keysOf(ctx context.Context, zone string, by given) link {
	k := &Keys{zone: zone, checked: l.checked, also: l.also, iterations: l.iterations}
	// Nothing needs to be asked of a zone whose keys could not be checked.
	if _, err := k.usable(by); err != nil {
		out := link{err: err.in(zone)}
		if err.State() == Insecure {
			out.until = l.now.Add(unsupportedTTL)
		}
		return out
	}
	var out link
	err := l.source.find(ctx, l, zone, dns.TypeDNSKEY, func(r reply) *Error {
		set, sigs := findRRset(r.msg.Answer, zone, dns.TypeDNSKEY)
		if err := k.trust(set, sigs, by, l.now, l.work); err != nil {
			return err.in(zone).of(r)
		}
		out = link{keys: k, until: l.now.Add(cacheable(set, k.signature, l.now))}
		return nil
	})
	if err != nil {
		return link{err: err.in(zone)}
	}
	return out
}

// unsupportedTTL is how long a trust anchor that cannot be checked is not looked at again.
const unsupportedTTL = time.Hour

// descend looks whether a name is a zone of its own below the one reached, by its DS records.
func (l *lookup) descend(ctx context.Context, above link, child string) link {
	var out link
	err := l.source.find(ctx, l, child, dns.TypeDS, func(r reply) *Error {
		p, err := readPiece(r.msg, child, dns.TypeDS, above.keys.zone)
		if err == nil {
			out, err = l.readDS(ctx, above, p)
		}
		if err != nil {
			return err.in(above.keys.zone).of(r)
		}
		if out.err != nil {
			out.err = out.err.of(r)
		}
		return nil
	})
	if err != nil {
		return link{err: err.in(above.keys.zone)}
	}
	if out.until.After(above.until) {
		out.until = above.until
	}
	return out
}

func (l *lookup) readDS(ctx context.Context, above link, p Piece) (link, *Error) {
	if p.kind == NoData || p.kind == NXDomain {
		return l.readNoDS(above, p)
	}
	f := finding{Piece: p}
	if err := above.keys.verifyPiece(&f, l.now, l.work); err != nil {
		if err.State() == Insecure {
			return link{err: err.in(above.keys.zone), until: l.now.Add(f.ttl)}, nil
		}
		return link{}, err
	}
	until := l.now.Add(f.ttl)
	if p.kind != Data {
		// An alias is no zone cut, and what is below a DNAME is not in the zone.
		return link{keys: above.keys, last: p.dname, until: until}, nil
	}
	var anchors []Anchor
	for _, rr := range p.set {
		if ds, ok := rr.(*dns.DS); ok {
			anchors = append(anchors, ds)
		}
	}
	out := l.keysOf(ctx, p.name, given{anchors: anchors, what: parentDS, ttl: f.signedTTL})
	out.delegated = true
	if out.until.After(until) {
		out.until = until
	}
	return out, nil
}

// readNoDS reads the proof that a name has no DS record: it is an unsigned delegation, or no zone cut.
func (l *lookup) readNoDS(above link, p Piece) (link, *Error) {
	cut, nothing, proof, err := above.keys.denyDS(p.name, p.authority, l.now, l.work)
	if err != nil && err.State() != Insecure {
		return link{}, err
	}
	until := l.now
	if proof != nil {
		until = l.now.Add(proof.ttl)
	}
	switch {
	case err != nil:
		return link{err: err.in(p.name), until: until}, nil
	case cut:
		err = fail(UnsignedDelegation, p.name+" DS", "the parent zone %s proves that it has no DS record of %s: it is delegated without DNSSEC", above.keys.zone, p.name)
		return link{err: err.in(p.name), until: until}, nil
	}
	return link{keys: above.keys, last: nothing, until: until}, nil
}

// denyDS reads what the parent's proof says of a name without DS records: whether it is a zone cut,
// or that there is nothing at or below it.
func (k *Keys) denyDS(name string, authority []dns.RR, now time.Time, w *work) (cut, nothing bool, p *proof, err *Error) {
	if p, err = k.proofOf(name, dns.TypeDS, authority, now, w); err != nil {
		return false, false, nil, err
	}
	for _, n := range p.nsec {
		if dns.CanonicalName(n.Hdr.Name) == name && deniesType(n.TypeBitMap, name, dns.TypeDS) {
			return hasType(n.TypeBitMap, dns.TypeNS), false, p, nil
		}
	}
	if n := p.match(name); n != nil && deniesType(n.TypeBitMap, name, dns.TypeDS) {
		return hasType(n.TypeBitMap, dns.TypeNS), false, p, nil
	}
	if p.denies(k.zone, name, dns.TypeDS, true) == proved {
		return false, true, p, nil
	}
	return false, false, p, p.conclude(p.denies(k.zone, name, dns.TypeDS, false))
}
