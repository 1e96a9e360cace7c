package e2e

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// A secondary that serves the old records holds the new key back for as long as it does, and is named.
func TestSecondaryThatLags(t *testing.T) { on(t, knot, secondaryThatLags) }

func secondaryThatLags(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.nsd.Lag()
	s.heldBy(s.nsd, s.nsd.Follow)
	s.verdict()
}

// A secondary that is down may come back with the old records: the new key waits for it.
func TestSecondaryThatIsDown(t *testing.T) { on(t, powerDNS, secondaryThatIsDown) }

func secondaryThatIsDown(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.nsd.Stop()
	s.heldBy(s.nsd, s.nsd.Start)
	s.verdict()
}

// heldBy renews, and wants the key to wait for a server until that is mended.
func (s *site) heldBy(server *servers.Secondary, mend func()) {
	s.Helper()
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(2 * caches))
	s.wait(func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverInProgress)
		if c == nil || !strings.Contains(c.Message, server.Addr.String()) {
			return "RolloverInProgress to name " + server.Addr.String() + "; " + conditions(md)
		}
		return ""
	})
	broken := time.Now() // still
	mend()
	s.heldUntil(broken.Add(caches))
	s.settleBeyond(before, false)
}
