package health

import (
	"math"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// FuzzJudge has a server, and one of the parent, say anything that is a DNS message to every question. A
// judgement comes of it, the same each time, and it is bounded.
func FuzzJudge(f *testing.F) {
	for _, text := range []string{
		apex + " 3600 DNSKEY 257 3 13 mzPJ/wnKEkwpAXrDKO/T4uzmWTqxECI8r2nocObV6/Mj49g5UKWK/jMFOm6jgU0ORXFCAtr4vA==",
		apex + " 3600 CDS 0 0 0 00", apex + " 3600 NSEC3PARAM 1 0 0 ab", apex + " 3600 SOA a. b. 1 2 3 4 5",
		apex + " 3600 RRSIG SOA 13 2 3600 20261201000000 20261001000000 1 example.test. AAAA", "test. 300 DNAME example.test.",
		owner + " 300 TLSA 3 1 1 ab", apex + " 300 MX 1 mx.example.test.", "*.example.test. 300 NSEC example.test. A",
		"0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM.example.test. 300 NSEC3 1 1 1 ab 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg)
		m.SetQuestion(apex, rr.Header().Rrtype)
		m.Response, m.Authoritative, m.Answer, m.Ns = true, true, []dns.RR{rr}, []dns.RR{rr}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	for _, times := range [][2]uint32{{0, 0}, {0, math.MaxUint32}, {math.MaxUint32, 0}, {uint32(at.Unix()) - 1, uint32(at.Unix()) + math.MaxInt32}} {
		f.Add(signedBetween(f, times[0], times[1]))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		s := Server{Label: "a", Packet: &Reply{Name: apex, Type: dns.TypeSOA, Msg: m}}
		for _, qtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeNS, dns.TypeNSEC, dns.TypeNSEC3PARAM, dns.TypeMX} {
			s.Stream = append(s.Stream, Reply{Name: apex, Type: qtype, Msg: m})
		}
		s.Stream = append(s.Stream, Reply{Name: owner, Type: dns.TypeTLSA, Msg: m}, Reply{Name: host, Type: dns.TypeA, Msg: m})
		reply := Reply{Name: apex, Type: dns.TypeDS, Msg: m}
		o := Observations{Now: at, Zone: apex, Servers: []Server{s, s}, Parents: []Parent{{Label: "p", DS: reply, NS: reply}}}
		first := Judge(o)
		if len(first.Findings) > MaxFindings || !slices.Equal(Judge(o).Findings, first.Findings) {
			t.Errorf("%d findings, or others the second time", len(first.Findings))
		}
		watches(t, o, m)
	})
}

// signedBetween is a message with a key, and NS records that it signs from one time to another.
func signedBetween(f *testing.F, inception, expiration uint32) []byte {
	f.Helper()
	m := new(dns.Msg)
	m.SetQuestion(apex, dns.TypeNS)
	m.Response, m.Authoritative = true, true
	for _, text := range []string{
		apex + " 3600 DNSKEY 257 3 13 mzPJ/wnKEkwpAXrDKO/T4uzmWTqxECI8r2nocObV6/Mj49g5UKWK/jMFOm6jgU0ORXFCAtr4vA==", apex + " 3600 NS ns1.example.test.",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	m.Answer = append(m.Answer, &dns.RRSIG{
		Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 3600}, TypeCovered: dns.TypeNS, OrigTtl: 3600, Labels: 2,
		Algorithm: 13, KeyTag: m.Answer[0].(*dns.DNSKEY).KeyTag(), SignerName: apex, Inception: inception, Expiration: expiration, Signature: "AAAA",
	})
	wire, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return wire
}

// watches has the signer watched while signatures of the message are replaced. What is learned of it is possible.
func watches(t *testing.T, o Observations, m *dns.Msg) {
	t.Helper()
	var w SignerWatch
	for range 3 {
		w.Look(o)
		h := w.Habit
		if possible := 0 <= h.Left && h.Left <= h.Validity && 0 < h.Validity && h.Validity <= tooLong && h.Rounds <= enoughRounds; h != (Habit{}) && !possible {
			t.Errorf("it learns %+v", h)
		}
		o.Now = o.Now.Add(day)
		for _, rr := range m.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok {
				sig.Inception, sig.Expiration = sig.Inception+86400, sig.Expiration+86400
			}
		}
	}
}
