package dnssec

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// questions that lies are told of.
var questions = []struct {
	name  string
	qtype uint16
}{
	{"mx.example.test.", dns.TypeA}, {"mx.example.test.", dns.TypeTLSA}, {"example.test.", dns.TypeMX}, {"example.test.", dns.TypeDS},
	{"_25._tcp.mx.example.test.", dns.TypeTLSA}, {"_tcp.mx.example.test.", dns.TypeTLSA}, {"_443._tcp.mx.example.test.", dns.TypeTLSA},
	{"alias.example.test.", dns.TypeA}, {"alias.example.test.", dns.TypeCNAME}, {"loop.example.test.", dns.TypeA},
	{"a.wild.example.test.", dns.TypeTLSA}, {"a.b.wild.example.test.", dns.TypeTLSA}, {"a.wild.example.test.", dns.TypeA},
	{"host.wild.example.test.", dns.TypeTLSA}, {"x.host.wild.example.test.", dns.TypeTLSA}, {"*.wild.example.test.", dns.TypeTLSA},
	{"nothere.example.test.", dns.TypeA}, {"a.b.nothere.example.test.", dns.TypeA}, {"_25._tcp.dn.example.test.", dns.TypeTLSA},
	{"dn.example.test.", dns.TypeDNAME}, {"sub.example.test.", dns.TypeDS}, {"sub.example.test.", dns.TypeA}, {"www.sub.example.test.", dns.TypeA},
	{"evilexample.test.", dns.TypeA}, {"wild.example.test.", dns.TypeTLSA},
}

// lie makes an answer from the zone's own records, each of them genuine or altered, as the octets of
// a recipe say: what a liar on the way can do who lacks the key.
func (m *model) lie(recipe []byte, name string, qtype uint16) *dns.Msg {
	msg := new(dns.Msg)
	msg.SetQuestion(name, qtype)
	msg.Response = true
	if len(recipe) > 0 && recipe[0]&1 == 1 {
		msg.Rcode = dns.RcodeNameError
	}
	for i := 1; i+1 < len(recipe); i += 2 {
		at, how := int(recipe[i])%len(m.all), recipe[i+1]
		// Most signatures come with what they sign.
		for _, rr := range m.all[at:min(at+1+int(how>>7), len(m.all))] {
			rr = altered(dns.Copy(rr), how&0x7f, name)
			if how&1 == 0 {
				msg.Answer = append(msg.Answer, rr)
			} else {
				msg.Ns = append(msg.Ns, rr)
			}
		}
	}
	return msg
}

// altered leaves most records as they are.
func altered(rr dns.RR, how byte, name string) dns.RR {
	switch how >> 1 {
	case 1, 2, 3, 4:
		rr.Header().Name = name
	case 5:
		rr.Header().Ttl *= 2
	case 6:
		if a, ok := rr.(*dns.A); ok {
			a.A = []byte{203, 0, 113, 1}
		}
		if n, ok := rr.(*dns.NSEC); ok {
			n.NextDomain = "zz.example.test."
		}
		if sig, ok := rr.(*dns.RRSIG); ok {
			sig.Labels--
		}
	case 7:
		if d, ok := rr.(*dns.NSEC3); ok {
			d.Flags ^= 1
		}
		if sig, ok := rr.(*dns.RRSIG); ok {
			sig.SignerName = "test."
		}
	}
	return rr
}

// judged checks that what is called secure is true.
func (m *model) judged(t *testing.T, msg *dns.Msg, name string, qtype uint16) bool {
	t.Helper()
	r := m.keep.Judge(msg, name, qtype, at)
	if r.State != Secure {
		if r.Cause == nil || r.RRs != nil && r.State != Insecure {
			t.Fatalf("%s without a cause, or with data: %+v\n%s", r.State, r, msg)
		}
		return false
	}
	m.holds(t, r, msg)
	return true
}

// holds checks a secure result against the truth.
func (m *model) holds(t *testing.T, r Result, msg *dns.Msg) {
	t.Helper()
	name, qtype := r.Name, r.Type
	at, kind := name, Kind("")
	var set []dns.RR
	for range len(r.Hops) {
		if kind, set = m.truth(at, qtype); kind != Alias {
			t.Fatalf("%s is no alias: it is %s\n%s", at, kind, msg)
		}
		at = follow(at, set[0])
	}
	if at != r.Final {
		t.Fatalf("the aliases of %s lead to %s, and not to %s\n%s", name, at, r.Final, msg)
	}
	if r.Kind == Alias || len(r.Hops) > 0 && qtype == dns.TypeCNAME {
		return
	}
	if kind, set = m.truth(at, qtype); kind != r.Kind && (kind != Alias || qtype != dns.TypeCNAME) {
		t.Fatalf("%s %s is %s, and called %s\n%s", at, typeText(qtype), kind, r.Kind, msg)
	}
	if r.Kind == Data && !sameData(r.RRs, set) {
		t.Fatalf("%s %s is %v, and said to be %v\n%s", at, typeText(qtype), set, r.RRs, msg)
	}
}

func follow(name string, alias dns.RR) string {
	switch a := alias.(type) {
	case *dns.CNAME:
		return a.Target
	case *dns.DNAME:
		return substitute(name, a.Hdr.Name, a.Target)
	}
	return ""
}

// sameData compares RDATA.
func sameData(a, b []dns.RR) bool {
	text := func(set []dns.RR) []string {
		var out []string
		for _, rr := range set {
			c := dns.Copy(rr)
			c.Header().Name, c.Header().Ttl = "same.", 0
			out = append(out, c.String())
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(text(a), text(b))
}

// TestNoLieIsSecure tells many lies about every question, and makes sure that true answers are among what
// is told, or the test would show nothing.
func TestNoLieIsSecure(t *testing.T) {
	m := newModel(t)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same lies every time
	believed := map[int]int{}
	for range 600 {
		for i, q := range questions {
			recipe := make([]byte, 1+2*random.IntN(9))
			for j := range recipe {
				recipe[j] = byte(random.Uint32())
			}
			if m.judged(t, m.lie(recipe, q.name, q.qtype), q.name, q.qtype) {
				believed[i]++
			}
		}
	}
	if len(believed) < 12 {
		t.Errorf("only %d of %d questions were ever answered so that it is secure", len(believed), len(questions))
	}
}

// FuzzJudge looks for a message, of which the liar makes what he can, that is believed and not true.
func FuzzJudge(f *testing.F) {
	m := newModel(f)
	f.Add(byte(0), []byte{0, 8, 128})
	f.Add(byte(16), []byte{1, 30, 129, 40, 129, 24, 129})
	f.Fuzz(func(t *testing.T, which byte, recipe []byte) {
		if len(recipe) > 64 {
			return
		}
		q := questions[int(which)%len(questions)]
		m.judged(t, m.lie(recipe, q.name, q.qtype), q.name, q.qtype)
	})
}

// wire answers every question with the same octets, under the question's ID and question.
type wire struct {
	octets []byte
	count  int
}

func (w *wire) Exchange(_ context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	w.count++
	m := new(dns.Msg)
	if err := m.Unpack(w.octets); err != nil {
		return nil, err
	}
	m.Id, m.Response, m.Truncated, m.Question = q.Id, true, false, q.Question
	return m, nil
}
