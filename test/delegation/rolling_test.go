package delegation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestKeyRollovers: a signer begins, and rolls its key signing key twice; the DS records in the parent
// follow; and a validating resolver that is asked ten times a second never fails.
func TestKeyRollovers(t *testing.T) {
	for _, c := range []struct {
		parent, child servers.Make
		lifetime      int
		nsec3         bool
	}{
		{servers.BIND, servers.BIND, 60, false},
		{servers.BIND, servers.Knot, 45, false},
		{servers.Knot, servers.BIND, 60, true},
		{servers.PowerDNS, servers.Knot, 45, true},
	} {
		t.Run(string(c.child)+" below "+string(c.parent), func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, c.parent, c.child, servers.Options{NSEC3: c.nsec3, Rolling: &servers.Rolling{Lifetime: c.lifetime}})
			r.begin()
			if err := r.denies(c.nsec3); err != nil {
				t.Fatal(err)
			}
			counted, stop := r.watch()
			counted.mustBeSecure()
			defer stop()
			first := r.keys()
			begun := len(r.history)
			r.until("two rollovers are through", 12*time.Minute, func() bool {
				now := r.keys()
				return len(r.history) >= begun+2 && len(now) == 1 && len(first) > 0 && now[0] != first[0] && r.last.Action == delegation.Keep
			})
			stop()
			t.Logf("DS history %v", r.history)
			if err := r.denies(c.nsec3); err != nil {
				t.Error(err)
			}
			if changes := len(r.history) - begun; len(counted.marks) != changes {
				t.Errorf("%d changes of DS records were watched, of %d", len(counted.marks), changes)
			}
			counted.verdict(t)
		})
	}
}

// denies returns an error unless every server of the child proves by NSEC3, or by NSEC, what is not there.
func (r *rig) denies(nsec3 bool) error {
	for _, server := range []servers.Server{r.child, r.childSecondary} {
		m, err := servers.Ask(server.Address(), "nothere."+childApex, dns.TypeA, false)
		if err != nil {
			return err
		}
		proofs := map[uint16]int{}
		for _, rr := range m.Ns {
			proofs[rr.Header().Rrtype]++
		}
		if (proofs[dns.TypeNSEC3] > 0) != nsec3 || (proofs[dns.TypeNSEC] > 0) == nsec3 {
			return fmt.Errorf("%s proves by %v what is not there; NSEC3 should be %t", server.Name(), m.Ns, nsec3)
		}
	}
	return nil
}

// TestKeyRolloversByHand: PowerDNS rolls no key by itself. Its administrator adds one, and takes the old one out when the parent has
// the DS records of both and caches know them; twice, with NSEC and with NSEC3. The DS records follow, and a validating resolver that is asked ten times a second never fails.
func TestKeyRolloversByHand(t *testing.T) {
	for _, c := range []struct {
		parent servers.Make
		nsec3  bool
	}{{servers.Knot, false}, {servers.BIND, true}} {
		t.Run(fmt.Sprintf("PowerDNS below %s, NSEC3 %t", c.parent, c.nsec3), func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, c.parent, servers.PowerDNS, servers.Options{NSEC3: c.nsec3, Rolling: &servers.Rolling{}})
			r.begin()
			if err := r.denies(c.nsec3); err != nil {
				t.Fatal(err)
			}
			counted, stop := r.watch()
			counted.mustBeSecure()
			defer stop()
			begun := len(r.history)
			for range 2 {
				r.rollByHand()
			}
			stop()
			t.Logf("DS history %v", r.history)
			if err := r.denies(c.nsec3); err != nil {
				t.Error(err)
			}
			if changes := len(r.history) - begun; changes != 4 || len(counted.marks) != changes {
				t.Errorf("%d changes of DS records in two rollovers, of which %d were watched", changes, len(counted.marks))
			}
			counted.verdict(t)
		})
	}
}

// rollByHand has the child go from its only key signing key to another one, by the DS records of both.
func (r *rig) rollByHand() {
	r.Helper()
	before, changes := r.keys(), len(r.history)
	if len(before) != 1 {
		r.Fatalf("the zone has the keys %v, want one", before)
	}
	settled := func(changed int) func() bool {
		return func() bool {
			return len(r.history) == changes+changed && r.last.Action == delegation.Keep && settled(r.last.Reason)
		}
	}
	r.child.AddKSK()
	r.until("the parent has the DS records of both keys", 2*time.Minute, settled(1))
	time.Sleep(2 * rollingTTL) // what caches have of the time before is gone
	r.child.RemoveKSK(before[0])
	r.until("the parent has that of the new key alone", 2*time.Minute, settled(2))
	if now := r.keys(); len(now) != 1 || now[0] == before[0] {
		r.Errorf("the zone had the keys %v, and has %v", before, now)
	}
	time.Sleep(2 * rollingTTL)
}

// rollingTTL is that of everything in a zone that rolls its key, of the DS records and of what the resolver keeps.
const rollingTTL = 2 * time.Second

// begin puts the first DS records into the parent, which the test vouches for, and waits until the
// resolver validates the child.
func (r *rig) begin() {
	r.Helper()
	r.until("the child asks for its first DS records", 5*time.Minute, func() bool { return r.last.Reason == delegation.InitialNotAccepted })
	facts, _ := r.look()
	for _, rr := range facts.Children[0].CDS.Records {
		if cds, ok := rr.(*dns.CDS); ok {
			ds := cds.DS
			ds.Hdr.Rrtype = dns.TypeDS
			r.policy.AcceptInitial = append(r.policy.AcceptInitial, &ds)
		}
	}
	r.until("the parent has them", 2*time.Minute, func() bool { return r.last.Reason == delegation.InSync || r.last.Reason == delegation.NothingAsked })
	r.validated()
}

// validated waits until the resolver validates the child.
func (r *rig) validated() {
	r.Helper()
	servers.Eventually(r, "the resolver validates the child", func() error {
		m, err := servers.Ask(r.resolver.Addr, host, dns.TypeA, true)
		if err != nil {
			return err
		}
		if !m.AuthenticatedData || len(m.Answer) == 0 {
			return fmt.Errorf("%s, AD %t", dns.RcodeToString[m.Rcode], m.AuthenticatedData)
		}
		return nil
	})
}
