package zone

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

const day = 24 * time.Hour

// lasting makes signatures over records of a type end so long from now.
func lasting(kind uint16, validity time.Duration) func(uint16, *dns.RRSIG) {
	return func(k uint16, sig *dns.RRSIG) {
		if k == kind {
			sig.Expiration = uint32(time.Now().Add(validity).Unix())
		}
	}
}

// What ends first decides how long an answer can be believed, wherever on the way it stands.
func TestFirstSignatureToEndCounts(t *testing.T) {
	cases := []struct {
		reason  string
		prepare func(s *fakeServer)
		want    time.Duration
	}{
		{"all end together", func(s *fakeServer) { s.publishDirect(1, record(1)) }, 14 * day},
		{"that over the records", func(s *fakeServer) {
			s.publishDirect(1, record(1))
			s.before = lasting(dns.TypeTLSA, 3*day)
		}, 3 * day},
		{"that over the keys", func(s *fakeServer) {
			s.publishDirect(1, record(1))
			s.before = lasting(dns.TypeDNSKEY, 2*day)
		}, 2 * day},
		{"that over an alias on the way", func(s *fakeServer) {
			s.rr(ownerName(1) + " 60 CNAME tlsa." + testZone)
			s.set(rrs("tlsa."+testZone, []tlsa.Record{record(1)}, time.Minute)...)
			s.before = lasting(dns.TypeCNAME, day)
		}, day},
		{"one of two over the same records", func(s *fakeServer) {
			s.publishDirect(1, record(1))
			s.also = func(kind uint16) []dns.RR {
				h := dns.RR_Header{Name: ownerName(1), Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 3600}
				sig := &dns.RRSIG{Hdr: h, TypeCovered: kind, Algorithm: dns.RSASHA256, Labels: 4, OrigTtl: 3600, SignerName: testZone, Signature: "aaaa"}
				lasting(kind, 4*day)(kind, sig)
				return []dns.RR{sig}
			}
		}, 4 * day},
		{"that over the proof that there are none", func(s *fakeServer) { s.before = lasting(dns.TypeNSEC, 5*day) }, 5 * day},
		{"that over the SOA that goes with it", func(s *fakeServer) { s.before = lasting(dns.TypeSOA, 6*day) }, 6 * day},
		{"that over other records does not", func(s *fakeServer) {
			s.publishDirect(1, record(1))
			s.before = lasting(dns.TypeSOA, day)
		}, 14 * day},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			c.prepare(s)
			s.startTCP()
			a := sweepOf(t, startActor(t, testConfig(s), quick()), ownerName(1)).Answers[0]
			left := time.Until(a.SignatureExpires).Round(time.Hour)
			if !a.Signed || left != c.want {
				t.Errorf("it ends in %s, want %s: %+v", left, c.want, a)
			}
		})
	}
}

// A server with bad signatures is red by itself: senders that ask it fail.
func TestServerWithBadSignatures(t *testing.T) {
	expired := func(_ uint16, sig *dns.RRSIG) {
		sig.Inception, sig.Expiration = uint32(time.Now().Add(-2*day).Unix()), uint32(time.Now().Add(-time.Minute).Unix())
	}
	early := func(_ uint16, sig *dns.RRSIG) { sig.Inception = uint32(time.Now().Add(time.Hour).Unix()) }
	altered := func(_ uint16, sig *dns.RRSIG) { sig.Expiration += 60 }
	only := func(kind uint16, f func(uint16, *dns.RRSIG)) func(uint16, *dns.RRSIG) {
		return func(k uint16, sig *dns.RRSIG) {
			if k == kind {
				f(k, sig)
			}
		}
	}
	cases := []struct {
		reason  string
		prepare func(s *fakeServer)
		want    string
	}{
		{"expired", func(s *fakeServer) { s.before = only(dns.TypeTLSA, expired) }, "TLSA: the signature by key"},
		{"expired, and told as such", func(s *fakeServer) { s.before = only(dns.TypeTLSA, expired) }, "has expired"},
		{"not valid yet", func(s *fakeServer) { s.before = only(dns.TypeTLSA, early) }, "not valid yet"},
		{"altered", func(s *fakeServer) { s.after = only(dns.TypeTLSA, altered) }, "does not verify"},
		{"over the keys, expired", func(s *fakeServer) { s.before = only(dns.TypeDNSKEY, expired) }, "DNSKEY: the signature by key"},
		{"over the keys, not valid yet", func(s *fakeServer) { s.before = only(dns.TypeDNSKEY, early) }, "not valid yet"},
		{"over the keys, altered", func(s *fakeServer) { s.after = only(dns.TypeDNSKEY, altered) }, "does not verify"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			good := newFakeServer(t)
			good.publishDirect(1, record(1))
			bad := good.twin()
			c.prepare(bad)
			good.startTCP()
			bad.startTCP()
			cfg := testConfig(good)
			cfg.Static = append(cfg.Static, bad.addrPort())
			for _, a := range sweepOf(t, startActor(t, cfg, quick()), ownerName(1)).Answers {
				isBad := a.Address == bad.addr
				if !a.Reachable || a.Signed == isBad || isBad && !strings.Contains(a.Message, c.want) {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}
