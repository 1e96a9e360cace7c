package dnssec

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Keys are the DNSKEYs of one zone, trusted because a trust anchor matches the one that signs them.
// They are safe for use by many goroutines.
type Keys struct {
	zone string
	keys keySet
	// excess says that there are more keys than are looked at; keys is empty then.
	excess *Error
	// by are the DS records that make the keys trusted. ByParent says that the parent zone gives them, with a signed TTL
	// of byTTL, and they are no trust anchors.
	by       []Anchor
	byParent bool
	byTTL    time.Duration
	// signature over the DNSKEY RRset.
	signature Signature
	checked   *Cache
	// also are checks of algorithms that do not count otherwise.
	also map[uint8]check
	// iterations of NSEC3 that are computed, if more than usual.
	iterations uint16
	// work of the one answer that they are for; nil when they are not.
	work *work
}

// KeysFor trusts the DNSKEY RRset of a zone if one of its keys matches an anchor of the zone and
// signs the RRset (RFC 4035 section 5.2). The error is an *Error; its State says what the zone is then.
func (c *Cache) KeysFor(zone string, dnskeys []dns.RR, sigs []*dns.RRSIG, anchors []Anchor, now time.Time) (*Keys, error) {
	return c.keysBy(zone, dnskeys, sigs, given{anchors: anchors, what: "trust anchor"}, now)
}

// KeysUnder is KeysFor by the DS records that the parent of the zone has, validated before.
func (c *Cache) KeysUnder(zone string, dnskeys []dns.RR, sigs []*dns.RRSIG, ds []*dns.DS, now time.Time) (*Keys, error) {
	return c.keysBy(zone, dnskeys, sigs, given{anchors: ds, what: parentDS}, now)
}

// parentDS is what DS records are that a parent gives.
const parentDS = "DS record at its parent"

func (c *Cache) keysBy(zone string, dnskeys []dns.RR, sigs []*dns.RRSIG, by given, now time.Time) (*Keys, error) {
	zone = dns.CanonicalName(zone)
	by.anchors = ofZone(zone, by.anchors)
	if len(by.anchors) == 0 {
		return nil, fail(NoAnchor, zone, "no trust anchor (DS record) of this zone is configured")
	}
	k := &Keys{zone: zone, checked: c}
	if err := k.trust(dnskeys, sigs, by, now, newWork()); err != nil {
		return nil, err
	}
	return k, nil
}

// given are the DS records by which a zone is trusted, and what they are: trust anchors, or what the
// parent zone says, with the TTL that it signed.
type given struct {
	anchors []Anchor
	what    string
	ttl     time.Duration
}

// trust takes the keys of a DNSKEY RRset if one that a DS record matches signs the RRset.
func (k *Keys) trust(dnskeys []dns.RR, sigs []*dns.RRSIG, by given, now time.Time, w *work) *Error {
	subject := k.zone + " DNSKEY"
	usable, err := k.usable(by)
	if err != nil {
		return err
	}
	all, err := keysOf(k.zone, dnskeys)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fail(NoKeys, subject, "the zone serves no DNSKEY that may sign it, although it has a %s (%s)", by.what, describeAnchors(by.anchors))
	}
	if k.keys, err = entryKeys(subject, all, given{anchors: usable, what: by.what}); err != nil {
		return err
	}
	if k.signature, err = k.verify(dnskeys, sigs, now, w); err != nil {
		return err
	}
	k.keys, k.by, k.byParent, k.byTTL = all, by.anchors, by.what == parentDS, by.ttl
	return nil
}

// usable are the DS records that can be checked here, and of those the strongest. A zone that has none is insecure (RFC 4035
// section 5.2).
func (k *Keys) usable(by given) ([]Anchor, *Error) {
	if len(by.anchors) > MaxDS {
		return nil, fail(TooMuchWork, k.zone+" DS", "there are %d DS records of the zone; at most %d are looked at", len(by.anchors), MaxDS)
	}
	var out []Anchor
	for _, ds := range by.anchors {
		if k.checkOf(ds.Algorithm) != nil && digestHexLen[ds.DigestType] != 0 {
			out = append(out, ds)
		}
	}
	if len(out) == 0 {
		return nil, fail(Unsupported, k.zone+" DNSKEY", "no %s has an algorithm and digest type that can be checked here (%s)", by.what, describeAnchors(by.anchors))
	}
	return strongest(out), nil
}

// keyID is what signatures and DS records call a key by. Several keys may share it.
type keyID struct {
	tag       uint16
	algorithm uint8
}

// keySet are keys by what they are called by. A tag is a sum over the whole key: it is made once for each.
type keySet map[keyID][]*dns.DNSKEY

// keysOf picks the keys that may sign zone data: for the zone, protocol 3, ZONE flag (RFC 4034
// section 2.1). Revoked keys are left out: without RFC 5011 they can prove nothing here.
func keysOf(zone string, rrs []dns.RR) (keySet, *Error) {
	if len(rrs) > MaxKeys {
		return nil, fail(TooMuchWork, zone+" DNSKEY", "the zone has %d keys; at most %d are looked at", len(rrs), MaxKeys)
	}
	out := keySet{}
	for _, rr := range rrs {
		key, ok := rr.(*dns.DNSKEY)
		if !ok || dns.CanonicalName(key.Hdr.Name) != zone || key.Protocol != 3 {
			continue
		}
		if key.Flags&dns.ZONE == 0 || key.Flags&dns.REVOKE != 0 {
			continue
		}
		id := keyID{key.KeyTag(), key.Algorithm}
		out[id] = append(out[id], key)
	}
	return out, nil
}

// entryKeys are the keys that a trust anchor matches.
func entryKeys(subject string, keys keySet, by given) (keySet, *Error) {
	out := keySet{}
	for _, ds := range by.anchors {
		id := keyID{ds.KeyTag, ds.Algorithm}
		candidates := keys[id]
		if len(candidates) > maxKeysPerTag {
			return nil, fail(TooMuchWork, subject, "%d keys have tag %d; at most %d are looked at", len(candidates), ds.KeyTag, maxKeysPerTag)
		}
		for _, key := range candidates {
			made := key.ToDS(ds.DigestType)
			if made != nil && strings.EqualFold(made.Digest, ds.Digest) && !slices.Contains(out[id], key) {
				out[id] = append(out[id], key)
			}
		}
	}
	if len(out) == 0 {
		return nil, fail(AnchorMismatch, subject, "no key of the zone matches a %s (%s): the zone was re-keyed, or that is of another zone", by.what, describeAnchors(by.anchors))
	}
	return out, nil
}

func describeAnchors(anchors []Anchor) string {
	var out []string
	for _, ds := range anchors {
		out = append(out, PresentDS(ds))
	}
	return strings.Join(out, ", ")
}

// PresentDS is the RDATA of a DS record in presentation form, with the digest in upper case: what
// spec.dnssec.trustAnchors takes.
func PresentDS(ds *dns.DS) string {
	words := strings.Fields(ds.String())
	return strings.Join(words[len(words)-4:], " ")
}

// check verifies the signature octets of an RRSIG.
type check func(sig *dns.RRSIG, key *dns.DNSKEY, rrset []dns.RR) error

// checkOf is how signatures of an algorithm are checked; nil for those that do not count (RFC 8624):
// MD5, DSA and the GOST family, ED448, which the DNS library lacks, and SHA-1 (RFC 9905 section 3).
func (k *Keys) checkOf(algorithm uint8) check {
	switch algorithm {
	case dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519:
		return k.checked.verify
	}
	return k.also[algorithm]
}

// Zone is the apex that the keys belong to.
func (k *Keys) Zone() string { return k.zone }

// Has says whether a key of the zone that may sign is called so.
func (k *Keys) Has(tag uint16, algorithm uint8) bool { return len(k.keys[keyID{tag, algorithm}]) > 0 }

// Checkable says whether signatures by any of the keys count here. Where none do, validators take the zone for insecure,
// and nothing is missing.
func (k *Keys) Checkable() bool {
	for id := range k.keys {
		if k.checkOf(id.algorithm) != nil {
			return true
		}
	}
	return false
}

// Anchors are the DS records by which the keys are trusted: trust anchors, or those of the parent zone.
// KeysFor takes them, to judge the DNSKEY RRset of one server by them.
func (k *Keys) Anchors() []Anchor { return k.by }

// Signature is the one by which the keys are trusted.
func (k *Keys) Signature() Signature { return k.signature }
