package dnssec

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// TestSignerAboveCutThroughForwarders: a zone above a cut may not speak for what is below it. Through recursive servers
// that is found out by DS records, and what they do not prove takes nothing away.
func TestSignerAboveCutThroughForwarders(t *testing.T) {
	const resolver = resolverAt
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
		{"the denial has more iterations than are computed", func(w *world) *dns.Msg {
			return w.denied(w.test, dns.RcodeSuccess, nsec3At("example.test.", 0, MaxIterations+1, "NS"))
		}, Secure, ""},
		{"the name is in an opt-out gap", func(w *world) *dns.Msg {
			return w.denied(w.test, dns.RcodeSuccess, nsec3At("test.", optOutFlag, 0, "NS SOA RRSIG DNSKEY NSEC3PARAM"))
		}, Secure, ""},
		{"the zone in between is signed by algorithms alone that nobody knows", func(w *world) *dns.Msg {
			return w.signed(w.test, nil, "example.test. 3600 DS 1 200 2 "+strings.Repeat("AB", 32))
		}, Insecure, Unsupported},
		{"it shows other keys than its DS records are of", func(w *world) *dns.Msg {
			return w.signed(w.test, nil, "example.test. 3600 DS 1 13 2 "+strings.Repeat("AB", 32))
		}, Bogus, AnchorMismatch},
		{"it has DS records, and its keys are not to be had", func(w *world) *dns.Msg {
			delete(w.answers, resolver+" example.test. DNSKEY")
			return w.answers[testServer+" example.test. DS"]
		}, Indeterminate, Unreachable},
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

// nsec3At is an NSEC3 record at a name of test. that leads to itself: there is nothing else in the zone.
func nsec3At(name string, flags, iterations uint16, types string) string {
	h := dns.HashName(name, dns.SHA1, iterations, "")
	return fmt.Sprintf("%s.test. 60 NSEC3 1 %d %d - %s %s", h, flags, iterations, h, types)
}

// long is a name of so many labels below test.
func long(labels int) string { return strings.Repeat("a.", labels) + "test." }

// longAlias has a resolver lead from a long name in test. to the apex. Silent says that another one goes before it, which says
// nothing of names in between; single that each of these has a proof of its own, and not one for all. The validator asks them.
func (w *world) longAlias(labels int, silent, single bool) *Validator {
	w.keys(resolverAt, w.root)
	w.keys(resolverAt, w.test)
	w.give(resolverAt, "test.", dns.TypeDS, w.answers[rootServer+" test. DS"])
	w.give(resolverAt, long(labels), dns.TypeCNAME, w.signed(w.test, nil, long(labels)+" 60 CNAME test."))
	w.give(resolverAt, long(labels), dns.TypeA, w.answers[resolverAt+" "+long(labels)+" CNAME"])
	w.give(resolverAt, "test.", dns.TypeA, w.signed(w.test, nil, "test. 60 A 192.0.2.1"))
	w.give(secondServer, long(labels), dns.TypeA, w.answers[resolverAt+" "+long(labels)+" CNAME"])
	between := w.denied(w.test, dns.RcodeSuccess, "test. 60 NSEC "+long(labels)+" NS SOA RRSIG NSEC DNSKEY")
	for n := range labels {
		if single {
			between = w.denied(w.test, dns.RcodeSuccess, long(n+1)+" 60 NSEC z.test. TXT RRSIG NSEC")
		}
		w.give(resolverAt, long(n+1), dns.TypeDS, between)
	}
	w.give(resolverAt, long(labels), dns.TypeDS, w.denied(w.test, dns.RcodeSuccess, long(labels)+" 60 NSEC z.test. CNAME RRSIG NSEC"))
	return w.validator(func(c *Config) {
		if silent {
			c.Forwarders = append(c.Forwarders, netip.MustParseAddrPort(secondServer+":53"))
		}
		c.Forwarders = append(c.Forwarders, netip.MustParseAddrPort(resolverAt+":53"))
	})
}

// TestCutsHaveABudgetOfTheirOwn: what it takes to look for cuts is not missing when the question goes on. Where there is an
// end to it, nothing is known; the next question goes on from there.
func TestCutsHaveABudgetOfTheirOwn(t *testing.T) {
	for _, c := range []struct {
		reason         string
		labels         int
		silent, single bool
		says           string
	}{
		{"as many signatures as there may be", maxQueryChecks / 2, false, true, ""},
		{"more of them", maxQueryChecks/2 + 4, false, true, "signature checks"},
		{"as many messages as there may be", maxMessages/2 - 1, true, false, ""},
		{"more of them", maxMessages/2 + 4, true, false, "more than 150 messages"},
	} {
		t.Log(c.reason)
		w := newWorld(t)
		v := w.longAlias(c.labels, c.silent, c.single)
		if r := v.Lookup(t.Context(), long(c.labels), dns.TypeA); c.says == "" {
			w.is(r, Secure, "")
		} else {
			w.is(r, Indeterminate, Unreachable, "the signature is by test.", "zone of its own", c.says)
		}
		w.is(v.Lookup(t.Context(), long(c.labels), dns.TypeA), Secure, "")
	}
}

// slow is a world in which answers about DS records take their time.
type slow struct {
	*world
	takes time.Duration
}

func (s slow) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	if q.Question[0].Qtype == dns.TypeDS && q.Question[0].Name != "test." {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.world.Exchange(ctx, server, q)
}

// TestCutsAreLookedForInTime: that is the time of all the names on the way of a question.
func TestCutsAreLookedForInTime(t *testing.T) {
	for _, c := range []struct {
		reason string
		takes  time.Duration
		state  State
		want   time.Duration
	}{
		{"just in time", cutLimit / 3, Secure, cutLimit / 3 * 3},
		{"each of two names in time, and not both", cutLimit * 3 / 5, Indeterminate, cutLimit},
		{"never", time.Hour, Indeterminate, cutLimit},
	} {
		t.Log(c.reason)
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.longAlias(2, false, false)
			// Another alias leads to the first one.
			w.give(resolverAt, "b.test.", dns.TypeA, w.signed(w.test, nil, "b.test. 60 CNAME "+long(2)))
			w.give(resolverAt, "b.test.", dns.TypeDS, w.denied(w.test, dns.RcodeSuccess, "b.test. 60 NSEC z.test. CNAME RRSIG NSEC"))
			began := time.Now()
			v := w.validator(func(config *Config) {
				config.Forwarders = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")}
				config.Transport = slow{w, c.takes}
				config.Now = func() time.Time { return at.Add(time.Since(began)) }
			})
			r := v.Lookup(t.Context(), "b.test.", dns.TypeA)
			if c.state == Secure {
				w.is(r, Secure, "")
			} else {
				w.is(r, c.state, Unreachable, "the answers do not come in time")
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: it took %s, want %s", c.reason, took, c.want)
			}
		})
	}
}

// TestRootIsBackTooLate: an answer of a resolver that was asked in the root's place is judged as such, also where a root server
// is to be had by then: no delegation was seen on the way to it.
func TestRootIsBackTooLate(t *testing.T) {
	w := newWorld(t)
	whole := maps.Clone(w.answers)
	w.resolverOf(w.root, w.test)
	w.silence(rootServer)
	v := w.validator(func(c *Config) { c.Fallback = []netip.AddrPort{netip.MustParseAddrPort(resolverAt + ":53")} })
	v.config.Transport = onAsking{w, func(name string, qtype uint16) {
		if f, ok := v.source.(*fallback); ok && name == "mx.example.test." && qtype == dns.TypeA {
			w.mu.Lock()
			maps.Copy(w.answers, whole)
			w.mu.Unlock()
			f.mu.Lock()
			f.closed = nil
			f.mu.Unlock()
		}
	}}
	w.is(v.Lookup(t.Context(), "mx.example.test.", dns.TypeA), Bogus, WrongSigner)
	if asked := w.asks(); !strings.Contains(asked, resolverAt+" mx.example.test. A") {
		t.Errorf("asked %s", asked)
	}
}

// onAsking is a world in which something is done before each question.
type onAsking struct {
	*world
	do func(name string, qtype uint16)
}

func (o onAsking) Exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	o.do(q.Question[0].Name, q.Question[0].Qtype)
	return o.world.Exchange(ctx, server, q)
}
