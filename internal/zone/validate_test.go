package zone

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

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
