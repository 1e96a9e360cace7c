package dnssec

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestSignerAboveCutThroughForwarders: a zone above a cut may not speak for what is below it. Through recursive servers
// that is found out by DS records, and what they do not prove takes nothing away.
func TestSignerAboveCutThroughForwarders(t *testing.T) {
	const resolver = "192.0.2.53"
	for _, c := range []struct {
		reason string
		// between is what the resolver says of DS records of the zone in between; nil for nothing.
		between func(*world) *dns.Msg
		state   State
		cause   Reason
	}{
		{"the zone in between is signed", func(w *world) *dns.Msg {
			return w.answers[testServer+" example.test. DS"]
		}, Bogus, WrongSigner},
		{"the zone in between is not signed", func(w *world) *dns.Msg {
			return w.denied(w.test, dns.RcodeSuccess, "example.test. 60 NSEC z.test. NS RRSIG NSEC")
		}, Insecure, UnsignedDelegation},
		{"there is no zone in between", func(w *world) *dns.Msg {
			return w.denied(w.test, dns.RcodeSuccess, "example.test. 60 NSEC z.test. A RRSIG NSEC")
		}, Secure, ""},
		{"the resolver does not say", nil, Secure, ""},
		{"what it says is bogus", func(w *world) *dns.Msg {
			m := w.answers[testServer+" example.test. DS"].Copy()
			m.Answer[1].(*dns.RRSIG).Signature = "AAAA"
			return m
		}, Secure, ""},
	} {
		w := newWorld(t)
		for _, z := range []*testZone{w.root, w.test, w.example} {
			w.keys(resolver, z)
		}
		w.give(resolver, "test.", dns.TypeDS, w.answers[rootServer+" test. DS"])
		w.give(resolver, "mx.example.test.", dns.TypeA, w.signed(w.test, nil, mxA))
		w.give(resolver, "mx.example.test.", dns.TypeDS, w.denied(w.test, dns.RcodeSuccess, "mx.example.test. 60 NSEC z.test. A RRSIG NSEC"))
		if c.between != nil {
			w.give(resolver, "example.test.", dns.TypeDS, c.between(w))
		}
		v := w.validator(func(c *Config) { c.Forwarders = []netip.AddrPort{netip.MustParseAddrPort(resolver + ":53")} })
		t.Log(c.reason)
		w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), c.state, c.cause)
	}
}
