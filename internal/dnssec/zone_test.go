package dnssec

import (
	"crypto"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// at is the instant of all tests.
var at = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// testZone is a key and what it signs.
type testZone struct {
	t      *testing.T
	name   string
	key    *dns.DNSKEY
	signer crypto.Signer
}

func newZone(t *testing.T, name string) *testZone {
	t.Helper()
	return newZoneWith(t, name, dns.ECDSAP256SHA256, 256)
}

func newZoneWith(t *testing.T, name string, algorithm uint8, bits int) *testZone {
	t.Helper()
	z := &testZone{t: t, name: name, key: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: algorithm,
	}}
	private, err := z.key.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	var ok bool
	if z.signer, ok = private.(crypto.Signer); !ok {
		t.Fatal("the key cannot sign")
	}
	return z
}

func (z *testZone) anchor() Anchor { return z.key.ToDS(dns.SHA256) }

// sign signs an RRset; change alters the RRSIG's fields before.
func (z *testZone) sign(set []dns.RR, change ...func(*dns.RRSIG)) *dns.RRSIG {
	z.t.Helper()
	sig := &dns.RRSIG{
		Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(), SignerName: z.name,
		Inception: uint32(at.Add(-time.Hour).Unix()), Expiration: uint32(at.Add(24 * time.Hour).Unix()),
		Hdr: dns.RR_Header{Ttl: set[0].Header().Ttl},
	}
	for _, f := range change {
		f(sig)
	}
	if err := sig.Sign(z.signer, set); err != nil {
		z.t.Fatal(err)
	}
	return sig
}

// keys trusts the zone's key.
func (z *testZone) keys() *Keys {
	z.t.Helper()
	set := []dns.RR{z.key}
	k, err := NewCache().KeysFor(z.name, set, []*dns.RRSIG{z.sign(set)}, []Anchor{z.anchor()}, at)
	if err != nil {
		z.t.Fatal(err)
	}
	return k
}

func rrset(t *testing.T, texts ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}
