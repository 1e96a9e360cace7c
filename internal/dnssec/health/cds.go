package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// wish is a key that CDS or CDNSKEY asks the parent to enter.
type wish struct {
	from      uint16
	tag       uint16
	algorithm uint8
	// is says whether a key is the one; delete stands for no key at all (RFC 8078 section 4).
	is     func(*dns.DNSKEY) bool
	delete bool
	// dnskey is the key itself, where CDNSKEY gives it.
	dnskey *dns.DNSKEY
}

func (w wish) key() string { return fmt.Sprintf("%d (algorithm %d)", w.tag, w.algorithm) }

// wishes reads what a server shows of CDS or CDNSKEY.
func (l *look) wishes(s *server, qtype uint16) []wish {
	m := s.authoritative(l.Zone, qtype)
	if m == nil {
		return nil
	}
	var out []wish
	set := find(m.Answer, l.Zone, qtype)
	for _, rr := range set[:min(len(set), dnssec.MaxDS)] {
		switch c := rr.(type) {
		case *dns.CDS:
			out = append(out, wish{qtype, c.KeyTag, c.Algorithm, func(k *dns.DNSKEY) bool {
				made := k.ToDS(c.DigestType)
				return made == nil && k.KeyTag() == c.KeyTag || made != nil && dnssec.PresentDS(made) == dnssec.PresentDS(&c.DS)
			}, c.Algorithm == 0, nil})
		case *dns.CDNSKEY:
			out = append(out, wish{qtype, c.KeyTag(), c.Algorithm, func(k *dns.DNSKEY) bool {
				return keyText(k) == keyText(&c.DNSKEY)
			}, c.Algorithm == 0, &c.DNSKEY})
		}
	}
	return out
}

// cds judges CDS and CDNSKEY (RFC 7344, RFC 8078).
func (l *look) cds() {
	shown := map[string]bool{}
	var all []wish
	for _, s := range l.servers {
		cds, cdnskey := l.wishes(s, dns.TypeCDS), l.wishes(s, dns.TypeCDNSKEY)
		l.cdsOf(s, cds, cdnskey)
		if s.excepted() || s.authoritative(l.Zone, dns.TypeCDS) == nil && s.authoritative(l.Zone, dns.TypeCDNSKEY) == nil {
			continue
		}
		shown[setText(s, l.Zone)] = true
		all = append(append(all, cds...), cdnskey...)
	}
	if len(shown) > 1 {
		l.addZone(CDSDiffers, "the servers of %s show different CDS or CDNSKEY records: the parent must not act on them until they agree; give all of them the same copy of the zone", l.Zone)
		return
	}
	var entered []wish
	for _, ds := range l.entry() {
		entered = append(entered, wish{tag: ds.KeyTag, algorithm: ds.Algorithm})
	}
	if len(all) > 0 && !asksForNone(all) && len(entered) > 0 && keysOf(entered) != keysOf(all) {
		l.addZone(CDSNotInParent, "CDS and CDNSKEY of %s ask for DS records of other keys (%s) than there are (%s): have the parent take them over; do not remove an old key before it has", l.Zone, keysOf(all), keysOf(entered))
	}
}

// asksForNone says whether one of the wishes is for no DS records at all.
func asksForNone(wishes []wish) bool {
	return slices.ContainsFunc(wishes, func(w wish) bool { return w.delete })
}

// setText is what a server shows of both, for comparison.
func setText(s *server, zone string) string {
	out := map[string]bool{}
	for _, qtype := range []uint16{dns.TypeCDS, dns.TypeCDNSKEY} {
		m := s.authoritative(zone, qtype)
		if m == nil {
			continue
		}
		for _, rr := range find(m.Answer, zone, qtype) {
			words := strings.Fields(rr.String())
			out[strings.ToLower(strings.Join(words[3:], " "))] = true
		}
	}
	return list(out)
}

func (l *look) cdsOf(s *server, cds, cdnskey []wish) {
	all := append(slices.Clone(cds), cdnskey...)
	if len(all) == 0 {
		return
	}
	if s.keys == nil {
		if s.keysKnown {
			l.add(CDSOfUnsignedZone, s, "there are CDS or CDNSKEY records in %s, and no DNSKEY: remove them, or sign the zone", l.Zone)
		}
		return
	}
	if asksForNone(all) {
		if slices.ContainsFunc(all, func(w wish) bool { return !w.delete }) {
			l.add(CDSDeleteMixed, s, "CDS or CDNSKEY of %s ask for the removal of the DS records and for DS records at once: the parent must not act on them; leave one of the two", l.Zone)
			return
		}
		l.add(CDSDelete, s, "CDS or CDNSKEY of %s ask the parent to remove the DS records: the zone becomes insecure, and TLSA records are without effect; remove the CDS records unless that is what is wanted", l.Zone)
		return
	}
	l.mismatch(s, cds, cdnskey)
	for _, w := range all {
		l.wish(s, w)
	}
}

// mismatch compares CDS with CDNSKEY where there are both: each has to be of a key that the other tells of, by its digest
// too (RFC 7344 section 4).
func (l *look) mismatch(s *server, cds, cdnskey []wish) {
	if len(cds) == 0 || len(cdnskey) == 0 {
		return
	}
	if keysOf(cds) != keysOf(cdnskey) {
		l.add(CDSMismatch, s, "CDS of %s tells of keys %s and CDNSKEY of %s: the parent must not act on them; make them agree", l.Zone, keysOf(cds), keysOf(cdnskey))
		return
	}
	var wrong []wish
	for _, c := range cds {
		if !slices.ContainsFunc(cdnskey, func(k wish) bool { return c.is(k.dnskey) }) {
			wrong = append(wrong, c)
		}
	}
	for _, k := range cdnskey {
		if !slices.ContainsFunc(cds, func(c wish) bool { return c.is(k.dnskey) }) {
			wrong = append(wrong, k)
		}
	}
	if len(wrong) > 0 {
		l.add(CDSMismatch, s, "CDS and CDNSKEY of %s tell of different keys %s of the same tag and algorithm: the digests in CDS are not those of the keys in CDNSKEY, and the parent must not act on them; make them agree", l.Zone, keysOf(wrong))
	}
}

func keysOf(wishes []wish) string {
	out := map[string]bool{}
	for _, w := range wishes {
		out[w.key()] = true
	}
	return list(out)
}

// wish looks at one key that is asked for.
func (l *look) wish(s *server, w wish) {
	what := dns.TypeToString[w.from]
	var key *dns.DNSKEY
	for _, rr := range s.single {
		if k := rr.(*dns.DNSKEY); w.is(k) {
			key = k
		}
	}
	switch {
	case key == nil:
		l.add(CDSMatchesNoKey, s, "%s of %s tells of key %s, which is not among the DNSKEY records: a parent that takes it over breaks the zone, unless other keys stay; correct it", what, l.Zone, w.key())
		return
	case key.Flags&dns.ZONE == 0 || key.Flags&dns.REVOKE != 0 || key.Protocol != 3:
		l.add(CDSKeyUnusable, s, "%s of %s tells of key %s, which may not sign the zone (no ZONE flag, or revoked): correct it", what, l.Zone, w.key())
		return
	case key.Flags&dns.SEP == 0:
		l.add(CDSKeyNotSEP, s, "%s of %s tells of key %s, which lacks the SEP flag: make sure that it is meant to be entered by", what, l.Zone, w.key())
	}
	if !l.signedBy(s, dns.TypeDNSKEY, w.tag) {
		l.add(CDSKeyDoesNotSign, s, "%s of %s tells of key %s, which does not sign the DNSKEY records: a parent that takes it over breaks the zone, unless other keys stay; have it sign", what, l.Zone, w.key())
	}
	if !l.signedBy(s, w.from, w.tag) {
		l.add(CDSNotSignedByItsKey, s, "%s of %s tells of key %s and is not signed by it: parents may want that", what, l.Zone, w.key())
	}
}

func (l *look) signedBy(s *server, qtype, tag uint16) bool {
	m := s.authoritative(l.Zone, qtype)
	return m != nil && slices.ContainsFunc(signaturesOf(m.Answer, l.Zone, qtype), func(sig *dns.RRSIG) bool { return sig.KeyTag == tag })
}
