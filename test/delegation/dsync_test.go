package delegation_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
}

func newForeignTree(t *testing.T) *foreignTree {
	t.Helper()
	tr := &foreignTree{rig: &rig{T: t}}
	at, told := scanner(t)
	tr.told = told
	top, first, second := servers.PublicAddress(t), servers.PublicAddress(t), servers.PublicAddress(t)
	tr.parent = servers.StartPrimary(t, servers.BIND, servers.Options{
		Zone: "test.", NegativeTTL: 1, Nameservers: map[string]string{"ns1": first.String(), "ns2": second.String()},
		Records: []string{"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1", "scanner A " + at.Addr().String(), dsyncRecord(t, "_dsync", at.Port(), "scanner.test.")},
	})
	tr.parentSecondary = servers.StartNSDSecondary(t, tr.parent, "")
	servers.StartPublic(t, first, tr.parent.Addr)
	servers.StartPublic(t, second, tr.parentSecondary.Addr)
	tr.child = servers.StartPrimary(t, servers.Knot, servers.Options{Zone: "child.test.", NegativeTTL: 1})
	tr.child.PublishCDS(servers.CDSNone)
	tr.childSecondary = servers.StartNSDSecondary(t, tr.child, "")
	tr.root = servers.StartPresigned(t, ".", []string{
		"test NS ns1.test", "test NS ns2.test", "ns1.test A " + first.String(), "ns2.test A " + second.String(), "test DS " + tr.parent.DS,
	})
	servers.StartPublic(t, top, tr.root.Addr)
	tr.resolver = servers.StartUnbound(t, servers.ResolverOptions{
		Stubs: []servers.Stub{{Zone: ".", Servers: []netip.AddrPort{servers.AtPort53(top)}, DS: tr.root.DS}},
		Extra: append([]string{`local-zone: "test." nodefault`}, forgetful...),
	})
	return tr
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
// Then the parent's receiver gets one NOTIFY(CDS), and no more when it acts.
func TestOperatorNotifiesParent(t *testing.T) {
	t.Parallel()
	tr := newForeignTree(t)
	anchors := filepath.Join(t.TempDir(), "root.ds")
	if err := os.WriteFile(anchors, []byte(". DS "+tr.root.DS+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, "--resolvers", tr.resolver.Addr.String(), "--trust-anchors", anchors)
	tr.childSecondary.Lag()
	tr.child.PublishCDS(servers.CDSOfKey)
	c.zone("child", tr.child, tr.childSecondary.Addr, func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC = v1alpha1.ZoneDNSSECSpec{Delegation: &v1alpha1.DelegationSpec{}}
	})
	for range 2 {
		c.looksAgain()
		c.follow(tr.rig, "the secondary that lags is told of", time.Minute, c.saysNow(v1alpha1.ReasonCDSInconsistent, tr.childSecondary.Addr.String()))
	}
	if early := tr.notifications(); len(early) > 0 {
		t.Fatalf("the parent was told although %s shows no CDS records: %v", tr.childSecondary.Addr, early)
	}

	tr.childSecondary.Follow()
	c.looksAgain()
	c.follow(tr.rig, "the parent is told", 2*time.Minute, c.saysNow(v1alpha1.ReasonParentBehind, "the parent zone test. has the DS records none", "the parent was told"))
	got := tr.notifications()
	if len(got) != 1 || got[0].Opcode != dns.OpcodeNotify || len(got[0].Question) != 1 || got[0].Question[0].Name != "child.test." || got[0].Question[0].Qtype != dns.TypeCDS {
		t.Fatalf("the parent's receiver got %v, want one NOTIFY(CDS) of child.test.", got)
	}
	_, status := c.condition()
	if status.NotifiedAt == nil || len(status.NotifiedDS) != 1 || status.NotifiedDS[0] != tr.child.DS {
		t.Errorf("the parent was told of %v, and the zone asks for %s", status.NotifiedDS, tr.child.DS)
	}

	tr.parent.Admin(fmt.Sprintf("add child.test. 2 DS %s", tr.child.DS))
	tr.parentSecondary.CatchUp()
	c.looksAgain()
	c.follow(tr.rig, "the parent has it", 2*time.Minute, c.saysNow(v1alpha1.ReasonDSInSync))
	if more := tr.notifications(); len(more) > 0 {
		t.Errorf("the parent was told again of what it has done: %v", more)
	}
}
