package dnssec

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const mxA = "mx.example.test. 300 A 192.0.2.99"

func TestTheWalkDown(t *testing.T) {
	w := newWorld(t)
	w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, nil, mxA))
	v := w.validator()
	r := v.Lookup(t.Context(), "MX.example.test", dns.TypeA)
	w.is(r, Secure, "")
	if len(r.RRs) != 1 || r.Zone != "example.test." || r.TTL != 5*time.Minute || r.Kind != Data || r.Server != firstServer+":53" {
		t.Errorf("%+v", r)
	}
	// The referrals bring the DS records: three questions down, and the keys of three zones.
	want := "192.0.2.1 mx.example.test. A, 192.0.2.2 mx.example.test. A, 192.0.2.3 mx.example.test. A, " +
		"192.0.2.1 . DNSKEY, 192.0.2.2 test. DNSKEY, 192.0.2.3 example.test. DNSKEY"
	if got := w.asks(); got != want {
		t.Errorf("asked %s", got)
	}
	v.Lookup(t.Context(), "mx.example.test.", dns.TypeA)
	if got := w.asks(); got != "192.0.2.3 mx.example.test. A" {
		t.Errorf("the second time it asked %s", got)
	}
	z := v.ZoneKeys(t.Context(), "Example.test")
	// Of the zone itself everything is asked anew, of those above nothing.
	if asked := w.asks(); z.State != Secure || z.Keys.Zone() != "example.test." || z.Until != at.Add(time.Hour) || asked != "192.0.2.2 example.test. DS, 192.0.2.3 example.test. DNSKEY" {
		t.Errorf("%+v, asked %s", z, asked)
	}
	// An hour later everything is asked again.
	if again, err := NewCache().KeysFor("example.test.", []dns.RR{w.example.key}, []*dns.RRSIG{w.example.sign([]dns.RR{w.example.key})}, z.Keys.Anchors(), at); err != nil || again.Zone() != "example.test." {
		t.Errorf("by the same DS records: %v", err)
	}
	w.now = at.Add(time.Hour)
	w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
	if got := w.asks(); got != want {
		t.Errorf("an hour later it asked %s", got)
	}
}

// What is below is not kept longer than what is above.
func TestALinkLivesNoLongerThanTheOneAbove(t *testing.T) {
	w := newWorld(t)
	w.test.key.Hdr.Ttl = 60
	w.keys(testServer, w.test)
	v := w.validator()
	if z := v.ZoneKeys(t.Context(), "example.test."); z.State != Secure || z.Until != at.Add(time.Minute) {
		t.Errorf("%+v", z)
	}
}

func TestTimeToKeep(t *testing.T) {
	for _, c := range []struct {
		reason string
		ttl    uint32
		change func(*dns.RRSIG)
		want   time.Duration
	}{
		{"the TTL", 300, nil, 5 * time.Minute},
		{"the TTL that was signed, if it is less", 86400, nil, time.Hour},
		{"what is left of the signature, if it is less", 3600, func(s *dns.RRSIG) { s.Expiration = uint32(at.Add(time.Minute).Unix()) }, time.Minute},
	} {
		w := newWorld(t)
		set := rrset(t, "mx.example.test. 3600 A 192.0.2.99")
		sig := w.example.sign(set, func(s *dns.RRSIG) {
			if c.change != nil {
				c.change(s)
			}
		})
		set[0].Header().Ttl = c.ttl
		w.give(firstServer, "mx.example.test.", dns.TypeA, &dns.Msg{Answer: append(set, sig)})
		r := w.validator().Lookup(t.Context(), "mx.example.test.", dns.TypeA)
		if r.State != Secure || r.TTL != c.want {
			t.Errorf("%s: %s, %s (%v)", c.reason, r.TTL, r.State, r.Cause)
		}
		if r.SignedTTL != time.Hour {
			t.Errorf("%s: it was signed with the TTL 1h0m0s, not %s", c.reason, r.SignedTTL)
		}
	}
}

// A signature by a zone that cannot be the owner's does not lead astray.
func TestASignerBelowTheNameIsPassedOver(t *testing.T) {
	w := newWorld(t)
	m := w.signed(w.example, nil, mxA)
	astray := dns.Copy(m.Answer[1]).(*dns.RRSIG)
	astray.SignerName = "deep.mx.example.test."
	m.Answer = append([]dns.RR{astray}, m.Answer...)
	w.give(firstServer, "mx.example.test.", dns.TypeA, m)
	w.is(w.validator().Lookup(t.Context(), "mx.example.test.", dns.TypeA), Secure, "")
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	unsigned(w)
	v := w.validator()
	want := map[string]State{"mx.example.test.": Secure, "www.open.test.": Insecure, "round.example.test.": Bogus, "gone.example.test.": Indeterminate}
	var all sync.WaitGroup
	for range 4 {
		for name, state := range want {
			all.Go(func() {
				if r := v.Lookup(t.Context(), name, dns.TypeA); r.State != state {
					t.Errorf("%s is %s (%v)", name, r.State, r.Cause)
				}
			})
		}
	}
	all.Wait()
}

// What the parent signed before the zone was delegated is not the zone's.
func TestTheParentDoesNotSignForTheZone(t *testing.T) {
	w := newWorld(t)
	w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.test, nil, mxA))
	w.is(w.validator().Lookup(t.Context(), "mx.example.test.", dns.TypeA), Bogus, WrongSigner, "server 192.0.2.3:53", "by test., and the name is in the zone example.test.")
}

func TestServersThatDiffer(t *testing.T) {
	bad := func(s *dns.RRSIG) { s.OrigTtl++ }
	good := newWorld(t)
	for _, c := range []struct {
		reason        string
		first, second func(*world) *dns.Msg
		state         State
		want          Reason
		says          string
	}{
		{"a bogus answer does not stand for the other server", func(w *world) *dns.Msg { return w.signed(w.example, bad, mxA) },
			func(w *world) *dns.Msg { return w.signed(w.example, nil, mxA) }, Secure, "", ""},
		{"both are bogus: the first is told", func(w *world) *dns.Msg { return w.signed(w.example, bad, mxA) },
			func(w *world) *dns.Msg { return &dns.Msg{Answer: rrset(w.t, mxA)} }, Bogus, BadSignature, "zone example.test.: server 192.0.2.3:53: "},
		{"one is down and one bogus: that it is bogus is told", nil,
			func(w *world) *dns.Msg { return w.signed(w.example, bad, mxA) }, Bogus, BadSignature, "server 192.0.2.4:53"},
		{"both are down", nil, nil, Indeterminate, Unreachable, "no route to host"},
		{"one answers SERVFAIL and says why", func(*world) *dns.Msg {
			m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
			m.SetEdns0(1232, true)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNotReady, ExtraText: "zone\nexpired"})
			return m
		}, nil, Indeterminate, Unreachable, "it answers SERVFAIL (the server says: Not Ready: zone?expired)"},
	} {
		w := newWorld(good.t)
		if c.first != nil {
			w.give(firstServer, "mx.example.test.", dns.TypeA, c.first(w))
		}
		if c.second != nil {
			w.give(secondServer, "mx.example.test.", dns.TypeA, c.second(w))
		}
		r := w.validator().Lookup(t.Context(), "mx.example.test.", dns.TypeA)
		t.Log(c.reason)
		w.is(r, c.state, c.want, c.says)
		if c.state != Secure && r.RRs != nil {
			t.Error("it has data all the same")
		}
	}
}

// unsigned makes open.test. an unsigned delegation, with aliases between it and example.test.
func unsigned(w *world) {
	w.give(testServer, "open.test.", dns.TypeDS, w.denied(w.test, 0, "open.test. 60 NSEC test. NS RRSIG NSEC"))
	w.give(testServer, "open.test.", dns.TypeANY, &dns.Msg{Ns: rrset(w.t, "open.test. 3600 NS ns.open.test."), Extra: rrset(w.t, "ns.open.test. 3600 A 192.0.2.5")})
	w.give("192.0.2.5", "back.open.test.", dns.TypeA, &dns.Msg{Answer: rrset(w.t, "back.open.test. 300 CNAME mx.example.test.")})
	w.give("192.0.2.5", "www.open.test.", dns.TypeA, &dns.Msg{Answer: rrset(w.t, "www.open.test. 300 A 192.0.2.98")})
	junk := w.signed(w.test, func(s *dns.RRSIG) { s.OrigTtl++ }, "junk.open.test. 300 A 192.0.2.97")
	w.give("192.0.2.5", "junk.open.test.", dns.TypeA, junk)
	w.give(firstServer, "mx.example.test.", dns.TypeA, w.signed(w.example, nil, mxA))
	w.give(firstServer, "away.example.test.", dns.TypeA, w.signed(w.example, nil, "away.example.test. 300 CNAME www.open.test."))
	w.give(testServer, "also.test.", dns.TypeDS, w.denied(w.test, 0, "also.test. 60 NSEC test. NS RRSIG NSEC"))
	w.give(testServer, "also.test.", dns.TypeANY, &dns.Msg{Ns: rrset(w.t, "also.test. 3600 NS ns.also.test."), Extra: rrset(w.t, "ns.also.test. 3600 A 192.0.2.5")})
	w.give("192.0.2.5", "on.also.test.", dns.TypeA, &dns.Msg{Answer: rrset(w.t, "on.also.test. 600 CNAME www.open.test.")})
	w.give(firstServer, "away2.example.test.", dns.TypeA, w.signed(w.example, nil, "away2.example.test. 60 CNAME on.also.test."))
	w.give(firstServer, "round.example.test.", dns.TypeA, w.signed(w.example, nil, "round.example.test. 300 CNAME around.example.test."))
	w.give(firstServer, "around.example.test.", dns.TypeA, w.signed(w.example, nil, "around.example.test. 300 CNAME round.example.test."))
}

func TestInsecureLinks(t *testing.T) {
	w := newWorld(t)
	unsigned(w)
	v := w.validator()
	const why = "zone open.test.: server 192.0.2.2:53: open.test. DS: the parent zone test. proves that it has no DS record of open.test."
	r := v.Lookup(t.Context(), "www.open.test.", dns.TypeA)
	w.is(r, Insecure, UnsignedDelegation, why)
	if len(r.RRs) != 1 || r.TTL != 5*time.Minute || r.Zone != "" {
		t.Errorf("%+v", r)
	}
	r = v.Lookup(t.Context(), "back.open.test.", dns.TypeA)
	w.is(r, Insecure, UnsignedDelegation, why)
	if len(r.RRs) != 1 || len(r.Hops) != 1 || r.Hops[0].State != Insecure || r.Final != "mx.example.test." || r.Zone != "example.test." {
		t.Errorf("an insecure alias to a secure name: %+v", r)
	}
	r = v.Lookup(t.Context(), "away.example.test.", dns.TypeA)
	w.is(r, Insecure, UnsignedDelegation, why)
	if len(r.RRs) != 1 || len(r.Hops) != 1 || r.Hops[0].State != Secure || r.Hops[0].Zone != "example.test." {
		t.Errorf("a secure alias to an insecure name: %+v", r)
	}
	// The first insecure link is to blame, and the least TTL of all counts.
	r = v.Lookup(t.Context(), "away2.example.test.", dns.TypeA)
	w.is(r, Insecure, UnsignedDelegation, "zone also.test.")
	if r.TTL != time.Minute || len(r.Hops) != 2 || r.Hops[1].Cause == nil {
		t.Errorf("through two insecure zones: %+v", r)
	}
	w.is(v.Lookup(t.Context(), "junk.open.test.", dns.TypeA), Insecure, UnsignedDelegation, why)
	w.is(v.Lookup(t.Context(), "round.example.test.", dns.TypeA), Bogus, TooMuchWork, "in a circle")
	if z := v.ZoneKeys(t.Context(), "open.test."); z.State != Insecure || z.Keys != nil || z.Cause.Reason != UnsignedDelegation || z.Until.Before(at) {
		t.Errorf("%+v", z)
	}
}

func TestZoneKeys(t *testing.T) {
	w := newWorld(t)
	w.give(firstServer, "mx.example.test.", dns.TypeDS, w.denied(w.example, 0, "mx.example.test. 60 NSEC example.test. A RRSIG NSEC"))
	v := w.validator()
	if z := v.ZoneKeys(t.Context(), "mx.example.test."); z.State != Bogus || z.Cause.Reason != NoZone || !strings.Contains(z.Cause.Error(), "inside the zone example.test.") {
		t.Errorf("a name inside a zone: %+v", z)
	}
	v = w.validator(func(c *Config) { c.Anchors = []Anchor{w.example.anchor()} })
	if z := v.ZoneKeys(t.Context(), "example.test."); z.State != Secure {
		t.Errorf("from an anchor of its own: %+v", z)
	}
	if z := v.ZoneKeys(t.Context(), "test."); z.State != Indeterminate || z.Cause.Reason != NoAnchor {
		t.Errorf("above every anchor: %+v", z)
	}
	other := newZone(t, "example.test.")
	v = w.validator(func(c *Config) { c.Anchors = append(c.Anchors, other.anchor()) })
	if z := v.ZoneKeys(t.Context(), "example.test."); z.State != Bogus || z.Cause.Reason != AnchorMismatch {
		t.Errorf("an anchor goes before what the parent says: %+v", z)
	}
}

// Below a name that does not exist there is no zone: nothing more is asked there.
func TestNothingBelowNothing(t *testing.T) {
	w := newWorld(t)
	w.give(firstServer, "gone.example.test.", dns.TypeDS, w.denied(w.example, dns.RcodeNameError, "example.test. 60 NSEC mx.example.test. NS SOA RRSIG NSEC DNSKEY"))
	w.give(firstServer, "a.b.gone.example.test.", dns.TypeA, &dns.Msg{Answer: rrset(t, "a.b.gone.example.test. 300 A 192.0.2.99")})
	r := w.validator(func(c *Config) { c.Anchors = []Anchor{w.example.anchor()} }).Lookup(t.Context(), "a.b.gone.example.test.", dns.TypeA)
	w.is(r, Bogus, NoSignature)
	if strings.Contains(w.asks(), "b.gone.example.test. DS") {
		t.Error("it asked for zones below a name that does not exist")
	}
}

func TestDelegationsThatLead(t *testing.T) {
	for _, c := range []struct {
		reason string
		msg    dns.Msg
		says   string
	}{
		{"to a server that only itself knows", dns.Msg{Ns: rrset(t, "bad.test. 3600 NS ns.bad.test.")}, "no address of a server is found"},
		{"back to the zone itself", dns.Msg{Ns: rrset(t, "test. 3600 NS ns.test.")}, "no signed proof"},
		{"upwards", dns.Msg{Ns: rrset(t, ". 3600 NS a.root.")}, "no signed proof"},
		{"to an address that the server may not give", dns.Msg{Ns: rrset(t, "bad.test. 3600 NS ns.elsewhere."), Extra: rrset(t, "ns.elsewhere. 3600 A 192.0.2.66")}, "no address of a server is found"},
	} {
		w := newWorld(t)
		w.give(testServer, "bad.test.", dns.TypeANY, &c.msg)
		r := w.validator().Lookup(t.Context(), "www.bad.test.", dns.TypeA)
		asked := w.asks()
		if r.State == Secure || r.State == Insecure || !strings.Contains(r.Cause.Error(), c.says) {
			t.Errorf("%s: %s (%v)", c.reason, r.State, r.Cause)
		}
		if n := strings.Count(asked, ",") + 1; n > 10 || strings.Contains(asked, "192.0.2.66") {
			t.Errorf("%s: %d messages: %s", c.reason, n, asked)
		}
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	now := func() time.Time { return at }
	servers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}
	for _, c := range []Config{{}, {Transport: w, Forwarders: servers}, {Now: now, Forwarders: servers}, {Transport: w, Now: now}} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	r := w.validator().Lookup(t.Context(), strings.Repeat("a", 64)+".test.", dns.TypeA)
	w.is(r, Indeterminate, BadRRset)
}

func TestAnswersThatAreNone(t *testing.T) {
	asked := dns.Question{Name: "a.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
	reply := func(change func(*dns.Msg)) *dns.Msg {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Question: []dns.Question{asked}}
		change(m)
		return m
	}
	for _, c := range []struct {
		msg  *dns.Msg
		want string
	}{
		{reply(func(*dns.Msg) {}), ""},
		{reply(func(m *dns.Msg) { m.Question[0].Name = "A.Test." }), ""},
		{reply(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), ""},
		{nil, "response"},
		{reply(func(m *dns.Msg) { m.Response = false }), "response"},
		{reply(func(m *dns.Msg) { m.Question = nil }), "another question"},
		{reply(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }), "another question"},
		{reply(func(m *dns.Msg) { m.Question[0].Name = "b.test." }), "another question"},
		{reply(func(m *dns.Msg) { m.Truncated = true }), "truncated"},
		{reply(func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }), "REFUSED"},
		{reply(func(m *dns.Msg) { m.Rcode = 4000 }), "unknown response code"},
	} {
		if got := unusable(c.msg, asked); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v: %q, want %q", c.msg, got, c.want)
		}
	}
}

func TestNetworkErrorsAreStable(t *testing.T) {
	err := fmt.Errorf("ask: %w", &net.OpError{Op: "read", Net: "udp", Source: &net.UDPAddr{Port: 40000}, Addr: &net.UDPAddr{Port: 53}, Err: os.ErrDeadlineExceeded})
	if got := plainText(err); got != "read: i/o timeout" {
		t.Errorf("%q", got)
	}
}

func TestChecksOfOneQuestionAreLimited(t *testing.T) {
	z := newZone(t, "example.test.")
	set := rrset(t, "mx.example.test. 300 A 192.0.2.1")
	w := &work{checks: 2}
	var sigs []*dns.RRSIG
	for i := range uint32(3) {
		sig := z.sign(set)
		sig.OrigTtl += i + 1
		sigs = append(sigs, sig)
	}
	if _, err := z.keys().verify(set, sigs, at, w); err == nil || err.Reason != TooMuchWork || w.checks != 0 {
		t.Errorf("%v, %d checks left", err, w.checks)
	}
}

func TestRootAnchors(t *testing.T) {
	want := []string{
		"20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
		"38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
	}
	for i, ds := range RootAnchors() {
		if ds.Hdr.Name != "." || PresentDS(ds) != want[i] {
			t.Errorf("%v", ds)
		}
	}
	if len(RootServers()) < 13 {
		t.Error("root servers are missing")
	}
}
