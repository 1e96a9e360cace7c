package health

import (
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/miekg/dns"
)

// algorithms judges the algorithms and lengths of the keys, and whether each algorithm signs.
func (l *look) algorithms() {
	for _, s := range l.servers {
		for _, rr := range s.single {
			l.key(s, rr.(*dns.DNSKEY))
		}
		if s.keys != nil && !s.stripped {
			l.everyAlgorithmSigns(s)
		}
	}
}

// key judges one key by the registry of algorithms and RFC 8624 section 3.1 as RFC 9905 changes it.
func (l *look) key(s *server, key *dns.DNSKEY) {
	name := algorithmText(key.Algorithm)
	switch a := key.Algorithm; {
	case slices.Contains([]uint8{1, 3, 5, 6, 7, 12}, a):
		l.add(AlgorithmDeprecated, s, "key %d of %s has algorithm %s, which must not be used any more: validators may take the zone for insecure; roll to algorithm 13", key.KeyTag(), l.Zone, name)
	case a == dns.RSASHA512:
		l.add(AlgorithmNotRecommended, s, "key %d of %s has algorithm %s, which is not recommended for signing: prefer algorithm 13", key.KeyTag(), l.Zone, name)
	case !slices.Contains([]uint8{8, 13, 14, 15, 16, 17, 23}, a):
		l.add(AlgorithmUnknown, s, "key %d of %s has algorithm %s, which is not one for signing zones: validators ignore it; roll to algorithm 13", key.KeyTag(), l.Zone, name)
	}
	if bits := modulusBits(key); bits > 0 && bits < 2048 {
		l.add(KeyTooShort, s, "key %d of %s is an RSA key of %d bits: use 2048, or algorithm 13", key.KeyTag(), l.Zone, bits)
	}
}

// modulusBits is the length of an RSA key (RFC 3110 section 2); 0 for another key or one that is malformed.
func modulusBits(key *dns.DNSKEY) int {
	if !slices.Contains([]uint8{dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512}, key.Algorithm) {
		return 0
	}
	octets, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil || len(octets) < 3 {
		return 0
	}
	exponent, from := int(octets[0]), 1
	if exponent == 0 {
		exponent, from = int(octets[1])<<8|int(octets[2]), 3
	}
	if from+exponent >= len(octets) {
		return 0
	}
	modulus := octets[from+exponent:]
	for len(modulus) > 0 && modulus[0] == 0 {
		modulus = modulus[1:]
	}
	return 8 * len(modulus)
}

// everyAlgorithmSigns wants a signature of each algorithm of the keys over SOA and DNSKEY (RFC 4035 section 2.2).
func (l *look) everyAlgorithmSigns(s *server) {
	for _, rr := range s.single {
		key := rr.(*dns.DNSKEY)
		if key.Flags&dns.ZONE == 0 || key.Flags&dns.REVOKE != 0 || key.Protocol != 3 {
			continue
		}
		for _, qtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY} {
			m := s.authoritative(l.Zone, qtype)
			if m == nil {
				continue
			}
			sigs := signaturesOf(m.Answer, l.Zone, qtype)
			signs := slices.ContainsFunc(sigs, func(sig *dns.RRSIG) bool { return sig.Algorithm == key.Algorithm })
			if len(sigs) > 0 && !signs {
				l.add(AlgorithmDoesNotSign, s, "%s has keys of algorithm %s, and its %s records have no signature of it: resolvers that know no other refuse the zone; sign everything with every algorithm, or take the keys out",
					l.Zone, algorithmText(key.Algorithm), dns.TypeToString[qtype])
			}
		}
	}
}

// algorithmText is a number with its mnemonic, where it has one.
func algorithmText(a uint8) string {
	if name, ok := dns.AlgorithmToString[a]; ok {
		return strconv.Itoa(int(a)) + " (" + name + ")"
	}
	return strconv.Itoa(int(a))
}
