package delegation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// published are the digest types that DS records are made with (RFC 8624 section 3.3); digestLength is
// how many hex digits those have whose length is known.
var (
	published    = []uint8{dns.SHA256, dns.SHA384}
	digestLength = map[uint8]int{dns.SHA1: 40, dns.SHA256: 64, dns.SHA384: 96}
)

// weakAlgorithms rest on MD5 or SHA-1 (RFC 8624 section 3.1, RFC 9905), or are of no use with DNSSEC.
var weakAlgorithms = []uint8{dns.RSAMD5, dns.DH, dns.DSA, dns.RSASHA1, dns.DSANSEC3SHA1, dns.RSASHA1NSEC3SHA1}

// chooseDigests makes the DS RRset that is asked for. Weak digests are left away beside better ones of
// the same key; all digest types must stand for the same keys, since a validator may look at any one.
func (l *look) chooseDigests(r *request) *Decision {
	all := r.cds
	if len(all) == 0 {
		all = l.digest(r.keys)
	}
	// Finding the key of a record takes work: it is done once for each.
	names, good := map[*dns.DS]string{}, map[string]bool{}
	covered := map[uint8][]string{}
	var ds []*dns.DS
	for _, c := range all {
		names[c] = l.keyOf(c)
		if slices.Contains(published, c.DigestType) {
			covered[c.DigestType] = append(covered[c.DigestType], names[c])
			ds, good[names[c]] = append(ds, c), true
		}
	}
	for _, c := range all {
		if !good[names[c]] {
			return keep(WeakDigest, "", "the zone %s asks for key %d by digest type %d alone, which is not used any more or not known: have its signer publish CDS records with digest type 2 (SHA-256)", l.Child, c.KeyTag, c.DigestType)
		}
		if slices.Contains(weakAlgorithms, c.Algorithm) && !hasAlgorithm(l.current, c.Algorithm) {
			return keep(WeakAlgorithm, "", "the zone %s asks for a key of algorithm %s, which is weak and not in use yet: have its signer use ECDSAP256SHA256", l.Child, algorithmText(c.Algorithm))
		}
	}
	if len(covered) > 1 && !slices.Equal(sorted(covered[dns.SHA256]), sorted(covered[dns.SHA384])) {
		return keep(UnevenDigests, "", "the CDS records of %s with digest type 2 stand for other keys than those with digest type 4, and validators look at one type alone: have its signer publish both for every key, or one", l.Child)
	}
	r.ds = normalDS(ds)
	return nil
}

// keyOf names the key that a DS record stands for: itself, when that is one the zone shows; else by what
// the record says of it.
func (l *look) keyOf(ds *dns.DS) string {
	for _, c := range l.Children {
		for _, k := range zoneKeys(l.Child, c.DNSKEY.Records) {
			if stands(ds, k) {
				return k.PublicKey
			}
		}
	}
	return fmt.Sprintf("%d/%d", ds.KeyTag, ds.Algorithm)
}

// digest makes DS records of CDNSKEYs, with the digest types in use, or else SHA-256.
func (l *look) digest(keys []*dns.DNSKEY) []*dns.DS {
	var types []uint8
	for _, t := range published {
		if slices.ContainsFunc(l.current, func(ds *dns.DS) bool { return ds.DigestType == t }) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		types = []uint8{dns.SHA256}
	}
	var out []*dns.DS
	for _, k := range keys {
		for _, t := range types {
			if ds := k.ToDS(t); ds != nil {
				out = append(out, ds)
			}
		}
	}
	return out
}

func sorted(keys []string) []string {
	slices.Sort(keys)
	return slices.Compact(keys)
}

func hasAlgorithm(set []*dns.DS, algorithm uint8) bool {
	return slices.ContainsFunc(set, func(ds *dns.DS) bool { return ds.Algorithm == algorithm })
}

func algorithmText(a uint8) string {
	if s, ok := dns.AlgorithmToString[a]; ok {
		return s
	}
	return fmt.Sprintf("%d", a)
}

func dsHeader(child string, rr dns.RR) dns.RR_Header {
	return dns.RR_Header{Name: child, Rrtype: dns.TypeDS, Class: dns.ClassINET, Ttl: rr.Header().Ttl}
}

// normalDS sorts a DS RRset and writes its digests in lower case; equal records are one.
func normalDS(set []*dns.DS) []*dns.DS {
	var out []*dns.DS
	for _, ds := range set {
		c := *ds
		c.Digest = strings.ToLower(c.Digest)
		out = append(out, &c)
	}
	slices.SortFunc(out, compareDS)
	return slices.CompactFunc(out, func(a, b *dns.DS) bool { return compareDS(a, b) == 0 })
}

func compareDS(a, b *dns.DS) int {
	return cmp.Or(cmp.Compare(a.KeyTag, b.KeyTag), cmp.Compare(a.Algorithm, b.Algorithm),
		cmp.Compare(a.DigestType, b.DigestType), strings.Compare(a.Digest, b.Digest))
}

func sameDS(a, b []*dns.DS) bool {
	return slices.EqualFunc(normalDS(a), normalDS(b), func(x, y *dns.DS) bool { return compareDS(x, y) == 0 })
}

func presentDS(ds *dns.DS) string { return dnssec.PresentDS(ds) }

func presentation(rr dns.RR) string { return texts([]dns.RR{rr})[0] }

func listDS(set []*dns.DS) string {
	if len(set) == 0 {
		return "none"
	}
	var out []string
	for _, ds := range normalDS(set) {
		out = append(out, presentDS(ds))
	}
	return strings.Join(out, ", ")
}
