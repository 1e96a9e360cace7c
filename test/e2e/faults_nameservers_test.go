package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// longWait holds a new key for longer than a test lasts: what is to happen in the middle of the wait comes in time, however
// busy the machine is. Then shortenWait lets the wait be longSoak.
func longWait(md *v1alpha1.MailDomain) { md.Spec.Rollover.PublishSafety = "1h" }

func (s *site) shortenWait() {
	s.Helper()
	s.editDomain(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.PublishSafety = "6s" })
}

const longSoak = 8 * time.Second

// The primary goes away when every server shows the new key, and for longer than the rollover would have
// taken. It may come back with anything: the key waits for it. Nothing is lost.
func TestPrimaryDownAfterTheNewRecord(t *testing.T) { on(t, bind, primaryDownAfterTheNewRecord) }

func primaryDownAfterTheNewRecord(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longWait)
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	s.changesEverywhere(published)
	published = s.published()
	s.primary.Stop()
	s.shortenWait()
	s.heldUntil(time.Now().Add(2 * longSoak))
	s.says(v1alpha1.ConditionRolloverInProgress, s.primary.Addr.String())
	s.primary.Start()
	if now := s.published(); now != published {
		t.Errorf("the primary came back with\n%s\ninstead of\n%s", now, published)
	}
	s.settleBeyond(before, false)
	s.verdict()
}

// The primary is away when the renewal begins: the new key can be published only when it is back, and the
// caches are waited for from then on.
func TestPrimaryDownBeforeTheNewRecord(t *testing.T) { on(t, powerDNS, primaryDownBeforeTheNewRecord) }

func primaryDownBeforeTheNewRecord(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	published := s.published()
	s.primary.Stop()
	before := s.startRenewal()
	s.heldUntil(time.Now().Add(3 * caches))
	s.says(v1alpha1.ConditionRolloverInProgress, s.primary.Addr.String())
	s.primary.Start()
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)
	s.verdict()
}

// A secondary that stays away holds the new key until somebody says that it does not count. That is seen
// in the conditions, and the caches are waited for from then on.
func TestSecondaryThatIsIgnored(t *testing.T) { on(t, knot, secondaryThatIsIgnored) }

func secondaryThatIsIgnored(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.nsd.Stop()
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(2 * caches))
	s.says(v1alpha1.ConditionRolloverInProgress, s.nsd.Addr.String())
	counted := time.Now() // still
	s.editZone(func(z *v1alpha1.DNSZone) {
		z.Spec.Nameservers.Ignore = []v1alpha1.NameserverName{v1alpha1.NameserverName(s.nsd.Addr.String())}
	})
	s.heldUntil(counted.Add(caches))
	s.settleBeyond(before, false)
	c := meta.FindStatusCondition(s.zone().Status.Conditions, v1alpha1.ConditionNameserversInSync)
	if c == nil || !strings.Contains(c.Message, "ignored by spec.nameservers.ignore: "+s.nsd.Addr.String()) {
		t.Errorf("NameserversInSync does not tell of the exception: %+v", c)
	}
	s.verdict()
}

// While no name server can be reached, resolvers may serve what they should have forgotten (RFC 8767): the
// wait for the caches begins again when one is back.
func TestAllNameServersAwayDuringTheSoak(t *testing.T) {
	on(t, powerDNS, allNameServersAwayDuringTheSoak)
}

func allNameServersAwayDuringTheSoak(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longWait)
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	s.changesEverywhere(published)
	all := []servers.Server{s.primary, s.other, s.nsd}
	from := time.Now()
	for _, server := range all {
		server.Stop()
	}
	s.allMissed(all)
	s.shortenWait()
	away := time.Now() // still, and the operator knows
	s.heldUntil(away.Add(longSoak / 4))
	for _, server := range all {
		server.Start()
	}
	servers.Eventually(t, "Postfix's resolver has recovered", s.resolves)
	until := time.Now()
	s.heldUntil(away.Add(longSoak))
	s.settleBeyond(before, false)
	s.verdictBut(func(c judge.Check) bool {
		return c.Class == judge.ClassUnreachable && c.End.After(from) && c.At.Before(until)
	})
}

// allMissed waits until the operator has found that none of the servers answers.
func (s *site) allMissed(all []servers.Server) {
	s.Helper()
	s.wait(func(md *v1alpha1.MailDomain) string {
		for _, server := range all {
			if !slices.ContainsFunc(md.Status.MailServers[0].Nameservers, func(n v1alpha1.NameserverSync) bool {
				return n.Address == server.Address().String() && !n.InSync
			}) {
				return server.Name() + " to be missed"
			}
		}
		return ""
	})
}
