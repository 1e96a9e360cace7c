package delegation_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/test/servers"
)

// refusal is a state in which the first DS records must not be written.
type refusal struct {
	reason string
	make   func()
	// says are parts of what is told about it.
	says []string
}

// refusals lead from a child that nobody vouches for to one that its name servers vouch for in all but one thing. Each
// goes on from the one before.
func (tr *tree) refusals(asked []dns.RR) []refusal {
	beta := tr.signalling[secondNS]
	other := slices.Clone(asked)
	for i, rr := range other {
		if cds, ok := rr.(*dns.CDS); ok {
			wrong := *cds
			wrong.Digest = strings.Repeat("ab", 32)
			other[i] = &wrong
		}
	}
	return []refusal{
		{"nobody vouches", func() {}, []string{"the signal of " + firstNS + " has the CDS records none", "_dsboot." + childApex + "_signal." + firstNS}},
		{"one of two does", func() { tr.signals(firstNS, asked) }, []string{"the signal of " + secondNS + " has the CDS records none", "_dsboot." + childApex + "_signal." + secondNS}},
		{"the other has another CDS", func() { tr.signals(secondNS, other) }, []string{"the signal of " + secondNS + " has the CDS records", "13 2 abab", "and the zone has"}},
		{"the other's zone is insecure", func() { tr.entered(beta.Zone) }, []string{"the signal of " + secondNS + " is not secure (Insecure)", "beta.test. DS"}},
		{"the other has the right one, in a zone that is bogus", func() {
			tr.signals(secondNS, asked)
			tr.entered(beta.Zone, "1 13 2 "+strings.Repeat("AB", 32))
		}, []string{"the signal of " + secondNS + " is not secure (Bogus)", "beta.test. DNSKEY"}},
	}
}

// vouched mends the last of the refusals.
func (tr *tree) vouched() { tr.entered(tr.signalling[secondNS].Zone, tr.signalling[secondNS].DS) }

// cdsOf are CDS records as DS records are presented.
func cdsOf(set []dns.RR) []string {
	var out []string
	for _, rr := range set {
		if cds, ok := rr.(*dns.CDS); ok {
			out = append(out, presentation(&cds.DS))
		}
	}
	slices.Sort(out)
	return out
}

// everywhere says whether every server of the parent shows these DS records of the child.
func (r *rig) everywhere(want []string) error {
	for _, server := range []netip.AddrPort{r.parent.Addr, r.parentSecondary.Addr} {
		if got := r.dsAt(server); !slices.Equal(got, want) {
			return fmt.Errorf("%s shows the DS records %v, not %v", server, got, want)
		}
	}
	return nil
}

// becameSecure waits until the resolver has come from insecure to secure, and stops the watch after enough answers
// that it stays there.
func (r *rig) becameSecure(counted *tally, stop func()) {
	r.Helper()
	if _, insecure, _ := counted.counts(); insecure == 0 {
		r.Error("the resolver was never asked while the zone was insecure")
	}
	r.validated()
	counted.mustBeSecure()
	was, _, _ := counted.counts()
	servers.Eventually(r, "the resolver is asked on", func() error {
		if secure, _, bad := counted.counts(); secure < was+20 && bad == 0 {
			return errors.New("there are too few answers")
		}
		return nil
	})
	stop()
	counted.verdict(r)
}

// settled says that nothing is to change. Knot takes its CDS records back when it sees the DS record.
func settled(r delegation.Reason) bool { return r == delegation.InSync || r == delegation.NothingAsked }

// TestBootstrap: a signed zone without DS records, whose name servers vouch for its keys (RFC 9615) in two zones,
// one on BIND and one on Knot. Nothing is written while one of them lacks anything, and what is lacking is told.
// Then the first DS records are on every server of the parent, and a validating resolver that was asked ten
// times a second went from insecure to secure and never failed.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ parent, child servers.Make }{{servers.BIND, servers.Knot}, {servers.Knot, servers.BIND}} {
		t.Run(fmt.Sprintf("%s below %s", c.child, c.parent), func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, c.parent, c.child)
			asked := tr.asked()
			counted, stop := tr.watch()
			defer stop()
			for _, refusal := range tr.refusals(asked) {
				refusal.make()
				tr.refuses(refusal)
			}
			tr.vouched()
			tr.until("the parent has the first DS records", 2*time.Minute, func() bool { return len(tr.history) > 0 && settled(tr.last.Reason) })
			if err := tr.everywhere(cdsOf(asked)); err != nil || len(tr.history) != 1 {
				t.Errorf("%v; DS history %v", err, tr.history)
			}
			tr.becameSecure(counted, stop)
		})
	}
}

// refuses looks until what is told has all the parts, and then a few times more. Nothing may be written meanwhile.
func (tr *tree) refuses(c refusal) {
	tr.Helper()
	told := func() error {
		d := tr.step()
		if len(tr.history) > 0 {
			tr.Fatalf("%s: the DS records %v were written", c.reason, tr.history)
		}
		return says(string(delegation.InitialNotAccepted), c.says, string(d.Reason), d.Message)
	}
	servers.Eventually(tr, c.reason, told)
	for range 3 {
		if err := told(); err != nil {
			tr.Errorf("%s: %v", c.reason, err)
		}
	}
	if err := tr.everywhere(nil); err != nil {
		tr.Errorf("%s: %v", c.reason, err)
	}
}

// says compares a reason and a message with what they should be.
func says(wantReason string, parts []string, reason, message string) error {
	if reason != wantReason {
		return fmt.Errorf("%s: %s; want %s", reason, message, wantReason)
	}
	for _, part := range parts {
		if !strings.Contains(message, part) {
			return fmt.Errorf("%q does not say %q", message, part)
		}
	}
	return nil
}

// TestOperatorBootstraps is TestBootstrap of the whole operator, which knows the anchor of the root and a resolver,
// and nothing else of the tree: the condition says what is lacking; then the DS records come by themselves, and
// the zone is Secure in the eyes of the operator too.
func TestOperatorBootstraps(t *testing.T) {
	t.Parallel()
	tr := newTree(t, servers.BIND, servers.Knot)
	asked := tr.asked()
	anchors := filepath.Join(t.TempDir(), "root.ds")
	if err := os.WriteFile(anchors, []byte(". DS "+tr.root.DS+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, "--resolvers", tr.resolver.Addr.String(), "--trust-anchors", anchors)
	byTheRoot := func(z *v1alpha1.DNSZone) { z.Spec.DNSSEC.TrustAnchors = nil }
	c.zone("parent", tr.parent, tr.parentSecondary.Addr, byTheRoot)
	c.zone("child", tr.child, tr.childSecondary.Addr, byTheRoot, func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC.Delegation = &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "parent"}}
	})
	counted, stop := tr.watch()
	defer stop()
	for _, refusal := range tr.refusals(asked) {
		refusal.make()
		c.follow(tr.rig, refusal.reason, time.Minute, func(condition metav1.Condition, _ v1alpha1.DelegationStatus) bool {
			return says(v1alpha1.ReasonInitialDSNotAccepted, refusal.says, condition.Reason, condition.Message) == nil
		})
		if err := tr.everywhere(nil); err != nil {
			t.Errorf("%s: %v", refusal.reason, err)
		}
	}
	tr.vouched()
	c.follow(tr.rig, "the parent has the first DS records", 2*time.Minute, func(condition metav1.Condition, s v1alpha1.DelegationStatus) bool {
		return slices.Contains([]string{v1alpha1.ReasonDSInSync, v1alpha1.ReasonNothingRequested}, condition.Reason) && s.SyncedAt != nil
	})
	if err := tr.everywhere(cdsOf(asked)); err != nil {
		t.Error(err)
	}
	tr.becameSecure(counted, stop)
	c.follow(tr.rig, "the zone is secure", 3*time.Minute, func(metav1.Condition, v1alpha1.DelegationStatus) bool {
		return c.child().Status.DNSSEC.State == v1alpha1.DNSSECStateSecure
	})
}
