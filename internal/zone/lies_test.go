package zone

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// This file lies to what reads the answers of a sweep.

// liar answers with the records of a signed zone, as somebody on the way can who lacks its key: each of them is
// genuine, or altered.
type liar struct {
	all  []dns.RR
	keys *dnssec.Keys
	now  time.Time
}

// questions that lies are told of.
var questions = []struct {
	name  string
	qtype uint16
}{
	{"mx.example.test.", dns.TypeA}, {"mx.example.test.", dns.TypeTLSA}, {"_25._tcp.mx.example.test.", dns.TypeTLSA},
	{"_443._tcp.mx.example.test.", dns.TypeTLSA}, {"_tcp.mx.example.test.", dns.TypeTLSA}, {"alias.example.test.", dns.TypeTLSA},
	{"away.example.test.", dns.TypeTLSA}, {"_25._tcp.dn.example.test.", dns.TypeTLSA}, {"_25._tcp.wild.example.test.", dns.TypeTLSA},
	{"a.b.wild.example.test.", dns.TypeTLSA}, {"nothere.example.test.", dns.TypeA}, {"host.wild.example.test.", dns.TypeTLSA},
	{"x.host.wild.example.test.", dns.TypeTLSA}, {"sub.example.test.", dns.TypeDS}, {"example.test.", dns.TypeTLSA},
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	s := newFakeServer(t)
	for _, text := range []string{
		"mx.example.test. 300 A 192.0.2.1", "_25._tcp.mx.example.test. 300 TLSA 3 1 1 " + strings.Repeat("ab", 32),
		"alias.example.test. 300 CNAME _25._tcp.mx.example.test.", "away.example.test. 300 CNAME _25._tcp.mx.example.net.",
		"dn.example.test. 300 DNAME mx.example.test.", "*.wild.example.test. 300 TLSA 3 1 1 " + strings.Repeat("cd", 32),
		"host.wild.example.test. 300 A 192.0.2.2", "sub.example.test. 300 NS ns.sub.example.test.", "sub.example.test. 300 DS 1 13 2 " + strings.Repeat("ef", 32),
	} {
		s.rr(text)
	}
	l := &liar{now: time.Now()}
	types := map[string][]uint16{}
	for id, set := range s.sets {
		l.all = append(l.all, s.signed(set)...)
		types[id.name] = append(types[id.name], id.kind)
	}
	names := slices.SortedFunc(slices.Values(keysOf(types)), canonically)
	for i, name := range names {
		kinds := append(types[name], dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(kinds)
		next := names[(i+1)%len(names)]
		l.all = append(l.all, s.signed([]dns.RR{&dns.NSEC{Hdr: header(name, dns.TypeNSEC, 30), NextDomain: next, TypeBitMap: kinds}})...)
	}
	h := find(l.all, testZone, dns.TypeDNSKEY)
	var err error
	if l.keys, err = dnssec.NewCache().KeysFor(testZone, h.set, h.sigs, []dnssec.Anchor{s.ds()}, l.now); err != nil {
		t.Fatal(err)
	}
	return l
}

func keysOf(m map[string][]uint16) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	return out
}

// canonically is the order of RFC 4034 section 6.1.
func canonically(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

// lie makes an answer. Most records are left as they are, and most signatures come with what they sign.
func (l *liar) lie(random *rand.Rand, name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Response, m.Authoritative = true, true
	if random.IntN(2) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	for range random.IntN(5) {
		at, section := random.IntN(len(l.all)), &m.Answer
		if random.IntN(2) == 0 {
			section = &m.Ns
		}
		renamed, altered := random.IntN(4) == 0, random.IntN(12) == 0
		for _, rr := range l.all[at:min(at+1+random.IntN(4), len(l.all))] {
			rr = dns.Copy(rr)
			if renamed {
				rr.Header().Name = name
			}
			if altered {
				alter(rr)
			}
			if !slices.ContainsFunc(*section, func(is dns.RR) bool { return dns.IsDuplicate(is, rr) }) {
				*section = append(*section, rr)
			}
		}
	}
	return m
}

func alter(rr dns.RR) {
	switch r := rr.(type) {
	case *dns.TLSA:
		r.Certificate = strings.Repeat("00", 32)
	case *dns.NSEC:
		r.NextDomain = "zz.example.test."
	case *dns.RRSIG:
		r.Labels--
	default:
		rr.Header().Ttl *= 2
	}
}

// What a sweep takes for signed is true of the zone, whatever it is told. As in a sweep, of an alias its first step
// counts.
func TestNoLieIsSigned(t *testing.T) {
	l := newLiar(t)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same lies every time
	believed := map[int]int{}
	for range 8000 {
		for i, q := range questions {
			m := l.lie(random, q.name, q.qtype)
			got, err := readAnswer(testZone, q.name, q.qtype, m)
			switch {
			case got.alias != "":
				got = got.firstAlias()
			case err != nil:
				continue
			}
			if _, err := validate(l.keys, got, l.now); err != nil {
				continue
			}
			believed[i]++
			data, alias := l.truth(q.name, q.qtype)
			if got.alias != alias || alias == "" && (got.denied != (len(data) == 0) || !slices.Equal(dataOf(got.data()), dataOf(data))) {
				t.Fatalf("%s %s is taken for %v, alias %q, and is %v, alias %q\n%s", q.name, dns.TypeToString[q.qtype], got.data(), got.alias, data, alias, m)
			}
		}
	}
	if len(believed) < 12 {
		t.Errorf("only %d of %d questions were ever answered so that it is signed: %v", len(believed), len(questions), believed)
	}
}

// truth is what the zone has: the RRset, or where the name leads to; neither where it has none.
func (l *liar) truth(name string, qtype uint16) (data []dns.RR, alias string) {
	if data = l.at(name, qtype); len(data) > 0 {
		return data, ""
	}
	if set := l.at(name, dns.TypeCNAME); len(set) > 0 {
		return nil, set[0].(*dns.CNAME).Target
	}
	for up, end := dns.NextLabel(name, 0); !end; up, end = dns.NextLabel(name, up) {
		above := name[up:]
		if set := l.at(above, dns.TypeDNAME); len(set) > 0 {
			return nil, strings.TrimSuffix(name, above) + set[0].(*dns.DNAME).Target
		}
		if l.exists(above) && !l.exists(name) {
			return l.at("*."+above, qtype), "" // RFC 4592 section 3.3.1
		}
	}
	return nil, ""
}

func (l *liar) at(name string, qtype uint16) []dns.RR { return find(l.all, name, qtype).set }

// exists says whether there is a name, or one below it.
func (l *liar) exists(name string) bool {
	return slices.ContainsFunc(l.all, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) })
}
