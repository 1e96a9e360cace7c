package zone

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

func TestZoneState(t *testing.T) {
	answering := func(at string, err error) seen {
		return seen{health: ServerHealth{Server: Server{Addr: netip.MustParseAddrPort(at + ":53")}, Reachable: true}, err: err}
	}
	ignored := func(s seen) seen {
		s.health.Ignored = true
		return s
	}
	silent := func(s seen) seen {
		s.health.Reachable = false
		return s
	}
	secure := answering("192.0.2.1", nil)
	bogus := answering("192.0.2.2", &dnssec.Error{Reason: dnssec.Expired, Detail: "expired"})
	insecure := answering("192.0.2.3", &dnssec.Error{Reason: dnssec.Unsupported, Detail: "unknown algorithm"})
	unclear := answering("192.0.2.4", errors.New("it answers SERVFAIL"))
	const none = "no server of the zone example.test. answers"
	cases := []struct {
		reason  string
		found   []seen
		want    dnssec.State
		message string
	}{
		{"all secure", []seen{secure, secure}, dnssec.Secure, ""},
		{"one that does not validate", []seen{secure, bogus}, dnssec.Bogus, "192.0.2.2:53: expired"},
		{"one with an algorithm that nobody knows", []seen{secure, insecure}, dnssec.Insecure, "192.0.2.3:53: unknown algorithm"},
		{"one that answers and whose keys cannot be read", []seen{secure, unclear}, dnssec.Indeterminate, "192.0.2.4:53: it answers SERVFAIL"},
		{"in whatever order", []seen{unclear, secure}, dnssec.Indeterminate, "192.0.2.4:53: it answers SERVFAIL"},
		{"that one alone", []seen{unclear}, dnssec.Indeterminate, "192.0.2.4:53: it answers SERVFAIL"},
		{"insecure is worse than unclear", []seen{unclear, insecure, secure}, dnssec.Insecure, "192.0.2.3:53: unknown algorithm"},
		{"bogus is worst", []seen{insecure, unclear, bogus, secure}, dnssec.Bogus, "192.0.2.2:53: expired"},
		{"the first of two that are alike is told", []seen{bogus, answering("192.0.2.9", &dnssec.Error{Reason: dnssec.Expired, Detail: "too"})}, dnssec.Bogus, "192.0.2.2:53: expired"},
		{"one that does not answer says nothing", []seen{secure, silent(unclear)}, dnssec.Secure, ""},
		{"what is excepted says nothing", []seen{ignored(bogus), ignored(unclear), secure, ignored(insecure)}, dnssec.Secure, ""},
		{"good or bad", []seen{ignored(secure), unclear}, dnssec.Indeterminate, "192.0.2.4:53: it answers SERVFAIL"},
		{"none answers", []seen{silent(secure), silent(bogus)}, dnssec.Indeterminate, none},
		{"none but excepted ones", []seen{ignored(secure), silent(secure)}, dnssec.Indeterminate, none},
		{"no servers", nil, dnssec.Indeterminate, none},
	}
	e := entry{ds: []dnssec.Anchor{{Hdr: header(testZone, dns.TypeDS, 60)}}}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			if state, message := zoneState(testZone, e, nil, c.found); state != c.want || message != c.message {
				t.Errorf("%s %q, want %s %q", state, message, c.want, c.message)
			}
		})
	}
}

// TestZoneWithoutAnAnchor: nobody can judge it, and without a proof it is not unsigned, whatever its servers show or leave
// out. The rule holds what it holds where nothing is known.
func TestZoneWithoutAnAnchor(t *testing.T) {
	key := newFakeServer(t).dnskey
	why := &dnssec.Error{Reason: dnssec.NoAnchor, Subject: testZone, Detail: "no trust anchor"}
	for _, c := range []struct {
		reason string
		keys   []*dns.DNSKEY
		says   string
	}{
		{"keys", []*dns.DNSKEY{key}, dnssec.PresentDS(key.ToDS(dns.SHA256))},
		{"no keys", nil, "none of its servers shows a DNSKEY"},
	} {
		state, message := zoneState(testZone, entry{err: why}, c.keys, nil)
		if state != dnssec.Indeterminate || !strings.HasPrefix(message, "example.test.: no trust anchor; ") || !strings.Contains(message, c.says) {
			t.Errorf("%s: %s, %q", c.reason, state, message)
		}
	}
}

// A server that serves the zone and whose keys cannot be read leaves the state open.
func TestZoneWithAServerWhoseKeysCannotBeRead(t *testing.T) {
	good := newFakeServer(t)
	bad := good.twin()
	bad.misbehave = to(testZone, dns.TypeDNSKEY, replyServfail)
	good.startTCP()
	bad.startTCP()
	cfg := testConfig(good)
	cfg.Static = append(cfg.Static, bad.addrPort())
	ch := make(chan Health, 1)
	startActor(t, cfg, quick()).Check(func(h Health) { ch <- h })
	h := wait(t, ch)
	reachable := !slices.ContainsFunc(h.Servers, func(s ServerHealth) bool { return !s.Reachable })
	if h.DNSSEC.State != dnssec.Indeterminate || !reachable {
		t.Errorf("%+v", h)
	}
}
