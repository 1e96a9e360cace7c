package dnssec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// dropper is a resolver, or whoever is on the way to it, that has no key and every record that the zones of the world have signed.
// The zone test. has a wildcard, and denies by NSEC and by NSEC3.
type dropper struct {
	*world
	nsec, nsec3 []dns.RR
	wildcard    map[uint16][]dns.RR
}

// target is a name of example.test., which is signed and has a DS record.
const target = "_25._tcp.mx.example.test."

func newDropper(t *testing.T) *dropper {
	t.Helper()
	d := &dropper{world: newWorld(t), wildcard: map[uint16][]dns.RR{}}
	for _, z := range []*testZone{d.root, d.test, d.example} {
		d.keys(resolverAt, z)
	}
	d.give(resolverAt, "test.", dns.TypeDS, d.answers[rootServer+" test. DS"])
	d.give(resolverAt, "example.test.", dns.TypeDS, d.answers[testServer+" example.test. DS"])
	for _, name := range []string{"mx.example.test.", "_tcp.mx.example.test.", target} {
		d.give(resolverAt, name, dns.TypeDS, d.denied(d.example, dns.RcodeSuccess, "mx.example.test. 60 NSEC "+target+" A RRSIG NSEC", target+" 60 NSEC example.test. RRSIG NSEC TLSA"))
	}
	d.nsec = d.bySets(
		"test. 300 SOA ns. h. 1 2 3 4 60", "test. 60 NSEC *.test. NS SOA RRSIG NSEC DNSKEY", "*.test. 60 NSEC example.test. A RRSIG NSEC TLSA",
		"example.test. 60 NSEC z.test. NS DS RRSIG NSEC", "z.test. 60 NSEC test. A RRSIG NSEC")
	d.nsec3 = d.bySets(append(hashedChain(map[string]string{
		"test.": "NS SOA RRSIG DNSKEY NSEC3PARAM", "*.test.": "A RRSIG TLSA", "example.test.": "NS DS RRSIG", "z.test.": "A RRSIG",
	}), "test. 300 SOA ns. h. 1 2 3 4 60")...)
	for qtype, text := range map[uint16]string{dns.TypeA: "*.test. 300 A 192.0.2.66", dns.TypeTLSA: "*.test. 300 TLSA 3 1 1 " + strings.Repeat("66", 32)} {
		d.wildcard[qtype] = d.bySets(text)
	}
	return d
}

// bySets are records of test., each an RRset with its signature.
func (d *dropper) bySets(texts ...string) (out []dns.RR) {
	for _, text := range texts {
		set := rrset(d.t, text)
		out = append(out, set[0], d.test.sign(set))
	}
	return out
}

// hashedChain is an NSEC3 chain of test. over names with their types.
func hashedChain(types map[string]string) (out []string) {
	names := map[string]string{}
	var hashes []string
	for name := range types {
		h := dns.HashName(name, dns.SHA1, 0, "")
		names[h], hashes = name, append(hashes, h)
	}
	slices.Sort(hashes)
	for i, h := range hashes {
		out = append(out, fmt.Sprintf("%s.test. 60 NSEC3 1 0 0 - %s %s", h, hashes[(i+1)%len(hashes)], types[names[h]]))
	}
	return out
}

// moved are records that are given the name that is asked for.
func moved(set []dns.RR) (out []dns.RR) {
	for _, rr := range set {
		c := dns.Copy(rr)
		c.Header().Name = target
		out = append(out, c)
	}
	return out
}

// lies are answers to a question for the target that test. has not signed for it.
func (d *dropper) lies(qtype uint16) map[string]*dns.Msg {
	of := func(rcode int, answer, authority []dns.RR) *dns.Msg {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: rcode}, Answer: answer, Ns: authority}
	}
	forged := rrset(d.t, strings.Replace(dns.Copy(d.wildcard[qtype][0]).String(), "*.test.", target, 1))
	out := map[string]*dns.Msg{
		"no signature": of(0, forged, nil),
		"a signature of the zone above over other data": of(0, append(slices.Clone(forged), moved(d.wildcard[dns.TypeA+dns.TypeTLSA-qtype])[1]), nil),
	}
	for how, proof := range map[string][]dns.RR{"NSEC": d.nsec, "NSEC3": d.nsec3} {
		out["the wildcard of the zone above, by "+how] = of(0, moved(d.wildcard[qtype]), proof)
		out["no such name, by the "+how+" of the zone above"] = of(dns.RcodeNameError, nil, proof)
		out["no such records, by the "+how+" of the zone above"] = of(0, nil, proof)
	}
	return out
}

// TestWhoDropsQuestionsForgesNothing: what is kept from the validator makes nothing of what other zones have signed count for a
// name of a signed zone: neither as secure, nor as insecure. What the zone above has signed for that very name does (RFC 4035 has
// it that its word enters the zone), if all that proves the cut is kept away.
func TestWhoDropsQuestionsForgesNothing(t *testing.T) {
	droppable := []string{"example.test. DS", "mx.example.test. DS", "_tcp.mx.example.test. DS", target + " DS", "example.test. DNSKEY"}
	byAbove := 0
	for dropped := range 1 << len(droppable) {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTLSA} {
			d := newDropper(t)
			for i, question := range droppable {
				if dropped>>i&1 == 1 {
					delete(d.answers, resolverAt+" "+question)
				}
			}
			ask := func(m *dns.Msg) Result {
				d.give(resolverAt, target, qtype, m)
				v := d.validator(func(c *Config) { c.Forwarders = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")} })
				return v.Lookup(t.Context(), target, qtype)
			}
			for what, lie := range d.lies(qtype) {
				if r := ask(lie); r.State != Bogus && r.State != Indeterminate || len(r.RRs) > 0 {
					t.Errorf("%s, without %05b of %v: %s is %s (%v)", what, dropped, droppable, typeText(qtype), r.State, r.Cause)
				}
			}
			own := strings.Replace(d.wildcard[qtype][0].String(), "*.test.", target, 1)
			if r := ask(d.signed(d.test, nil, own)); r.State == Secure {
				byAbove++
				if dropped&1 == 0 {
					t.Errorf("the zone above speaks for the name although its DS record of the zone was to be had: %05b of %v", dropped, droppable)
				}
			}
			if r := ask(d.signed(d.example, nil, own)); dropped == 0 && r.State != Secure {
				t.Errorf("the truth is %s (%v)", r.State, r.Cause)
			}
		}
	}
	if byAbove == 0 {
		t.Error("the zone above never spoke for the name: docs/dnssec.md says that it does")
	}
}
