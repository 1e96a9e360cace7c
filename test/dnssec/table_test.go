package dnssec_test

import (
	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// table are the zones. Each is served by BIND and by NSD.
var table = []brokenness{
	// Right zones.
	{label: "good", why: "an RRset of a good zone", sign: p256, name: "mx", qtype: tA, want: secure},
	{label: "tlsa", why: "a TLSA RRset", sign: p256, name: "_25._tcp.mx", qtype: tTLSA, want: secure},
	{label: "split", why: "KSK and ZSK", sign: split, name: "mx", qtype: tA, want: secure},
	{label: "under-nsec3", why: "a parent with NSEC3", under: "hash", sign: p256, name: "mx", qtype: tA, want: secure},
	{label: "under-optout", why: "a parent with opt-out", under: "opt", sign: p256, name: "mx", qtype: tA, want: secure},
	{label: "salt", why: "NSEC3 with salt and iterations", sign: iterations("5", "abcdef"), name: "nothere", qtype: tA, want: secure},

	// Algorithms.
	{label: "rsa256", why: "algorithm 8", sign: signing{algorithm: "RSASHA256", bits: 2048}, name: "mx", qtype: tA, want: secure},
	{label: "rsa512", why: "algorithm 10", sign: signing{algorithm: "RSASHA512", bits: 2048}, name: "mx", qtype: tA, want: secure},
	{label: "p384", why: "algorithm 14", sign: signing{algorithm: "ECDSAP384SHA384"}, name: "mx", qtype: tA, want: secure},
	{label: "ed25519", why: "algorithm 15", sign: signing{algorithm: "ED25519"}, name: "mx", qtype: tA, want: secure},
	{label: "ed448", why: "algorithm 16", sign: signing{algorithm: "ED448"}, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.Unsupported, "@ DNSKEY"}},
	{label: "rsasha1", why: "algorithm 5 (SHA-1)", sign: signing{algorithm: "RSASHA1", bits: 2048}, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.Unsupported, "@ DNSKEY"}},

	// Delegations.
	{label: "unsigned", why: "an unsigned zone without DS, under NSEC", unsigned: true, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "@ DS"}},
	{label: "unsigned3", why: "an unsigned zone without DS, under NSEC3", under: "hash", unsigned: true, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "@ DS"}},
	{label: "unsignedo", why: "an unsigned zone without DS, in an opt-out gap", under: "opt", unsigned: true, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.OptOut, "@ DS (denial)"}},
	{label: "nods", why: "a signed zone without DS", sign: p256, ds: none, name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "@ DS"}},
	{label: "nodso", why: "a signed zone without DS, in an opt-out gap", under: "opt", sign: p256, ds: none, name: "nothere", qtype: tA, want: insecure, cause: cause{dnssec.OptOut, "@ DS (denial)"}},
	{label: "dsunsigned", why: "an unsigned zone with DS", unsigned: true, ds: func(*zone) []*dns.DS {
		return []*dns.DS{{KeyTag: 1, Algorithm: 13, DigestType: 2, Digest: "ab" + sha256Hex[2:]}}
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoKeys, "@ DNSKEY"}},
	{label: "wrongdigest", why: "a DS with another digest", sign: p256, ds: alteredDS(otherDigest), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.AnchorMismatch, "@ DNSKEY"}},
	{label: "wrongtag", why: "a DS with another key tag", sign: p256, ds: alteredDS(func(d *dns.DS) { d.KeyTag++ }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.AnchorMismatch, "@ DNSKEY"}},
	{label: "wrongalg", why: "a DS with another algorithm", sign: p256, ds: alteredDS(func(d *dns.DS) { d.Algorithm = 8 }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.AnchorMismatch, "@ DNSKEY"}},
	{label: "standby", why: "a second DS of a key that is not there", sign: p256, ds: both(func(d *dns.DS) { d.KeyTag++ }), name: "mx", qtype: tA, want: secure},
	{label: "sha1ds", why: "a DS with SHA-1 alone", sign: p256, ds: digests(dns.SHA1), name: "mx", qtype: tA, want: secure},
	{label: "sha384ds", why: "a DS with SHA-384", sign: p256, ds: digests(dns.SHA384), name: "mx", qtype: tA, want: secure},
	{label: "sha1good", why: "a good SHA-1 DS beside a wrong SHA-256 DS", sign: p256, ds: func(z *zone) []*dns.DS {
		return append(alteredDS(otherDigest)(z), z.key.ToDS(dns.SHA1))
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.AnchorMismatch, "@ DNSKEY"}},
	{label: "unknowndigest", why: "a DS with an unknown digest type alone", sign: p256, ds: alteredDS(func(d *dns.DS) { d.DigestType = 200 }), name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.Unsupported, "@ DNSKEY"}},
	{label: "unknownalg", why: "a DS with an unknown algorithm alone", sign: p256, ds: alteredDS(func(d *dns.DS) { d.Algorithm = 200 }), name: "mx", qtype: tA, want: insecure, cause: cause{dnssec.Unsupported, "@ DNSKEY"}},
	{label: "alsounknown", why: "a DS with an unknown algorithm beside a good one", sign: p256, ds: both(func(d *dns.DS) { d.Algorithm = 200 }), name: "mx", qtype: tA, want: secure},
	{label: "alsounknownbad", why: "a DS with an unknown algorithm beside a wrong one", sign: p256, ds: func(z *zone) []*dns.DS {
		wrong := alteredDS(otherDigest)(z)
		return append(wrong, alteredDS(func(d *dns.DS) { d.Algorithm = 200 })(z)...)
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.AnchorMismatch, "@ DNSKEY"}},

	// Validity periods.
	{label: "expired", why: "everything has expired", sign: validity("now-60d", "now-30d"), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "@ DNSKEY"}},
	{label: "notyet", why: "nothing is valid yet", sign: validity("now+30d", "now+60d"), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NotYetValid, "@ DNSKEY"}},
	{label: "expireda", why: "one RRset has expired", sign: p256, breakIt: resigned("mx", tA, expired), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "mx A"}},
	{label: "expiredkey", why: "the signature over the keys has expired", sign: p256, breakIt: resigned("@", dns.TypeDNSKEY, expired), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "@ DNSKEY"}},
	{label: "expirednsec", why: "the signature over the NSEC has expired", sign: p256, breakIt: resigned("mx", dns.TypeNSEC, expired), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.Expired, "mx NSEC"}},
	{label: "expiredsoa", why: "the signature over the SOA of a denial has expired", sign: p256, breakIt: resigned("@", dns.TypeSOA, expired), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.Expired, "@ SOA"}},
	{label: "futurea", why: "one RRset is not valid yet", sign: p256, breakIt: resigned("mx", tA, future), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NotYetValid, "mx A"}},
	{label: "futurekey", why: "the signature over the keys is not valid yet", sign: p256, breakIt: resigned("@", dns.TypeDNSKEY, future), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NotYetValid, "@ DNSKEY"}},
	{label: "expiredtlsa", why: "the signature over the TLSA RRset has expired", sign: p256, breakIt: resigned("_25._tcp.mx", tTLSA, expired), name: "_25._tcp.mx", qtype: tTLSA, want: bogus, cause: cause{dnssec.Expired, "_25._tcp.mx TLSA"}},
	{label: "backwards", why: "a signature ends before it begins", sign: p256, breakIt: resigned("mx", tA, backwards), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadRRset, "mx A"}},

	// Signatures.
	{label: "nosig", why: "an RRset without signature", sign: p256, breakIt: dropSig("mx", tA), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "mx A"}},
	{label: "notlsasig", why: "a TLSA RRset without signature", sign: p256, breakIt: dropSig("_25._tcp.mx", tTLSA), name: "_25._tcp.mx", qtype: tTLSA, want: bogus, cause: cause{dnssec.NoSignature, "_25._tcp.mx TLSA"}},
	{label: "nokeysig", why: "the keys without signature", sign: p256, breakIt: dropSig("@", dns.TypeDNSKEY), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "@ DNSKEY"}},
	{label: "zsksig", why: "the keys signed by the ZSK, and not by the key of the DS", sign: split, breakIt: func(z *zone) {
		z.drop(func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return ok && sig.TypeCovered == dns.TypeDNSKEY && sig.KeyTag == z.key.KeyTag()
		})
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSuchKey, "@ DNSKEY"}},
	{label: "nokeys", why: "no keys at all", sign: p256, breakIt: dropAll("@", dns.TypeDNSKEY), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoKeys, "@ DNSKEY"}},
	{label: "flipped", why: "an octet of a signature is another", sign: p256, breakIt: editedSig("mx", tA, flipped), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "flippedkey", why: "an octet of the signature over the keys is another", sign: p256, breakIt: editedSig("@", dns.TypeDNSKEY, flipped), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "@ DNSKEY"}},
	{label: "altered", why: "altered data", sign: p256, breakIt: func(z *zone) { z.edit("mx", tA, otherAddress) }, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "more", why: "a record more than was signed", sign: p256, breakIt: func(z *zone) {
		z.rrs = append(z.rrs, &dns.A{Hdr: *z.set("mx", tA)[0].Header(), A: []byte{192, 0, 2, 99}})
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "less", why: "a record less than was signed", sign: p256, breakIt: func(z *zone) {
		gone := z.set("mx", tA)[0]
		z.drop(func(rr dns.RR) bool { return rr == gone })
	}, name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "lowttl", why: "a TTL below the one that was signed", sign: p256, breakIt: func(z *zone) {
		z.edit("mx", tA, func(rr dns.RR) { rr.Header().Ttl = 60 })
	}, name: "mx", qtype: tA, want: secure},
	{label: "origttl", why: "another original TTL in the signature", sign: p256, breakIt: editedSig("mx", tA, func(s *dns.RRSIG) { s.OrigTtl++ }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "morelabels", why: "a label count above that of the owner", sign: p256, breakIt: editedSig("mx", tA, func(s *dns.RRSIG) { s.Labels++ }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadRRset, "mx A"}},
	{label: "fewerlabels", why: "a label count below that of the owner", sign: p256, breakIt: editedSig("mx", tA, func(s *dns.RRSIG) { s.Labels-- }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.BadSignature, "mx A"}},
	{label: "algmismatch", why: "a signature that names another algorithm", sign: p256, breakIt: editedSig("mx", tA, func(s *dns.RRSIG) { s.Algorithm = 8 }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSuchKey, "mx A"}},
	{label: "unknownsig", why: "a signature of an unknown algorithm alone, in a zone with good keys", sign: p256, breakIt: editedSig("mx", tA, func(s *dns.RRSIG) { s.Algorithm = 200 }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "mx A"}},
	{label: "twosigs", why: "a bad signature beside a good one", sign: p256, breakIt: func(z *zone) {
		bad := z.sign(z.set("mx", tA), nil)
		flipped(bad)
		z.rrs = append(z.rrs, bad)
	}, name: "mx", qtype: tA, want: secure},

	// Signers.
	{label: "evilhost", why: "signed by host.lab., which the name only ends with as text", sign: p256, breakIt: foreign("host.lab."), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.WrongSigner, "mx A"}},
	{label: "sibling", why: "signed by another zone", sign: p256, breakIt: foreign("good.lab."), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.WrongSigner, "mx A"}},
	{label: "below", why: "signed by a zone below the name", sign: p256, breakIt: foreign("sub.mx.below.lab."), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.WrongSigner, "mx A"}, only: "NSD"},
	{label: "own", why: "signed by a key of the zone that its DNSKEY RRset does not have", sign: p256, breakIt: foreign("own.lab."), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoSuchKey, "mx A"}},

	// Keys.
	{label: "revoked", why: "the key of the DS is revoked", sign: p256, breakIt: keyFlags(func(k *dns.DNSKEY) { k.Flags |= dns.REVOKE }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoKeys, "@ DNSKEY"}},
	{label: "notzone", why: "the key has no ZONE flag", sign: p256, breakIt: keyFlags(func(k *dns.DNSKEY) { k.Flags = dns.SEP }), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.NoKeys, "@ DNSKEY"}},
	{label: "collide2", why: "two more keys with the tag", sign: p256, breakIt: collisions(2), name: "mx", qtype: tA, want: secure},
	{label: "collide9", why: "nine more keys with the tag", sign: p256, breakIt: collisions(9), name: "mx", qtype: tA, want: bogus, cause: cause{dnssec.TooMuchWork, "@ DNSKEY"}},

	// Denials by NSEC.
	{label: "nodata", why: "NODATA by NSEC", sign: p256, name: "mx", qtype: tTXT, want: secure},
	{label: "nx", why: "NXDOMAIN by NSEC", sign: p256, name: "nothere", qtype: tA, want: secure},
	{label: "nxdeep", why: "NXDOMAIN several labels down", sign: p256, name: "a.b.c.nothere", qtype: tA, want: secure},
	{label: "ent", why: "an empty non-terminal by NSEC", sign: p256, name: "ent", qtype: tA, want: secure},
	{label: "nonsec", why: "NODATA without NSEC", sign: p256, breakIt: dropAll("mx", dns.TypeNSEC), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.BadProof, "mx TXT (denial)"}, on: refusing("mx TXT")},
	{label: "nsecnosig", why: "NODATA by an NSEC without signature", sign: p256, breakIt: dropSig("mx", dns.TypeNSEC), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.NoSignature, "mx NSEC"}, on: refusing("mx TXT")},
	{label: "nxnonsec", why: "NXDOMAIN without the NSEC that covers the name", sign: p256, breakIt: dropAll("_25._tcp.mx", dns.TypeNSEC), name: "n", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "n A (denial)"}},
	{label: "nxnowild", why: "NXDOMAIN without the NSEC that covers the wildcard", sign: p256, breakIt: dropAll("@", dns.TypeNSEC), name: "nothere", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "nothere A (denial)"}, on: onBIND(dnssec.NoSignature, "@ DNSKEY")},
	{label: "nsecadds", why: "NODATA by an NSEC that has the type", sign: p256, breakIt: nsecTypes("mx", func([]uint16) []uint16 { return []uint16{dns.TypeA, tTXT, dns.TypeRRSIG, dns.TypeNSEC} }), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.BadProof, "mx TXT (denial)"}},
	{label: "nseccname", why: "NODATA by an NSEC that has CNAME", sign: p256, breakIt: nsecTypes("mx", func([]uint16) []uint16 { return []uint16{dns.TypeCNAME, dns.TypeRRSIG, dns.TypeNSEC} }), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.BadProof, "mx TXT (denial)"}},
	{label: "nsecout", why: "NODATA by an NSEC that leads out of the zone", sign: p256, breakIt: func(z *zone) {
		z.edit("x.target", dns.TypeNSEC, func(rr dns.RR) { rr.(*dns.NSEC).NextDomain = "zz.lab." })
		z.resign(z.set("x.target", dns.TypeNSEC), nil)
	}, name: "x.target", qtype: tTXT, want: bogus, cause: cause{dnssec.BadProof, "x.target TXT (denial)"},
		passedOn: cause{dnssec.NoSignature, "x.target TXT (denial)"}},

	// Denials by NSEC3.
	{label: "nodata3", why: "NODATA by NSEC3", sign: nsec3, name: "mx", qtype: tTXT, want: secure},
	{label: "nx3", why: "NXDOMAIN by NSEC3", sign: nsec3, name: "nothere", qtype: tA, want: secure},
	{label: "nxdeep3", why: "NXDOMAIN by NSEC3 several labels down", sign: nsec3, name: "a.b.c.d.e.f.g.h.nothere", qtype: tA, want: secure},
	{label: "ent3", why: "an empty non-terminal by NSEC3", sign: nsec3, name: "ent", qtype: tA, want: secure},
	{label: "nonsec3", why: "NODATA without NSEC3", sign: nsec3, breakIt: dropNSEC3("mx", true), name: "mx", qtype: tTXT, want: bogus, cause: cause{dnssec.BadProof, "mx TXT (denial)"}},
	{label: "nonc", why: "NXDOMAIN without the NSEC3 of the next closer name", sign: nsec3, breakIt: dropNSEC3("nothere", false), name: "nothere", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "nothere A (denial)"}},
	{label: "nowild3", why: "NXDOMAIN without the NSEC3 that covers the wildcard", sign: nsec3, breakIt: dropNSEC3("*", false), name: "nothere", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "nothere A (denial)"}},
	{label: "noce", why: "NXDOMAIN without the NSEC3 of the closest encloser", sign: nsec3, breakIt: dropNSEC3("@", true), name: "nothere", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "nothere A (denial)"},
		on: map[string]cause{"NSD": {dnssec.NoSignature, "nothere A (denial)"}}},
	{label: "optoutnx", why: "NXDOMAIN in an opt-out gap", sign: optOut, name: "nothere", qtype: tA, want: insecure, cause: cause{dnssec.OptOut, "nothere A (denial)"}},
	{label: "optoutdata", why: "an RRset of a zone with opt-out", sign: optOut, name: "mx", qtype: tA, want: secure},
	{label: "iter100", why: "100 iterations", sign: iterations("100", "-"), name: "nothere", qtype: tA, want: secure},
	{label: "iter150", why: "150 iterations", sign: iterations("150", "-"), name: "nothere", qtype: tA, want: insecure, cause: cause{dnssec.Iterations, "nothere A (denial)"}},
	{label: "iter101", why: "101 iterations", sign: iterations("101", "-"), name: "nothere", qtype: tA, want: insecure, cause: cause{dnssec.Iterations, "nothere A (denial)"}},
	{label: "iter150data", why: "an RRset of a zone with 150 iterations", sign: iterations("150", "-"), name: "mx", qtype: tA, want: secure},

	// Wildcards.
	{label: "wild", why: "a wildcard", sign: p256, name: "any.wild", qtype: tA, want: secure},
	{label: "wild3", why: "a wildcard, by NSEC3", sign: nsec3, name: "any.wild", qtype: tA, want: secure},
	{label: "wildo", why: "a wildcard of a zone with opt-out", sign: optOut, name: "any.wild", qtype: tA, want: insecure, cause: cause{dnssec.OptOut, "any.wild (wildcard)"}},
	{label: "wildnodata", why: "a wildcard without the type", sign: p256, name: "any.wild", qtype: tTXT, want: secure},
	{label: "wildnodata3", why: "a wildcard without the type, by NSEC3", sign: nsec3, name: "any.wild", qtype: tTXT, want: secure},
	{label: "wildnoproof", why: "a wildcard without the proof that nothing closer exists", sign: p256, breakIt: dropAll("*.wild", dns.TypeNSEC), name: "any.wild", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "any.wild (wildcard)"}},
	{label: "wildnoproof3", why: "the same by NSEC3", sign: nsec3, breakIt: dropNSEC3("any.wild", false), name: "any.wild", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "any.wild (wildcard)"}},
	{label: "wildalias", why: "a wildcard that is an alias", sign: p256, name: "any.wildalias", qtype: tA, want: secure},

	// Aliases.
	{label: "cname", why: "an alias", sign: p256, name: "alias", qtype: tA, want: secure},
	{label: "cnamenosig", why: "an alias without signature", sign: p256, breakIt: dropSig("alias", dns.TypeCNAME), name: "alias", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "alias CNAME"}},
	{label: "expiredcname", why: "the signature over an alias has expired", sign: p256, breakIt: resigned("alias", dns.TypeCNAME, expired), name: "alias", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "alias CNAME"}},
	{label: "cnamenx", why: "an alias of a name that does not exist", sign: p256, name: "nowhere", qtype: tA, want: secure},
	{label: "cnameinsecure", why: "an alias that leads into an unsigned zone", sign: p256, name: "toinsecure", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "unsigned.lab. DS"}},
	{label: "cnamebogus", why: "an alias that leads into a zone that has expired", sign: p256, name: "tobogus", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "expired.lab. DNSKEY"}},
	{label: "dname", why: "a DNAME", sign: p256, name: "x.dn", qtype: tA, want: secure},
	{label: "dname3", why: "a DNAME in a zone with NSEC3, to a name that does not exist", sign: nsec3, name: "y.dn", qtype: tA, want: secure},
	{label: "dnamenosig", why: "a DNAME without signature", sign: p256, breakIt: dropSig("dn", dns.TypeDNAME), name: "x.dn", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "dn DNAME"}},
	{label: "expireddname", why: "the signature over a DNAME has expired", sign: p256, breakIt: resigned("dn", dns.TypeDNAME, expired), name: "x.dn", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "dn DNAME"}},

	// An unsigned zone below.
	{label: "sub", why: "an unsigned delegation", sign: p256, name: "www.sub", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "sub DS"}},
	{label: "sub3", why: "an unsigned delegation, by NSEC3", sign: nsec3, name: "www.sub", qtype: tA, want: insecure, cause: cause{dnssec.UnsignedDelegation, "sub DS"}},
	{label: "subo", why: "an unsigned delegation, by opt-out", sign: optOut, name: "www.sub", qtype: tA, want: insecure, cause: cause{dnssec.OptOut, "sub DS (denial)"}},
	{label: "subds", why: "the question for the DS of an unsigned delegation", sign: p256, name: "sub", qtype: dns.TypeDS, want: secure},
	{label: "subnonsec", why: "an unsigned delegation without the NSEC that proves it", sign: p256, breakIt: dropAll("sub", dns.TypeNSEC), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "sub DS (denial)"}, on: refusing("sub DS")},
	{label: "subnonsec3", why: "an unsigned delegation without the NSEC3 that proves it", sign: nsec3, breakIt: dropNSEC3("sub", true), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "sub DS (denial)"}},
	{label: "subnotcut", why: "an NSEC that says it is no delegation", sign: p256, breakIt: nsecTypes("sub", without(dns.TypeNS)), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.NoSignature, "sub SOA"}},
	{label: "subhasds", why: "an NSEC that says there is a DS", sign: p256, breakIt: nsecTypes("sub", func([]uint16) []uint16 { return []uint16{dns.TypeNS, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC} }), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "sub DS (denial)"}},
	{label: "subsoa", why: "an NSEC of the child in place of the parent's", sign: p256, breakIt: nsecTypes("sub", func([]uint16) []uint16 { return []uint16{dns.TypeNS, dns.TypeSOA, dns.TypeRRSIG, dns.TypeNSEC} }), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.BadProof, "sub DS (denial)"}},
	{label: "subexpired", why: "an unsigned delegation whose NSEC has expired", sign: p256, breakIt: resigned("sub", dns.TypeNSEC, expired), name: "www.sub", qtype: tA, want: bogus, cause: cause{dnssec.Expired, "sub NSEC"}},
}

const sha256Hex = "00000000000000000000000000000000000000000000000000000000000000ff"
