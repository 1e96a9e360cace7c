package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

const endZone = "other.test"

// aliasTTL is longer than that of the records: caches keep the alias for longer.
const aliasTTL = 4 * time.Second

// aliased is a site whose TLSA owner is an alias of a name in another zone, on servers of another make.
type aliased struct {
	*site
	ends      *servers.Primary
	secondary *servers.Secondary
}

func (a *aliased) end(host string) string { return ownerOf(host+"."+endZone, int(a.port())) }

// newAliased starts both zones. The DNSZone of the end is not created yet.
func newAliased(t *testing.T, m servers.Make) *aliased {
	t.Helper()
	s := newSite(t, m, "mx1-tls")
	another := map[servers.Make]servers.Make{servers.BIND: servers.Knot, servers.Knot: servers.PowerDNS, servers.PowerDNS: servers.BIND}[m]
	a := &aliased{site: s, ends: servers.StartPrimary(t, another, servers.Options{Zone: endZone})}
	a.secondary = servers.StartNSDSecondary(t, a.ends, "")
	s.unbound.Stop()
	s.unbound = servers.StartUnbound(t, servers.ResolverOptions{
		Address: servers.PublicAddress(t).String(), Port: 53,
		Stubs: []servers.Stub{servers.StubOf(s.primary, s.other, s.nsd), servers.StubOf(a.ends, a.secondary)},
	})
	a.lead("mx")
	return a
}

// lead makes the alias of the host lead to the records of another one. A CNAME that is added takes the place
// of the one that stands there (RFC 2136 section 3.4.2.2).
func (a *aliased) lead(host string) {
	a.Helper()
	a.primary.Admin(fmt.Sprintf("add %s %d CNAME %s", a.owner(), aliasTTL/time.Second, a.end(host)))
}

// judgesAt starts the sender that replays what caches may hold of the records at an end.
func (a *aliased) judgesAt(host string) {
	a.Helper()
	a.stops = append(a.stops, judge.StartReplay(a, a.checks, judge.ReplayOptions{
		Servers: func() []netip.AddrPort { return []netip.AddrPort{a.ends.Addr, a.secondary.Addr} },
		Owner:   a.end(host), Host: mx, Addr: a.postfix.Addr(), Interval: tick,
	}))
}

// recordsAtEnd are the records at an end, as association data, sorted.
func (a *aliased) recordsAtEnd(host string) []string {
	a.Helper()
	m, err := servers.Ask(a.ends.Addr, a.end(host), dns.TypeTLSA, false)
	a.must(err)
	var out []string
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			out = append(out, r.Certificate)
		}
	}
	slices.Sort(out)
	return out
}

// changesAtEnd waits until the records at an end are others, and returns the last instant at which they
// were seen as before.
func (a *aliased) changesAtEnd(host string, before []string) time.Time {
	a.Helper()
	last := time.Now()
	servers.Eventually(a, "the new key is published at the end of the alias", func() error {
		at := time.Now()
		if slices.Equal(a.recordsAtEnd(host), before) {
			last = at
			return errors.New("the records are what they were")
		}
		return nil
	})
	return last
}

// zoneOfTheEnd makes the DNSZone of the end in a namespace of its own, which grants it to nobody else, and waits until the
// operator may write it.
func (a *aliased) zoneOfTheEnd() types.NamespacedName {
	a.Helper()
	where := *a.lab
	where.Namespace = where.Cluster.Namespace(a.Context(), a)
	where.AbandonAfter(a, where.Namespace)
	z, err := where.CreateZone(a.Context(), "other", lab.Zone{
		Name: endZone, Primary: a.ends.Addr.String(), Servers: []string{a.ends.Addr.String(), a.secondary.Addr.String()},
		DS: a.ends.DS, TSIGName: a.ends.TSIGName, TSIGSecret: a.ends.TSIGSecret,
	}, lab.Fast)
	a.must(err)
	key := client.ObjectKeyFromObject(z)
	servers.Eventually(a, "the operator may write the zone of the end", func() error {
		if err := a.lab.Client.Get(a.Context(), key, z); err != nil {
			return err
		}
		return unless(meta.IsStatusConditionTrue(z.Status.Conditions, v1alpha1.ConditionReady), "it is not Ready")
	})
	return key
}

// refusedAt wants nothing to be written at an end, and the MailDomain to say which alias leads there and what would let the
// operator write.
func (a *aliased) refusedAt(host string) {
	a.Helper()
	a.wait(stalledFor(v1alpha1.ReasonOwnerIsAlias))
	a.says(v1alpha1.ConditionStalled, a.owner(), a.end(host), "grant "+host+"."+endZone+" to the namespace", a.lab.Namespace)
	for until := time.Now().Add(caches); time.Now().Before(until); time.Sleep(tick) {
		if have := a.recordsAtEnd(host); len(have) > 0 {
			a.Fatalf("written at the end of the alias, where the operator may not: %v", have)
		}
	}
}

// The owner is an alias into a zone that the operator may not write, at first for want of a DNSZone and then of a
// grant of it: nothing is written, and the condition says so. When it is granted, the records are published there; a
// rollover waits for caches that keep the alias; and a change of the alias in the middle of one harms nobody.
func TestAliasIntoAnotherZone(t *testing.T) { on(t, knot, aliasIntoAnotherZone) }

func aliasIntoAnotherZone(t *testing.T, m servers.Make) {
	a := newAliased(t, m)
	a.createZone()
	a.certificate("selfsigned", nil)
	a.domain(withoutStandby)
	a.refusedAt("mx")
	zone := a.zoneOfTheEnd()
	a.refusedAt("mx")
	// To this namespace alone: other tests have zones of the same name.
	own := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: a.lab.Namespace}}
	a.grant(zone, v1alpha1.ZoneGrant{
		Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSelector, Selector: own},
		Hostnames:  []v1alpha1.GrantHostname{"mx." + endZone, "new." + endZone},
	})
	md := a.settle(false)
	if have, want := a.recordsAtEnd("mx"), []string{lab.CurrentKey(md, mx)}; !slices.Equal(have, want) {
		t.Fatalf("at the end of the alias stands %v instead of %v", have, want)
	}
	servers.Eventually(t, "senders' caches have forgotten that there was nothing", func() error {
		m, err := servers.Ask(a.unbound.Addr, a.owner(), dns.TypeTLSA, true)
		if err != nil {
			return err
		}
		found := slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeTLSA })
		if !found || !m.AuthenticatedData {
			return errors.New("the resolver has no validated records")
		}
		return nil
	})
	a.stops = append(a.stops, judge.StartFinger(a, a.checks, judge.FingerOptions{
		Resolver: a.unbound.Addr, Host: mx, Port: int(a.port()), Interval: tick,
	}))
	a.judgesAt("mx")

	published := a.recordsAtEnd("mx")
	before := a.startRenewal()
	a.heldUntil(a.changesAtEnd("mx", published).Add(2 * aliasTTL))
	md = a.settleBeyond(before, false)

	// The new end has the key in use, and not the one that is to come.
	published = a.recordsAtEnd("mx")
	before = a.startRenewal()
	a.changesAtEnd("mx", published)
	a.ends.Update(fmt.Sprintf("add %s 2 TLSA 3 1 1 %s", a.end("new"), lab.CurrentKey(md, mx)))
	a.secondary.CatchUp()
	a.lead("new")
	a.judgesAt("new")
	a.heldUntil(a.changesAtEnd("new", []string{lab.CurrentKey(md, mx)}).Add(2 * aliasTTL))
	a.settleBeyond(before, false)
	a.verdict()
}
