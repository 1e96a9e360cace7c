package zone_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/dnssec/health"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// A server that leaves the delegation while it has old records is no reason to go on without it: resolvers that have
// the NS records cached ask it. BIND is the primary and serves the parent zone, NSD leaves. Everything has a TTL
// of 300 there.
func TestServerThatLeavesTheDelegation(t *testing.T) {
	const ns1, ns2 = "192.0.2.11", "192.0.2.12"
	r := newRig(t, servers.Options{Nameservers: map[string]string{"ns1": ns1, "ns2": ns2}})
	nsd := servers.StartNSDSecondary(t, r.primary, "")
	parent := servers.StartBINDPrimary(t, servers.Options{
		Zone: "test.", Unsigned: true, Nameservers: map[string]string{"a.nic": "192.0.2.1"},
		Records: []string{"example NS ns1.example", "example NS ns2.example", "ns1.example A " + ns1, "ns2.example A " + ns2},
	})
	at := map[string]string{ns1 + ":53": r.primary.Addr.String(), ns2 + ":53": nsd.Addr.String(), "192.0.2.1:53": parent.Addr.String()}
	r.config.Primary, r.config.TSIG, r.config.Static, r.config.Delegation, r.config.Resolvers = "", nil, nil, true, []string{"192.0.2.1"}
	now := clocktesting.NewFakeClock(time.Now())
	r.start(zone.Options{Clock: now, DiscoveryEvery: 30 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at[address])
	}})
	r.primary.Update("add " + mx1 + " 60 TLSA 3 1 1 " + record(1).Data)
	nsd.CatchUp()
	r.eventuallyGreen(mx1, 2, record(1))

	nsd.Lag()
	r.primary.Update("add " + mx1 + " 60 TLSA 3 1 1 " + record(2).Data)
	const leaves = "del example.test. NS ns2.example.test."
	r.primary.Admin(leaves)
	parent.Admin(leaves)
	now.Step(31 * time.Second)
	stale := func(s zone.Sweep) error {
		i := slices.IndexFunc(s.Answers, func(a zone.Answer) bool { return a.Address == ns2+":53" })
		if i < 0 || !s.Answers[i].Former || !slices.Equal(s.Answers[i].Records, []tlsa.Record{record(1)}) {
			return fmt.Errorf("the old records of NSD do not count: %+v", s.Answers)
		}
		return nil
	}
	if err := stale(r.sweep(mx1)); err != nil {
		t.Fatal(err)
	}
	isFormer := func(f health.Finding) bool { return f.Code == health.FormerServer }
	if h := r.check(); !slices.ContainsFunc(h.Findings, isFormer) || h.DNSSEC.KeysChanging || h.Discovery != "" {
		t.Errorf("it is not told of as what it is: %+v", h)
	}
	// Gone for now, it holds nothing up; when it is back its old records count.
	nsd.Pause()
	r.eventuallyGreen(mx1, 1, record(1), record(2))
	nsd.Resume()
	servers.Eventually(t, "NSD answers again", func() error { return stale(r.sweep(mx1)) })
	// As soon as it shows the new records it is like all others.
	nsd.Follow()
	r.eventuallyGreen(mx1, 2, record(1), record(2))
	// And nobody knows it any more when the TTL is over.
	now.Step(301 * time.Second)
	r.eventuallyGreen(mx1, 1, record(1), record(2))
}
