package dnssec

import (
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// denials is a zone with an NSEC chain and an NSEC3 chain over the same names.
type denials struct {
	*testZone
	types map[string][]uint16
	nsec  map[string]dns.RR
	nsec3 []dns.RR
}

// newDenials has a host, a wildcard, a delegation, a DNAME and an empty non-terminal (_tcp.mx).
func newDenials(t *testing.T) *denials {
	t.Helper()
	return newDenialsOf(t, map[string][]uint16{
		"mx.example.test.":          {dns.TypeA},
		"_25._tcp.mx.example.test.": {dns.TypeTLSA},
		"alias.example.test.":       {dns.TypeCNAME},
		"*.wild.example.test.":      {dns.TypeTLSA},
		"sub.example.test.":         {dns.TypeNS},
		"dname.example.test.":       {dns.TypeDNAME},
	}, "_tcp.mx.example.test.", "wild.example.test.")
}

// newDenialsOf has the apex, the names given with their types, and the empty non-terminals.
func newDenialsOf(t *testing.T, types map[string][]uint16, empty ...string) *denials {
	t.Helper()
	types["example.test."] = []uint16{dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY}
	d := &denials{testZone: newZone(t, "example.test."), nsec: map[string]dns.RR{}, types: types}
	var names []string
	for n := range d.types {
		names = append(names, n)
	}
	slices.SortFunc(names, canonicalCompare)
	for i, n := range names {
		d.nsec[n] = &dns.NSEC{Hdr: dns.RR_Header{Name: n, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 30},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: sorted(append(slices.Clone(d.types[n]), dns.TypeRRSIG, dns.TypeNSEC))}
	}
	d.makeNSEC3(append(names, empty...))
	return d
}

func sorted(types []uint16) []uint16 {
	slices.Sort(types)
	return types
}

func (d *denials) makeNSEC3(names []string) { d.makeNSEC3With(names, 0) }

func (d *denials) makeNSEC3With(names []string, iterations uint16) {
	type entry struct{ name, hash string }
	var all []entry
	for _, n := range names {
		all = append(all, entry{n, dns.HashName(n, dns.SHA1, iterations, "")})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].hash < all[j].hash })
	for i, e := range all {
		d.nsec3 = append(d.nsec3, &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: strings.ToLower(e.hash) + ".example.test.", Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 30},
			Hash: dns.SHA1, HashLength: 20, Iterations: iterations, NextDomain: all[(i+1)%len(all)].hash, TypeBitMap: sorted(slices.Clone(d.types[e.name]))})
	}
}

// authority signs records, each an RRset.
func (d *denials) authority(rrs ...dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		out = append(out, rr, d.sign([]dns.RR{rr}))
	}
	return out
}

func (d *denials) at(names ...string) []dns.RR {
	var rrs []dns.RR
	for _, n := range names {
		rrs = append(rrs, d.nsec[n+"example.test."])
	}
	return d.authority(rrs...)
}

func TestNSEC(t *testing.T) {
	d := newDenials(t)
	unsigned := []dns.RR{d.nsec["mx.example.test."]}
	below := newZone(t, "sub.example.test.")
	child := rrset(t, "sub.example.test. 30 NSEC mx.sub.example.test. NS SOA RRSIG NSEC DNSKEY")
	elsewhere := append(child, below.sign(child))
	astray := dns.Copy(unsigned[0]).(*dns.NSEC)
	astray.NextDomain = "zz.test."
	cases := []struct {
		reason    string
		name      string
		qtype     uint16
		nxdomain  bool
		authority []dns.RR
		want      Reason
	}{
		{"the name is there without the type", "mx.example.test.", dns.TypeTLSA, false, d.at("mx."), ""},
		{"a proof of the zone that an alias leads to stands beside", "mx.example.test.", dns.TypeTLSA, false, append(d.at("mx."), elsewhere...), ""},
		{"and that alone proves nothing", "mx.example.test.", dns.TypeTLSA, false, elsewhere, WrongSigner},
		{"a proof that is not signed stands beside", "mx.example.test.", dns.TypeTLSA, false, append(d.at("mx."), child...), NoSignature},
		{"the name has the type", "mx.example.test.", dns.TypeA, false, d.at("mx."), BadProof},
		{"the name is an alias", "alias.example.test.", dns.TypeTLSA, false, d.at("alias."), BadProof},
		{"another name's record", "mx.example.test.", dns.TypeTLSA, false, d.at("alias."), BadProof},
		{"an empty non-terminal", "_tcp.mx.example.test.", dns.TypeTLSA, false, d.at("mx."), ""},
		{"an empty non-terminal does exist", "_tcp.mx.example.test.", dns.TypeTLSA, true, d.at("mx.", ""), BadProof},
		{"the parent's side of a cut says nothing of the child", "sub.example.test.", dns.TypeTLSA, false, d.at("sub."), BadProof},
		{"and denies its DS", "sub.example.test.", dns.TypeDS, false, d.at("sub."), ""},
		{"a name that does not exist", "_443._tcp.mx.example.test.", dns.TypeTLSA, true, d.at("_25._tcp.mx.", "mx."), ""},
		{"without the proof that no wildcard is there", "nothere.example.test.", dns.TypeTLSA, true, d.at("mx."), BadProof},
		{"with it", "nothere.example.test.", dns.TypeTLSA, true, d.at("_25._tcp.mx.", ""), ""},
		{"below a cut nobody knows", "a.sub.example.test.", dns.TypeTLSA, true, d.at("sub.", ""), BadProof},
		{"below a DNAME nobody knows", "a.dname.example.test.", dns.TypeTLSA, true, d.at("dname.", ""), BadProof},
		{"a wildcard without the type", "a.wild.example.test.", dns.TypeA, false, d.at("*.wild."), ""},
		{"a wildcard with the type", "a.wild.example.test.", dns.TypeTLSA, false, d.at("*.wild."), BadProof},
		{"an unsigned record", "mx.example.test.", dns.TypeTLSA, false, unsigned, NoSignature},
		{"a record that leads out of the zone", "mx.example.test.", dns.TypeTLSA, false, d.authority(astray), BadProof},
		{"nothing at all", "mx.example.test.", dns.TypeTLSA, false, nil, NoSignature},
		{"the last name of the zone, whose record points back to the apex", "zzz.example.test.", dns.TypeTLSA, true, d.at("*.wild.", ""), ""},
	}
	keys := d.keys()
	for _, c := range cases {
		until, err := keys.VerifyDenial(c.name, c.qtype, c.nxdomain, c.authority, at)
		if got := reasonOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.reason, got, err, c.want)
		}
		if (err == nil) == until.IsZero() {
			t.Errorf("%s: valid until %s", c.reason, until)
		}
	}
}

func TestNSEC3(t *testing.T) {
	d := newDenials(t)
	all := d.authority(d.nsec3...)
	optOut := slices.Clone(d.nsec3)
	for i, rr := range optOut {
		c := *rr.(*dns.NSEC3)
		c.Flags = 1
		optOut[i] = &c
	}
	slow := slices.Clone(d.nsec3)
	for i, rr := range slow {
		c := *rr.(*dns.NSEC3)
		c.Iterations = MaxIterations + 1
		slow[i] = &c
	}
	without := func(name string) []dns.RR {
		var left []dns.RR
		for _, rr := range d.nsec3 {
			if !rr.(*dns.NSEC3).Match(name) {
				left = append(left, rr)
			}
		}
		return d.authority(left...)
	}
	cases := []struct {
		reason    string
		name      string
		qtype     uint16
		nxdomain  bool
		authority []dns.RR
		want      Reason
	}{
		{"the name is there without the type", "mx.example.test.", dns.TypeTLSA, false, all, ""},
		{"the name has the type", "mx.example.test.", dns.TypeA, false, all, BadProof},
		{"an alias", "alias.example.test.", dns.TypeTLSA, false, all, BadProof},
		{"an empty non-terminal", "_tcp.mx.example.test.", dns.TypeTLSA, false, all, ""},
		{"a name that exists", "mx.example.test.", dns.TypeTLSA, true, all, BadProof},
		{"a name that does not exist", "nothere.example.test.", dns.TypeTLSA, true, all, ""},
		{"deep down", "_443._tcp.mx.example.test.", dns.TypeTLSA, true, all, ""},
		{"the closest encloser is not shown", "_443._tcp.mx.example.test.", dns.TypeTLSA, true, without("_tcp.mx.example.test."), BadProof},
		{"below a cut nobody knows", "a.sub.example.test.", dns.TypeTLSA, true, all, BadProof},
		{"below a DNAME nobody knows", "a.dname.example.test.", dns.TypeTLSA, true, all, BadProof},
		{"a wildcard without the type", "a.wild.example.test.", dns.TypeA, false, all, ""},
		{"a wildcard with the type", "a.wild.example.test.", dns.TypeTLSA, false, all, BadProof},
		{"a wildcard is there: the name does exist", "a.wild.example.test.", dns.TypeA, true, all, BadProof},
		{"opt-out proves no absence, only that there is nothing signed", "nothere.example.test.", dns.TypeTLSA, true, d.authority(optOut...), OptOut},
		{"too many iterations", "nothere.example.test.", dns.TypeTLSA, true, d.authority(slow...), Iterations},
	}
	keys := d.keys()
	for _, c := range cases {
		_, err := keys.VerifyDenial(c.name, c.qtype, c.nxdomain, c.authority, at)
		if got := reasonOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.reason, got, err, c.want)
		}
	}
}

// TestUnknownFlags: records with flags that nobody knows say nothing (RFC 5155 section 8.2), and take nothing away.
func TestUnknownFlags(t *testing.T) {
	d := newDenials(t)
	with := func(change func(*dns.NSEC3)) []dns.RR {
		out := slices.Clone(d.nsec3)
		for i, rr := range out {
			c := *rr.(*dns.NSEC3)
			change(&c)
			out[i] = &c
		}
		return out
	}
	strange := *d.nsec3[0].(*dns.NSEC3)
	strange.Hdr.Name, strange.Flags, strange.Salt, strange.SaltLength = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.test.", 2, "ab", 1
	for _, c := range []struct {
		reason string
		chain  []dns.RR
		want   Reason
	}{
		{"no flags", d.nsec3, ""},
		{"one that is not assigned", with(func(n *dns.NSEC3) { n.Flags = 2 }), BadProof},
		{"one beside opt-out: it is no opt-out either", with(func(n *dns.NSEC3) { n.Flags = 3 }), BadProof},
		{"the highest", with(func(n *dns.NSEC3) { n.Flags = 0x80 }), BadProof},
		{"such records do not make the zone insecure by their iterations", with(func(n *dns.NSEC3) { n.Flags, n.Iterations = 2, MaxIterations+1 }), BadProof},
		{"beside good records one of another chain does no harm", append(slices.Clone(d.nsec3), &strange), ""},
	} {
		_, err := d.keys().VerifyDenial("nothere.example.test.", dns.TypeTLSA, true, d.authority(c.chain...), at)
		if reasonOf(err) != c.want || err != nil && !strings.Contains(err.Error(), "not assigned") {
			t.Errorf("%s: %v, want %q", c.reason, err, c.want)
		}
	}
}

// TestTimeToKeepADenial: the least TTL counts, and zero is one.
func TestTimeToKeepADenial(t *testing.T) {
	z := newZone(t, "example.test.")
	soa := func(ttl, minimum string) string { return "example.test. " + ttl + " SOA ns. h. 1 2 3 4 " + minimum }
	nsec := func(ttl string) string { return "mx.example.test. " + ttl + " NSEC example.test. A RRSIG NSEC" }
	for _, c := range []struct {
		reason string
		texts  []string
		want   time.Duration
	}{
		{"the SOA's TTL", []string{soa("20", "60"), nsec("30")}, 20 * time.Second},
		{"its last field", []string{soa("60", "10"), nsec("30")}, 10 * time.Second},
		{"the proof's TTL", []string{soa("60", "60"), nsec("30")}, 30 * time.Second},
		{"zero, and then more", []string{soa("0", "60"), nsec("30")}, 0},
		{"zero by the last field, and then more", []string{soa("60", "0"), nsec("30")}, 0},
		{"zero last", []string{nsec("30"), soa("0", "0")}, 0},
	} {
		var authority []dns.RR
		for _, text := range c.texts {
			set := rrset(t, text)
			authority = append(authority, set[0], z.sign(set))
		}
		f := finding{Piece: Piece{name: "mx.example.test.", qtype: dns.TypeTLSA, kind: NoData, authority: authority}}
		if err := z.keys().verifyPiece(&f, at, newWork()); err != nil || f.ttl != c.want {
			t.Errorf("%s: %s (%v), want %s", c.reason, f.ttl, err, c.want)
		}
	}
}

func TestWildcardExpansion(t *testing.T) {
	d := newDenials(t)
	keys := d.keys()
	wild := rrset(t, "*.wild.example.test. 60 TLSA 3 1 1 aa")
	sig := d.sign(wild)
	answer := rrset(t, "_25._tcp.a.wild.example.test. 60 TLSA 3 1 1 aa")
	sig.Hdr.Name = answer[0].Header().Name
	got, err := keys.Verify(answer, []*dns.RRSIG{sig}, at)
	if err != nil || !got.Wildcard || got.Labels != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	cases := []struct {
		reason    string
		authority []dns.RR
		want      Reason
	}{
		{"the NSEC that covers the name", d.at("*.wild."), ""},
		{"an NSEC that does not", d.at("mx."), BadProof},
		{"the NSEC3 that covers the next closer name", d.authority(d.nsec3...), ""},
		{"nothing", nil, NoSignature},
	}
	for _, c := range cases {
		_, err := keys.VerifyExpansion(answer[0].Header().Name, got, c.authority, at)
		if reasonOf(err) != c.want {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// A wildcard's signature is good for every name; only the proof says where it applies.
func TestWildcardIsNotReplayed(t *testing.T) {
	d := newDenialsOf(t, map[string][]uint16{
		"*.example.test.":             {dns.TypeTLSA},
		"mx1.example.test.":           {dns.TypeA},
		"_25._tcp.mx2.example.test.":  {dns.TypeTLSA},
		"_25._tcp.mx10.example.test.": {dns.TypeTLSA},
		"*._tcp.mx3.example.test.":    {dns.TypeTLSA},
		"!.mx4.example.test.":         {dns.TypeTXT},
		"*.mx4.example.test.":         {dns.TypeTLSA},
	}, "_tcp.mx2.example.test.", "mx2.example.test.", "_tcp.mx10.example.test.", "mx10.example.test.",
		"_tcp.mx3.example.test.", "mx3.example.test.", "mx4.example.test.")
	keys := d.keys()
	cases := []struct {
		reason, wildcard, name string
		// nsec is the owner of the NSEC that covers the name.
		nsec string
		want Reason
	}{
		{"one label below the wildcard's parent", "*.example.test.", "nothere.example.test.", "*.mx4.", ""},
		{"two labels below", "*.example.test.", "_tcp.nothere.example.test.", "*.mx4.", ""},
		{"three labels below", "*.example.test.", "_25._tcp.nothere.example.test.", "*.mx4.", ""},
		{"a host that exists, by its own NSEC", "*.example.test.", "_25._tcp.mx1.example.test.", "mx1.", BadProof},
		{"one label below a host that exists", "*.example.test.", "_tcp.mx1.example.test.", "mx1.", BadProof},
		{"beside a name that exists", "*.example.test.", "_443._tcp.mx2.example.test.", "_25._tcp.mx2.", BadProof},
		{"an empty non-terminal exists", "*.example.test.", "_tcp.mx2.example.test.", "_25._tcp.mx10.", BadProof},
		{"below an empty non-terminal that the next name shows", "*.example.test.", "!._tcp.mx2.example.test.", "_25._tcp.mx10.", BadProof},
		{"a wildcard closer by", "*._tcp.mx3.example.test.", "_25._tcp.mx3.example.test.", "*._tcp.mx3.", ""},
		{"the outer wildcard where there is one closer by", "*.example.test.", "_25._tcp.mx3.example.test.", "*._tcp.mx3.", BadProof},
		{"a name that sorts before its wildcard", "*.mx4.example.test.", "$.mx4.example.test.", "!.mx4.", ""},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			sig := d.sign(rrset(t, c.wildcard+" 60 TLSA 3 1 1 aa"))
			answer := rrset(t, c.name+" 60 TLSA 3 1 1 aa")
			sig.Hdr.Name = c.name
			got, err := keys.Verify(answer, []*dns.RRSIG{sig}, at)
			if err != nil || !got.Wildcard {
				t.Fatalf("%+v, %v", got, err)
			}
			covering := d.nsec[c.nsec+"example.test."]
			if covering == nil {
				t.Fatalf("no NSEC at %s", c.nsec)
			}
			if _, err = keys.VerifyExpansion(c.name, got, d.authority(covering), at); reasonOf(err) != c.want {
				t.Errorf("by %v: %v", covering, err)
			}
			// The hashed chain, whole, must come to the right verdict by itself.
			if _, err = keys.VerifyExpansion(c.name, got, d.authority(d.nsec3...), at); reasonOf(err) != c.want {
				t.Errorf("by NSEC3: %v", err)
			}
		})
	}
}

func TestCanonicalOrder(t *testing.T) {
	// RFC 4034 section 6.1.
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", "\\001.z.example.", "*.z.example.", "\\200.z.example."}
	for i := range order {
		for j := range order {
			got := canonicalCompare(order[i], order[j])
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s and %s: %d", order[i], order[j], got)
			}
		}
	}
}
