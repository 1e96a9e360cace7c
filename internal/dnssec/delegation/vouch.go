package delegation

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// vouch finds what the zone's records are to be validated by: the DS RRset in the parent; where there
// is none, the one asked for, if somebody vouches for it.
func (l *look) vouch() *Decision {
	switch {
	case len(l.current) > 0:
		// A SHA-1 digest says nothing beside a better one.
		l.anchors = dnssec.AnchorsOf(l.Child, l.current)
		return nil
	case l.asked.remove:
		// What should be removed is not there.
		return &Decision{Action: Keep, Reason: InSync}
	}
	l.anchors = l.asked.ds
	if len(l.Policy.AcceptInitial) > 0 {
		return l.listed()
	}
	if problem := l.signalProblem(); problem != "" {
		return keep(InitialNotAccepted, "", "the zone %s has no DS records in its parent and asks for %s: compare them with the signer's own keys and list them in spec.dnssec.delegation.acceptInitialDS (its name servers do not vouch for them as in RFC 9615: %s)", l.Child, listDS(l.asked.ds), problem)
	}
	l.vouched = l.Parents[0].Nameservers
	return nil
}

// listed goes by the owner's list alone: who names keys means these and no others, whoever vouches for those.
func (l *look) listed() *Decision {
	strange := l.notAccepted()
	if strange == nil {
		return nil
	}
	return keep(InitialNotAccepted, "", "the zone %s has no DS records in its parent and asks for %s, which spec.dnssec.delegation.acceptInitialDS does not list: compare it with the signer's own key, and add it or correct the list; only without a list can the zone's name servers vouch for its keys (RFC 9615)", l.Child, presentDS(strange))
}

// notAccepted is the first of the DS records asked for that acceptInitialDS does not list, by itself or
// by another digest of the same key.
func (l *look) notAccepted() *dns.DS {
	for _, ds := range l.asked.ds {
		if !slices.ContainsFunc(l.Policy.AcceptInitial, func(a *dns.DS) bool { return compareDS(normalDS([]*dns.DS{a})[0], ds) == 0 || l.sameKey(a, ds) }) {
			return ds
		}
	}
	return nil
}

// sameKey says whether two DS records are of one key that the zone shows.
func (l *look) sameKey(a, b *dns.DS) bool {
	for _, c := range l.Children {
		for _, k := range zoneKeys(l.Child, c.DNSKEY.Records) {
			if exactly(a, k) && exactly(b, k) {
				return true
			}
		}
	}
	return false
}

// exactly says whether a DS record is that of a key, by its digest.
func exactly(ds *dns.DS, k *dns.DNSKEY) bool {
	if ds.Algorithm != k.Algorithm || ds.KeyTag != k.KeyTag() {
		return false
	}
	made := k.ToDS(ds.DigestType)
	return made != nil && strings.EqualFold(made.Digest, ds.Digest)
}
