package zone

import (
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// query makes a question to an authoritative server: RD=0, DO=1, CD=1.
func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired = false
	m.CheckingDisabled = true
	m.SetEdns0(maxUDP, true)
	return m
}

// step is one change as it goes into a message.
type step struct {
	owner string
	// expect is the prerequisite: the RRset that must stand at the owner, none when empty.
	expect []tlsa.Record
	want   []tlsa.Record
	ttl    time.Duration
}

// updateMessage makes one message of several steps, all or nothing (RFC 2136 section 3.7). Each
// RRset is guarded by its whole present value, deleted, and added record by record with one TTL:
// adding to what is there would let Knot keep the old TTL without a word.
func updateMessage(zone string, steps []step) *dns.Msg {
	m := new(dns.Msg)
	m.SetUpdate(zone)
	m.Compress = true
	for _, s := range steps {
		swap(m, dns.RR_Header{Name: s.owner, Rrtype: dns.TypeTLSA, Class: dns.ClassINET}, rrs(s.owner, s.expect, 0), rrs(s.owner, s.want, s.ttl))
	}
	return m
}

// swap adds to an update that the RRset named by the header becomes want if it is still expect.
func swap(m *dns.Msg, header dns.RR_Header, expect, want []dns.RR) {
	rrset := []dns.RR{&dns.ANY{Hdr: header}}
	if len(expect) == 0 {
		m.RRsetNotUsed(rrset)
	} else {
		m.Used(expect)
	}
	m.RemoveRRset(rrset)
	m.Insert(want)
}

// probeMessage is an update that changes nothing: its prerequisite, that the apex is in use, holds
// in every zone, and there is nothing to do then.
func probeMessage(zone string) *dns.Msg {
	m := new(dns.Msg)
	m.SetUpdate(zone)
	m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: zone}}})
	return m
}

func rrs(owner string, records []tlsa.Record, ttl time.Duration) []dns.RR {
	out := make([]dns.RR, 0, len(records))
	for _, r := range tlsa.Normalize(records) {
		out = append(out, &dns.TLSA{
			Hdr:   dns.RR_Header{Name: owner, Rrtype: dns.TypeTLSA, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)},
			Usage: r.Usage, Selector: r.Selector, MatchingType: r.MatchingType, Certificate: r.Data,
		})
	}
	return out
}

// records turns an RRset of TLSA into comparable records, normalized.
func records(set []dns.RR) []tlsa.Record {
	var out []tlsa.Record
	for _, rr := range set {
		if t, ok := rr.(*dns.TLSA); ok {
			out = append(out, tlsa.Record{
				Parameters: tlsa.Parameters{Usage: t.Usage, Selector: t.Selector, MatchingType: t.MatchingType},
				Data:       strings.ToLower(t.Certificate),
			})
		}
	}
	return tlsa.Normalize(out)
}
