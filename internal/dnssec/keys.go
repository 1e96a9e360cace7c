package dnssec

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Limits on work: a zone that asks for more is hostile or broken (CVE-2023-50387, KeyTrap).
const (
	maxKeysPerTag = 4
	maxChecks     = 8
)

// Keys are the DNSKEYs of one zone, trusted because a trust anchor matches the one that signs them.
// They are safe for use by many goroutines.
type Keys struct {
	zone string
	keys []*dns.DNSKEY
	// signature over the DNSKEY RRset.
	signature Signature
	checked   *Cache
}

// KeysFor is Cache.KeysFor with a cache of its own.
func KeysFor(zone string, dnskeys []dns.RR, sigs []*dns.RRSIG, anchors []Anchor, now time.Time) (*Keys, error) {
	return NewCache().KeysFor(zone, dnskeys, sigs, anchors, now)
}

// KeysFor trusts the DNSKEY RRset of a zone if one of its keys matches an anchor of the zone and
// signs the RRset (RFC 4035 section 5.2). The error is an *Error; its State says what the zone is then.
func (c *Cache) KeysFor(zone string, dnskeys []dns.RR, sigs []*dns.RRSIG, anchors []Anchor, now time.Time) (*Keys, error) {
	zone = dns.CanonicalName(zone)
	subject := zone + " DNSKEY"
	mine := AnchorsOf(zone, anchors)
	if len(mine) == 0 {
		return nil, fail(NoAnchor, zone, "no trust anchor (DS record) of this zone is configured")
	}
	all := keysOf(zone, dnskeys)
	if len(all) == 0 {
		return nil, fail(NoKeys, subject, "the zone serves no DNSKEY although it has a trust anchor")
	}
	entry, err := entryKeys(subject, all, mine)
	if err != nil {
		return nil, err
	}
	k := &Keys{zone: zone, keys: entry, checked: c}
	if k.signature, err = k.Verify(dnskeys, sigs, now); err != nil {
		return nil, err
	}
	k.keys = all
	return k, nil
}

// keysOf picks the keys that may sign zone data: for the zone, protocol 3, ZONE flag (RFC 4034
// section 2.1). Revoked keys are left out: without RFC 5011 they can prove nothing here.
func keysOf(zone string, rrs []dns.RR) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, rr := range rrs {
		key, ok := rr.(*dns.DNSKEY)
		if !ok || dns.CanonicalName(key.Hdr.Name) != zone || key.Protocol != 3 {
			continue
		}
		if key.Flags&dns.ZONE == 0 || key.Flags&dns.REVOKE != 0 {
			continue
		}
		out = append(out, key)
	}
	return out
}

// entryKeys are the keys that a trust anchor matches.
func entryKeys(subject string, keys []*dns.DNSKEY, anchors []Anchor) ([]*dns.DNSKEY, error) {
	var out []*dns.DNSKEY
	supported := false
	for _, ds := range anchors {
		if !algorithmSupported(ds.Algorithm) || digestHexLen[ds.DigestType] == 0 {
			continue
		}
		supported = true
		candidates := withTag(keys, ds.KeyTag, ds.Algorithm)
		if len(candidates) > maxKeysPerTag {
			return nil, fail(TooMuchWork, subject, "%d keys have tag %d; at most %d are looked at", len(candidates), ds.KeyTag, maxKeysPerTag)
		}
		for _, key := range candidates {
			made := key.ToDS(ds.DigestType)
			if made != nil && strings.EqualFold(made.Digest, ds.Digest) && !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	switch {
	case !supported:
		return nil, fail(Unsupported, subject, "no trust anchor uses an algorithm and digest type that can be checked here")
	case len(out) == 0:
		return nil, fail(AnchorMismatch, subject, "no key of the zone matches a trust anchor (%s): the zone was re-keyed, or the anchor is of another zone", describeAnchors(anchors))
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

// algorithmSupported says whether signatures of the algorithm can be checked (RFC 8624; MD5, DSA
// and the GOST family are not, nor ED448, which the DNS library lacks).
func algorithmSupported(algorithm uint8) bool {
	switch algorithm {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519:
		return true
	}
	return false
}

func withTag(keys []*dns.DNSKEY, tag uint16, algorithm uint8) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, key := range keys {
		if key.Algorithm == algorithm && key.KeyTag() == tag {
			out = append(out, key)
		}
	}
	return out
}

// Zone is the apex that the keys belong to.
func (k *Keys) Zone() string { return k.zone }

// Signature is the one by which the keys are trusted.
func (k *Keys) Signature() Signature { return k.signature }
