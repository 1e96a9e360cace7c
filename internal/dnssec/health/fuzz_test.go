package health

import (
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
	})
}
