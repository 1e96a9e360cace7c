package dnssec

import (
	"crypto/dsa" //nolint:staticcheck // most replay files of unbound are signed with it
	"crypto/sha1"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// checkDSA verifies a signature of algorithm 3 or 6 (RFC 2536). The product does not: RFC 8624 forbids it.
func checkDSA(sig *dns.RRSIG, key *dns.DNSKEY, rrset []dns.RR) error {
	public, err := dsaKey(key)
	if err != nil {
		return err
	}
	r, s, err := dsaSignature(sig)
	if err != nil {
		return err
	}
	data, err := signedData(sig, rrset)
	if err != nil {
		return err
	}
	digest := sha1.Sum(data)
	if !dsa.Verify(public, digest[:], r, s) {
		return dns.ErrSig
	}
	return nil
}

// dsaSignature reads the two numbers: as RFC 2536 has them, or in DER as old signers wrote them.
func dsaSignature(sig *dns.RRSIG) (r, s *big.Int, err error) {
	octets, err := base64.StdEncoding.DecodeString(sig.Signature)
	if err != nil {
		return nil, nil, err
	}
	if len(octets) == 41 {
		return new(big.Int).SetBytes(octets[1:21]), new(big.Int).SetBytes(octets[21:]), nil
	}
	var numbers struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(octets, &numbers)
	return numbers.R, numbers.S, err
}

func dsaKey(key *dns.DNSKEY) (*dsa.PublicKey, error) {
	octets, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil || len(octets) < 21 {
		return nil, errors.New("not a DSA key")
	}
	size := 64 + 8*int(octets[0])
	if len(octets) != 21+3*size {
		return nil, errors.New("not a DSA key")
	}
	number := func(from, n int) *big.Int { return new(big.Int).SetBytes(octets[from : from+n]) }
	out := &dsa.PublicKey{Y: number(21+2*size, size)}
	out.Q, out.P, out.G = number(1, 20), number(21, size), number(21+size, size)
	return out, nil
}

// signedData is what an RRSIG signs (RFC 4034 section 3.1.8.1).
func signedData(sig *dns.RRSIG, rrset []dns.RR) ([]byte, error) {
	head := *sig
	head.SignerName, head.Signature = dns.CanonicalName(sig.SignerName), ""
	out, err := rdata(&head)
	if err != nil {
		return nil, err
	}
	var wires []string
	for _, rr := range rrset {
		c := dns.Copy(rr)
		name := dns.CanonicalName(c.Header().Name)
		if int(sig.Labels) < dns.CountLabel(name) {
			name = wildcardAt(suffix(name, int(sig.Labels)))
		}
		if name == "*.*."+strings.TrimPrefix(suffix(name, dns.CountLabel(name)-2), ".") {
			name = name[2:]
		}
		c.Header().Name, c.Header().Ttl = name, sig.OrigTtl
		lowerNames(c)
		wire, err := packed(c)
		if err != nil {
			return nil, err
		}
		wires = append(wires, string(wire))
	}
	slices.Sort(wires)
	for _, wire := range slices.Compact(wires) {
		out = append(out, wire...)
	}
	return out, nil
}

// lowerNames puts the names in RDATA into lower case (RFC 6840 section 5.1), as far as the files have
// upper-case ones.
func lowerNames(rr dns.RR) {
	switch x := rr.(type) {
	case *dns.NS:
		x.Ns = dns.CanonicalName(x.Ns)
	case *dns.CNAME:
		x.Target = dns.CanonicalName(x.Target)
	case *dns.DNAME:
		x.Target = dns.CanonicalName(x.Target)
	case *dns.MX:
		x.Mx = dns.CanonicalName(x.Mx)
	case *dns.SOA:
		x.Ns, x.Mbox = dns.CanonicalName(x.Ns), dns.CanonicalName(x.Mbox)
	}
}

func packed(rr dns.RR) ([]byte, error) {
	wire := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	return wire[:max(n, 0)], err
}

func rdata(rr dns.RR) ([]byte, error) {
	wire, err := packed(rr)
	if err != nil {
		return nil, err
	}
	owner := make([]byte, 256)
	n, err := dns.PackDomainName(rr.Header().Name, owner, 0, nil, false)
	if err != nil {
		return nil, err
	}
	// Type, class, TTL and length follow the owner.
	return wire[n+10:], nil
}
