package history

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file is the name servers as they speak on the wire: a reading of RFC 1035, 2136 and 4035 of its own.

const apex = "example.com."

var (
	zonePrivate = ed25519.NewKeyFromSeed(seedOf("zone", 0))
	zoneKey     = &dns.DNSKEY{
		Hdr:   header(apex, dns.TypeDNSKEY, time.Minute),
		Flags: 257, Protocol: 3, Algorithm: dns.ED25519, PublicKey: base64.StdEncoding.EncodeToString(zonePrivate.Public().(ed25519.PublicKey)),
	}
	zoneSOA = &dns.SOA{Hdr: header(apex, dns.TypeSOA, time.Minute), Ns: "ns0." + apex, Mbox: "hostmaster." + apex, Serial: 1, Refresh: 60, Retry: 60, Expire: 3600, Minttl: 60}
)

func header(name string, kind uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)} //nolint:gosec // small
}

func (n *nameservers) at(addr string) *server {
	for _, s := range n.all {
		if s.addr == addr {
			return s
		}
	}
	return nil
}

// receive is what a name server does with a message; it answers after a while, if at all.
func (h *History) receive(a arrival) {
	s, update := a.by.server, a.msg.Opcode == dns.OpcodeUpdate
	way := a.trip() / 2
	h.after(way, func() {
		if h.now.Before(s.down) || !update && a.msg.Question[0].Qtype == dns.TypeTLSA && h.now.Before(s.silent) {
			return
		}
		reply := new(dns.Msg)
		reply.SetReply(a.msg)
		switch {
		case h.now.Before(s.failing):
			reply.Rcode = dns.RcodeServerFailure
		case !update:
			h.answer(s, a.msg, reply)
		case !h.carryOut(s, a, reply):
			return
		}
		h.after(way, func() { a.by.reply(reply) })
	})
}

// answer answers a query from what a server serves.
func (h *History) answer(s *server, question, reply *dns.Msg) {
	reply.Authoritative = true
	q := question.Question[0]
	name := dns.CanonicalName(q.Name)
	set := h.setAt(s, name, q.Qtype)
	signed := question.IsEdns0() != nil && question.IsEdns0().Do() && !h.now.Before(h.unsigned)
	if len(set) > 0 {
		reply.Answer = h.withSignature(set, signed)
		return
	}
	reply.Ns = h.withSignature([]dns.RR{zoneSOA}, signed)
	if signed {
		reply.Ns = append(reply.Ns, h.withSignature([]dns.RR{h.denial(s, name)}, true)...)
	}
}

// setAt is the RRset of a type at a name, as a server serves it.
func (h *History) setAt(s *server, name string, kind uint16) []dns.RR {
	switch {
	case kind == dns.TypeTLSA:
		return tlsaSet(name, s.serves[name])
	case kind == dns.TypeA:
		return h.addressSet(name)
	case name != apex:
		return nil
	}
	switch kind {
	case dns.TypeDNSKEY:
		return []dns.RR{zoneKey}
	case dns.TypeSOA:
		return []dns.RR{zoneSOA}
	case dns.TypeNS:
		return h.servers.names()
	}
	return nil
}

func tlsaSet(name string, a answer) []dns.RR {
	var out []dns.RR
	for _, r := range a.records {
		out = append(out, &dns.TLSA{Hdr: header(name, dns.TypeTLSA, a.ttl), Usage: r.Usage, Selector: r.Selector, MatchingType: r.MatchingType, Certificate: r.Data})
	}
	return out
}

func (h *History) addressSet(name string) []dns.RR {
	var out []dns.RR
	for _, r := range h.hostNamed(strings.TrimSuffix(name, ".")).replicas {
		out = append(out, &dns.A{Hdr: header(name, dns.TypeA, time.Minute), A: net.ParseIP(r.addr)})
	}
	return out
}

// names are the NS records of the zone.
func (n *nameservers) names() []dns.RR {
	var out []dns.RR
	for _, s := range n.all {
		if s.public {
			out = append(out, &dns.NS{Hdr: header(apex, dns.TypeNS, time.Minute), Ns: s.name})
		}
	}
	return out
}

// denial proves that there is no such type at a name: an NSEC record that covers the name alone.
func (h *History) denial(s *server, name string) dns.RR {
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for _, kind := range []uint16{dns.TypeA, dns.TypeNS, dns.TypeTLSA, dns.TypeDNSKEY, dns.TypeSOA} {
		if len(h.setAt(s, name, kind)) > 0 {
			types = append(types, kind)
		}
	}
	slices.Sort(types)
	return &dns.NSEC{Hdr: header(name, dns.TypeNSEC, time.Minute), NextDomain: "\\000." + name, TypeBitMap: types}
}

// signatures are those that were made, by what they are for.
var signatures sync.Map

// signedOf are the octets of a set, and when its signature expires.
func signedOf(expires time.Time, set []dns.RR) string {
	octets := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())) //nolint:gosec // after 1970
	for _, rr := range set {
		room := make([]byte, dns.Len(rr)+1)
		octets = append(octets, room[:must(dns.PackRR(rr, room, 0, nil, false))]...)
	}
	return string(octets)
}

// withSignature adds a signature that is made once a day, and is good for ten to fourteen days.
func (h *History) withSignature(set []dns.RR, wanted bool) []dns.RR {
	if !wanted {
		return set
	}
	expires := h.now.Truncate(24 * time.Hour).Add(10 * 24 * time.Hour)
	of := signedOf(expires, set)
	if made, ok := signatures.Load(of); ok {
		return append(slices.Clone(set), made.(dns.RR))
	}
	sig := &dns.RRSIG{
		Hdr: dns.RR_Header{Ttl: set[0].Header().Ttl}, Algorithm: zoneKey.Algorithm, KeyTag: zoneKey.KeyTag(), SignerName: apex,
		Inception: uint32(expires.Add(-14 * 24 * time.Hour).Unix()), Expiration: uint32(expires.Unix()), //nolint:gosec // RFC 4034 section 3.1.5
	}
	if err := sig.Sign(zonePrivate, set); err != nil {
		panic(err)
	}
	signatures.Store(of, sig)
	return append(slices.Clone(set), sig)
}

// carryOut carries an update out, and says whether there is a reply to it.
func (h *History) carryOut(s *server, a arrival, reply *dns.Msg) bool {
	n := h.servers
	switch {
	case s != n.all[0]:
		reply.Rcode = dns.RcodeNotAuth
		return true
	case h.losingUpdates > 0:
		h.losingUpdates--
		return false
	}
	changes := changesOf(a.msg)
	if reply.Rcode = n.prerequisites(a.msg.Answer, changes); reply.Rcode != dns.RcodeSuccess || h.now.Before(n.ignoring) {
		return true
	}
	for _, c := range changes {
		if !c.guarded {
			h.fail("S4", "an update changes %s whatever stands there", c.Owner)
		}
		if have := n.stored[c.Owner]; !c.clears {
			c.Want = tlsa.Normalize(append(slices.Clone(have.records), c.Want...))
		}
		h.judgeUpdate(c.Change, a.by.op.asked[c.Owner])
		h.updates++
		n.write(c.Owner, answer{records: c.Want, ttl: c.TTL})
	}
	if h.losingReplies > 0 {
		h.losingReplies--
		return false
	}
	return true
}

// sentChange is a change as a message has it.
type sentChange struct {
	zone.Change
	// guarded says that it is made only if the RRset is what was expected, clears that what stands is deleted first.
	guarded, clears bool
}

// changesOf are the changes in an update (RFC 2136 section 2.5), in the order of their owners.
func changesOf(m *dns.Msg) []*sentChange {
	found := map[string]*sentChange{}
	var out []*sentChange
	of := func(name string) *sentChange {
		name = dns.CanonicalName(name)
		if found[name] == nil {
			found[name] = &sentChange{Change: zone.Change{Owner: name}}
			out = append(out, found[name])
		}
		return found[name]
	}
	for _, rr := range m.Ns {
		c := of(rr.Header().Name)
		c.clears = c.clears || rr.Header().Class == dns.ClassANY
		if t, ok := rr.(*dns.TLSA); ok && rr.Header().Class == dns.ClassINET {
			c.Want, c.TTL = append(c.Want, recordOf(t)), time.Duration(t.Hdr.Ttl)*time.Second
		}
	}
	for _, rr := range m.Answer {
		c := of(rr.Header().Name)
		c.guarded = true
		if t, ok := rr.(*dns.TLSA); ok && rr.Header().Class == dns.ClassINET {
			c.Expect = append(c.Expect, recordOf(t))
		}
	}
	out = slices.DeleteFunc(out, func(c *sentChange) bool {
		return !slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return dns.CanonicalName(rr.Header().Name) == c.Owner })
	})
	for _, c := range out {
		c.Want, c.Expect = tlsa.Normalize(c.Want), tlsa.Normalize(c.Expect)
	}
	slices.SortFunc(out, func(a, b *sentChange) int { return strings.Compare(a.Owner, b.Owner) })
	return out
}

func recordOf(t *dns.TLSA) tlsa.Record {
	return tlsa.Record{Parameters: tlsa.Parameters{Usage: t.Usage, Selector: t.Selector, MatchingType: t.MatchingType}, Data: strings.ToLower(t.Certificate)}
}

// prerequisites says whether what stands is what an update expects (RFC 2136 section 3.2).
func (n *nameservers) prerequisites(section []dns.RR, changes []*sentChange) int {
	for _, rr := range section {
		if rr.Header().Class == dns.ClassNONE && len(n.stored[dns.CanonicalName(rr.Header().Name)].records) > 0 {
			return dns.RcodeYXRrset
		}
	}
	for _, c := range changes {
		if len(c.Expect) > 0 && !tlsa.Equal(n.stored[c.Owner].records, c.Expect) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}
