package delegation_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// dsyncRecord is a DSYNC record for CDS, by NOTIFY, of a port and a target in the zone parent.test.
func dsyncRecord(t *testing.T, owner string, port uint16, target string) string {
	t.Helper()
	buf := make([]byte, 300)
	end, err := dns.PackDomainName(target, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`%s 2 TYPE66 \# %d 003b01%04x%x`, owner, 5+end, port, buf[:end])
}

// scanner takes notifications, as a parent's does.
func scanner(t *testing.T) (netip.AddrPort, <-chan *dns.Msg) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *dns.Msg, 10)
	s := &dns.Server{PacketConn: pc, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
			got <- m
			out := new(dns.Msg)
			out.SetReply(m)
			_ = w.WriteMsg(out)
		})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return netip.MustParseAddrPort(pc.LocalAddr().String()), got
}

// TestNotifyParentOfSomebodyElse: the parent on BIND names a scanner by a DSYNC record, under the name of
// the child alone or for all; it is found by way of unbound, and told.
func TestNotifyParentOfSomebodyElse(t *testing.T) {
	for _, owner := range []string{"child._dsync", "_dsync"} {
		t.Run(owner, func(t *testing.T) {
			at, got := scanner(t)
			parent := servers.StartPrimary(t, servers.BIND, servers.Options{Zone: parentApex, NegativeTTL: 1, Records: []string{
				"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1", "scanner A 127.0.0.1",
				dsyncRecord(t, owner, at.Port(), "scanner.parent.test."),
			}})
			child := servers.StartPrimary(t, servers.BIND, servers.Options{Zone: childApex, Rolling: &servers.Rolling{Lifetime: 3600, Parents: []netip.AddrPort{parent.Addr}}})
			resolver := servers.StartUnbound(t, servers.ResolverOptions{Stubs: []servers.Stub{servers.StubOf(parent)}})
			actor := foreign(t, parent, child, resolver, zone.Options{})
			looks, results := make(chan zone.ParentLook, 1), make(chan zone.Result, 1)
			actor.LookAtParent(func(l zone.ParentLook) { looks <- l })
			look := <-looks
			if look.Problem != "" || look.Zone != parentApex || len(look.Answers) != 1 || look.Answers[0].Problem != "" || len(look.Targets) != 1 {
				t.Fatalf("got %+v", look)
			}
			keys := make(chan zone.KeySweep, 1)
			servers.Eventually(t, "the child asks for DS records", func() error {
				actor.SweepKeys(func(k zone.KeySweep) { keys <- k })
				d := delegation.Compare(delegation.Facts{Child: childApex, Now: time.Now(), Parents: look.Answers, Children: (<-keys).Answers})
				if d.Reason != delegation.InitialNotAccepted || len(d.Asked) != 1 || presentation(d.Asked[0]) != child.DS {
					return fmt.Errorf("%s: %s", d.Reason, d.Message)
				}
				return nil
			})
			actor.NotifyParent(look.Targets[0], func(r zone.Result) { results <- r })
			if r := <-results; r.Class != zone.Applied {
				t.Fatalf("%s: %s", r.Class, r.Message)
			}
			if m := <-got; m.Opcode != dns.OpcodeNotify || m.Question[0].Name != childApex || m.Question[0].Qtype != dns.TypeCDS {
				t.Errorf("got %s", m)
			}
		})
	}
}

// TestParentOfSomebodyElseIsValidated: what the parent's server says of DS and DSYNC is judged from the trust anchor in use, by
// way of unbound. With one of another key it is bogus, and there is nobody to notify.
func TestParentOfSomebodyElseIsValidated(t *testing.T) {
	t.Parallel()
	parent := servers.StartPrimary(t, servers.BIND, servers.Options{Zone: parentApex, NegativeTTL: 1, Records: []string{
		"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1", "scanner A 127.0.0.1", dsyncRecord(t, "_dsync", 5300, "scanner.parent.test."),
	}})
	child := servers.StartPrimary(t, servers.Knot, servers.Options{Zone: childApex, NegativeTTL: 1})
	resolver := servers.StartUnbound(t, servers.ResolverOptions{Stubs: []servers.Stub{servers.StubOf(parent)}})
	for _, c := range []struct {
		reason  string
		anchor  string
		state   dnssec.State
		targets int
		problem string
	}{
		{"the parent's own key", parent.DS, dnssec.Secure, 1, ""},
		{"another key", child.DS, dnssec.Bogus, 0, "nobody is notified"},
	} {
		anchor, err := dnssec.ParseDS(c.anchor, parentApex)
		if err != nil {
			t.Fatal(err)
		}
		v, err := dnssec.New(dnssec.Config{
			Anchors: []dnssec.Anchor{anchor}, Transport: &dnssec.Network{Timeout: 20 * time.Second}, Now: time.Now, Forwarders: []netip.AddrPort{resolver.Addr},
		})
		if err != nil {
			t.Fatal(err)
		}
		actor := foreign(t, parent, child, resolver, zone.Options{NewResolver: func([]dnssec.Anchor) zone.Resolver { return v }}, anchor)
		looks := make(chan zone.ParentLook, 1)
		actor.LookAtParent(func(l zone.ParentLook) { looks <- l })
		look := <-looks
		if look.Problem != "" || len(look.Answers) != 1 || look.Answers[0].Problem != "" || look.Answers[0].State != c.state {
			t.Errorf("%s: %+v", c.reason, look)
		}
		if len(look.Targets) != c.targets || !strings.Contains(look.TargetsProblem, c.problem) || (look.TargetsProblem == "") != (c.problem == "") {
			t.Errorf("%s: targets %v, %q", c.reason, look.Targets, look.TargetsProblem)
		}
	}
}

// foreign is an actor of the child that has a resolver, and finds the parent's server at port 53.
func foreign(t *testing.T, parent, child *servers.Primary, resolver *servers.Resolver, o zone.Options, anchors ...dnssec.Anchor) *zone.Actor {
	t.Helper()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "127.0.0.1:53" {
			address = parent.Addr.String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	o.Dial, o.Allowed = dial, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	a := zone.NewActor(zone.Config{
		Zone: childApex, Primary: child.Addr.String(), Protocol: zone.TCP, Static: []netip.AddrPort{child.Addr}, Resolvers: []string{resolver.Addr.String()},
		Anchors: anchors,
	}, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		a.Close(ctx)
	})
	return a
}
