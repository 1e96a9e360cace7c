package health

import (
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// parentDS are the DS records that the servers of the parent give, all of them, and whether any told.
func (l *look) parentDS() ([]*dns.DS, bool) {
	var out []*dns.DS
	known, have := false, map[string]bool{}
	for i := range l.Parents {
		if p := &l.Parents[i]; p.DS.speaks() {
			known = true
			for _, ds := range p.ds(l.Zone) {
				if text := dnssec.PresentDS(ds); !have[text] {
					have[text] = true
					out = append(out, ds)
				}
			}
		}
	}
	return out, known
}

// ds are the DS records that it gives; of too many as many as show that.
func (p *Parent) ds(zone string) []*dns.DS {
	var out []*dns.DS
	set := find(p.DS.Msg.Answer, zone, dns.TypeDS)
	for _, rr := range set[:min(len(set), dnssec.MaxDS+1)] {
		out = append(out, rr.(*dns.DS))
	}
	return out
}

// entry are the DS records by which resolvers enter the zone: those of the parent, or those that we enter it
// by where the parent was not asked or did not tell.
func (l *look) entry() []*dns.DS {
	if ds, known := l.parentDS(); known {
		return ds
	}
	return l.DS
}

// signing finds out who shows keys.
func (l *look) signing() {
	var signed, unsigned []*server
	for _, s := range l.servers {
		switch {
		case s.keys != nil && !s.excepted():
			signed = append(signed, s)
		case s.keys != nil:
		case s.keysKnown:
			unsigned = append(unsigned, s)
		}
	}
	ds, known := l.parentDS()
	switch {
	case len(signed) > 0:
		for _, s := range unsigned {
			l.add(UnsignedAtServer, s, "it serves the zone %s unsigned (no DNSKEY), and other servers serve it signed: validating resolvers refuse its answers; give it the signed zone", l.Zone)
		}
		if known && len(ds) == 0 {
			l.addZone(SignedWithoutDS, "the zone %s is signed, and its parent has no DS record for it: TLSA records are without effect; hand the DS record (status.dnssec.cds, or the signer's) to the parent", l.Zone)
		}
	case !slices.ContainsFunc(unsigned, func(s *server) bool { return !s.excepted() }):
	case len(l.entry()) > 0:
		l.addZone(DSOfUnsignedZone, "there are DS records for the zone %s, and no server shows a DNSKEY: validating resolvers refuse everything in it; sign the zone again with the keys of the DS records, or have the DS records removed", l.Zone)
	default:
		l.addZone(ZoneUnsigned, "the zone %s is not signed: senders ignore TLSA records in it; sign it, and hand its DS record to the parent", l.Zone)
	}
}

// delegation compares the DS records with each other, with the anchors and with the keys.
func (l *look) delegation() {
	ds, known := l.parentDS()
	l.parents(known)
	if known && len(ds) > 0 {
		l.anchors(ds)
	}
	l.digests()
	for _, s := range l.servers {
		if s.keys != nil && len(l.entry()) > 0 {
			l.match(s)
		}
	}
}

func (l *look) parents(known bool) {
	if len(l.Parents) > 0 && !known {
		l.addZone(ParentUnanswered, "no server of the parent zone tells the DS records of %s (%s): mend the parent zone, or what lies between", l.Zone, parentProblems(l.Parents))
	}
	sets, unsigned := map[string]bool{}, map[string]bool{}
	for i := range l.Parents {
		p := &l.Parents[i]
		if !p.DS.speaks() {
			continue
		}
		var words []string
		for _, ds := range p.ds(l.Zone) {
			words = append(words, dnssec.PresentDS(ds))
		}
		slices.Sort(words)
		sets[strings.Join(words, ", ")] = true
		if len(words) > 0 && len(signaturesOf(p.DS.Msg.Answer, l.Zone, dns.TypeDS)) == 0 {
			unsigned[p.Label] = true
		}
	}
	if len(unsigned) > 0 {
		l.addZone(DSUnsigned, "the DS records of %s come without signatures from servers of the parent zone (%s): the parent is unsigned or broken, so the zone is insecure or fails; mend the parent, or use a trust anchor", l.Zone, list(unsigned))
	}
	if len(sets) > 1 {
		var texts []string
		for text := range sets {
			if text == "" {
				text = "none"
			}
			texts = append(texts, text)
		}
		slices.Sort(texts)
		l.addZone(DSDiffers, "the servers of the parent zone give different DS records for %s: %s; wait until the parent has published its change, else report it there", l.Zone, strings.Join(texts, " / "))
	}
}

func parentProblems(parents []Parent) string {
	problems := map[string]bool{}
	for i := range parents {
		switch r := &parents[i].DS; {
		case r.Msg == nil:
			problems[parents[i].Label+": "+r.Problem] = true
		case r.Msg.Rcode != dns.RcodeSuccess:
			problems[parents[i].Label+": "+rcode(r.Msg)] = true
		default:
			problems[parents[i].Label+": no authority"] = true
		}
	}
	return list(problems)
}

func (l *look) anchors(ds []*dns.DS) {
	mine := dnssec.AnchorsOf(l.Zone, l.Anchors)
	if len(mine) == 0 || slices.ContainsFunc(mine, func(a dnssec.Anchor) bool { return contains(ds, a) }) {
		return
	}
	l.addZone(AnchorNotInDS, "none of the trust anchors configured for %s is among the DS records at its parent: compare spec.dnssec.trustAnchors with them", l.Zone)
}

// contains compares digests in any letters; those of different types for one key count as different.
func contains(ds []*dns.DS, a *dns.DS) bool {
	return slices.ContainsFunc(ds, func(d *dns.DS) bool { return dnssec.PresentDS(d) == dnssec.PresentDS(a) })
}

// digests judges digest types (RFC 8624 section 3.3, RFC 9905, and the IANA registry).
func (l *look) digests() {
	ds := l.entry()
	if len(ds) == 0 {
		return
	}
	weak, sha256 := 0, false
	for _, d := range ds {
		switch {
		case d.DigestType == dns.SHA1 || d.DigestType == dns.GOST94:
			weak++
		case d.DigestType == 0 || d.DigestType > 6:
			l.addZone(DSDigestUnknown, "the DS record %s of %s has a digest type that is not for use: validators ignore it; replace it by one with digest type 2 (SHA-256)", dnssec.PresentDS(d), l.Zone)
		}
		sha256 = sha256 || d.DigestType == dns.SHA256
	}
	switch {
	case weak == len(ds):
		l.addZone(DSDigestWeak, "all DS records of %s have a digest type that must not be used any more (1 or 3): validators may take the zone for insecure; add a DS record with digest type 2 (SHA-256), then remove them", l.Zone)
	case weak > 0:
		l.addZone(DSDigestObsolete, "some DS records of %s have a digest type that must not be used any more (1 or 3): remove them; the others do", l.Zone)
	}
	if !sha256 {
		l.addZone(DSWithoutSHA256, "no DS record of %s has digest type 2 (SHA-256), the one that every validator knows: add one", l.Zone)
	}
}

// match compares the DS records with the keys that a server shows.
func (l *look) match(s *server) {
	ds := l.entry()
	err := l.enter(s, ds)
	switch {
	case err == nil:
		l.matchEach(s, ds)
	case err.Reason == dnssec.AnchorMismatch:
		l.matchesNone(s, ds)
	case err.Reason == dnssec.Unsupported:
		l.addZone(DSUnsupported, "no DS record of %s has an algorithm and a digest type that validators support: they take the zone for insecure, and TLSA records are without effect; sign with algorithm 13 and digest type 2", l.Zone)
	case err.Reason == dnssec.TooMuchWork:
		l.invalid(s, err, "")
	case l.selfSigned(s):
		l.add(DSKeyDoesNotSign, s, "the keys of %s that its DS records match do not sign the DNSKEY records (%s): validating resolvers refuse everything in the zone; have these keys sign, or have the DS records replaced", l.Zone, present(ds))
	}
	// Otherwise the signatures over the DNSKEY RRset are broken in themselves, which is found there.
}

// matchesNone tells of keys that no DS record is of. Where the parent did not tell, and the zone has trust anchors of its own, it is
// these that are of no key: what the world outside goes by is not known then.
func (l *look) matchesNone(s *server, ds []*dns.DS) {
	if _, known := l.parentDS(); !known && len(dnssec.AnchorsOf(l.Zone, l.Anchors)) > 0 {
		l.add(DSMatchesNoKey, s, "no DNSKEY of %s matches a trust anchor of the DNSZone (%s): compare spec.dnssec.trustAnchors with the keys of the zone, and correct it; if it is right, bring back the key", l.Zone, present(ds))
		return
	}
	l.add(DSMatchesNoKey, s, "no DNSKEY of %s matches a DS record (%s): validating resolvers refuse everything in the zone; bring back the key, or have the DS records replaced", l.Zone, present(ds))
}

// matchEach looks at single DS records, and at each algorithm, where one of them does.
func (l *look) matchEach(s *server, ds []*dns.DS) {
	for _, d := range ds {
		if err := l.enter(s, []*dns.DS{d}); err != nil && err.Reason == dnssec.AnchorMismatch {
			l.add(DSWithoutKey, s, "the DS record %s of %s matches no DNSKEY: fine for a key in reserve; else have it removed", dnssec.PresentDS(d), l.Zone)
		}
	}
	for _, algorithm := range algorithmsOf(ds) {
		of := slices.DeleteFunc(slices.Clone(ds), func(d *dns.DS) bool { return d.Algorithm != algorithm })
		if err := l.enter(s, of); err != nil && err.Reason != dnssec.Unsupported {
			l.add(DSAlgorithmDoesNotSign, s, "the DS records of %s name algorithm %s, and no key of it that they match signs the DNSKEY records: resolvers may refuse the zone; sign with every algorithm of the DS records, or have those of the algorithm removed", l.Zone, algorithmText(algorithm))
		}
	}
}

func algorithmsOf(ds []*dns.DS) []uint8 {
	var out []uint8
	for _, d := range ds {
		out = append(out, d.Algorithm)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// enter tries to trust the keys of a server by DS records.
func (l *look) enter(s *server, ds []*dns.DS) *dnssec.Error {
	m := s.authoritative(l.Zone, dns.TypeDNSKEY)
	_, err := l.Cache.KeysFor(l.Zone, s.dnskeys, signaturesOf(m.Answer, l.Zone, dns.TypeDNSKEY), ds, l.Now)
	var e *dnssec.Error
	errors.As(err, &e)
	return e
}

// selfSigned says whether any key that the server shows signs the DNSKEY RRset.
func (l *look) selfSigned(s *server) bool {
	m := s.authoritative(l.Zone, dns.TypeDNSKEY)
	_, err := s.keys.Verify(s.dnskeys, signaturesOf(m.Answer, l.Zone, dns.TypeDNSKEY), l.Now)
	return err == nil
}

func present(ds []*dns.DS) string {
	out := map[string]bool{}
	for _, d := range ds {
		out[dnssec.PresentDS(d)] = true
	}
	return list(out)
}
