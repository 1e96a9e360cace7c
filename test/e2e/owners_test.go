package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

const mx2 = "mx2.example.test"

// recordsAt are the TLSA records that the primary shows at an owner, as association data, sorted.
func (s *site) recordsAt(owner string) []string {
	s.Helper()
	m, err := servers.Ask(s.primary.Addr, owner, dns.TypeTLSA, false)
	s.must(err)
	var out []string
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			out = append(out, strings.ToLower(r.Certificate))
		}
	}
	slices.Sort(out)
	return out
}

// serving starts one more Postfix that serves a Secret of the test.
func (s *site) serving(host, secret string) *judge.Postfix {
	s.Helper()
	l := s.lab
	return judge.StartPostfix(s, judge.PostfixOptions{
		Hostname: host, Lag: reload,
		Fetch: func() ([]byte, []byte) { return l.TLSSecret(background, secret) },
	})
}

func smtpPort(p *judge.Postfix) v1alpha1.MailServerPort {
	return v1alpha1.MailServerPort{Port: int32(p.Addr().Port()), Protocol: v1alpha1.ProtocolSMTP}
}

// Two hosts, one of them with two ports and a server at each: a key is deployed when every owner that
// refers to it has been long enough what it is (trap 16), and each host rolls on its own.
func TestSeveralPortsAndHosts(t *testing.T) { on(t, powerDNS, severalPortsAndHosts) }

func severalPortsAndHosts(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls")
	s.primary.Admin("add mx2.example.test. 60 A 127.0.0.1", "add example.test. 60 MX 20 mx2.example.test.")
	submission, second := s.serving(mx, "mx1-tls"), s.serving(mx2, "mx2-tls")
	s.createZone()
	s.certificate("selfsigned", nil)
	s.must(s.lab.Client.Create(t.Context(), kube.Certificate(s.lab.Namespace, "mx2", "selfsigned", mx2)))
	s.domain(func(md *v1alpha1.MailDomain) {
		withoutStandby(md)
		md.Spec.MailServers[0].Ports = append(md.Spec.MailServers[0].Ports, smtpPort(submission))
		md.Spec.MailServers = append(md.Spec.MailServers, v1alpha1.MailServer{
			Hostname: mx2, Ports: []v1alpha1.MailServerPort{smtpPort(second)},
			Certificates: []v1alpha1.CertificateReference{{Name: "mx2"}},
		})
	})
	both := func(md *v1alpha1.MailDomain) string {
		if missing := lab.Settled(md, mx, false); missing != "" {
			return mx + ": " + missing
		}
		return lab.Settled(md, mx2, false)
	}
	before := s.wait(both)
	s.judges()
	s.judgesOf(mx, submission)
	s.judgesOf(mx2, second)
	for _, names := range [][]string{{"mx1"}, {"mx2"}, {"mx1", "mx2"}} {
		for _, name := range names {
			s.must(s.lab.Renew(t.Context(), s.lab.Namespace, name))
		}
		after := s.wait(func(md *v1alpha1.MailDomain) string {
			for _, name := range names {
				if host := name + ".example.test"; lab.CurrentKey(md, host) == lab.CurrentKey(before, host) {
					return host + " has its old key"
				}
			}
			return both(md)
		})
		for _, host := range []string{mx, mx2} {
			changed := lab.CurrentKey(after, host) != lab.CurrentKey(before, host)
			if want := slices.Contains(names, strings.TrimSuffix(host, ".example.test")); changed != want {
				t.Errorf("renewing %v: the key of %s changed: %t", names, host, changed)
			}
		}
		before = after
	}
	for owner, key := range map[string]string{
		s.owner(): lab.CurrentKey(before, mx), ownerOf(mx, int(submission.Addr().Port())): lab.CurrentKey(before, mx),
		ownerOf(mx2, int(second.Addr().Port())): lab.CurrentKey(before, mx2),
	} {
		s.eventuallyAt(owner, []string{key})
	}
	s.verdict()
}

// A host belongs to the MailDomain that claimed it first. One that only lists it looks and does not
// write; one that claims it too is told who has it. Neither disturbs the rollover of the owner.
func TestHostOfAnotherMailDomain(t *testing.T) { on(t, knot, hostOfAnotherMailDomain) }

func hostOfAnotherMailDomain(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.must(s.lab.Client.Create(t.Context(), s.lab.MailDomain("listing", "other.test", mx, s.port(), lab.Fast)))
	s.must(s.lab.Client.Create(t.Context(), kube.Certificate(s.lab.Namespace, "rival", "selfsigned", mx)))
	s.must(s.lab.Client.Create(t.Context(), s.lab.MailDomain("rival", "rival.test", mx, s.port(), lab.Fast, "rival")))
	refused := func(name string) {
		t.Helper()
		_, err := s.lab.WaitDomain(t.Context(), name, patience, func(md *v1alpha1.MailDomain) string {
			c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
			if c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonHostOwnedElsewhere || !strings.Contains(c.Message, s.lab.Namespace) {
				return "Stalled with HostOwnedElsewhere that names the owner; " + conditions(md)
			}
			return ""
		})
		s.must(err)
	}
	checked := func() {
		t.Helper()
		_, err := s.lab.WaitDomain(t.Context(), "listing", patience, func(md *v1alpha1.MailDomain) string {
			return lab.Condition(md, v1alpha1.ConditionServersVerified, metav1.ConditionTrue)
		})
		s.must(err)
	}
	refused("rival")
	checked()
	md := s.renew(false)
	refused("rival")
	checked()
	s.eventuallyAt(s.owner(), []string{lab.CurrentKey(md, mx)})
	s.verdict()
}

// A grant that is revoked in the middle of a rollover stops the writing and holds the new key; what
// stands in DNS stays. Given again, the rollover goes on.
func TestGrantRevokedDuringARollover(t *testing.T) { on(t, bind, grantRevokedDuringARollover) }

func grantRevokedDuringARollover(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls")
	mailSpace := s.lab.Namespace
	s.lab.Namespace = s.lab.Cluster.Namespace(t.Context(), t)
	s.lab.AbandonAfter(t, s.lab.Namespace)
	s.createZone()
	zone := types.NamespacedName{Namespace: s.lab.Namespace, Name: "zone"}
	s.lab.Namespace = mailSpace
	s.certificate("selfsigned", nil)
	s.grant(zone, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{mx}})
	s.domain(func(md *v1alpha1.MailDomain) {
		withoutStandby(md)
		md.Spec.MailServers[0].ZoneRef = &v1alpha1.ZoneReference{Name: zone.Name, Namespace: zone.Namespace}
	})
	s.settle(false)
	s.judges()
	for reason, revoked := range map[string]v1alpha1.ZoneGrant{
		"the namespace": {Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSame}},
		"the name":      {Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{mx2}},
	} {
		s.grant(zone, revoked)
		s.wait(stalledFor(v1alpha1.ReasonNotGranted))
		published := s.published()
		before := s.startRenewal()
		s.heldUntil(time.Now().Add(2 * caches))
		if now := s.published(); now != published {
			t.Errorf("without a grant for %s, written: %s", reason, now)
		}
		s.grant(zone, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{mx}})
		s.settleBeyond(before, false)
	}
	s.verdict()
}

func (s *site) grant(zone types.NamespacedName, g v1alpha1.ZoneGrant) {
	s.Helper()
	servers.Eventually(s, "the grant is stored", func() error {
		z := &v1alpha1.DNSZone{}
		if err := s.lab.Client.Get(s.Context(), zone, z); err != nil {
			return err
		}
		z.Spec.Grants = []v1alpha1.ZoneGrant{g}
		return s.lab.Client.Update(s.Context(), z)
	})
}

// stalledFor returns what is missing for Stalled with a reason.
func stalledFor(reason string) func(*v1alpha1.MailDomain) string {
	return func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason {
			return "Stalled with " + reason + "; " + conditions(md)
		}
		return ""
	}
}

// Somebody else's record stays through a rollover; a hand that takes out the record of the key that is
// to come makes the wait begin again.
func TestForeignRecordsAndHandEdits(t *testing.T) { on(t, powerDNS, foreignRecordsAndHandEdits) }

func foreignRecordsAndHandEdits(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longWait)
	foreign := strings.Repeat("ab", 32)
	s.primary.Admin(fmt.Sprintf("add %s 2 TLSA 3 1 1 %s", s.owner(), foreign))
	s.wait(func(md *v1alpha1.MailDomain) string {
		if list := md.Status.MailServers[0].ForeignRecords; len(list) != 1 || !strings.Contains(list[0], foreign) {
			return fmt.Sprintf("the foreign record in the status, which has %v", list)
		}
		return ""
	})
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	next := ""
	for _, r := range s.recordsAt(s.owner()) {
		if r != foreign && r != before {
			next = r
		}
	}
	s.heldUntil(time.Now().Add(caches / 2))
	taken := time.Now() // not sooner
	s.primary.Admin(fmt.Sprintf("delete %s TLSA 3 1 1 %s", s.owner(), next))
	s.shortenWait()
	s.heldUntil(taken.Add(longSoak))
	md := s.settleBeyond(before, false)
	want := []string{foreign, lab.CurrentKey(md, mx)}
	slices.Sort(want)
	s.eventuallyAt(s.owner(), want)
	s.verdict()
}

// eventuallyAt waits until the primary shows exactly these records: a decision is stored before it is
// carried out.
func (s *site) eventuallyAt(owner string, want []string) {
	s.Helper()
	servers.Eventually(s, owner+" is as it should be", func() error {
		if got := s.recordsAt(owner); !slices.Equal(got, want) {
			return fmt.Errorf("the records are %v instead of %v", got, want)
		}
		return nil
	})
}

// Two clusters serve one host, each with a key, a cert-manager and an operator of its own: neither takes
// the other's records for its own, and each rolls while the other does.
func TestSecondClusterOnTheSameHost(t *testing.T) { on(t, bind, secondClusterOnTheSameHost) }

func secondClusterOnTheSameHost(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	other := s.secondCluster()
	// The second cluster publishes its key beside the first's before its server gets mail: the host's
	// address leads to the first alone.
	other.createZone()
	other.certificate("selfsigned", nil)
	other.domain(func(md *v1alpha1.MailDomain) {
		withoutStandby(md)
		md.Spec.MailServers[0].Probe.Mode = v1alpha1.ProbeDisabled
	})
	other.settle(false)
	s.primary.Admin("add mx1.example.test. 60 A 127.0.0.2")
	other.judgesOf(mx, other.postfix)
	s.stops = append(s.stops, other.stops...)
	for _, rolls := range [][]*site{{other}, {s}, {s, other}} {
		before := map[*site]string{}
		for _, r := range rolls {
			before[r] = r.startRenewal()
		}
		for _, r := range rolls {
			r.settleBeyond(before[r], false)
		}
	}
	var want []string
	for _, r := range []*site{s, other} {
		md := r.wait(func(md *v1alpha1.MailDomain) string {
			if list := md.Status.MailServers[0].ForeignRecords; len(list) != 1 {
				return fmt.Sprintf("the one record of the other cluster among the foreign ones, which are %v", list)
			}
			return ""
		})
		want = append(want, lab.CurrentKey(md, mx))
	}
	slices.Sort(want)
	s.eventuallyAt(s.owner(), want)
	s.verdict()
}

// secondCluster is another API server with cert-manager and operator, whose Postfix listens at the same
// port of another address of the host.
func (s *site) secondCluster() *site {
	s.Helper()
	l, err := lab.Start(context.Background(), lab.Options{Namespace: s.lab.Namespace})
	s.must(err)
	s.Cleanup(func() { s.must(l.Stop()) })
	s.must(l.Client.Create(s.Context(), kube.SelfSignedIssuer(l.Namespace, "selfsigned")))
	other := *s
	other.lab, other.stops = l, nil
	other.postfix = judge.StartPostfix(s, judge.PostfixOptions{
		Hostname: mx, Address: "127.0.0.2", Port: s.postfix.Addr().Port(), Lag: reload,
		Fetch: func() ([]byte, []byte) { return l.TLSSecret(background, "mx1-tls") },
	})
	return &other
}
