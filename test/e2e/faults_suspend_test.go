package e2e

import (
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// Suspended in the middle of a rollover, the operator neither approves nor writes, says what that holds up,
// and goes on where it was.
func TestSuspendedInARollover(t *testing.T) { on(t, knot, suspendedInARollover) }

func suspendedInARollover(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longWait)
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	s.suspend(true)
	s.says(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "the renewal of Certificate mx1")
	s.shortenWait()
	published = s.published()
	s.heldUntil(time.Now().Add(2 * longSoak))
	if now := s.published(); now != published {
		t.Errorf("suspended, the operator wrote\n%s\ninstead of\n%s", now, published)
	}
	s.suspend(false)
	s.settleBeyond(before, false)
	s.verdict()
}

// The old key's records stay for as long as the operator is suspended, although their time is over meanwhile.
func TestSuspendedBeforeTheRemoval(t *testing.T) { on(t, bind, suspendedBeforeTheRemoval) }

func suspendedBeforeTheRemoval(t *testing.T, m servers.Make) {
	s := gated(t, m, true, longRetirement)
	before := s.startRenewal()
	servers.Eventually(t, removalWaits.name, func() error { return removalWaits.reached(s, before, "") })
	s.suspend(true)
	s.says(v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "")
	s.shortenRetirement()
	published := s.published()
	for until := time.Now().Add(3 * caches); time.Now().Before(until); time.Sleep(tick) {
		if now := s.published(); now != published {
			t.Fatalf("suspended, the operator wrote\n%s\ninstead of\n%s", now, published)
		}
	}
	s.suspend(false)
	s.settleBeyond(before, true)
	s.verdict()
}

func (s *site) suspend(on bool) {
	s.Helper()
	s.editDomain(func(md *v1alpha1.MailDomain) { md.Spec.Suspend = on })
}
