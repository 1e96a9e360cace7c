package dnssec_test

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// brokenness is one way in which a zone, or its delegation, is right or wrong.
type brokenness struct {
	// label of the zone; why says in words what is right or wrong with it.
	label, why string
	// under is the parent: lab (NSEC), hash (NSEC3) or opt (NSEC3 with opt-out); empty for lab.
	under string
	sign  signing
	// unsigned zones are not signed at all.
	unsigned bool
	// breakIt alters the signed zone.
	breakIt func(*zone)
	// ds are the DS records at the parent; without, the one of the zone's key with SHA-256.
	ds func(*zone) []*dns.DS
	// name and qtype of the question; the name is relative, and of the unsigned zone below for "www.sub".
	name  string
	qtype uint16
	want  dnssec.State
	// cause says why it is not secure; on has what it is with one make of server instead, which then gives other
	// records, or none.
	cause cause
	on    map[string]cause
	// passedOn is the cause by way of the resolver, where that leaves records out.
	passedOn cause
	// only is the make of server that takes the zone; empty for all.
	only string
}

// cause is why a zone is not secure, and the RRset or proof that says so, with its owner relative to the zone.
type cause struct {
	reason  dnssec.Reason
	subject string
}

// verdict is what the validator has to find with a make of server.
func (b brokenness) verdict(server string) (dnssec.State, cause) {
	other, ok := b.on[server]
	switch {
	case !ok:
		return b.want, b.cause
	case other.reason == dnssec.Unreachable:
		// Of a server that does not answer nothing can be said, whatever is wrong with the zone.
		return dnssec.Indeterminate, other
	}
	return b.want, other
}

// names gives the subject as the validator does, and the zone that it is of.
func (b brokenness) names(c cause) (subject, of string) {
	owner, what, _ := strings.Cut(c.subject, " ")
	if strings.HasSuffix(owner, ".") {
		return c.subject, owner
	}
	z := zone{name: b.zone()}
	return z.at(owner) + " " + what, z.name
}

// onBIND is what BIND's answers come to, where it gives others than NSD.
func onBIND(reason dnssec.Reason, subject string) map[string]cause {
	return map[string]cause{"BIND": {reason, subject}}
}

// refusing says that BIND answers a question with SERVFAIL: it sees itself that the NSEC record is missing.
func refusing(subject string) map[string]cause { return onBIND(dnssec.Unreachable, subject) }

var (
	p256   = signing{algorithm: "ECDSAP256SHA256"}
	split  = signing{algorithm: "ECDSAP256SHA256", split: true}
	nsec3  = signing{algorithm: "ECDSAP256SHA256", flags: []string{"-3", "-", "-H", "0"}}
	optOut = signing{algorithm: "ECDSAP256SHA256", flags: []string{"-3", "-", "-H", "0", "-A"}}
)

func iterations(n, salt string) signing {
	return signing{algorithm: "ECDSAP256SHA256", flags: []string{"-3", salt, "-H", n}}
}

func validity(start, end string) signing {
	return signing{algorithm: "ECDSAP256SHA256", flags: []string{"-s", start, "-e", end}}
}

// Ways to give DS records.

func digests(kinds ...uint8) func(*zone) []*dns.DS {
	return func(z *zone) []*dns.DS {
		var out []*dns.DS
		for _, kind := range kinds {
			out = append(out, z.key.ToDS(kind))
		}
		return out
	}
}

func none(*zone) []*dns.DS { return nil }

// alteredDS is the right one with something wrong.
func alteredDS(change func(*dns.DS)) func(*zone) []*dns.DS {
	return func(z *zone) []*dns.DS {
		ds := z.key.ToDS(dns.SHA256)
		change(ds)
		return []*dns.DS{ds}
	}
}

// both is the right one and an altered one.
func both(change func(*dns.DS)) func(*zone) []*dns.DS {
	return func(z *zone) []*dns.DS { return append(alteredDS(change)(z), z.key.ToDS(dns.SHA256)) }
}

func otherDigest(ds *dns.DS) { ds.Digest = strings.Repeat("ab", len(ds.Digest)/2) }

// Ways to break a zone.

func dropSig(name string, qtype uint16) func(*zone) {
	return func(z *zone) { z.drop(z.of(name, qtype, true)) }
}

// dropAll takes an RRset and its signatures away.
func dropAll(name string, qtype uint16) func(*zone) {
	return func(z *zone) {
		z.drop(func(rr dns.RR) bool { return rr.Header().Name == z.at(name) && covered(rr) == qtype })
	}
}

func dropNSEC3(name string, match bool) func(*zone) {
	return func(z *zone) { z.dropNSEC3(name, match) }
}

func resigned(name string, qtype uint16, change func(*dns.RRSIG)) func(*zone) {
	return func(z *zone) { z.resign(z.set(name, qtype), change) }
}

func editedSig(name string, qtype uint16, change func(*dns.RRSIG)) func(*zone) {
	return func(z *zone) { z.editSig(name, qtype, change) }
}

func expired(sig *dns.RRSIG) {
	sig.Inception = uint32(time.Now().Add(-60 * 24 * time.Hour).Unix())
	sig.Expiration = uint32(time.Now().Add(-30 * 24 * time.Hour).Unix())
}

func future(sig *dns.RRSIG) {
	sig.Inception = uint32(time.Now().Add(30 * 24 * time.Hour).Unix())
	sig.Expiration = uint32(time.Now().Add(60 * 24 * time.Hour).Unix())
}

func backwards(sig *dns.RRSIG) { sig.Inception, sig.Expiration = sig.Expiration, sig.Inception }

// flipped changes the last octet of a signature.
func flipped(sig *dns.RRSIG) {
	octets, _ := base64.StdEncoding.DecodeString(sig.Signature)
	octets[len(octets)-1] ^= 1
	sig.Signature = base64.StdEncoding.EncodeToString(octets)
}

func otherAddress(rr dns.RR) {
	if a, ok := rr.(*dns.A); ok {
		a.A.To4()[3] += 100
	}
}

// nsecTypes alters the types of an NSEC record, and signs it again: a signer's bug.
func nsecTypes(name string, change func([]uint16) []uint16) func(*zone) {
	return func(z *zone) {
		z.edit(name, dns.TypeNSEC, func(rr dns.RR) {
			if n, ok := rr.(*dns.NSEC); ok {
				n.TypeBitMap = change(n.TypeBitMap)
			}
		})
		z.resign(z.set(name, dns.TypeNSEC), nil)
	}
}

func without(qtype uint16) func([]uint16) []uint16 {
	return func(types []uint16) []uint16 {
		var out []uint16
		for _, t := range types {
			if t != qtype {
				out = append(out, t)
			}
		}
		return out
	}
}

// keyFlags alters the zone's only key, and signs everything that the question needs with it.
func keyFlags(change func(*dns.DNSKEY)) func(*zone) {
	return func(z *zone) {
		z.edit("@", dns.TypeDNSKEY, func(rr dns.RR) {
			if key, ok := rr.(*dns.DNSKEY); ok {
				change(key)
				*z.key = *key
			}
		})
		z.resign(z.set("@", dns.TypeDNSKEY), nil)
		z.resign(z.set("mx", dns.TypeA), nil)
	}
}

// collisions adds keys with the tag of the zone's key: the tag is a sum of words, so two words that
// change places keep it.
func collisions(n int) func(*zone) {
	return func(z *zone) {
		for i := range n {
			octets, _ := base64.StdEncoding.DecodeString(z.key.PublicKey)
			a, b := 4*i, 4*i+2
			octets[a], octets[b], octets[a+1], octets[b+1] = octets[b], octets[a], octets[b+1], octets[a+1]
			key := *z.key
			key.PublicKey = base64.StdEncoding.EncodeToString(octets)
			// In front, so that it is tried first.
			z.rrs = append([]dns.RR{&key}, z.rrs...)
		}
		z.resign(z.set("@", dns.TypeDNSKEY), nil)
	}
}

// foreign signs an RRset with a key of another zone, whose name is a string at the end of this one's.
func foreign(signer string) func(*zone) {
	return func(z *zone) {
		other := newZone(z.t, signer, content, p256)
		set := z.set("mx", dns.TypeA)
		sig := other.sign(set, nil)
		z.drop(z.of("mx", dns.TypeA, true))
		z.rrs = append(z.rrs, sig)
	}
}

const (
	secure, insecure, bogus = dnssec.Secure, dnssec.Insecure, dnssec.Bogus
	tA, tMX, tTLSA, tTXT    = dns.TypeA, dns.TypeMX, dns.TypeTLSA, dns.TypeTXT
)
