package dnssec

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer answers on a loopback port over UDP and TCP, and says over which in a TXT record.
func nameServer(t *testing.T, truncates bool) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	over := func(network string) dns.Handler {
		return dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = truncates && network == "udp"
			m.Answer = rrset(t, q.Question[0].Name+" 60 TXT "+network)
			_ = w.WriteMsg(m)
		})
	}
	for _, s := range []*dns.Server{{Listener: listener, Handler: over("tcp")}, {PacketConn: packets, Handler: over("udp")}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return netip.MustParseAddrPort(listener.Addr().String())
}

func TestNetwork(t *testing.T) {
	for _, c := range []struct {
		reason    string
		network   Network
		truncates bool
		want      string
	}{
		{"UDP", Network{}, false, "udp"},
		{"TCP for what is truncated", Network{}, true, "tcp"},
		{"TCP at once", Network{TCP: true}, false, "tcp"},
	} {
		m, err := c.network.Exchange(t.Context(), nameServer(t, c.truncates), question("a.test.", dns.TypeTXT, true))
		if err != nil || m.Truncated || m.Answer[0].(*dns.TXT).Txt[0] != c.want || !m.RecursionDesired {
			t.Errorf("%s: %v, %v", c.reason, m, err)
		}
	}
	// Nobody listens there: an error, and soon.
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(closed.Addr().String())
	closed.Close()
	if m, err := (&Network{Timeout: time.Minute}).Exchange(t.Context(), addr, question("a.test.", dns.TypeTXT, false)); err == nil {
		t.Errorf("%v", m)
	}
}

// TestTurnsAtTheServer: each message takes a turn, the second one over TCP included; one that gets none is not sent, and
// says nothing against the server.
func TestTurnsAtTheServer(t *testing.T) {
	for _, c := range []struct {
		reason    string
		truncates bool
		// turns are how many are to be had, want how many are taken.
		turns, want int
		answered    bool
	}{
		{"one message", false, 1, 1, true},
		{"two messages", true, 2, 2, true},
		{"none of one", false, 0, 0, false},
		{"one of two", true, 1, 1, false},
	} {
		server, taken := nameServer(t, c.truncates), 0
		n := &Network{Turn: func(_ context.Context, at netip.AddrPort) error {
			if at != server {
				t.Errorf("%s: a turn at %s", c.reason, at)
			}
			if taken == c.turns {
				return context.DeadlineExceeded
			}
			taken++
			return nil
		}}
		_, err := n.Exchange(t.Context(), server, question("a.test.", dns.TypeTXT, false))
		if taken != c.want || (err == nil) != c.answered || err != nil && !errors.Is(err, ErrNoTurn) {
			t.Errorf("%s: %d turns, %v", c.reason, taken, err)
		}
		v, bad := New(Config{Transport: n, Now: time.Now, Forwarders: []netip.AddrPort{server}, Anchors: []Anchor{newZone(t, ".").anchor()}})
		if bad != nil {
			t.Fatal(bad)
		}
		taken = 0
		if r := v.Lookup(t.Context(), "a.test.", dns.TypeTXT); !c.answered && (r.State != Indeterminate || r.Cause.Reason != Busy) {
			t.Errorf("%s: %s (%v)", c.reason, r.State, r.Cause)
		}
	}
}
