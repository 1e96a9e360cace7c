package dnssec

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/conformance"
)

// bag is a recursive server that knows some records and answers every question from them. What is
// asked for and not there is denied, with all the proof that there is.
type bag []dns.RR

func (b bag) Exchange(_ context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetReply(q)
	name, qtype := q.Question[0].Name, q.Question[0].Qtype
	m.Rcode = dns.RcodeNameError
	for _, rr := range b {
		if dns.IsSubDomain(name, dns.CanonicalName(rr.Header().Name)) {
			m.Rcode = dns.RcodeSuccess
		}
	}
	for _, rr := range b {
		owner, kind := dns.CanonicalName(rr.Header().Name), coveredType(rr)
		switch {
		case owner == name && (kind == qtype || kind == dns.TypeCNAME), kind == dns.TypeDNAME && below(owner, name):
			m.Answer = append(m.Answer, rr)
		case proves(kind):
			m.Ns = append(m.Ns, rr)
		}
	}
	return m, nil
}

// without leaves out every record that is so.
func (b bag) without(drop func(dns.RR) bool) bag {
	return slices.DeleteFunc(slices.Clone(b), drop)
}

// chainVector is one vector of RFC 9102 Appendix A.
type chainVector struct {
	Vector, Qname, Expect, Desc, Records string
}

type chainVectors struct {
	RootTrustAnchor string `json:"root_trust_anchor"`
	Vectors         []chainVector
}

const chainsCorpus = "rfc9102-dnssec-chains"

// chainClock is within the validity of the vectors, from 2018-11-28 to 2020-12-02.
var chainClock = time.Date(2019, 6, 1, 0, 0, 0, 0, time.UTC)

func readVectors(t *testing.T) (chainVectors, []bag) {
	t.Helper()
	var vectors chainVectors
	manifest := conformance.Read(t, chainsCorpus+"/manifest.json")
	if err := json.Unmarshal(manifest, &vectors); err != nil {
		t.Fatal(err)
	}
	var bags []bag
	for _, v := range vectors.Vectors {
		bags = append(bags, readZone(t, string(conformance.Read(t, chainsCorpus+"/"+v.Records))))
	}
	return vectors, bags
}

// readZone reads records in presentation form.
func readZone(t *testing.T, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		out = append(out, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func chainLookup(t *testing.T, anchor, name string, records bag, now time.Time) Result {
	t.Helper()
	ds, err := ParseDS(anchor, "")
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{
		Anchors: []Anchor{ds}, Transport: records, Now: func() time.Time { return now },
		Forwarders: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Lookup(t.Context(), name, dns.TypeTLSA)
}

// TestChains judges the chains of RFC 9102, and what becomes of each when it is tampered with.
func TestChains(t *testing.T) {
	vectors, bags := readVectors(t)
	if bags == nil {
		return
	}
	good, negatives := conformance.Row{Corpus: "RFC 9102", Part: "the vectors A.1 to A.8", Reason: "-"}, conformance.Row{Corpus: "RFC 9102", Part: "the same, tampered with", Reason: "-"}
	for i, v := range vectors.Vectors {
		name := dns.Fqdn(v.Qname)
		good.Cases++
		if r := chainLookup(t, vectors.RootTrustAnchor, name, bags[i], chainClock); strings.EqualFold(string(r.State), v.Expect) {
			good.Agreed++
		} else {
			t.Errorf("%s (%s): %s (%v), want %s", v.Vector, v.Desc, r.State, r.Cause, v.Expect)
		}
		for _, c := range tampered(t, bags[i]) {
			negatives.Cases++
			r := chainLookup(t, vectors.RootTrustAnchor, name, c.records, c.now)
			if (r.State == Bogus || c.spare && r.State == Insecure) && r.RRs == nil && r.Cause != nil {
				negatives.Agreed++
			} else {
				t.Errorf("%s (%s), %s: %s %s (%v)", v.Vector, v.Desc, c.what, r.State, r.Kind, r.Cause)
			}
		}
	}
	if good.Cases < 8 || negatives.Cases < 75 {
		t.Errorf("only %d vectors and %d negatives were judged", good.Cases, negatives.Cases)
	}
	conformance.Published(t, "RFC 9102", 8+79, []conformance.Row{good, negatives})
}

type tamperedChain struct {
	what    string
	records bag
	now     time.Time
	// spare says that the proof holds without.
	spare bool
}

// wildcardProof is the record of A.8 that covers the wildcard. That an unsigned delegation may be there
// is proved without it (RFC 5155 section 8.6).
const wildcardProof = "shn05itmoa45mmnv74lc4p0nnfmimtjt.example."

// tampered gives everything that must make a chain bogus: each RRSIG taken away, each record of proof
// taken away, each TLSA record with an octet changed, and the clock before and after the validity.
func tampered(t *testing.T, whole bag) []tamperedChain {
	t.Helper()
	out := []tamperedChain{
		{"before its time", whole, time.Date(2018, 11, 27, 0, 0, 0, 0, time.UTC), false},
		{"after its time", whole, time.Date(2020, 12, 3, 0, 0, 0, 0, time.UTC), false},
	}
	for _, rr := range whole {
		sig, isSig := rr.(*dns.RRSIG)
		switch {
		case isSig && !spare(whole, sig), !isSig && proves(rr.Header().Rrtype):
			out = append(out, tamperedChain{"without " + rr.String(), whole.without(func(o dns.RR) bool { return o == rr }), chainClock,
				!isSig && rr.Header().Name == wildcardProof})
		}
		if tlsa, ok := rr.(*dns.TLSA); ok {
			c := *tlsa
			c.Certificate = strings.Repeat("0", 2) + tlsa.Certificate[2:]
			changed := append(whole.without(func(o dns.RR) bool { return o == rr }), &c)
			out = append(out, tamperedChain{"another " + rr.String(), changed, chainClock, false})
		}
	}
	return out
}

// spare says that an RRset has another signature: the keys of a zone in the middle of a rollover.
func spare(whole bag, sig *dns.RRSIG) bool {
	n := 0
	for _, rr := range whole {
		other, ok := rr.(*dns.RRSIG)
		if ok && other.Hdr.Name == sig.Hdr.Name && other.TypeCovered == sig.TypeCovered {
			n++
		}
	}
	return n > 1
}
