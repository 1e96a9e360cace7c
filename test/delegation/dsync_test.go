package delegation_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// foreignTree is a child whose parent is somebody else's, below a private root. The parent's servers answer at port 53
// of addresses of their own, as the world's do, and say by a DSYNC record that they want to hear of changes.
type foreignTree struct {
	*rig
	root *servers.Presigned
	// told are the notifications that the parent's receiver got.
	told <-chan *dns.Msg
	// behind is how many times the parent was told while status said since when it had been behind.
	behind int
}

// newForeignTree has a signer of a make sign the child, which rolls its keys so; without, it is a Knot that asks for no DS records.
func newForeignTree(t *testing.T, child servers.Make, rolling *servers.Rolling) *foreignTree {
	t.Helper()
	tr := &foreignTree{rig: &rig{T: t}}
	at, told := scanner(t)
	tr.told = told
	top, first, second := servers.PublicAddress(t), servers.PublicAddress(t), servers.PublicAddress(t)
	below := map[string]string{"ns1": servers.PublicAddress(t).String(), "ns2": servers.PublicAddress(t).String()}
	tr.parent = servers.StartPrimary(t, servers.BIND, servers.Options{
		Zone: parentApex, NegativeTTL: 1, Nameservers: map[string]string{"ns1": first.String(), "ns2": second.String()},
		Records: []string{
			"child 2 NS ns1.child", "ns1.child 2 A " + below["ns1"], "child 2 NS ns2.child", "ns2.child 2 A " + below["ns2"],
			"scanner A " + at.Addr().String(), dsyncRecord(t, "_dsync", at.Port(), "scanner."+parentApex),
		},
	})
	tr.parentSecondary = servers.StartNSDSecondary(t, tr.parent, "")
	servers.StartPublic(t, first, tr.parent.Addr)
	servers.StartPublic(t, second, tr.parentSecondary.Addr)
	if rolling != nil {
		rolling.Parents = []netip.AddrPort{tr.parent.Addr}
	}
	tr.child = servers.StartPrimary(t, child, servers.Options{Zone: childApex, NegativeTTL: 1, Records: []string{"www A 192.0.2.1"}, Nameservers: below, Rolling: rolling})
	if rolling == nil {
		tr.child.PublishCDS(servers.CDSNone)
	}
	tr.childSecondary = servers.StartNSDSecondary(t, tr.child, "")
	servers.StartPublic(t, netip.MustParseAddr(below["ns1"]), tr.child.Addr)
	servers.StartPublic(t, netip.MustParseAddr(below["ns2"]), tr.childSecondary.Addr)
	tr.root = servers.StartPresigned(t, ".", []string{
		parentApex + " NS ns1." + parentApex, parentApex + " NS ns2." + parentApex, "ns1." + parentApex + " A " + first.String(), "ns2." + parentApex + " A " + second.String(),
		parentApex + " DS " + tr.parent.DS,
	})
	servers.StartPublic(t, top, tr.root.Addr)
	tr.resolver = servers.StartUnbound(t, servers.ResolverOptions{
		Stubs: []servers.Stub{{Zone: ".", Servers: []netip.AddrPort{servers.AtPort53(top)}, DS: tr.root.DS}},
		Extra: append([]string{`local-zone: "test." nodefault`}, forgetful...),
	})
	return tr
}

// cluster has an operator that is told of the root and the resolver, and of nothing else of the tree.
func (tr *foreignTree) cluster() *cluster {
	tr.Helper()
	anchors := filepath.Join(tr.TempDir(), "root.ds")
	if err := os.WriteFile(anchors, []byte(". DS "+tr.root.DS+"\n"), 0o600); err != nil {
		tr.Fatal(err)
	}
	return startCluster(tr.T, "--resolvers", tr.resolver.Addr.String(), "--trust-anchors", anchors)
}

// kept says of a zone that its delegation is kept, at a parent that is somebody else's.
func kept(z *v1alpha1.DNSZone) {
	z.Spec.DNSSEC = v1alpha1.ZoneDNSSECSpec{Delegation: &v1alpha1.DelegationSpec{}}
}

// notifications are those that have come by now.
func (tr *foreignTree) notifications() (out []*dns.Msg) {
	for {
		select {
		case m := <-tr.told:
			out = append(out, m)
		default:
			return out
		}
	}
}

// TestOperatorNotifiesParent: the whole operator, which is told of a zone and of nothing else than that somebody keeps
// its delegation, finds the parent and its DSYNC record from the root down. The zone's signer asks for the first DS
// records; as long as a secondary does not show that, the parent hears nothing and the condition names the secondary.
// Then the parent's receiver gets one NOTIFY(CDS), and no more when it acts; and until then status says since when the parent has
// been behind, which an operator that is killed and started again does not forget.
func TestOperatorNotifiesParent(t *testing.T) {
	t.Parallel()
	tr := newForeignTree(t, servers.Knot, nil)
	c := tr.cluster()
	tr.childSecondary.Lag()
	tr.child.PublishCDS(servers.CDSOfKey)
	c.zone("child", tr.child, tr.childSecondary.Addr, kept)
	for range 2 {
		c.looksAgain()
		c.follow(tr.rig, "the secondary that lags is told of", time.Minute, c.saysNow(v1alpha1.ReasonCDSInconsistent, tr.childSecondary.Addr.String()))
	}
	if early := tr.notifications(); len(early) > 0 {
		t.Fatalf("the parent was told although %s shows no CDS records: %v", tr.childSecondary.Addr, early)
	}

	asked := time.Now().Truncate(time.Second)
	tr.childSecondary.Follow()
	c.looksAgain()
	behind := c.saysNow(v1alpha1.ReasonParentBehind, "the parent zone "+parentApex+" has the DS records none", "the parent was told")
	c.follow(tr.rig, "the parent is told", 2*time.Minute, behind)
	got := tr.notifications()
	if len(got) != 1 || got[0].Opcode != dns.OpcodeNotify || len(got[0].Question) != 1 || got[0].Question[0].Name != childApex || got[0].Question[0].Qtype != dns.TypeCDS {
		t.Fatalf("the parent's receiver got %v, want one NOTIFY(CDS) of %s", got, childApex)
	}
	_, status := c.condition()
	if status.NotifiedAt == nil || len(status.NotifiedDS) != 1 || status.NotifiedDS[0] != tr.child.DS {
		t.Errorf("the parent was told of %v, and the zone asks for %s", status.NotifiedDS, tr.child.DS)
	}
	since := status.BehindSince
	if since == nil || since.Time.Before(asked) || since.After(time.Now()) || !slices.Equal(status.DS, []string{tr.child.DS}) || len(status.ParentDS) > 0 || status.Parent != "parent.test" {
		t.Errorf("the parent has been behind since some time after %s, and status says %+v", asked, status)
	}
	c.must(c.Operator.Kill())
	c.must(c.Operator.Start())
	c.looksAgain()
	c.follow(tr.rig, "the operator that was started again says so too", 2*time.Minute, behind)
	if _, again := c.condition(); again.BehindSince == nil || !again.BehindSince.Equal(since) {
		t.Errorf("the parent is behind since %v, and by the operator that was started again since %v", since, again.BehindSince)
	}

	tr.parent.Admin(fmt.Sprintf("add %s 2 DS %s", childApex, tr.child.DS))
	tr.parentSecondary.CatchUp()
	c.looksAgain()
	c.follow(tr.rig, "the parent has it", 2*time.Minute, c.saysNow(v1alpha1.ReasonDSInSync))
	if _, status := c.condition(); status.BehindSince != nil || !slices.Equal(status.ParentDS, []string{tr.child.DS}) {
		t.Errorf("the parent has what it should, and status says %+v", status)
	}
	if more := tr.notifications(); len(more) > 0 {
		t.Errorf("the parent was told again of what it has done: %v", more)
	}
}
