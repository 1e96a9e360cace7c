package health

import (
	"crypto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// at is the instant of all tests.
var at = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// testKey is a key that signs.
type testKey struct {
	*dns.DNSKEY
	signer crypto.Signer
}

func newKey(t *testing.T, flags uint16, algorithm uint8, bits int) testKey {
	t.Helper()
	k := testKey{DNSKEY: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: apex, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}}
	private, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	k.signer = private.(crypto.Signer)
	return k
}

const (
	apex  = "example.test."
	host  = "mx.example.test."
	owner = "_25._tcp.mx.example.test."
	none  = "_none._tcp.mx.example.test."
)

// testZone is a zone in memory. It is signed when it is asked.
type testZone struct {
	t *testing.T
	// shown are the keys in the DNSKEY RRset; entry signs that, data the rest.
	shown, entry, data []testKey
	rrs                []dns.RR
	// left is how long signatures hold on, validity for how long they were made.
	left, validity time.Duration
	nsec3          *dns.NSEC3PARAM
	// unsigned names "owner TYPE" RRsets without signature; alter changes signatures.
	unsigned map[string]bool
	alter    func(set []dns.RR, sig *dns.RRSIG)
}

// common keys of all tests: making them takes time.
var common struct{ ksk, zsk, spare, second testKey }

func newZone(t *testing.T) *testZone {
	t.Helper()
	if common.ksk.DNSKEY == nil {
		common.ksk, common.zsk = newKey(t, 257, 13, 256), newKey(t, 256, 13, 256)
		common.spare, common.second = newKey(t, 257, 13, 256), newKey(t, 257, 15, 256)
	}
	z := &testZone{t: t, left: 10 * day, validity: 14*day + time.Hour, unsigned: map[string]bool{}}
	z.shown, z.entry, z.data = []testKey{common.ksk, common.zsk}, []testKey{common.ksk}, []testKey{common.zsk}
	z.add(
		apex+" 3600 SOA ns1.example.test. hostmaster.example.test. 5 3600 600 604800 300",
		apex+" 3600 NS ns1.example.test.", apex+" 3600 NS ns2.example.test.", apex+" 3600 MX 10 mx.example.test.",
		"ns1.example.test. 3600 A 192.0.2.1", "ns2.example.test. 3600 A 192.0.2.2", host+" 3600 A 192.0.2.3",
		owner+" 3600 TLSA 3 1 1 "+strings.Repeat("ab", 32),
	)
	return z
}

func (z *testZone) add(texts ...string) {
	z.t.Helper()
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			z.t.Fatal(err)
		}
		z.rrs = append(z.rrs, rr)
	}
}

func (z *testZone) drop(name string, qtype uint16) {
	z.rrs = slices.DeleteFunc(z.rrs, func(rr dns.RR) bool { return rr.Header().Name == name && rr.Header().Rrtype == qtype })
}

// all are the records with the DNSKEY RRset and NSEC3PARAM.
func (z *testZone) all() []dns.RR {
	out := slices.Clone(z.rrs)
	for _, k := range z.shown {
		out = append(out, k.DNSKEY)
	}
	if z.nsec3 != nil {
		out = append(out, z.nsec3)
	}
	return out
}

// signed is the RRset with its signatures.
func (z *testZone) signed(set []dns.RR) []dns.RR {
	z.t.Helper()
	keys := z.data
	h := set[0].Header()
	if h.Rrtype == dns.TypeDNSKEY || h.Rrtype == dns.TypeCDS || h.Rrtype == dns.TypeCDNSKEY {
		keys = z.entry
	}
	out := slices.Clone(set)
	if z.unsigned[h.Name+" "+dns.TypeToString[h.Rrtype]] {
		return out
	}
	for _, k := range keys {
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Ttl: h.Ttl},
			Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: apex,
			Inception: uint32(at.Add(z.left - z.validity).Unix()), Expiration: uint32(at.Add(z.left).Unix()),
		}
		if z.alter != nil {
			z.alter(set, sig)
		}
		if err := sig.Sign(k.signer, set); err != nil {
			z.t.Fatal(err)
		}
		out = append(out, sig)
	}
	return out
}

// names are the owners in canonical order, with empty non-terminals if wanted.
func (z *testZone) names(terminalsOnly bool) []string {
	seen := map[string]bool{}
	for _, rr := range z.all() {
		for name := rr.Header().Name; dns.IsSubDomain(apex, name); name = name[strings.Index(name, ".")+1:] {
			seen[name] = true
			if terminalsOnly || name == apex {
				break
			}
		}
	}
	var out []string
	for name := range seen {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		la, lb := dns.SplitDomainName(a), dns.SplitDomainName(b)
		slices.Reverse(la)
		slices.Reverse(lb)
		return slices.Compare(la, lb)
	})
	return out
}

func (z *testZone) types(name string, more ...uint16) []uint16 {
	out := more
	for _, rr := range z.all() {
		if rr.Header().Name == name && !slices.Contains(out, rr.Header().Rrtype) {
			out = append(out, rr.Header().Rrtype)
		}
	}
	slices.Sort(out)
	return out
}

// chain are the NSEC or NSEC3 records of the zone.
func (z *testZone) chain() []dns.RR {
	if z.nsec3 != nil {
		return z.chain3()
	}
	names := z.names(true)
	var out []dns.RR
	for i, name := range names {
		out = append(out, &dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: z.types(name, dns.TypeRRSIG, dns.TypeNSEC),
		})
	}
	return out
}

func (z *testZone) chain3() []dns.RR {
	hashes := map[string]string{}
	var sorted []string
	for _, name := range z.names(false) {
		h := dns.HashName(name, dns.SHA1, z.nsec3.Iterations, z.nsec3.Salt)
		hashes[h] = name
		sorted = append(sorted, h)
	}
	slices.Sort(sorted)
	var out []dns.RR
	for i, h := range sorted {
		types := z.types(hashes[h])
		if len(types) > 0 {
			types = z.types(hashes[h], dns.TypeRRSIG)
		}
		out = append(out, &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: strings.ToLower(h) + "." + apex, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: dns.SHA1, Flags: z.nsec3.Flags, Iterations: z.nsec3.Iterations, Salt: z.nsec3.Salt, SaltLength: z.nsec3.SaltLength,
			HashLength: 20, NextDomain: sorted[(i+1)%len(sorted)], TypeBitMap: types,
		})
	}
	return out
}

// answer is what a server of the zone says.
func (z *testZone) answer(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(1232, true)
	m.Response, m.Authoritative = true, true
	chain := z.chain()
	var set []dns.RR
	for _, rr := range append(z.all(), chain...) {
		if rr.Header().Name == name && (rr.Header().Rrtype == qtype || rr.Header().Rrtype == dns.TypeCNAME) && rr.Header().Rrtype != dns.TypeNSEC3 {
			set = append(set, rr)
		}
	}
	if len(set) > 0 {
		m.Answer = z.signed(set)
		return m
	}
	exists := slices.Contains(z.names(false), name)
	if !exists && len(z.types("*."+apex)) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	if wild := z.wildcard(name, qtype); !exists && len(wild) > 0 {
		m.Answer = wild
		m.Ns = z.proof(chain, name)
		return m
	}
	m.Ns = z.proof(append(slices.Clone(z.rrs), chain...), name)
	return m
}

// proof picks what a denial needs.
func (z *testZone) proof(from []dns.RR, name string) []dns.RR {
	var out []dns.RR
	for _, rr := range from {
		if rr.Header().Rrtype == dns.TypeSOA || proves(rr, name) {
			out = append(out, z.signed([]dns.RR{rr})...)
		}
	}
	return out
}

// wildcard is the RRset that the wildcard of the apex gives the name, signed as the wildcard.
func (z *testZone) wildcard(name string, qtype uint16) []dns.RR {
	var set []dns.RR
	for _, rr := range z.rrs {
		if rr.Header().Name == "*."+apex && rr.Header().Rrtype == qtype {
			set = append(set, rr)
		}
	}
	if len(set) == 0 {
		return nil
	}
	var out []dns.RR
	for _, rr := range z.signed(set) {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		out = append(out, rr)
	}
	return out
}

// proves picks the records of a chain that a denial needs, and few more.
func proves(rr dns.RR, name string) bool {
	switch n := rr.(type) {
	case *dns.NSEC:
		return n.Hdr.Name == name || name != apex
	case *dns.NSEC3:
		return n.Match(name) || name != apex
	}
	return false
}

// server asks the zone everything.
func (z *testZone) server(label string) Server {
	s := Server{Label: label, Packet: &Reply{Name: apex, Type: dns.TypeSOA, Msg: z.answer(apex, dns.TypeSOA)}}
	for _, qtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY, dns.TypeNS, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeNSEC, dns.TypeNSEC3PARAM, dns.TypeMX} {
		s.Stream = append(s.Stream, Reply{Name: apex, Type: qtype, Msg: z.answer(apex, qtype)})
	}
	for _, q := range []Reply{{Name: owner, Type: dns.TypeTLSA}, {Name: owner, Type: dns.TypeA}, {Name: none, Type: dns.TypeA}, {Name: host, Type: dns.TypeA}} {
		q.Msg = z.answer(q.Name, q.Type)
		s.Stream = append(s.Stream, q)
	}
	return s
}

// parent is a server of the parent with these DS records, signed as far as anybody looks.
func parent(t *testing.T, label string, ds ...*dns.DS) Parent {
	t.Helper()
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, true
	for _, d := range ds {
		m.Answer = append(m.Answer, d)
	}
	if len(ds) > 0 {
		sig, err := dns.NewRR(apex + " 3600 RRSIG DS 13 2 3600 20261201000000 20261001000000 1 test. AAAA")
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, sig)
	}
	ns := new(dns.Msg)
	ns.Response = true
	for _, name := range []string{"ns1", "ns2"} {
		rr, err := dns.NewRR(apex + " 3600 NS " + name + "." + apex)
		if err != nil {
			t.Fatal(err)
		}
		ns.Ns = append(ns.Ns, rr)
	}
	return Parent{Label: label, DS: Reply{Name: apex, Type: dns.TypeDS, Msg: m}, NS: Reply{Name: apex, Type: dns.TypeNS, Msg: ns}}
}

// ds makes a DS record of a key.
func ds(k testKey, digest uint8) *dns.DS { return k.ToDS(digest) }

// observe looks at two servers, the second with another copy of the zone if wanted.
func observe(t *testing.T, first, second *testZone) Observations {
	t.Helper()
	return Observations{
		Now: at, Zone: apex, Cache: dnssec.NewCache(),
		Parents: []Parent{parent(t, "p1", ds(common.ksk, 2)), parent(t, "p2", ds(common.ksk, 2))},
		Servers: []Server{first.server("ns1"), second.server("ns2")},
	}
}
