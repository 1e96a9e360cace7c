package zone

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestWorkOfOneAnswer: what an answer may cost is not what each of its pieces may (CVE-2023-50387).
func TestWorkOfOneAnswer(t *testing.T) {
	s := newFakeServer(t)
	now := time.Now()
	keySet := s.signed([]dns.RR{s.dnskey})
	keys, err := dnssec.NewCache().KeysFor(testZone, keySet[:1], []*dns.RRSIG{keySet[1].(*dns.RRSIG)}, []dnssec.Anchor{s.ds()}, now)
	if err != nil {
		t.Fatal(err)
	}
	const junk = 7
	for aliases, want := range map[int]dnssec.Reason{1: "", maxHops - 1: dnssec.TooMuchWork} {
		m := new(dns.Msg)
		m.SetQuestion("a0."+testZone, dns.TypeA)
		m.Authoritative = true
		for i := range aliases + 1 {
			h := header(fmt.Sprintf("a%d.%s", i, testZone), dns.TypeCNAME, 60)
			set := s.signed([]dns.RR{&dns.CNAME{Hdr: h, Target: fmt.Sprintf("a%d.%s", i+1, testZone)}})
			if h.Rrtype = dns.TypeA; i == aliases {
				set = s.signed([]dns.RR{&dns.A{Hdr: h, A: []byte{192, 0, 2, 1}}})
			}
			m.Answer = append(m.Answer, set[0])
			for n := range junk {
				bad := dns.Copy(set[1]).(*dns.RRSIG)
				bad.OrigTtl += uint32(n) + 1
				m.Answer = append(m.Answer, bad)
			}
			m.Answer = append(m.Answer, set[1])
		}
		got, err := readAnswer(testZone, "a0."+testZone, dns.TypeA, m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = validate(keys, got, now)
		var e *dnssec.Error
		if (err == nil) != (want == "") || errors.As(err, &e) && e.Reason != want {
			t.Errorf("%d aliases with %d bad signatures each: %v", aliases, junk, err)
		}
	}
}

func TestLongestValidity(t *testing.T) {
	const day = 24 * 60 * 60
	sig := func(inception, expiration uint32) dns.RR {
		return &dns.RRSIG{Hdr: header(testZone, dns.TypeRRSIG, 60), Inception: inception, Expiration: expiration}
	}
	soa := &dns.SOA{Hdr: header(testZone, dns.TypeSOA, 60)}
	cases := []struct {
		reason            string
		answer, authority []dns.RR
		want              time.Duration
	}{
		{"an unsigned answer has none", []dns.RR{soa}, nil, 0},
		{"from inception to expiration, whenever that is", []dns.RR{soa, sig(1_700_000_000, 1_700_000_000+14*day)}, nil, 14 * 24 * time.Hour},
		{"the longest of several counts", []dns.RR{sig(1000, 1000+3*day), sig(2000, 2000+5*day), sig(3000, 3000+4*day)}, nil, 5 * 24 * time.Hour},
		{"a denial is signed in the authority section", nil, []dns.RR{soa, sig(1000, 1000+7*day)}, 7 * 24 * time.Hour},
		{"both sections count", []dns.RR{sig(1000, 1000+2*day)}, []dns.RR{sig(1000, 1000+6*day)}, 6 * 24 * time.Hour},
		{"the 32 bits wrap between the two times (2106)", []dns.RR{sig(0xffff_ffff-day+1, 13*day)}, nil, 14 * 24 * time.Hour},
		{"a wrapped one is compared by its length", []dns.RR{sig(0xffff_ff00, 0xff), sig(1000, 1000+day)}, nil, 24 * time.Hour},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			if got := longestValidity(&dns.Msg{Answer: c.answer, Ns: c.authority}); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
