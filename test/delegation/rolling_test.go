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
	}{
		{servers.BIND, servers.BIND, 60},
		{servers.BIND, servers.Knot, 45},
		{servers.Knot, servers.BIND, 60},
		{servers.PowerDNS, servers.Knot, 45},
	} {
		t.Run(string(c.child)+" below "+string(c.parent), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.parent, c.child, c.lifetime)
			r.begin()
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
			if changes := len(r.history) - begun; len(counted.marks) != changes {
				t.Errorf("%d changes of DS records were watched, of %d", len(counted.marks), changes)
			}
			counted.verdict(t)
		})
	}
}

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
