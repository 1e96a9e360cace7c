package dnssec

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// model is a small signed zone of which the truth is known: every RRset with its signature, an NSEC
// chain and an NSEC3 chain.
type model struct {
	*testZone
	data map[string][]dns.RR
	// all are the records with their signatures, in an order that does not change.
	all  []dns.RR
	keep *Keys
}

const modelApex = "example.test."

var modelData = []string{
	"example.test. 300 SOA ns.example.test. host.example.test. 1 2 3 4 30",
	"example.test. 300 NS ns.example.test.",
	"example.test. 300 MX 10 mx.example.test.",
	"mx.example.test. 300 A 192.0.2.1",
	"mx.example.test. 300 A 192.0.2.2",
	"_25._tcp.mx.example.test. 300 TLSA 3 1 1 aa",
	"alias.example.test. 300 CNAME mx.example.test.",
	"loop.example.test. 300 CNAME loop.example.test.",
	"*.wild.example.test. 300 TLSA 3 1 1 bb",
	"host.wild.example.test. 300 A 192.0.2.3",
	"dn.example.test. 300 DNAME mx.example.test.",
	"sub.example.test. 300 NS ns.elsewhere.test.",
}

var modelEmpty = []string{"_tcp.mx.example.test.", "wild.example.test."}

func newModel(t testing.TB) *model {
	t.Helper()
	key, err := modelKey()
	if err != nil {
		t.Fatal(err)
	}
	return newModelWith(t, key)
}

// newModelWith has the zone signed by a key.
func newModelWith(t testing.TB, key *testZone) *model {
	t.Helper()
	m := &model{testZone: key, data: map[string][]dns.RR{}}
	sets := map[string][]dns.RR{}
	types := map[string][]uint16{}
	var order []string
	for _, text := range modelData {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		name := rr.Header().Name
		id := name + typeText(rr.Header().Rrtype)
		if len(sets[id]) == 0 {
			order = append(order, id)
			types[name] = append(types[name], rr.Header().Rrtype)
		}
		sets[id] = append(sets[id], rr)
		m.data[name] = append(m.data[name], rr)
	}
	for _, id := range order {
		m.all = append(m.all, sets[id]...)
		if !strings.HasSuffix(id, "sub.example.test.NS") {
			m.all = append(m.all, m.mustSign(t, sets[id]))
		}
	}
	m.denials(t, types)
	set := []dns.RR{m.key}
	var err error
	if m.keep, err = NewCache().KeysFor(modelApex, set, []*dns.RRSIG{m.mustSign(t, set)}, []Anchor{m.anchor()}, at); err != nil {
		t.Fatal(err)
	}
	return m
}

// modelKey is a new key: what matters is that nobody else has it.
func modelKey() (*testZone, error) {
	z := &testZone{name: modelApex, key: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: modelApex, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}}
	private, err := z.key.Generate(256)
	if err != nil {
		return nil, err
	}
	z.signer, _ = private.(crypto.Signer)
	return z, nil
}

// fixedZone is a zone whose key is always the same, so that its signatures are, in every process.
func fixedZone(name string) *testZone {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	signer := ed25519.NewKeyFromSeed(seed)
	return &testZone{name: name, signer: signer, key: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ED25519,
		PublicKey: base64.StdEncoding.EncodeToString(signer[ed25519.SeedSize:]),
	}}
}

func (z *testZone) mustSign(t testing.TB, set []dns.RR) *dns.RRSIG {
	t.Helper()
	sig := &dns.RRSIG{
		Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(), SignerName: z.name, Hdr: dns.RR_Header{Ttl: 300},
		Inception: uint32(at.Unix()) - 3600, Expiration: uint32(at.Unix()) + 86400,
	}
	if err := sig.Sign(z.signer, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

// denials adds both chains.
func (m *model) denials(t testing.TB, types map[string][]uint16) {
	t.Helper()
	var names []string
	for n := range types {
		names = append(names, n)
	}
	slices.SortFunc(names, canonicalCompare)
	add := func(rr dns.RR) { m.all = append(m.all, rr, m.mustSign(t, []dns.RR{rr})) }
	for i, n := range names {
		add(&dns.NSEC{Hdr: dns.RR_Header{Name: n, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 30},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: sorted(append(slices.Clone(types[n]), dns.TypeRRSIG, dns.TypeNSEC))})
	}
	hashes := map[string]string{}
	var order []string
	for _, n := range append(names, modelEmpty...) {
		h := dns.HashName(n, dns.SHA1, 1, "ab")
		hashes[h] = n
		order = append(order, h)
	}
	slices.Sort(order)
	for i, h := range order {
		add(&dns.NSEC3{Hdr: dns.RR_Header{Name: strings.ToLower(h) + "." + m.name, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 30},
			Hash: dns.SHA1, Iterations: 1, SaltLength: 1, Salt: "ab", HashLength: 20, NextDomain: order[(i+1)%len(order)], TypeBitMap: sorted(slices.Clone(types[hashes[h]]))})
	}
}

// exists says whether a name is there, as itself or as an empty non-terminal.
func (m *model) exists(name string) bool {
	for n := range m.data {
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

// truth is what an honest server of the zone says of one name: the kind, and the records.
func (m *model) truth(name string, qtype uint16) (Kind, []dns.RR) {
	if dns.IsSubDomain("sub.example.test.", name) && (qtype != dns.TypeDS || name != "sub.example.test.") {
		return "", nil // a referral: the zone says nothing of it
	}
	if below("dn.example.test.", name) {
		return Alias, m.data["dn.example.test."]
	}
	source := name
	if !m.exists(name) {
		encloser := parent(name)
		for !m.exists(encloser) {
			encloser = parent(encloser)
		}
		source = wildcardAt(encloser)
		if len(m.data[source]) == 0 {
			return NXDomain, nil
		}
	}
	var set []dns.RR
	for _, rr := range m.data[source] {
		switch rr.Header().Rrtype {
		case qtype:
			set = append(set, rr)
		case dns.TypeCNAME:
			return Alias, []dns.RR{rr}
		}
	}
	if len(set) > 0 {
		return Data, set
	}
	return NoData, nil
}
