package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestJudge(t *testing.T) {
	z := newZone(t, "example.test.")
	k := z.keys()
	m := func(sections ...[]dns.RR) *dns.Msg {
		out := &dns.Msg{Answer: sections[0]}
		if len(sections) > 1 {
			out.Ns = sections[1]
		}
		return out
	}
	with := func(set ...dns.RR) []dns.RR { return append(set, z.sign(set)) }
	nsec := rrset(t, "zz.example.test. 60 NSEC example.test. A RRSIG NSEC")
	alias := with(rrset(t, "a.example.test. 300 CNAME b.example.test.")...)
	out := with(rrset(t, "a.example.test. 300 CNAME b.other.")...)
	apex := rrset(t, "example.test. 60 NSEC a.example.test. NS SOA RRSIG NSEC DNSKEY")
	ds := rrset(t, "example.test. 300 DS 1 13 2 "+strings.Repeat("ab", 32))
	data := with(rrset(t, "b.example.test. 300 A 192.0.2.1")...)
	dname := with(rrset(t, "d.example.test. 300 DNAME other.")...)
	made, lied := rrset(t, "x.d.example.test. 300 CNAME x.other."), rrset(t, "x.d.example.test. 300 CNAME x.evil.")
	wild := rrset(t, "*.example.test. 300 CNAME b.example.test.")
	wildSig := z.sign(wild)
	wild[0].Header().Name, wildSig.Hdr.Name = "w.example.test.", "w.example.test."
	cover := rrset(t, "c.example.test. 60 NSEC example.test. A RRSIG NSEC")
	ofChaos := rrset(t, "example.test. 60 CH DNAME evil.")
	without := with(rrset(t, "z.example.test. 60 NSEC example.test. TXT RRSIG NSEC")...)
	soa := with(rrset(t, "example.test. 60 SOA ns. h. 1 2 3 4 60")...)
	for _, c := range []struct {
		reason string
		msg    *dns.Msg
		name   string
		qtype  uint16
		state  State
		kind   Kind
		final  string
	}{
		{"data", m(data), "b.example.test.", dns.TypeA, Secure, Data, "b.example.test."},
		{"an alias and its end", m(append(alias, data...)), "a.example.test.", dns.TypeA, Secure, Data, "b.example.test."},
		{"an alias that comes twice", m(append(alias, alias...)), "a.example.test.", dns.TypeA, Secure, Alias, "b.example.test."},
		{"two aliases", m(with(rrset(t, "a.example.test. 300 CNAME b.example.test.", "a.example.test. 300 CNAME c.example.test.")...)), "a.example.test.", dns.TypeA, Bogus, "", "a.example.test."},
		{"an alias alone", m(alias), "a.example.test.", dns.TypeA, Secure, Alias, "b.example.test."},
		{"an alias that leads out of the zone, with something there", m(append(out, rrset(t, "b.other. 300 A 192.0.2.1")...)), "a.example.test.", dns.TypeA, Secure, Alias, "b.other."},
		{"an end that is not signed", m(append(alias, data[0])), "a.example.test.", dns.TypeA, Bogus, Data, "b.example.test."},
		{"a DNAME with the alias that it makes", m(append(dname, made...)), "x.d.example.test.", dns.TypeA, Secure, Alias, "x.other."},
		{"a DNAME with another alias", m(append(dname, lied...)), "x.d.example.test.", dns.TypeA, Bogus, Alias, "x.d.example.test."},
		{"a DNAME of another class, beside the proof that the name has no such records", m(ofChaos, without), "z.example.test.", dns.TypeA, Secure, NoData, "z.example.test."},
		{"a DNAME, asked for the alias that it makes", m(dname), "x.d.example.test.", dns.TypeCNAME, Secure, Data, "x.other."},
		{"an alias made from a wildcard, with its proof, and without its end", m([]dns.RR{wild[0], wildSig}, with(cover...)), "w.example.test.", dns.TypeA, Secure, Alias, "b.example.test."},
		{"the same, with a denial of its end that lacks the proof", m([]dns.RR{wild[0], wildSig}, append(soa, with(cover...)...)), "w.example.test.", dns.TypeA, Bogus, NoData, "b.example.test."},
		{"a name of another zone, by the zone's last NSEC", m(nil, with(nsec...)), "zzz.other.", dns.TypeA, Bogus, NoData, "zzz.other."},
		{"the zone's own word on its DS", m(with(ds...)), "example.test.", dns.TypeDS, Bogus, Data, "example.test."},
		{"the zone's own denial of its DS", m(nil, with(apex...)), "example.test.", dns.TypeDS, Bogus, NoData, "example.test."},
	} {
		r := k.Judge(c.msg, c.name, c.qtype, at)
		if r.State != c.state || r.Kind != c.kind || r.Final != c.final || (r.Cause == nil) != (c.state == Secure) {
			t.Errorf("%s: %s %s at %s (%v)", c.reason, r.State, r.Kind, r.Final, r.Cause)
		}
	}
}

func TestDenialOfAnotherZonesName(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "zz.example.test. 60 NSEC example.test. A RRSIG NSEC")
	if _, err := z.keys().VerifyDenial("zzz.zzz.", dns.TypeA, true, append(set, z.sign(set)), at); reasonOf(err) != WrongSigner {
		t.Errorf("the last NSEC of a zone reaches beyond it: %v", err)
	}
}
