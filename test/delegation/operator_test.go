package delegation_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// cluster is a Kubernetes API with the operator.
type cluster struct {
	*lab.Lab
	t *testing.T
}

// startCluster takes more flags of the operator.
func startCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	api, err := kube.Start(t.Context(), kube.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Lab: &lab.Lab{Cluster: api, Namespace: "dns"}, t: t}
	t.Cleanup(func() { _ = api.Stop() })
	c.must(api.EnsureNamespace(t.Context(), "dns"))
	c.Operator, err = operator.Start(t.Context(), api, operator.Options{Args: append(lab.OperatorArgs(), args...)})
	c.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Operator.Tail(25))
		}
	})
	return c
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// zone makes the DNSZone of a primary and its secondary, edited.
func (c *cluster) zone(name string, p *servers.Primary, secondary netip.AddrPort, edits ...func(*v1alpha1.DNSZone)) *v1alpha1.DNSZone {
	c.t.Helper()
	z, err := c.CreateZone(c.t.Context(), name, lab.Zone{
		Name: p.Zone[:len(p.Zone)-1], Primary: p.Addr.String(), Servers: []string{p.Addr.String(), secondary.String()},
		TSIGName: p.TSIGName, TSIGSecret: p.TSIGSecret, DS: p.DS,
	}, lab.Fast, edits...)
	c.must(err)
	return z
}

// change edits the child's DNSZone.
func (c *cluster) change(edit func(*v1alpha1.DNSZone)) {
	c.t.Helper()
	servers.Eventually(c.t, "the DNSZone is changed", func() error {
		z := c.child()
		edit(z)
		return c.Client.Update(c.t.Context(), z)
	})
}

// looksAgain has the operator look at the child's delegation now, as it does when the spec is another. By itself it looks at one that
// is somebody else's to change once a minute.
func (c *cluster) looksAgain() {
	c.t.Helper()
	c.change(func(z *v1alpha1.DNSZone) { z.Spec.Propagation.Sweeps++ })
}

// saysNow says whether the condition of the spec of now has a reason and all parts of a message.
func (c *cluster) saysNow(reason string, parts ...string) func(metav1.Condition, v1alpha1.DelegationStatus) bool {
	return func(condition metav1.Condition, _ v1alpha1.DelegationStatus) bool {
		return condition.ObservedGeneration == c.child().Generation && says(reason, parts, condition.Reason, condition.Message) == nil
	}
}

func (c *cluster) child() *v1alpha1.DNSZone {
	c.t.Helper()
	z := &v1alpha1.DNSZone{}
	c.must(c.Client.Get(c.t.Context(), client.ObjectKey{Namespace: "dns", Name: "child"}, z))
	return z
}

// condition of the child, and what status says of its delegation.
func (c *cluster) condition() (metav1.Condition, v1alpha1.DelegationStatus) {
	c.t.Helper()
	z := c.child()
	out, status := metav1.Condition{}, v1alpha1.DelegationStatus{}
	if got := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegationInSync); got != nil {
		out = *got
	}
	if z.Status.DNSSEC.Delegation != nil {
		status = *z.Status.DNSSEC.Delegation
	}
	return out, status
}

// follow waits until the condition and status are as wanted, with the signer at work.
func (c *cluster) follow(r *rig, what string, limit time.Duration, done func(metav1.Condition, v1alpha1.DelegationStatus) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	said := ""
	for {
		condition, status := c.condition()
		if now := condition.Reason + fmt.Sprint(status.DS); now != said {
			c.t.Logf("%s: %s", condition.Reason, condition.Message)
			said = now
		}
		if done(condition, status) {
			return
		}
		r.poke()
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			c.t.Fatalf("waited in vain until %s: %s: %s; status %+v; keys %v", what, condition.Reason, condition.Message, status, r.keys())
		}
	}
}

// TestOperatorFollowsKeyRollovers: the whole operator, from a parent without DS records and a DNSZone that
// may not be written, through two key rollovers and a crash. A validating resolver that is asked ten times a second never fails.
func TestOperatorFollowsKeyRollovers(t *testing.T) {
	t.Parallel()
	for _, of := range []couple{{servers.BIND, servers.Knot}, {servers.Knot, servers.BIND}} {
		t.Run(string(of.child)+" below "+string(of.parent), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, of.parent, of.child, 60)
			c := startCluster(t)
			c.begin(r)
			r.validated()
			c.rolls(r)
		})
	}
}

// couple are the makes of a parent and of the child.
type couple struct{ parent, child servers.Make }

// begin has the parent enter the child by its first DS records, once that is allowed.
func (c *cluster) begin(r *rig) {
	c.t.Helper()
	parent := c.zone("parent", r.parent, r.parentSecondary.Addr)
	c.zone("child", r.child, r.childSecondary.Addr)
	c.must(c.grant(parent, "somebody"))
	c.change(func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC.Delegation = &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "parent"}}
	})
	c.follow(r, "the missing grant is told", time.Minute, reason(v1alpha1.ReasonParentNotGranted))
	c.must(c.grant(parent, "dns"))
	c.follow(r, "the first DS records are told", 5*time.Minute, reason(v1alpha1.ReasonInitialDSNotAccepted))
	if ds := r.parentDS(); len(ds) != 0 {
		c.t.Fatalf("the parent has the DS records %v, which nobody accepted", ds)
	}
	_, status := c.condition()
	c.change(func(z *v1alpha1.DNSZone) {
		for _, ds := range status.DS {
			z.Spec.DNSSEC.Delegation.AcceptInitialDS = append(z.Spec.DNSSEC.Delegation.AcceptInitialDS, v1alpha1.InitialDS(ds))
		}
	})
	c.follow(r, "the parent has them", 2*time.Minute, func(condition metav1.Condition, s v1alpha1.DelegationStatus) bool {
		return inStep(condition, s) && s.SyncedAt != nil
	})
}

// inStep says whether nothing is to change.
func inStep(condition metav1.Condition, status v1alpha1.DelegationStatus) bool {
	return reason(v1alpha1.ReasonDSInSync, v1alpha1.ReasonNothingRequested)(condition, status)
}

func reason(wanted ...string) func(metav1.Condition, v1alpha1.DelegationStatus) bool {
	return func(condition metav1.Condition, _ v1alpha1.DelegationStatus) bool {
		return slices.Contains(wanted, condition.Reason)
	}
}

// rolls has the signer roll its key signing key twice, and kills the operator in between.
func (c *cluster) rolls(r *rig) {
	c.t.Helper()
	counted, stop := r.watch()
	counted.mustBeSecure()
	defer stop()
	_, status := c.condition()
	synced := [][]string{status.SyncedDS}
	for n := range 2 {
		last := synced[len(synced)-1]
		c.follow(r, "a rollover is through", 8*time.Minute, func(condition metav1.Condition, s v1alpha1.DelegationStatus) bool {
			return inStep(condition, s) && !slices.Equal(s.SyncedDS, last) && r.retired(last)
		})
		_, status = c.condition()
		synced = append(synced, status.SyncedDS)
		if n == 0 {
			counted.mark()
			c.must(c.Operator.Kill())
			c.must(c.Operator.Start())
		}
	}
	stop()
	c.t.Logf("DS history %v", synced)
	counted.verdict(c.t)
	if status.BehindSince != nil || status.SignedAt == nil || !slices.Equal(status.ParentDS, status.SyncedDS) || !slices.Equal(r.parentDS(), status.SyncedDS) {
		c.t.Errorf("the parent has %v; status %+v", r.parentDS(), status)
	}
}

// retired says whether the child shows keys, and none of these DS records. That it shows one alone may never be seen: the
// operator looks at a delegation that is in step once a minute, which is how long a key lives here.
func (r *rig) retired(ds []string) bool {
	keys := r.keys()
	return len(keys) > 0 && !slices.ContainsFunc(keys, func(tag uint16) bool {
		return slices.ContainsFunc(ds, func(text string) bool { return strings.HasPrefix(text, fmt.Sprintf("%d ", tag)) })
	})
}

// grant lets one namespace alone write the child's DS records.
func (c *cluster) grant(z *v1alpha1.DNSZone, namespace string) error {
	if err := c.Client.Get(c.t.Context(), client.ObjectKeyFromObject(z), z); err != nil {
		return err
	}
	z.Spec.Grants = []v1alpha1.ZoneGrant{{
		Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSelector, Selector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace},
		}},
		Hostnames: []v1alpha1.GrantHostname{v1alpha1.GrantHostname(childApex[:len(childApex)-1])},
	}}
	return c.Client.Update(c.t.Context(), z)
}

// parentDS are the DS records that the parent's primary shows.
func (r *rig) parentDS() []string {
	r.Helper()
	return r.dsAt(r.parent.Addr)
}

// dsAt are the DS records of the child that a server of the parent shows.
func (r *rig) dsAt(server netip.AddrPort) []string {
	r.Helper()
	m, err := servers.Ask(server, childApex, dns.TypeDS, false)
	if err != nil {
		r.Fatal(err)
	}
	var out []string
	for _, rr := range m.Answer {
		if ds, ok := rr.(*dns.DS); ok {
			out = append(out, presentation(ds))
		}
	}
	slices.Sort(out)
	return out
}
