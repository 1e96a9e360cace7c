package dnssec

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// parseAnchor reads one line of a file of trust anchors: a DS record, or a DNSKEY record, which becomes the DS record that
// it has with SHA-256.
func parseAnchor(text string) (Anchor, error) {
	words := strings.Fields(text)
	if strings.ContainsAny(text, "()") {
		return nil, fmt.Errorf("%w: a record has to stand in one line, without parentheses (dig gives it so without +multiline)", ErrAnchor)
	}
	for i, w := range words {
		switch {
		case strings.EqualFold(w, "DS"):
			return ParseDS(text, "")
		case strings.EqualFold(w, "DNSKEY"):
			owner, err := anchorOwner(words[:i], "", "DNSKEY")
			if err != nil {
				return nil, err
			}
			if owner == "" {
				return nil, fmt.Errorf("%w: a DNSKEY record without its owner: write \"ZONE. DNSKEY 257 3 ALGORITHM KEY\"", ErrAnchor)
			}
			return keyAnchor(owner, words[i+1:])
		}
	}
	return ParseDS(text, "")
}

// usableState says whether a line is to be read, by what unbound notes behind the keys of its root.key (RFC 5011 section 4): those
// that are VALID (2), or MISSING for now (3). One that is to be added is not trusted before its time is over, and one that is
// revoked, or was taken out, never again.
func usableState(line string) bool {
	_, after, noted := strings.Cut(line, ";;state=")
	return !noted || strings.HasPrefix(after, "2") || strings.HasPrefix(after, "3")
}

// keyAnchor makes the DS record of a key that is given by the RDATA of its DNSKEY record (RFC 4034 section 2.2).
func keyAnchor(owner string, words []string) (Anchor, error) {
	if len(words) < 4 {
		return nil, fmt.Errorf("%w: want DNSKEY FLAGS PROTOCOL ALGORITHM KEY, got %d words after DNSKEY", ErrAnchor, len(words))
	}
	flags, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%w: flags %q of a DNSKEY are not a number of 0 to 65535: those of a key signing key are 257", ErrAnchor, words[0])
	}
	if words[1] != "3" {
		return nil, fmt.Errorf("%w: the protocol of a DNSKEY is 3, and not %q", ErrAnchor, words[1])
	}
	algorithm, err := strconv.ParseUint(words[2], 10, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: algorithm %q is not a number of 0 to 255", ErrAnchor, words[2])
	}
	return dsOfKey(owner, uint16(flags), uint8(algorithm), strings.Join(words[3:], ""))
}

// dsOfKey makes the DS record of a key that may be trusted.
func dsOfKey(owner string, flags uint16, algorithm uint8, public string) (Anchor, error) {
	name, err := anchorName(owner)
	if err != nil {
		return nil, err
	}
	switch octets, err := base64.StdEncoding.DecodeString(public); {
	case err != nil || len(octets) == 0:
		return nil, fmt.Errorf("%w: the key of a DNSKEY is not base64: copy it whole", ErrAnchor)
	case flags&dns.ZONE == 0:
		return nil, fmt.Errorf("%w: a DNSKEY with flags %d may not sign a zone: take the key signing key, whose flags are 257", ErrAnchor, flags)
	case flags&dns.REVOKE != 0:
		return nil, fmt.Errorf("%w: the DNSKEY is revoked (flags %d, RFC 5011): take the key that has followed it", ErrAnchor, flags)
	}
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
		Flags: flags, Protocol: 3, Algorithm: algorithm, PublicKey: public,
	}
	ds := key.ToDS(dns.SHA256)
	if ds == nil {
		return nil, fmt.Errorf("%w: no digest can be made of the DNSKEY: copy it whole", ErrAnchor)
	}
	ds.Digest = strings.ToLower(ds.Digest)
	ds.Hdr = dns.RR_Header{Name: dns.CanonicalName(owner), Rrtype: dns.TypeDS, Class: dns.ClassINET}
	return ds, nil
}
