package dnssec

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// sweepOf makes the answers that every one of several servers gives about so many owners.
func sweepOf(b testing.TB, owners int) (*model, []*dns.Msg) {
	m := newModel(b)
	var out []*dns.Msg
	for i := range owners {
		name := fmt.Sprintf("_25._tcp.mx%d.example.test.", i)
		rr, err := dns.NewRR(name + " 300 TLSA 3 1 1 aa")
		if err != nil {
			b.Fatal(err)
		}
		msg := new(dns.Msg)
		msg.SetQuestion(name, dns.TypeTLSA)
		msg.Answer = []dns.RR{rr, m.mustSign(b, []dns.RR{rr})}
		out = append(out, msg)
	}
	return m, out
}

// countChecks counts the signatures that are verified from now on with keys: what the cache saves is none.
func countChecks(keys *Keys) *int {
	made := new(int)
	keys.checked = NewCache()
	verify := keys.checked.verify
	keys.checked.verify = func(sig *dns.RRSIG, key *dns.DNSKEY, set []dns.RR) error {
		*made++
		return verify(sig, key, set)
	}
	return made
}

// sweeper judges sweeps of one zone: its keys, and how many signatures were verified with them.
type sweeper struct {
	keys Keys
	made *int
}

func newSweeper(m *model) *sweeper {
	s := &sweeper{keys: *m.keep}
	s.made = countChecks(&s.keys)
	return s
}

// sweep judges what so many servers say, and returns how many signatures were verified for that.
func (s *sweeper) sweep(b testing.TB, answers []*dns.Msg, servers int) int {
	before := *s.made
	for range servers {
		for _, msg := range answers {
			if err := piecemeal(s.keys.OneAnswer(), msg); err != nil {
				b.Fatal(err)
			}
		}
	}
	return *s.made - before
}

// BenchmarkSweep judges the answers of a zone's servers: identical RRsets and signatures are verified
// once, whatever the number of servers ("checks" is of signatures in one sweep), and not again by the next sweep.
func BenchmarkSweep(b *testing.B) {
	const owners = 20
	m, answers := sweepOf(b, owners)
	for _, servers := range []int{1, 2, 6} {
		b.Run(fmt.Sprintf("%d-servers", servers), func(b *testing.B) {
			checks := 0
			for b.Loop() {
				checks = newSweeper(m).sweep(b, answers, servers)
			}
			b.ReportMetric(float64(checks), "checks/op")
		})
	}
	b.Run("6-servers-again", func(b *testing.B) {
		s := newSweeper(m)
		s.sweep(b, answers, 6)
		checks := 0
		for b.Loop() {
			checks = s.sweep(b, answers, 6)
		}
		b.ReportMetric(float64(checks), "checks/op")
	})
}

func TestASweepVerifiesOnce(t *testing.T) {
	const owners = 5
	m, answers := sweepOf(t, owners)
	s := newSweeper(m)
	if n := s.sweep(t, answers, 6); n != owners {
		t.Errorf("%d signatures were verified for %d answers that six servers give alike", n, owners)
	}
	if n := s.sweep(t, answers, 6); n != 0 {
		t.Errorf("%d signatures were verified again, of the same records", n)
	}
}

// BenchmarkCrowd judges an RRset of a zone with many keys and many signatures that are by none of them: within the
// limits, and as many as fit into one message each.
func BenchmarkCrowd(b *testing.B) {
	set := []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "mx.example.test.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: []byte{192, 0, 2, 1}}}
	for _, c := range []struct{ keys, sigs int }{{1, 1}, {MaxKeys, MaxSignatures}, {2000, 1200}} {
		crowd := newCrowded(fixedZone("example.test."), c.keys)
		sigs := crowd.signatures(b, set, c.sigs)
		b.Run(fmt.Sprintf("%d-keys-%d-signatures", c.keys, c.sigs), func(b *testing.B) {
			cache := NewCache()
			for b.Loop() {
				_, err := cache.UntrustedKeys(crowd.name, crowd.keys).Verify(set, sigs, at)
				if over := c.keys > MaxKeys || c.sigs > MaxSignatures; over != (reasonOf(err) == TooMuchWork) {
					b.Fatal(err)
				}
			}
		})
	}
}
