package delegation_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// backedUp is a child zone on NSD and BIND, of which there are copies that were signed at different times, all of them by the same
// two keys and valid now; and its parent, which the operator may write.
type backedUp struct {
	*testing.T
	*cluster
	parent     *servers.Primary
	secondary  *servers.Secondary
	nsd, named *servers.Static
	first      *servers.Key
	second     *servers.Key
	now        time.Time
}

// TestOldCopyMovesNoDS: the whole operator, a real parent, and a child that asks by CDS records for the DS record of one key, then
// for those of two, and is then put back from a backup of the time before. All signatures of that copy are good, and it asks for
// what the parent had: that is not acted on (RFC 7344 section 6.2), by an operator that was started again neither. The
// same records signed anew are.
func TestOldCopyMovesNoDS(t *testing.T) {
	t.Parallel()
	b := newBackedUp(t)
	one, both := []string{b.first.DS()}, []string{b.first.DS(), b.second.DS()}
	slices.Sort(both)
	backup, newer := b.signed(2*time.Hour, one), b.signed(time.Hour, both)

	b.serve(backup)
	b.begin(one)
	b.becomes(v1alpha1.ReasonDSInSync, one, b.now.Add(-2*time.Hour))
	b.serve(newer)
	b.looksAgain()
	b.becomes(v1alpha1.ReasonDSInSync, both, b.now.Add(-time.Hour))

	refused := []string{"shows CDS or CDNSKEY records of " + childApex + " that were signed before those last acted on", "an old copy of the zone, or a replay", "have the zone signed anew"}
	b.serve(backup)
	for range 2 {
		b.looksAgain()
		b.becomes(v1alpha1.ReasonCDSReplayed, both, b.now.Add(-time.Hour), refused...)
	}
	b.must(b.Operator.Kill())
	b.must(b.Operator.Start())
	b.looksAgain()
	b.becomes(v1alpha1.ReasonCDSReplayed, both, b.now.Add(-time.Hour), refused...)

	b.serve(b.signed(30*time.Minute, one))
	b.looksAgain()
	b.becomes(v1alpha1.ReasonDSInSync, one, b.now.Add(-30*time.Minute))
}

func newBackedUp(t *testing.T) *backedUp {
	t.Helper()
	b := &backedUp{T: t, now: time.Now().UTC().Truncate(time.Second)}
	b.first = servers.NewKey(t, childApex)
	b.second = b.first.Another()
	b.parent = servers.StartPrimary(t, servers.BIND, servers.Options{
		Zone: parentApex, Grants: grants[servers.BIND], NegativeTTL: 1, Records: []string{"child 2 NS ns1.child", "ns1.child 2 A 127.0.0.1"},
	})
	b.secondary = servers.StartNSDSecondary(t, b.parent, "")
	empty := b.signed(3*time.Hour, nil)
	b.nsd, b.named = servers.StartStaticNSD(t, []servers.StaticZone{empty}), servers.StartStaticBIND(t, []servers.StaticZone{empty})
	b.cluster = startCluster(t)
	return b
}

// signed is a copy of the child that was signed some time ago, with CDS records.
func (b *backedUp) signed(ago time.Duration, cds []string) servers.StaticZone {
	b.Helper()
	const form = "20060102150405"
	text := "$TTL 2\n@ SOA ns1 hostmaster 1 3600 600 86400 2\n@ NS ns1\nns1 A 127.0.0.1\n"
	for _, ds := range cds {
		text += "@ CDS " + ds + "\n"
	}
	return b.first.Sign(text, "-s", b.now.Add(-ago).Format(form), "-e", b.now.Add(30*24*time.Hour).Format(form))
}

// serve has both servers of the child come up with a copy.
func (b *backedUp) serve(copied servers.StaticZone) {
	b.Helper()
	b.nsd.Restore(copied)
	b.named.Restore(copied)
}

// begin makes the DNSZones; these first DS records of the child are accepted.
func (b *backedUp) begin(first []string) {
	b.Helper()
	b.must(b.grant(b.zone("parent", b.parent, b.secondary.Addr), "dns"))
	spec := v1alpha1.DNSZoneSpec{
		Zone: strings.TrimSuffix(childApex, "."),
		DNSSEC: v1alpha1.ZoneDNSSECSpec{
			TrustAnchors: []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(b.first.DS())},
			Delegation:   &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "parent"}},
		},
	}
	for _, s := range []*servers.Static{b.nsd, b.named} {
		spec.Nameservers.Addresses = append(spec.Nameservers.Addresses, v1alpha1.ServerAddress(s.Address().String()))
	}
	for _, ds := range first {
		spec.DNSSEC.Delegation.AcceptInitialDS = append(spec.DNSSEC.Delegation.AcceptInitialDS, v1alpha1.InitialDS(ds))
	}
	b.create(b.T, "child", spec)
}

// becomes waits until the condition of the spec of now has a reason and all parts of a message, and wants both servers of the parent
// to have these DS records then, and status to say when the records were signed that were acted on last.
func (b *backedUp) becomes(reason string, ds []string, signed time.Time, parts ...string) {
	b.Helper()
	servers.Eventually(b, reason+" with the DS records "+fmt.Sprint(ds), func() error {
		z := b.child()
		got := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegationInSync)
		if got == nil || got.ObservedGeneration != z.Generation {
			return fmt.Errorf("there is no condition of this spec yet: %+v", got)
		}
		if err := says(reason, parts, got.Reason, got.Message); err != nil {
			return err
		}
		if s := z.Status.DNSSEC.Delegation; s == nil || !s.SignedAt.Equal(&metav1.Time{Time: signed}) || !slices.Equal(s.ParentDS, ds) {
			return fmt.Errorf("status says %+v, want DS records %v and that those acted on last were signed at %s", s, ds, signed)
		}
		return nil
	})
	for _, at := range []netip.AddrPort{b.parent.Addr, b.secondary.Addr} {
		if has := (&rig{T: b.T}).dsAt(at); !slices.Equal(has, ds) {
			b.Errorf("%s: the parent's server %s has the DS records %v, want %v", reason, at, has, ds)
		}
	}
}
