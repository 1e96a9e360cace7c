package zone

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// world maps addresses of a made-up Internet to servers on loopback.
type world map[string]string

func (w world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, ok := w[network+" "+address]
	if !ok {
		return nil, errors.New("network is unreachable")
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// delegatedZone is a zone with what is above it.
type delegatedZone struct {
	world                   world
	resolver, parent, child *fakeServer
	// odd is a copy of child, at one of the two addresses that the parent lists.
	odd *fakeServer
	// resolverFault and oddFault make them misbehave while they run.
	resolverFault, oddFault *faults
	opts                    Options
	cfg                     Config
}

// faults can be changed while a server runs.
type faults struct {
	now atomic.Pointer[func(*dns.Msg) fault]
}

func (f *faults) become(what func(*dns.Msg) fault) { f.now.Store(&what) }

func (s *fakeServer) switchable() *faults {
	f := &faults{}
	s.misbehave = func(m *dns.Msg) fault {
		if what := f.now.Load(); what != nil {
			return (*what)(m)
		}
		return behave
	}
	return f
}

// to makes a server misbehave at one question.
func to(name string, qtype uint16, f fault) func(*dns.Msg) fault {
	return func(m *dns.Msg) fault {
		if q := m.Question[0]; m.Opcode == dns.OpcodeQuery && q.Name == name && q.Qtype == qtype {
			return f
		}
		return behave
	}
}

// newDelegation builds: a resolver that knows the servers of test., a server of test. that delegates
// example.test. to ns1 (with glue) and ns2 (elsewhere), and those two, which list an ns3 as well.
func newDelegation(t *testing.T) *delegatedZone {
	t.Helper()
	d := &delegatedZone{resolver: newFakeServer(t), parent: newFakeServer(t), child: newFakeServer(t)}
	d.resolver.zone, d.resolver.signer, d.resolver.recursive = ".", nil, true
	for _, text := range []string{
		". 300 SOA a. b. 1 1 1 1 1", "test. 300 NS a.nic.test.", "a.nic.test. 300 A 192.0.2.1",
		"ns2.elsewhere. 300 A 192.0.2.12", "ns2.elsewhere. 300 AAAA 2001:db8::12",
		"ns1.example.test. 300 A 192.0.2.11",
	} {
		d.resolver.rr(text)
	}
	d.resolverFault = d.resolver.switchable()
	d.resolver.startUDP()

	d.parent.zone, d.parent.signer = "test.", nil
	d.parent.rr("test. 300 SOA a. b. 1 1 1 1 1")
	d.parent.set(ns(testZone, "ns1."+testZone), ns(testZone, "ns2.elsewhere."))
	d.parent.rr("ns1.example.test. 300 A 192.0.2.11")
	d.parent.startTCP()

	d.child.set(ns(testZone, "ns1."+testZone), ns(testZone, "ns3."+testZone))
	d.child.rr("ns1.example.test. 300 A 192.0.2.21")
	d.child.rr("ns3.example.test. 300 A 192.0.2.13")
	d.odd = d.child.twin()
	d.oddFault = d.odd.switchable()
	d.odd.startTCP()
	d.child.startTCP()

	d.world = world{"udp 198.51.100.53:53": d.resolver.addr, "tcp 192.0.2.1:53": d.parent.addr, "tcp 192.0.2.12:53": d.odd.addr, "tcp " + d.child.addr: d.child.addr}
	for _, at := range []string{"192.0.2.11", "192.0.2.13", "192.0.2.21", "[2001:db8::12]"} {
		d.world["tcp "+at+":53"] = d.child.addr
	}
	d.opts = quick()
	d.opts.Dial = d.world.dial
	d.opts = d.opts.withDefaults()
	d.cfg = testConfig(d.child)
	d.cfg.Delegation, d.cfg.Resolvers = true, []string{"198.51.100.53"}
	return d
}

func ns(owner, target string) dns.RR {
	return &dns.NS{Hdr: header(owner, dns.TypeNS, 300), Ns: target}
}

func TestDelegationFindsEveryAddress(t *testing.T) {
	d := newDelegation(t)
	got, err := discover(context.Background(), d.opts, d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ns1.example.test (192.0.2.11:53)", // the parent's glue
		"ns1.example.test (192.0.2.21:53)", // the zone's own address, which differs
		"ns2.elsewhere (192.0.2.12:53)",    // named by the parent alone
		"ns2.elsewhere ([2001:db8::12]:53)",
		"ns3.example.test (192.0.2.13:53)", // named by the zone alone
	}
	var texts []string
	for _, s := range got {
		texts = append(texts, serverText(s))
	}
	if !slices.Equal(texts, want) {
		t.Errorf("got %v, want %v", texts, want)
	}
}

func TestDelegationErrors(t *testing.T) {
	cases := []struct {
		reason string
		breaks func(world, *Config)
		want   string
	}{
		{"no resolver answers", func(w world, _ *Config) { delete(w, "udp 198.51.100.53:53") }, "no resolver answers"},
		{"the parent's servers are cut off", func(w world, _ *Config) { delete(w, "tcp 192.0.2.1:53") }, "none of the servers of the parent zone test."},
		{"the parent does not delegate the zone", func(_ world, c *Config) { c.Zone = "missing.test." }, "not delegated there"},
	}
	for _, c := range cases {
		d := newDelegation(t)
		c.breaks(d.world, &d.cfg)
		_, err := discover(context.Background(), d.opts, d.cfg)
		if !errors.Is(err, ErrDiscovery) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Static") {
			t.Errorf("%s: got %v", c.reason, err)
		}
	}
}

func TestSweepByDelegation(t *testing.T) {
	d := newDelegation(t)
	delete(d.world, "tcp [2001:db8::12]:53")
	a := startActor(t, d.cfg, d.opts)
	got := sweepOf(t, a, ownerName(1))
	// Five public addresses, one of which (IPv6) cannot be reached, and the primary beside them.
	if len(got.Answers) != 6 {
		t.Fatalf("got %d answers: %+v", len(got.Answers), got.Answers)
	}
	for _, answer := range got.Answers {
		if cutOff := strings.HasPrefix(answer.Address, "["); answer.Reachable == cutOff {
			t.Errorf("%s: reachable %t: %s", answer.Address, answer.Reachable, answer.Message)
		}
	}
	for _, key := range []string{"udp 198.51.100.53:53", "tcp 192.0.2.1:53"} {
		delete(d.world, key)
	}
	if again := sweepOf(t, a, ownerName(1)); len(again.Answers) != 6 {
		t.Errorf("servers found not long ago are forgotten when the parent is away: %+v", again.Answers)
	}
	fresh := startActor(t, d.cfg, d.opts)
	got = sweepOf(t, fresh, ownerName(1))
	found := slices.ContainsFunc(got.Answers, func(a Answer) bool {
		return !a.Reachable && !a.Ignored && strings.Contains(a.Message, "could not be found by its delegation")
	})
	if !found {
		t.Errorf("servers that nobody knows must hold the sweep back: %+v", got.Answers)
	}
}
