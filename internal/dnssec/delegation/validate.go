package delegation

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// maxSignatures over one RRset are looked at (CVE-2023-50387, KeyTrap).
const maxSignatures = 8

// oldest is the server whose records were signed first, and when.
type oldest struct {
	server string
	at     time.Time
}

// mark is what is remembered after acting on the request.
func (l *look) mark() time.Time {
	if l.signed.at.After(l.Mark) {
		return l.signed.at
	}
	return l.Mark
}

// validate makes sure that the records of every server are signed by a key that is in the DNSKEY RRset
// there and that the anchors stand for (RFC 7344 section 4.1).
func (l *look) validate() *Decision {
	for _, c := range l.Children {
		keys, err := l.cache.KeysFor(l.Child, c.DNSKEY.Records, c.DNSKEY.Signatures, l.anchors, l.Now)
		if err != nil {
			return keep(NotValidated, c.Server, "the keys that %s shows for %s do not validate by the DS records %s: %v", c.Server, l.Child, listDS(l.anchors), err)
		}
		entry := entryKeys(zoneKeys(l.Child, c.DNSKEY.Records), l.anchors)
		for _, set := range []Set{c.CDS, c.CDNSKEY} {
			if len(set.Records) == 0 {
				continue
			}
			at, err := newest(keys, set, entry, l.Now)
			if err != nil {
				return keep(NotValidated, c.Server, "the records that %s shows for %s do not validate by a key that the DS records %s stand for: %v", c.Server, l.Child, listDS(l.anchors), err)
			}
			if l.signed.server == "" || at.Before(l.signed.at) {
				l.signed = oldest{c.Server, at}
			}
		}
	}
	return nil
}

// newest is when the newest signature by an entry key over a set was made that is good.
func newest(keys *dnssec.Keys, set Set, entry []*dns.DNSKEY, now time.Time) (time.Time, error) {
	sigs := set.Signatures
	if len(sigs) <= dnssec.MaxSignatures {
		sigs = slices.DeleteFunc(slices.Clone(sigs), func(sig *dns.RRSIG) bool { return !signedBy(sig, entry) })
	}
	if len(sigs) == 0 || len(sigs) > maxSignatures {
		// The set as a whole tells what is wrong: no signature, or too many.
		_, err := keys.Verify(set.Records, sigs, now)
		if err == nil {
			err = &dnssec.Error{Reason: dnssec.TooMuchWork, Subject: keys.Zone(), Detail: "there are too many signatures over it"}
		}
		return time.Time{}, err
	}
	var at time.Time
	var failed error
	for _, sig := range sigs {
		good, err := keys.Verify(set.Records, []*dns.RRSIG{sig}, now)
		switch {
		case err != nil:
			failed = err
		case good.Inception.After(at):
			at = good.Inception
		}
	}
	if at.IsZero() {
		return at, failed
	}
	return at, nil
}

func signedBy(sig *dns.RRSIG, keys []*dns.DNSKEY) bool {
	return slices.ContainsFunc(keys, func(k *dns.DNSKEY) bool { return k.KeyTag() == sig.KeyTag && k.Algorithm == sig.Algorithm })
}

// zoneKeys are the keys of a DNSKEY RRset that may sign for the zone.
func zoneKeys(zone string, set []dns.RR) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, rr := range set {
		k, ok := rr.(*dns.DNSKEY)
		if ok && dns.CanonicalName(k.Hdr.Name) == zone && k.Protocol == 3 && k.Flags&dns.ZONE != 0 && k.Flags&dns.REVOKE == 0 {
			out = append(out, k)
		}
	}
	return out
}

// entryKeys are the keys that DS records stand for. One whose tag another key shares is left out: by
// the signature alone the two cannot be told apart.
func entryKeys(all []*dns.DNSKEY, anchors []*dns.DS) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	stood := func(k *dns.DNSKEY) bool {
		return slices.ContainsFunc(anchors, func(ds *dns.DS) bool { return exactly(ds, k) })
	}
	for _, k := range all {
		twin := func(o *dns.DNSKEY) bool {
			return o.KeyTag() == k.KeyTag() && o.Algorithm == k.Algorithm && !stood(o)
		}
		if stood(k) && !slices.ContainsFunc(all, twin) {
			out = append(out, k)
		}
	}
	return out
}

// fit makes sure that the chain holds at every server with the DS RRset asked for: for each algorithm
// and digest type in it, since a validator may know one alone, a key that a record of those stands for
// signs the DNSKEY RRset.
func (l *look) fit() *Decision {
	for _, c := range l.Children {
		for _, some := range byKind(l.asked.ds) {
			if _, err := l.cache.KeysFor(l.Child, c.DNSKEY.Records, c.DNSKEY.Signatures, some, l.Now); err != nil {
				return keep(WouldBreak, c.Server, "with the DS records that %s asks for, the keys that %s shows would not validate: %v; wait until the key is in use on every server, or have the signer withdraw the request", l.Child, c.Server, err)
			}
		}
	}
	return nil
}

// byKind groups DS records by algorithm and digest type.
func byKind(set []*dns.DS) [][]*dns.DS {
	type kind struct{ algorithm, digest uint8 }
	var order []kind
	groups := map[kind][]*dns.DS{}
	for _, ds := range set {
		k := kind{ds.Algorithm, ds.DigestType}
		if len(groups[k]) == 0 {
			order = append(order, k)
		}
		groups[k] = append(groups[k], ds)
	}
	out := make([][]*dns.DS, 0, len(order))
	for _, k := range order {
		out = append(out, groups[k])
	}
	return out
}
