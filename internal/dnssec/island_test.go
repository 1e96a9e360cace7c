package dnssec

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestNothingAboveTheAnchorHasASay: the trust anchor of the deepest zone counts alone. Whoever is on the way
// could otherwise turn what is bogus into what cannot be known, or, through a zone without DNSSEC in between, into
// what is merely insecure.
func TestNothingAboveTheAnchorHasASay(t *testing.T) {
	dname := func(owner string) func(*world) *dns.Msg {
		return func(w *world) *dns.Msg { return &dns.Msg{Answer: rrset(w.t, owner+" 300 DNAME evil.")} }
	}
	byAbove := func(w *world) *dns.Msg { return w.signed(w.test, nil, mxA) }
	for _, c := range []struct {
		reason string
		answer func(*world) *dns.Msg
		// island says that the root has no anchor.
		island bool
		state  State
		want   Reason
	}{
		{"a DNAME above the only anchor", dname("test."), true, Bogus, BadAlias},
		{"a DNAME at the root above the only anchor", dname("."), true, Bogus, BadAlias},
		{"a DNAME in an insecure zone between the root's anchor and the other", dname("test."), false, Bogus, BadAlias},
		{"a DNAME at the root, which has an anchor too", dname("."), false, Bogus, BadAlias},
		{"an unsigned DNAME at the zone itself", dname("example.test."), false, Bogus, NoSignature},
		{"a signature by a zone above the only anchor: unbound takes it for no better", byAbove, true, Indeterminate, NoAnchor},
		{"a signature by an insecure zone in between", byAbove, false, Bogus, WrongSigner},
		{"an honest answer", func(w *world) *dns.Msg { return w.signed(w.example, nil, mxA) }, false, Secure, ""},
		{"an honest alias at the zone itself", func(w *world) *dns.Msg { return w.signed(w.example, nil, "example.test. 300 DNAME open.test.") }, false, Insecure, UnsignedDelegation},
	} {
		w := newWorld(t)
		unsigned(w)
		w.give(rootServer, "test.", dns.TypeDS, w.denied(w.root, 0, "test. 60 NSEC . NS RRSIG NSEC"))
		w.give(rootServer, "test.", dns.TypeANY, &dns.Msg{Ns: rrset(t, "test. 3600 NS ns.test."), Extra: rrset(t, "ns.test. 3600 A "+testServer)})
		w.give("192.0.2.5", "mx.open.test.", dns.TypeA, &dns.Msg{Answer: rrset(t, "mx.open.test. 300 A 192.0.2.98")})
		w.give(firstServer, "mx.example.test.", dns.TypeDS, w.denied(w.example, 0, "mx.example.test. 60 NSEC example.test. A RRSIG NSEC"))
		w.give(firstServer, "mx.example.test.", dns.TypeA, c.answer(w))
		r := w.validator(func(config *Config) {
			config.Anchors = append(config.Anchors, w.example.anchor())
			if c.island {
				config.Anchors = []Anchor{w.example.anchor()}
			}
		}).Lookup(t.Context(), "mx.example.test.", dns.TypeA)
		t.Log(c.reason)
		w.is(r, c.state, c.want)
		if c.state != Secure && c.state != Insecure && (r.RRs != nil || len(r.Hops) > 0) {
			t.Errorf("it is followed: %+v", r)
		}
	}
}

// TestSecureZoneAboveTheAnchorHasNoSay: whoever gives a zone an anchor of its own does not trust those above it with what is in
// it, signed as they may be and whatever they say of delegations.
func TestSecureZoneAboveTheAnchorHasNoSay(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*world, *Config)
		state  State
		cause  Reason
	}{
		{"the parent's server answers itself", func(w *world, _ *Config) {
			w.give(testServer, "mx.example.test.", dns.TypeA, w.signed(w.test, nil, mxA))
		}, Bogus, WrongSigner},
		{"the zone's own server shows it", func(w *world, _ *Config) {
			w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.test, nil, mxA))
		}, Bogus, WrongSigner},
		{"a resolver shows it, and the zone's keys too", func(w *world, c *Config) {
			c.Forwarders = w.resolverOf(w.root, w.test, w.example)
		}, Bogus, WrongSigner},
		{"a resolver shows it, and hides the zone's keys", func(w *world, c *Config) {
			c.Forwarders = w.resolverOf(w.root, w.test)
		}, Indeterminate, Unreachable},
	} {
		w := newWorld(t)
		noCut := w.denied(w.example, dns.RcodeSuccess, "mx.example.test. 60 NSEC example.test. A RRSIG NSEC")
		w.give(firstServer, "mx.example.test.", dns.TypeDS, noCut)
		w.give(resolverAt, "mx.example.test.", dns.TypeDS, noCut)
		v := w.validator(func(config *Config) {
			config.Anchors = append(config.Anchors, w.example.anchor())
			c.change(w, config)
		})
		t.Log(c.reason)
		w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), c.state, c.cause)
	}
}

// resolverOf has a resolver show the keys of zones, and an address of mx.example.test. that test. has signed.
func (w *world) resolverOf(zones ...*testZone) []netip.AddrPort {
	for _, z := range zones {
		w.keys(resolverAt, z)
	}
	w.give(resolverAt, "test.", dns.TypeDS, w.answers[rootServer+" test. DS"])
	w.give(resolverAt, "mx.example.test.", dns.TypeA, w.signed(w.test, nil, mxA))
	return []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}
}

// TestTheParentSpeaksForDSRecords: those of the anchor's zone are its parent's, and an alias there is the parent's too.
func TestTheParentSpeaksForDSRecords(t *testing.T) {
	w := newWorld(t)
	v := w.validator(func(c *Config) { c.Anchors = append(c.Anchors, w.example.anchor()) })
	if r := v.LookupDS(t.Context(), "example.test."); r.State != Secure || r.Zone != "test." || r.Kind != Data {
		t.Errorf("%+v", r)
	}
	w.give(testServer, "example.test.", dns.TypeDS, w.signed(w.test, nil, "test. 300 DNAME elsewhere."))
	if r := v.LookupDS(t.Context(), "example.test."); len(r.Hops) != 1 || r.Hops[0].State != Secure || r.Hops[0].Zone != "test." {
		t.Errorf("%+v", r)
	}
}
