package zone

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// maxHops is how many aliases are followed within one answer.
const maxHops = 16

// hop is an RRset of a section, and its signatures.
type hop struct {
	set  []dns.RR
	sigs []*dns.RRSIG
}

// reading is what one authoritative answer says of one name and type.
type reading struct {
	// pieces on the way: the aliases, then the data or the denial. They are read and judged as package dnssec does.
	pieces []dnssec.Piece
	// final is the name at the end of the aliases.
	final string
	// denied says that there is no such RRset at final; nxdomain that there is no such name.
	denied, nxdomain bool
	// alias is where the first CNAME or DNAME points, aliasAt its owner; empty without one.
	alias, aliasAt string
	// cut is a zone cut between the zone's apex and the name; empty without one.
	cut string
	// synthesized says that the data was made from a wildcard (RRSIG with fewer labels).
	synthesized bool
	// ttl and cacheTTL as in Answer.
	ttl, cacheTTL time.Duration
	authority     []dns.RR
}

// data is the RRset of the answer; empty when it is denied.
func (r reading) data() []dns.RR {
	if r.denied || len(r.pieces) == 0 {
		return nil
	}
	return r.pieces[len(r.pieces)-1].Set()
}

// signatures are those over the data.
func (r reading) signatures() []*dns.RRSIG {
	if r.denied || len(r.pieces) == 0 {
		return nil
	}
	return r.pieces[len(r.pieces)-1].Signatures()
}

// firstAlias is what the answer says of the name asked for when that is an alias: the CNAME there, or
// the DNAME above it, and nothing of what follows.
func (r reading) firstAlias() reading {
	first := reading{final: r.alias, alias: r.alias, aliasAt: r.aliasAt, pieces: r.pieces[:1], authority: r.authority}
	first.measure()
	return first
}

// errNoAnswer is wrapped by the errors of readAnswer: the server gave no usable answer.
var errNoAnswer = errors.New("no usable answer")

func noAnswer(format string, args ...any) error {
	return fmt.Errorf("%w%s", hidden{errNoAnswer}, fmt.Sprintf(format, args...))
}

// hidden keeps a sentinel out of the text of an error for people.
type hidden struct{ error }

func (h hidden) Error() string { return "" }
func (h hidden) Unwrap() error { return h.error }

// readAnswer reads an authoritative answer. An error says why there is none, and what to do.
func readAnswer(zone, name string, qtype uint16, m *dns.Msg) (reading, error) {
	r := reading{final: dns.CanonicalName(name), authority: m.Ns}
	if err := checkHeader(zone, name, m); err != nil {
		return r, err
	}
	if r.cut = findCut(zone, name, m); r.cut != "" {
		return r, noAnswer("the name %s is in another zone: %s is delegated; make a DNSZone for %s, or remove the delegation", name, r.cut, r.cut)
	}
	if !m.Authoritative {
		return r, noAnswer("it answers without authority (lame delegation): make it serve the zone %s, or take it out of the NS set", zone)
	}
	if err := r.follow(zone, qtype, m); err != nil {
		return r, err
	}
	r.nxdomain = m.Rcode == dns.RcodeNameError
	if r.denied && r.alias != "" && !dns.IsSubDomain(zone, r.final) {
		return r, noAnswer("%s is an alias of %s, which is outside the zone %s", r.aliasAt, r.final, zone)
	}
	r.measure()
	return r, nil
}

func checkHeader(zone, name string, m *dns.Msg) error {
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	case dns.RcodeServerFailure:
		return noAnswer("it answers SERVFAIL: it cannot serve the zone %s now (expired on a secondary, or not loaded); see its log%s", zone, edeText(m))
	case dns.RcodeRefused:
		return noAnswer("it answers REFUSED: it does not serve the zone %s, or refuses queries from here; correct its configuration, or take it out of the NS set%s", zone, edeText(m))
	default:
		return noAnswer("it answers %s to a query for %s%s", rcodeText(m.Rcode), name, edeText(m))
	}
	if m.Truncated {
		return noAnswer("its answer over TCP is truncated")
	}
	return nil
}

// findCut finds the zone cut that an answer tells of: a referral, or the SOA or NS of a zone below
// that the same server serves too.
func findCut(zone, name string, m *dns.Msg) string {
	for _, rr := range m.Ns {
		kind, owner := rr.Header().Rrtype, dns.CanonicalName(rr.Header().Name)
		if kind != dns.TypeNS && kind != dns.TypeSOA {
			continue
		}
		// After an alias they are those of the alias's end, which is no ancestor of the name.
		if owner != zone && dns.IsSubDomain(zone, owner) && dns.IsSubDomain(owner, name) {
			return owner
		}
	}
	return ""
}

// follow walks from the question to the data.
func (r *reading) follow(zone string, qtype uint16, m *dns.Msg) error {
	for range maxHops {
		p, err := dnssec.ReadPiece(m, r.final, qtype, zone)
		if err != nil {
			return noAnswer("its answer makes no sense: %v", err)
		}
		r.pieces = append(r.pieces, p)
		switch p.Kind() {
		case dnssec.Data:
			return nil
		case dnssec.NoData, dnssec.NXDomain:
			r.denied = true
			return nil
		case dnssec.TooLong:
			return noAnswer("the DNAME above %s makes a name of it that is too long", r.final)
		}
		if r.alias == "" {
			r.alias, r.aliasAt = p.Target(), dns.CanonicalName(p.Set()[0].Header().Name)
		}
		r.final = p.Target()
	}
	return noAnswer("its answer has more than %d aliases", maxHops)
}

// find picks an RRset and its signatures out of a section.
func find(section []dns.RR, name string, qtype uint16) hop {
	var h hop
	for _, rr := range section {
		if dns.CanonicalName(rr.Header().Name) != name || rr.Header().Class != dns.ClassINET {
			continue
		}
		if rr.Header().Rrtype == qtype {
			h.set = append(h.set, rr)
		}
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == qtype {
			h.sigs = append(h.sigs, sig)
		}
	}
	return h
}

// measure finds how long the answer may be cached: the longest over the hops. A denial is cached
// for the lesser of the SOA's TTL and its MINIMUM (RFC 2308 section 5).
func (r *reading) measure() {
	for i := range r.pieces {
		for _, rr := range r.pieces[i].Set() {
			r.ttl = max(r.ttl, seconds(rr.Header().Ttl))
		}
		for _, sig := range r.pieces[i].Signatures() {
			r.cacheTTL = max(r.cacheTTL, seconds(sig.OrigTtl))
			if int(sig.Labels) < signedLabels(sig.Hdr.Name) {
				r.synthesized = true
			}
		}
	}
	if r.denied {
		for _, rr := range r.authority {
			if soa, ok := rr.(*dns.SOA); ok {
				r.ttl = max(r.ttl, seconds(min(soa.Hdr.Ttl, soa.Minttl)))
			}
		}
	}
	r.cacheTTL = max(r.cacheTTL, r.ttl)
}

func signedLabels(owner string) int {
	n := dns.CountLabel(owner)
	if strings.HasPrefix(owner, "*.") {
		n--
	}
	return n
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func rcodeText(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return fmt.Sprintf("response code %d", rcode)
}

// edeText shows the first extended error of a reply (RFC 8914), cleaned: the text is the server's.
func edeText(m *dns.Msg) string {
	errs := dnssec.ExtendedErrors(m)
	if len(errs) == 0 {
		return ""
	}
	return " (the server says: " + errs[0] + ")"
}

// cleanText makes text from the network fit for messages.
func cleanText(s string) string { return dnssec.CleanText(s) }
