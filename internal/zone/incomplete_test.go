package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	testclock "k8s.io/utils/clock/testing"
)

// pace makes servers be looked for often. Fake time must not run away from the servers' by more than
// TSIG allows.
func (d *delegatedZone) pace() *testclock.FakeClock {
	clock := testclock.NewFakeClock(time.Now())
	d.opts.Clock, d.opts.DiscoveryEvery, d.opts.DiscoveryKeep = clock, 30*time.Second, 2*time.Minute
	return clock
}

// notGreen are the answers that hold a sweep back, one a line.
func notGreen(s Sweep) string {
	var out []string
	for _, a := range s.Answers {
		if !a.Ignored && (!a.Reachable || !a.Signed || a.Message != "") {
			out = append(out, fmt.Sprintf("%s %s: %s", a.Name, a.Address, a.Message))
		}
	}
	return strings.Join(out, "\n")
}

func addressesOf(s Sweep) []string {
	var out []string
	for _, a := range s.Answers {
		if a.Address != "" {
			out = append(out, a.Address)
		}
	}
	slices.Sort(out)
	return out
}

// A look for the servers that misses something must not let a sweep pass for whole, nor drop a server
// that was known.
func TestIncompleteDiscoveryHoldsSweepsBack(t *testing.T) {
	const held = "ns2.elsewhere 192.0.2.12:53: its own list of the servers of example.test. could not be read"
	cases := []struct {
		reason string
		breaks func(d *delegatedZone)
		// want is what the sweep is held back by; empty for nothing.
		want string
	}{
		{"AAAA of a name that the parent lists is not answered", func(d *delegatedZone) {
			d.resolverFault.become(to("ns2.elsewhere.", dns.TypeAAAA, noReply))
		}, "not every address of the name server ns2.elsewhere. is known: no resolver answers a query for ns2.elsewhere. AAAA"},
		{"SERVFAIL for A", func(d *delegatedZone) {
			d.resolverFault.become(to("ns2.elsewhere.", dns.TypeA, replyServfail))
		}, "query for ns2.elsewhere. A; the last said: 198.51.100.53: SERVFAIL"},
		{"REFUSED for a name that the zone alone lists", func(d *delegatedZone) {
			d.resolverFault.become(to("ns3.example.test.", dns.TypeA, replyRefused))
		}, "not every address of the name server ns3.example.test. is known"},
		{"a new name without any address", func(d *delegatedZone) {
			d.parent.set(ns(testZone, "ns1."+testZone), ns(testZone, "ns2.elsewhere."), ns(testZone, "ns4.elsewhere."))
		}, "the name server ns4.elsewhere. has no address"},
		{"a server that does not answer for the NS set", func(d *delegatedZone) {
			d.oddFault.become(to(testZone, dns.TypeNS, noReply))
		}, held},
		{"one that answers SERVFAIL to it", func(d *delegatedZone) {
			d.oddFault.become(to(testZone, dns.TypeNS, replyServfail))
		}, held},
		{"one that answers it without authority", func(d *delegatedZone) {
			d.oddFault.become(to(testZone, dns.TypeNS, replyNoAA))
		}, held},
		{"one that has no NS set", func(d *delegatedZone) {
			d.odd.mu.Lock()
			defer d.odd.mu.Unlock()
			delete(d.odd.sets, setKey{testZone, dns.TypeNS})
		}, held},
		{"one that does not tell the address of a name that it lists", func(d *delegatedZone) {
			d.oddFault.become(to("ns3.example.test.", dns.TypeA, reset))
		}, held},
		{"no AAAA records is an answer", func(d *delegatedZone) {
			d.resolver.mu.Lock()
			defer d.resolver.mu.Unlock()
			delete(d.resolver.sets, setKey{"ns2.elsewhere.", dns.TypeAAAA})
		}, ""},
		{"NXDOMAIN too", func(d *delegatedZone) {
			d.resolverFault.become(to("ns3.example.test.", dns.TypeAAAA, replyNXDomain))
		}, ""},
		{"a server of the parent that cannot be resolved is not one of the zone's", func(d *delegatedZone) {
			d.resolverFault.become(to("a.nic.test.", dns.TypeAAAA, replyServfail))
		}, ""},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			d := newDelegation(t)
			clock := d.pace()
			a := startActor(t, d.cfg, d.opts)
			whole := sweepOf(t, a, ownerName(1))
			if text := notGreen(whole); text != "" || len(whole.Answers) != 6 {
				t.Fatalf("%d answers before anything is broken: %s", len(whole.Answers), text)
			}
			ns2 := d.odd.get(testZone, dns.TypeNS)
			c.breaks(d)
			clock.Step(31 * time.Second)
			broken := sweepOf(t, a, ownerName(1))
			if text := notGreen(broken); (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
				t.Errorf("held back by %q, want %q", text, c.want)
			}
			if got, want := addressesOf(broken), addressesOf(whole); c.want != "" && !slices.Equal(got, want) {
				t.Errorf("asked %v, want all that were known: %v", got, want)
			}
			d.resolverFault.become(to("", 0, behave))
			d.oddFault.become(to("", 0, behave))
			d.odd.set(ns2...)
			d.parent.set(ns(testZone, "ns1."+testZone), ns(testZone, "ns2.elsewhere."))
			clock.Step(11 * time.Second)
			if text := notGreen(sweepOf(t, a, ownerName(1))); text != "" {
				t.Errorf("after all is mended: %s", text)
			}
		})
	}
}

// What the user excepted holds nothing up.
func TestIncompleteDiscoveryOfIgnoredServers(t *testing.T) {
	cases := []struct {
		reason, ignore string
		breaks         func(d *delegatedZone)
	}{
		{"a name whose addresses are not known", "ns2.elsewhere", func(d *delegatedZone) {
			d.resolverFault.become(to("ns2.elsewhere.", dns.TypeAAAA, replyServfail))
		}},
		{"an address that does not answer", "192.0.2.12", func(d *delegatedZone) { d.oddFault.become(toQueries(reset)) }},
		{"all addresses of a name", "ns2.elsewhere", func(d *delegatedZone) { d.oddFault.become(toQueries(reset)) }},
	}
	for _, c := range cases {
		d := newDelegation(t)
		c.breaks(d)
		d.cfg.Ignore = []string{c.ignore}
		if text := notGreen(sweepOf(t, startActor(t, d.cfg, d.opts), ownerName(1))); text != "" {
			t.Errorf("%s: %s", c.reason, text)
		}
		if _, err := discover(t.Context(), d.opts, d.cfg); err != nil {
			t.Errorf("%s: the set is whole without: %v", c.reason, err)
		}
	}
}

// A whole set serves on while nobody can be asked, for a while; one that is not whole does not.
func TestServersServeOn(t *testing.T) {
	d := newDelegation(t)
	clock := d.pace()
	a := startActor(t, d.cfg, d.opts)
	sweep := func(reason, want string) {
		t.Helper()
		s := sweepOf(t, a, ownerName(1))
		if text := notGreen(s); (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: held back by %q, want %q", reason, text, want)
		}
		if got := addressesOf(s); len(got) != 6 {
			t.Errorf("%s: asked %v", reason, got)
		}
	}
	sweep("at first", "")
	cutOff := func() { delete(d.world, "tcp 192.0.2.1:53") }
	connect := func() { d.world["tcp 192.0.2.1:53"] = d.parent.addr }
	cutOff()
	clock.Step(31 * time.Second)
	sweep("a look that failed leaves the old set, which is young", "")
	clock.Step(90 * time.Second)
	sweep("and which grows too old", "none of the servers of the parent zone test.")
	connect()
	sweep("a look that succeeds ends that", "")

	d.resolverFault.become(to("ns2.elsewhere.", dns.TypeAAAA, replyServfail))
	clock.Step(31 * time.Second)
	sweep("a look that missed something", "ns2.elsewhere. AAAA")
	cutOff()
	clock.Step(11 * time.Second)
	sweep("is not made good by one that failed", "none of the servers of the parent zone test.")
	d.resolverFault.become(to("", 0, behave))
	sweep("nor by the end of its cause", "none of the servers of the parent zone test.")
	connect()
	sweep("but by one that finds all", "")
}

// The servers of the parent zone are not asked at every round while one of ours is down.
func TestIncompleteSetIsNotLookedForAtEveryRound(t *testing.T) {
	d := newDelegation(t)
	clock := d.pace()
	d.oddFault.become(toQueries(reset))
	a := startActor(t, d.cfg, d.opts)
	for range 3 {
		if text := notGreen(sweepOf(t, a, ownerName(1))); !strings.Contains(text, "192.0.2.12") || strings.Contains(text, "\n") {
			t.Errorf("a server that is down is told of once: %q", text)
		}
	}
	if n := d.parent.accepted.Load(); n != 1 {
		t.Errorf("the parent's server was asked %d times", n)
	}
	clock.Step(11 * time.Second)
	sweepOf(t, a, ownerName(1))
	if n := d.parent.accepted.Load(); n != 2 {
		t.Errorf("after a while the parent's server was asked %d times", n)
	}
}

func TestHealthTellsOfAnIncompleteDiscovery(t *testing.T) {
	d := newDelegation(t)
	d.oddFault.become(to(testZone, dns.TypeNS, replyServfail))
	// The public server is the primary too: held back, it is no stranger for all that.
	d.cfg.Primary = "192.0.2.12:53"
	a := startActor(t, d.cfg, d.opts)
	checked, found := make(chan Health, 1), make(chan Address, 1)
	check := func() Health {
		a.Check(func(h Health) { checked <- h })
		return wait(t, checked)
	}
	h := check()
	i := slices.IndexFunc(h.Servers, func(s ServerHealth) bool { return s.Addr.String() == "192.0.2.12:53" })
	if h.Discovery != "" || len(h.Servers) != 5 || i < 0 || h.Servers[i].Reachable || !strings.Contains(h.Servers[i].Message, "its own list of the servers") {
		t.Errorf("a server that is held back: %+v", h)
	}
	a.Addresses("mx."+testZone, func(a Address) { found <- a })
	if got := wait(t, found); got.Complete || !strings.Contains(got.Message, "192.0.2.12:53") {
		t.Errorf("addresses without those of one server are complete: %+v", got)
	}
	d.resolverFault.become(to("ns2.elsewhere.", dns.TypeAAAA, replyServfail))
	if h = check(); !strings.Contains(h.Discovery, "ns2.elsewhere. AAAA") || !strings.Contains(h.Discovery, "spec.nameservers.ignore") || h.Discovery != check().Discovery {
		t.Errorf("a name that cannot be resolved: %q", h.Discovery)
	}
}
