package delegation

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// readChildren finds what every server of the zone asks for. One that lacks the records, or has
// others, may be the one that is right (draft-ietf-dnsop-cds-consistency).
func (l *look) readChildren() *Decision {
	if len(l.Children) == 0 {
		return keep(ChildUnreachable, "", "no server of the zone %s is known", l.Child)
	}
	for _, c := range l.Children {
		if c.Problem != "" {
			return keep(ChildUnreachable, c.Server, "the CDS, CDNSKEY and DNSKEY records of %s could not be read from %s: %s; nothing is changed until every server of the zone answers", l.Child, c.Server, c.Problem)
		}
		if d := l.crowded(c); d != nil {
			return d
		}
	}
	first := l.Children[0]
	for _, c := range l.Children[1:] {
		for _, pair := range []struct {
			kind string
			a, b Set
		}{{"CDS", first.CDS, c.CDS}, {"CDNSKEY", first.CDNSKEY, c.CDNSKEY}} {
			if !slices.Equal(texts(pair.a.Records), texts(pair.b.Records)) {
				return keep(ChildDiffers, c.Server, "the servers of the zone %s do not agree on its %s records: %s has %s, and %s has %s; wait until the zone transfer is through, or see why it is not",
					l.Child, pair.kind, first.Server, listTexts(pair.a.Records), c.Server, listTexts(pair.b.Records))
			}
		}
	}
	if len(first.CDS.Records) == 0 && len(first.CDNSKEY.Records) == 0 {
		l.asked.ds, l.askedKnown = l.standing(), true
		return keep(NothingAsked, "", "the zone %s publishes neither CDS nor CDNSKEY records, so nothing is to change: have its signer publish them (BIND: dnssec-policy does; Knot: cds-cdnskey-publish; PowerDNS: PUBLISH-CDS and PUBLISH-CDNSKEY)", l.Child)
	}
	return l.readRequest(first)
}

// crowded refuses to compare more records with each other than a validator looks at.
func (l *look) crowded(c Child) *Decision {
	for _, of := range []struct {
		kind string
		set  []dns.RR
		most int
	}{{"DNSKEY", c.DNSKEY.Records, dnssec.MaxKeys}, {"CDS", c.CDS.Records, dnssec.MaxDS}, {"CDNSKEY", c.CDNSKEY.Records, dnssec.MaxDS}} {
		if n := len(of.set); n > of.most {
			return keep(Malformed, c.Server, "%s shows %d %s records of %s; at most %d are looked at: have the signer take out those that are not in use", c.Server, n, of.kind, l.Child, of.most)
		}
	}
	return nil
}

// standing is the DS RRset of a zone that asks for none: the one in the parent, or else that of the keys
// with the SEP flag that every server shows.
func (l *look) standing() []*dns.DS {
	if len(l.current) > 0 {
		return l.current
	}
	var shared []*dns.DNSKEY
	for _, k := range zoneKeys(l.Child, l.Children[0].DNSKEY.Records) {
		everywhere := !slices.ContainsFunc(l.Children, func(c Child) bool {
			return !slices.ContainsFunc(zoneKeys(l.Child, c.DNSKEY.Records), func(o *dns.DNSKEY) bool { return o.PublicKey == k.PublicKey })
		})
		if k.Flags&dns.SEP != 0 && everywhere {
			shared = append(shared, k)
		}
	}
	return normalDS(l.digest(shared))
}

// texts is the RDATA of an RRset as sorted text, for comparison.
func texts(set []dns.RR) []string {
	var out []string
	for _, rr := range set {
		out = append(out, strings.ToLower(strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func listTexts(set []dns.RR) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(texts(set), ", ")
}
