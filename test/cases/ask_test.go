package cases

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const askTimeout = 10 * time.Second

// tlsa asks the primary, past the operator, for the TLSA data at a name.
func (s *site) tlsa(owner string) []string {
	s.Helper()
	return tlsaAt(s.T, s.servers[0], owner)
}

// tlsaAt asks one server for the TLSA data at a name.
func tlsaAt(t *testing.T, server, owner string) []string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(owner, dns.TypeTLSA)
	reply, _, err := (&dns.Client{Net: "tcp", Timeout: askTimeout}).Exchange(m, server)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, rr := range reply.Answer {
		if t, ok := rr.(*dns.TLSA); ok {
			out = append(out, strings.ToLower(t.Certificate))
		}
	}
	slices.Sort(out)
	return out
}

// serial asks the primary for the serial of the zone, which every change of its records raises.
func (s *site) serial() uint32 {
	s.Helper()
	m := new(dns.Msg).SetQuestion(s.zone.Name, dns.TypeSOA)
	reply, _, err := (&dns.Client{Net: "tcp", Timeout: askTimeout}).Exchange(m, s.servers[0])
	s.must(err)
	for _, rr := range reply.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	s.Fatalf("no SOA of %s", s.zone.Name)
	return 0
}

// eventually waits until check returns nothing.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(missing)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// steadily watches for a while that check returns nothing.
func steadily(t *testing.T, how time.Duration, check func() string) {
	t.Helper()
	for deadline := time.Now().Add(how); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if wrong := check(); wrong != "" {
			t.Fatal(wrong)
		}
	}
}
