package dnssec

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fixedWorld is a root, test. and the model zone, whose keys and signatures are the same in every process, so that
// what the fuzzer has found stays of use.
type fixedWorld struct {
	*model
	root, test *testZone
}

func newFixedWorld(t testing.TB) *fixedWorld {
	return &fixedWorld{model: newModelWith(t, fixedZone(modelApex)), root: fixedZone("."), test: fixedZone("test.")}
}

// chain are the keys and DS records from the root to the model zone.
func (w *fixedWorld) chain(t testing.TB) []dns.RR {
	var out []dns.RR
	add := func(z *testZone, rr dns.RR) { out = append(out, rr, z.mustSign(t, []dns.RR{rr})) }
	ds := func(z *testZone) dns.RR {
		out := z.key.ToDS(dns.SHA256)
		out.Hdr.Ttl = 3600
		return out
	}
	add(w.root, w.root.key)
	add(w.root, ds(w.test))
	add(w.test, w.test.key)
	add(w.test, ds(w.testZone))
	add(w.testZone, w.key)
	return out
}

// fuzzQuestions are those that the model zone has the truth of: DS records of its apex are not its own. What is
// below its unsigned delegation may be insecure, and nothing else.
var fuzzQuestions = []struct {
	name  string
	qtype uint16
	// state of the honest answer, and its code.
	state State
	rcode int
	// types and owners of what it holds beside the chain, an owner before its types.
	answer, authority []string
}{
	{"mx.example.test.", dns.TypeA, Secure, 0, []string{"mx.example.test. A"}, nil},
	{"mx.example.test.", dns.TypeTLSA, Secure, 0, nil, []string{"example.test. SOA", "mx.example.test. NSEC"}},
	{"_25._tcp.mx.example.test.", dns.TypeTLSA, Secure, 0, []string{"_25._tcp.mx.example.test. TLSA"}, nil},
	{"alias.example.test.", dns.TypeA, Secure, 0, []string{"alias.example.test. CNAME", "mx.example.test. A"}, nil},
	{"_25._tcp.dn.example.test.", dns.TypeTLSA, Secure, 0, []string{"dn.example.test. DNAME", "_25._tcp.mx.example.test. TLSA"}, nil},
	{"nothere.example.test.", dns.TypeA, Secure, dns.RcodeNameError, nil, []string{"example.test. SOA", "example.test. NSEC", "_25._tcp.mx.example.test. NSEC"}},
	{"sub.example.test.", dns.TypeDS, Secure, 0, nil, []string{"example.test. SOA", "sub.example.test. NSEC"}},
	{"www.sub.example.test.", dns.TypeA, Insecure, 0, nil, []string{"sub.example.test. NSEC"}},
}

// honest is the one message that answers every question on the way to one of them.
func (w *fixedWorld) honest(t testing.TB, which int) *dns.Msg {
	q := fuzzQuestions[which]
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.Response, m.Rcode, m.Answer = true, q.rcode, w.chain(t)
	pick := func(wanted []string) []dns.RR {
		var out []dns.RR
		for _, text := range wanted {
			found := len(out)
			for _, rr := range w.all {
				if rr.Header().Name+" "+typeText(coveredType(rr)) == text {
					out = append(out, rr)
				}
			}
			if len(out) == found {
				t.Fatalf("the zone has no %s", text)
			}
		}
		return out
	}
	m.Answer = append(m.Answer, pick(q.answer)...)
	m.Ns = pick(q.authority)
	return m
}

// ask has a Validator get the same octets for an answer to all that it asks, by forwarders and by itself.
func (w *fixedWorld) ask(t *testing.T, octets []byte, name string, qtype uint16) []Result {
	t.Helper()
	server := netip.MustParseAddrPort("192.0.2.53:53")
	var out []Result
	for _, c := range []Config{{Forwarders: []netip.AddrPort{server}}, {Stubs: map[string][]netip.AddrPort{".": {server}}}} {
		transport := &wire{octets: octets}
		c.Anchors, c.Transport, c.Now = []Anchor{w.root.anchor()}, transport, func() time.Time { return at }
		v, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v.Lookup(t.Context(), name, qtype))
		if transport.count > maxMessages*maxHops {
			t.Errorf("%d messages", transport.count)
		}
	}
	return out
}

// TestTheHonestAnswerIsSecure: what the fuzzer begins with is what it has to spoil.
func TestTheHonestAnswerIsSecure(t *testing.T) {
	w := newFixedWorld(t)
	for i, q := range fuzzQuestions {
		m := w.honest(t, i)
		octets, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range w.ask(t, octets, q.name, q.qtype) {
			if r.State != q.state {
				t.Errorf("%s %s is %s (%v), want %s", q.name, typeText(q.qtype), r.State, r.Cause, q.state)
			} else if r.State == Secure {
				w.holds(t, r, m)
			}
		}
	}
}

// believed asks one of the questions. Whatever the octets are:
//   - what is secure is what the signed zone says, and nothing else;
//   - nothing is insecure but what is below the zone's unsigned delegation;
//   - what is neither has a cause, and what is bogus no data.
func (w *fixedWorld) believed(t *testing.T, octets []byte, which int) bool {
	t.Helper()
	q, all := fuzzQuestions[which], true
	msg := new(dns.Msg)
	_ = msg.Unpack(octets) // for messages alone
	for _, r := range w.ask(t, octets, q.name, q.qtype) {
		all = all && r.State == q.state
		switch {
		case r.State == Secure:
			w.holds(t, r, msg)
		case r.Cause == nil || r.State != Insecure && len(r.RRs) > 0:
			t.Errorf("%+v", r)
		case r.State == Insecure && !below("sub.example.test.", q.name):
			t.Errorf("%s is insecure: %v\n%s", q.name, r.Cause, msg)
		}
	}
	return all
}

// TestAlteredAnswers alters each record of each answer in some ways, the chain of keys included.
func TestAlteredAnswers(t *testing.T) {
	w := newFixedWorld(t)
	refused := 0
	for which, q := range fuzzQuestions {
		honest := w.honest(t, which)
		for i := range append(honest.Answer, honest.Ns...) {
			for how := byte(6); how < 16; how += 2 {
				m := honest.Copy()
				at := &m.Answer[min(i, len(m.Answer)-1)]
				if i >= len(m.Answer) {
					at = &m.Ns[i-len(m.Answer)]
				}
				*at = altered(*at, how, q.name)
				octets, err := m.Pack()
				if err == nil && !w.believed(t, octets, which) {
					refused++
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("only %d alterations made a difference", refused)
	}
}

// TestTheADBitIsNobodysWord: that a server says it has validated an answer makes it no better.
func TestTheADBitIsNobodysWord(t *testing.T) {
	w := newFixedWorld(t)
	q := fuzzQuestions[0]
	for _, lie := range []bool{false, true} {
		m := w.honest(t, 0)
		m.AuthenticatedData = true
		if lie {
			for _, rr := range m.Answer {
				if a, ok := rr.(*dns.A); ok {
					a.A = []byte{192, 0, 2, 66}
				}
			}
		}
		octets, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range w.ask(t, octets, q.name, q.qtype) {
			if (r.State == Secure) == lie {
				t.Errorf("with a lie in it: %t; it is %s (%v)", lie, r.State, r.Cause)
			}
		}
	}
}

// FuzzLookup feeds a Validator with octets from the network. It must come to an end, and believe what is true.
func FuzzLookup(f *testing.F) {
	w := newFixedWorld(f)
	for i := range fuzzQuestions {
		octets, err := w.honest(f, i).Pack()
		if err != nil {
			f.Fatal(err)
		}
		for which := range fuzzQuestions {
			f.Add(byte(which), octets)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, octets []byte) {
		w.believed(t, octets, int(which)%len(fuzzQuestions))
	})
}
