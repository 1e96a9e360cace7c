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

// trusted waits until the DNSZone has a state and DNSSECSecure of it and of the MailDomain says this. What was
// found before counts until its TTL is over, so the operator is made to look more than once. The name
// server of the test kit is never in perfect health, so the condition of a DNSZone that is Secure is not looked at.
func (s *site) trusted(z *v1alpha1.DNSZone, state v1alpha1.DNSSECState, parts ...string) {
	s.Helper()
	looked := time.Now()
	eventually(s.T, func() string {
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		md, err := s.lab.Domain(s.Context(), "example")
		s.must(err)
		if z.Status.DNSSEC.State != state {
			if time.Since(looked) > 2*time.Second {
				s.looksAnew(z)
				looked = time.Now()
			}
			return fmt.Sprintf("the zone is %s, want %s; conditions %+v", z.Status.DNSSEC.State, state, z.Status.Conditions)
		}
		for kind, conditions := range map[string][]metav1.Condition{"DNSZone": z.Status.Conditions, "MailDomain": md.Status.Conditions} {
			c := meta.FindStatusCondition(conditions, v1alpha1.ConditionDNSSECSecure)
			missing := c == nil || kind == "MailDomain" && c.Reason != string(state) || state != v1alpha1.DNSSECStateSecure && c.Status != metav1.ConditionFalse
			for _, part := range parts {
				missing = missing || !strings.Contains(c.Message, part)
			}
			if missing {
				return fmt.Sprintf("DNSSECSecure of the %s is %+v, want %s with %q", kind, c, state, parts)
			}
		}
		return ""
	})
}

// TestChainThatBreaks: the zone is trusted from an anchor two zones above. When a delegation on the way breaks
// under published records, these stay, no new key is handed out, and the conditions say whose fault it is.
// When it is mended the renewal goes on.
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
	s.wait("example", rests)
	s.trusted(z, v1alpha1.DNSSECStateSecure)
	published := s.tlsa(s.owner(host))
	if len(published) != 1 {
		t.Fatalf("records %v, want one", published)
	}

	wrong := up.DS()
	s.delegates(mid, bottom, wrong)
	s.trusted(z, v1alpha1.DNSSECStateBogus, bottom+" DNSKEY", wrong, "the parent zone "+middle+" is to blame")
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	frozen := func() string {
		if s.approved() {
			return "the renewal was approved although nobody can validate the zone"
		}
		if have := s.tlsa(s.owner(host)); !slices.Equal(have, published) {
			return fmt.Sprintf("records %v, want %v as they stood", have, published)
		}
		md, err := s.lab.Domain(t.Context(), "example")
		s.must(err)
		return lab.Condition(md, v1alpha1.ConditionRecordsPublished, metav1.ConditionTrue)
	}
	steadily(t, 3*time.Second, frozen)
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if next := md.Status.NextTransition; next == nil || !strings.Contains(next.Action, "the zone is not Secure") {
			return fmt.Sprintf("the next transition is %+v, want one that waits for the zone", next)
		}
		return lab.Condition(md, v1alpha1.ConditionDNSSECSecure, metav1.ConditionFalse)
	})

	s.delegates(up, middle, wrong)
	s.trusted(z, v1alpha1.DNSSECStateBogus, "zone "+middle+": server ", middle+" DNSKEY", "the fault is in the zone "+middle+", above "+bottom)
	steadily(t, 2*time.Second, frozen)

	s.delegates(mid, bottom, s.zone.DS())
	s.delegates(up, middle, mid.DS())
	s.trusted(z, v1alpha1.DNSSECStateSecure)
	eventually(t, func() string {
		if have := s.tlsa(s.owner(host)); len(have) != 2 || !slices.Contains(have, published[0]) {
			return fmt.Sprintf("records %v, want those of both keys", have)
		}
		return ""
	})

	s.delegates(mid, bottom, "")
	s.trusted(z, v1alpha1.DNSSECStateInsecure, "the parent zone "+middle+" proves that it has no DS record of "+bottom)
	if have := s.tlsa(s.owner(host)); !slices.Contains(have, published[0]) {
		t.Errorf("records %v: those of the key in use were removed from a zone that became insecure", have)
	}
}
