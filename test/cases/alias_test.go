package cases

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/ns"
)

// beside is a second zone, whose DNSZone may be in another namespace.
type beside struct {
	*site
	zone    *ns.Zone
	servers []string
}

// end is where the aliases of these tests lead in the second zone.
const end = "_25._tcp.mx.other.test."

// besideSite starts a second zone and makes its DNSZone in a namespace.
func (s *site) besideSite(namespace string) (*beside, *v1alpha1.DNSZone) {
	s.Helper()
	zone, err := ns.NewZone("other.test", "ns1.other.test")
	s.must(err)
	b := &beside{site: s, zone: zone}
	primary, err := zone.StartPrimary("127.0.0.1:0")
	s.must(err)
	s.Cleanup(primary.Stop)
	secondary, err := zone.StartSecondary("127.0.0.1:0", 200*time.Millisecond)
	s.must(err)
	s.Cleanup(secondary.Stop)
	b.servers = []string{primary.Addr, secondary.Addr}
	reach := lab.Zone{Name: "other.test", Primary: primary.Addr, Servers: b.servers, TSIGName: zone.TSIGName, TSIGSecret: zone.TSIGSecret, DS: zone.DS()}
	where := *s.lab
	where.Namespace = namespace
	z, err := where.CreateZone(s.Context(), "other", reach, lab.Fast)
	s.must(err)
	return b, z
}

// shows are the TLSA data at a name of the second zone, at its primary.
func (b *beside) shows(name string) []string {
	b.Helper()
	return tlsaAt(b.T, b.servers[0], name)
}

// alias makes the TLSA owner of a host an alias, instead of whatever it was.
func (s *site) alias(host string, ttl int, target string) {
	s.Helper()
	s.must(s.zone.Replace(s.owner(host), fmt.Sprintf("%s %d IN CNAME %s", s.owner(host), ttl, target)))
}

// stalledBy waits for a reason of Stalled whose message has all the words.
func stalledBy(reason string, words ...string) func(*v1alpha1.MailDomain) string {
	return func(md *v1alpha1.MailDomain) string {
		if missing := stalled(reason)(md); missing != "" {
			return missing
		}
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Sprintf("the message does not say %q: %s", word, c.Message)
			}
		}
		return waitsWith(md, v1alpha1.ConditionRecordsPublished, reason)
	}
}

// TestAliasIntoAnotherZone writes the records where the alias of a TLSA owner ends, once the zone there
// is granted, rolls a key there, and takes them out again. The alias itself is never touched.
func TestAliasIntoAnotherZone(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	space := s.lab.Cluster.Namespace(t.Context(), t)
	s.lab.AbandonAfter(t, space)
	b, other := s.besideSite(space)
	s.createZone()
	s.address(mx)
	s.alias(mx, 1, "hop.example.test.")
	s.must(s.zone.Add("hop.example.test. 1 IN CNAME " + end))
	serial := s.serial()
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", stalledBy(v1alpha1.ReasonOwnerIsAlias, s.owner(mx), end, "grant mx.other.test", "replace the alias"))
	if have := b.shows(end); len(have) != 0 {
		t.Fatalf("records %v were written without a grant", have)
	}
	s.setGrants(other, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{"mx.other.test"}})
	before := s.wait("example", settled)
	if n := len(b.shows(end)); n != 2 {
		t.Fatalf("%d records at the end of the alias, want 2", n)
	}
	if want := []v1alpha1.AliasStatus{{Owner: s.owner(mx), End: end, ZoneRef: &v1alpha1.ZoneReference{Namespace: space, Name: "other"}}}; !slices.EqualFunc(before.Status.MailServers[0].Aliases, want,
		func(a, b v1alpha1.AliasStatus) bool {
			return a.Owner == b.Owner && a.End == b.End && *a.ZoneRef == *b.ZoneRef
		}) {
		t.Errorf("aliases in status %+v, want %+v", before.Status.MailServers[0].Aliases, want)
	}
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx) == lab.CurrentKey(before, mx) {
			return "the old key is still in use"
		}
		return settled(md)
	})
	if have := b.shows(end); len(have) != 2 || slices.Contains(have, lab.CurrentKey(before, mx)) || !slices.Contains(have, lab.CurrentKey(after, mx)) {
		t.Errorf("records %v after the rollover, want those of the key in use and of the next", have)
	}
	s.must(s.lab.Client.Delete(t.Context(), after))
	eventually(t, func() string { return strings.Join(b.shows(end), " ") })
	s.gone("example")
	if now := s.serial(); now != serial {
		t.Errorf("the zone of the alias was written to: serial %d, want %d", now, serial)
	}
}

// gone waits until a MailDomain has gone.
func (s *site) gone(name string) {
	s.Helper()
	eventually(s.T, func() string {
		if _, err := s.lab.Domain(s.Context(), name); !apierrors.IsNotFound(err) {
			return "the MailDomain is still there"
		}
		return ""
	})
}

// TestAliasWhoseGrantIsRevoked stops writing at the end, and removes nothing there.
func TestAliasWhoseGrantIsRevoked(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	space := s.lab.Cluster.Namespace(t.Context(), t)
	s.lab.AbandonAfter(t, space)
	b, other := s.besideSite(space)
	all := v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}
	s.setGrants(other, v1alpha1.ZoneGrant{Namespaces: all, Hostnames: []v1alpha1.GrantHostname{"mx.other.test"}})
	s.createZone()
	s.address(mx)
	s.alias(mx, 1, end)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", settled)
	s.setGrants(other, v1alpha1.ZoneGrant{Namespaces: all, Hostnames: []v1alpha1.GrantHostname{"mx2.other.test"}})
	md := s.wait("example", stalledBy(v1alpha1.ReasonOwnerIsAlias, s.owner(mx), end, "mx.other.test"))
	if n := len(b.shows(end)); n != 2 {
		t.Errorf("%d records after the grant was revoked, want the 2 that stood there", n)
	}
	b.zone.Remove(end)
	steadily(t, 20*time.Second, func() string { return strings.Join(b.shows(end), " ") })
	// It is the alias that is refused: one that leads to where the host may be written is followed.
	s.alias(mx, 1, "tlsa.example.test.")
	s.wait("example", settled)
	if n := len(s.tlsa("tlsa.example.test.")); n != 2 {
		t.Errorf("%d records where the alias leads now, want 2", n)
	}
	if now, err := s.lab.Domain(t.Context(), "example"); err != nil || len(now.Status.MailServers[0].Aliases) != 1 || now.UID != md.UID {
		t.Errorf("aliases in status: %+v %v", now.Status.MailServers[0].Aliases, err)
	}
}

// approved says whether the second request of Certificate mx1 is approved.
func (s *site) approved() bool { return s.approvedFor("2") }

// approvedFor says whether the request of Certificate mx1 for a revision is approved.
func (s *site) approvedFor(revision string) bool {
	s.Helper()
	requests, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, "mx1")
	s.must(err)
	return slices.ContainsFunc(requests, func(r cmapi.CertificateRequest) bool {
		return r.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] == revision && slices.ContainsFunc(r.Status.Conditions, func(c cmapi.CertificateRequestCondition) bool {
			return c.Type == cmapi.CertificateRequestConditionApproved && c.Status == "True"
		})
	})
}

// held waits until the renewal of mx1 is approved, and returns how long that was after any of the
// servers last showed a set that current says is an older one.
func (s *site) held(older func() bool) time.Duration {
	s.Helper()
	last := time.Now()
	eventually(s.T, func() string {
		at := time.Now()
		if s.approved() {
			return ""
		}
		if older() {
			last = at
		}
		return "the renewal is held for ever"
	})
	return time.Since(last)
}

// TestAliasOfLongerTTL waits for the caches that keep the alias, not for those of the records alone.
func TestAliasOfLongerTTL(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	b, _ := s.besideSite(s.lab.Namespace)
	s.createZone()
	s.address(mx)
	const ttl = 12
	s.alias(mx, ttl, end)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }, "mx1")
	s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	held := s.held(func() bool { return len(tlsaAt(t, b.servers[1], end)) == 1 })
	if held < 2*ttl*time.Second {
		t.Errorf("the key was deployed %s after the last server showed the old records, before caches that keep the alias for %d s have forgotten them twice over", held, ttl)
	}
	s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
}

// TestDNAMEIntoAnotherZone writes the records where the DNAME above a TLSA owner leads, into another zone. A
// new key waits for the caches that keep the DNAME.
func TestDNAMEIntoAnotherZone(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	b, _ := s.besideSite(s.lab.Namespace)
	s.createZone()
	s.address(mx)
	const ttl = 8
	s.must(s.zone.Add(fmt.Sprintf("%s. %d IN DNAME mx.other.test.", mx, ttl)))
	end := fmt.Sprintf("_%d._tcp.mx.other.test.", s.port)
	serial := s.serial()
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) { md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled }, "mx1")
	rests := func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) }
	before := s.wait("example", rests)
	if have := b.shows(end); !slices.Equal(have, []string{lab.CurrentKey(before, mx)}) {
		t.Fatalf("records %v where the DNAME leads, want that of the key in use", have)
	}
	if have := before.Status.MailServers[0].Aliases; len(have) != 1 || have[0].Owner != s.owner(mx) || have[0].End != end {
		t.Errorf("aliases in status %+v, want one that leads from %s to %s", have, s.owner(mx), end)
	}
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	held := s.held(func() bool { return len(tlsaAt(t, b.servers[1], end)) == 1 })
	if held < 2*ttl*time.Second {
		t.Errorf("the key was deployed %s after the last server showed the old records, before caches that keep the DNAME for %d s have forgotten them twice over", held, ttl)
	}
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx) == lab.CurrentKey(before, mx) {
			return "the old key is still in use"
		}
		return rests(md)
	})
	if have := b.shows(end); !slices.Equal(have, []string{lab.CurrentKey(after, mx)}) {
		t.Errorf("records %v after the rollover, want that of the new key", have)
	}
	if now := s.serial(); now != serial {
		t.Errorf("the zone of the DNAME was written to: serial %d, want %d", now, serial)
	}
}

// TestAliasRepointedDuringARollover makes the alias lead to a name that has the records of the key in use
// alone, while the next key waits: it waits anew, from when the records there are complete.
func TestAliasRepointedDuringARollover(t *testing.T) {
	const safety = 15 * time.Second
	s := newSite(t, "example.test", "mx1-tls")
	b, _ := s.besideSite(s.lab.Namespace)
	s.createZone()
	s.address(mx)
	s.alias(mx, 1, end)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
		md.Spec.Rollover.PublishSafety = "15s"
	}, "mx1")
	md := s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
	key := lab.CurrentKey(md, mx)
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	eventually(t, func() string {
		if n := len(tlsaAt(t, b.servers[1], end)); n != 2 {
			return fmt.Sprintf("%d records, want those of both keys", n)
		}
		return ""
	})
	const elsewhere = "tlsa.example.test."
	s.must(s.zone.Add(elsewhere + " 2 IN TLSA 3 1 1 " + key))
	s.alias(mx, 1, elsewhere)
	held := s.held(func() bool { return len(tlsaAt(t, s.servers[1], elsewhere)) != 2 })
	if held < safety {
		t.Errorf("the key was deployed %s after the name that the alias leads to now lacked it, want %s at the least", held, safety)
	}
	s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
	if have := b.shows(end); len(have) != 2 {
		t.Errorf("the records %v at the end that the alias led to have changed, want both keys as they stood", have)
	}
}

// TestAliasIntoAZoneThatIsNotSecure publishes nothing, and names the zone.
func TestAliasIntoAZoneThatIsNotSecure(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	b, other := s.besideSite(s.lab.Namespace)
	right := other.Spec.DNSSEC.TrustAnchors
	s.anchor(other, v1alpha1.TrustAnchor(s.zone.DS()))
	s.createZone()
	s.address(mx)
	s.alias(mx, 1, end)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRecordsPublished)
		if c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonWaitingForDNSSEC || !strings.Contains(c.Message, "zone other.test") {
			return fmt.Sprintf("RecordsPublished is %+v, want it to wait for zone other.test", c)
		}
		return ""
	})
	if have := b.shows(end); len(have) != 0 {
		t.Errorf("records %v in a zone that is not Secure", have)
	}
	s.anchor(other, right...)
	s.wait("example", settled)
}

// anchor sets the trust anchors of a DNSZone.
func (s *site) anchor(z *v1alpha1.DNSZone, anchors ...v1alpha1.TrustAnchor) {
	s.Helper()
	eventually(s.T, func() string {
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		z.Spec.DNSSEC.TrustAnchors = anchors
		if err := s.lab.Client.Update(s.Context(), z); err != nil {
			return err.Error()
		}
		return ""
	})
}
