package zone

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// dialed is a world that notes where connections are opened to.
type dialed struct {
	world
	mu sync.Mutex
	to []string
}

func (d *dialed) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.to = append(d.to, address)
	d.mu.Unlock()
	return d.world.dial(ctx, network, address)
}

func (d *dialed) has(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.to, address)
}

// TestServersInOnesOwnNetwork: records of a zone, whoever writes them, have nothing sent to an address that is not
// public, and hold sweeps back. Who runs the operator may allow a network, and who names an address means it.
func TestServersInOnesOwnNetwork(t *testing.T) {
	networks := func(texts ...string) (out []netip.Prefix) {
		for _, text := range texts {
			out = append(out, netip.MustParsePrefix(text))
		}
		return out
	}
	byZone := func(d *delegatedZone, addr string) { d.child.rr("ns3.example.test. 300 A " + addr) }
	byGlue := func(d *delegatedZone, addr string) { d.parent.rr("ns1.example.test. 300 A " + addr) }
	byResolver := func(d *delegatedZone, addr string) { d.resolver.rr("ns2.elsewhere. 300 A " + addr) }
	ofParent := func(d *delegatedZone, addr string) {
		d.resolver.rr("a.nic.test. 300 A " + addr)
		delete(d.world, "tcp 192.0.2.1:53")
		d.world["tcp "+addr+":53"] = d.parent.addr
	}
	for _, c := range []struct {
		reason string
		by     func(*delegatedZone, string)
		addr   string
		// change is what is configured.
		change func(*delegatedZone)
		asked  bool
	}{
		{"the zone names it", byZone, "10.0.0.7", nil, false},
		{"the parent's glue does", byGlue, "127.0.0.7", nil, false},
		{"it is the address of a name elsewhere", byResolver, "192.168.1.7", nil, false},
		{"a server of the parent zone", ofParent, "10.0.0.7", nil, false},
		{"a network that is allowed", byZone, "10.0.0.7", func(d *delegatedZone) { d.opts.Allowed = networks("127.0.0.0/8", "10.0.0.0/24") }, true},
		{"a server of the parent zone in one", ofParent, "10.0.0.7", func(d *delegatedZone) { d.opts.Allowed = networks("10.0.0.0/24") }, true},
		{"another network is", byZone, "10.0.1.7", func(d *delegatedZone) { d.opts.Allowed = networks("10.0.0.0/24") }, false},
		{"an address that nothing makes harmless", byZone, "169.254.169.254", func(d *delegatedZone) { d.opts.Allowed = networks("0.0.0.0/0") }, false},
		{"one that the user lists", byGlue, "10.0.0.7", func(d *delegatedZone) { d.cfg.Static = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.7:53")} }, true},
		{"the update server", byGlue, "10.0.0.7", func(d *delegatedZone) { d.cfg.Primary = "10.0.0.7:53" }, true},
		{"one that the user excepts", byZone, "10.0.0.7", func(d *delegatedZone) { d.cfg.Ignore = []string{"10.0.0.7"} }, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			d := newDelegation(t)
			d.world["tcp "+c.addr+":53"] = d.child.addr
			c.by(d, c.addr)
			if c.change != nil {
				c.change(d)
			}
			to := &dialed{world: d.world}
			d.opts.Dial = to.dial
			held := notGreen(sweepOf(t, startActor(t, d.cfg, d.opts), ownerName(1)))
			if asked := to.has(c.addr + ":53"); asked != c.asked {
				t.Errorf("it was asked: %t", asked)
			}
			if excepted := len(d.cfg.Ignore) > 0; c.asked || excepted {
				if held != "" {
					t.Errorf("the sweep is held back: %s", held)
				}
			} else if !strings.Contains(held, "nothing was sent: "+c.addr+" is ") {
				t.Errorf("the sweep is held back by %q", held)
			}
		})
	}
}

// TestNotificationsIntoOnesOwnNetwork: a DSYNC record names a port as well. Not even a server that the user names is
// sent anything there.
func TestNotificationsIntoOnesOwnNetwork(t *testing.T) {
	for _, c := range []struct {
		reason  string
		allowed []netip.Prefix
		sent    bool
	}{
		{"a network that is not allowed", nil, false},
		{"one that is", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, true},
	} {
		d := newDelegation(t)
		d.resolver.rr("scanner.test. 300 A 10.0.0.7")
		d.cfg.Primary, d.opts.Allowed = "10.0.0.7:53", c.allowed
		to := &dialed{world: d.world}
		d.opts.Dial = to.dial
		r := notifyParent(t.Context(), d.opts, d.cfg, NotifyTarget{Host: "scanner.test.", Port: 6379, Owner: "_dsync.test."})
		if r.Class != Unreachable || to.has("10.0.0.7:6379") != c.sent || strings.Contains(r.Message, "nothing was sent: 10.0.0.7") == c.sent {
			t.Errorf("%s: %s: %s", c.reason, r.Class, r.Message)
		}
	}
}
