package cases

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/ns"
)

// above starts a zone above that of the site, with a server.
func (s *site) above(name string) *ns.Zone {
	s.Helper()
	z, err := ns.NewZone(name, "ns1."+name)
	s.must(err)
	server, err := z.StartPrimary("127.0.0.1:0")
	s.must(err)
	s.Cleanup(server.Stop)
	tree.Add(server)
	return z
}

// delegates puts the delegation of a zone into the one above, with a DS record, or without.
func (s *site) delegates(parent *ns.Zone, child, ds string) {
	s.Helper()
	records := []string{child + " 1 IN NS ns1." + child}
	if ds != "" {
		records = append(records, child+" 1 IN DS "+ds)
	}
	s.must(parent.Replace(child, records...))
}

// looksAnew has the operator look at the zone now, and not when the next look is due.
func (s *site) looksAnew(z *v1alpha1.DNSZone) {
	s.Helper()
	eventually(s.T, func() string {
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		interval := map[bool]v1alpha1.Duration{true: "301ms", false: "300ms"}[z.Spec.Propagation.Interval == "300ms"]
		z.Spec.Propagation.Interval = interval
		if err := s.lab.Client.Update(s.Context(), z); err != nil {
			return err.Error()
		}
		return ""
	})
}

// trusted waits until DNSSECSecure of the DNSZone and of the MailDomain is so, and says this.
func (s *site) trusted(z *v1alpha1.DNSZone, status metav1.ConditionStatus, reason string, parts ...string) {
	s.Helper()
	eventually(s.T, func() string {
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		md, err := s.lab.Domain(s.Context(), "example")
		s.must(err)
		for kind, conditions := range map[string][]metav1.Condition{"DNSZone": z.Status.Conditions, "MailDomain": md.Status.Conditions} {
			c := meta.FindStatusCondition(conditions, v1alpha1.ConditionDNSSECSecure)
			missing := c == nil || c.Status != status || c.Reason != reason
			for _, part := range parts {
				missing = missing || !strings.Contains(c.Message, part)
			}
			if missing {
				return fmt.Sprintf("DNSSECSecure of the %s is %+v, want %s %s with %q", kind, c, status, reason, parts)
			}
		}
		return ""
	})
}

// TestChainThatBreaks: the zone is trusted from an anchor two zones above. When a delegation on the way breaks
// under published records, these stay, no new key is handed out, and the conditions say whose fault it is.
// When it is mended everything goes on.
func TestChainThatBreaks(t *testing.T) {
	t.Parallel()
	const top, middle, bottom, host = "up.test.", "mid.up.test.", "example.mid.up.test.", "mx1.example.mid.up.test"
	s := newSite(t, strings.TrimSuffix(bottom, "."), "mx1-tls")
	tree.Add(s.primary)
	up, mid := s.above(top), s.above(middle)
	s.delegates(up, middle, mid.DS())
	s.delegates(mid, bottom, s.zone.DS())
	z, err := s.lab.CreateZone(t.Context(), "zone", s.reach(), lab.Fast, func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC.TrustAnchors = []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(top + " DS " + up.DS())}
	})
	s.must(err)
	s.address(host)
	s.certificate("mx1", host)
	s.domain("example", host, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }, "mx1")
	rests := func(md *v1alpha1.MailDomain) string { return lab.Settled(md, host, false) }
	key := lab.CurrentKey(s.wait("example", rests), host)
	s.trusted(z, metav1.ConditionTrue, v1alpha1.ReasonSecure)
	published := s.tlsa(s.owner(host))
	if len(published) != 1 {
		t.Fatalf("records %v, want one", published)
	}

	wrong := up.DS()
	s.delegates(mid, bottom, wrong)
	s.looksAnew(z)
	s.trusted(z, metav1.ConditionFalse, v1alpha1.ReasonBogus, bottom+" DNSKEY", wrong, "the parent zone "+middle+" is to blame")
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	frozen := func() string {
		if s.approved() {
			return "the renewal was approved although nobody can validate the zone"
		}
		if have := s.tlsa(s.owner(host)); !slices.Equal(have, published) {
			return fmt.Sprintf("records %v, want %v as they stood", have, published)
		}
		return ""
	}
	steadily(t, 3*time.Second, frozen)

	s.delegates(up, middle, wrong)
	s.looksAnew(z)
	s.trusted(z, metav1.ConditionFalse, v1alpha1.ReasonBogus, "zone "+middle+": server ", middle+" DNSKEY", "the fault is in the zone "+middle+", above "+bottom)
	steadily(t, 2*time.Second, frozen)

	s.delegates(mid, bottom, s.zone.DS())
	s.delegates(up, middle, mid.DS())
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, host) == key {
			return "the old key is still in use"
		}
		return rests(md)
	})
	s.trusted(z, metav1.ConditionTrue, v1alpha1.ReasonSecure)

	s.delegates(mid, bottom, "")
	s.looksAnew(z)
	s.trusted(z, metav1.ConditionFalse, v1alpha1.ReasonInsecure, "the parent zone "+middle+" proves that it has no DS record of "+bottom)
	if have := s.tlsa(s.owner(host)); len(have) == 0 {
		t.Error("the records were removed from a zone that became insecure")
	}
}
