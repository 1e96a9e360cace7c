package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// The clock is set forward by more than any wait in each of these tests, and they want the wait to begin again.
const far = 100 * time.Hour

// TestLeapWhileCachesAreWaitedFor: a key waits anew, also for a process that was started after the clock was set.
func TestLeapWhileCachesAreWaitedFor(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		s := published(t)
		s.requests("b")
		s.at(s.now.Add(time.Minute))
		s.leap(far)
		set := s.now
		s.held(s.work(), "b", WaitCaches)
		if restarted {
			s.even = time.Time{}
		}
		s.heldUntil("b", set.Add(s.policy.Delay+2*s.policy.TTL))
	}
}

// TestLeapBetweenSweeps: so it does when the clock is set before enough sweeps have shown that the older records are gone.
func TestLeapBetweenSweeps(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		s := published(t)
		s.hold("b", StageRequested)
		s.work()
		s.at(s.now.Add(10 * time.Second))
		s.leap(far)
		set := s.now
		if restarted {
			s.decide()
			s.even = time.Time{}
		}
		s.settle()
		s.heldUntil("b", set.Add(s.policy.Delay+2*s.policy.TTL))
	}
}

// TestLeapWhileHistoryIsUnknown: what may have been in DNS before the operator looked counts as long as ever.
func TestLeapWhileHistoryIsUnknown(t *testing.T) {
	s := published(t)
	for _, o := range s.owners {
		o.versions = nil
	}
	s.states, s.lost = nil, true
	s.work()
	s.hold("b", StageRequested)
	s.settle()
	s.leap(far)
	set := s.now
	s.settle()
	s.heldUntil("b", set.Add(s.policy.Delay+s.policy.UnknownHistory))
}

// TestLeapAtRest: a key that every cache knows waits for nothing, as nothing that caches hold lacks it.
func TestLeapAtRest(t *testing.T) {
	s := published(t)
	s.hold("b", StageStandby)
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.leap(far)
	s.hold("b", StageRequested)
	if d := s.work(); !slices.Contains(d.Deploy, digest("b")) {
		t.Errorf("it waits: %+v", d.Waits)
	}
}

// TestLeapWhileAKeyIsRetired: the records of a key that nothing presents stay for as long as ever, whoever vouches for that.
func TestLeapWhileAKeyIsRetired(t *testing.T) {
	for _, vouched := range []bool{false, true} {
		s := replaced(t, func(p *Policy) { p.ProbeDisabled = vouched })
		s.shows(firstOwner, "a", "b")
		s.leap(far)
		set := s.now
		s.work()
		s.even = time.Time{} // a process that does not know of it goes on from what was noted
		s.at(set.Add(s.policy.RetireSafety - time.Second))
		s.shows(firstOwner, "a", "b")
		s.at(set.Add(s.policy.RetireSafety))
		s.settle()
		s.shows(firstOwner, "b")
	}
}

// TestLeapWhileARevocationStands: it stays for as long as was asked for.
func TestLeapWhileARevocationStands(t *testing.T) {
	f, d := revoked(t)
	set := f.Now.Add(far)
	f = after(f, d, set, map[string]tlsa.Record{"k": revocation[0], "n": recordOf("n")})
	f.EvenSince = set
	if k := stateOf(Decide(f), "k"); k == nil || !k.RemovableAt.Equal(set.Add(keptRevoked)) {
		t.Errorf("the key is %+v", k)
	}
}

// TestLeapWhileAnUpdateIsInDoubt: a signer is no sooner done because the clock was set.
func TestLeapWhileAnUpdateIsInDoubt(t *testing.T) {
	s := published(t)
	s.losesB()
	s.leap(far)
	s.settle()
	s.even = time.Time{}
	s.settle()
	s.write(firstOwner, answerSet{of(p311, "a", "b"), s.policy.TTL})
	s.settle()
	s.shows(firstOwner, "a")
}
