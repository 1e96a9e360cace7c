package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

// twoReplicas stops the operator that all tests share, and starts two replicas in its stead, of which the
// first leads.
func (s *site) twoReplicas() (leader, standby *kube.Process) {
	s.Helper()
	s.must(s.lab.Operator.Stop())
	leader = s.replica("first")
	s.leads(leader)
	standby = s.replica("second")
	return leader, standby
}

// replica starts an operator that contends for the lease. It ends with the test.
func (s *site) replica(name string) *kube.Process {
	s.Helper()
	p, err := operator.Replica(s.Context(), s.lab.Cluster, s.lab.Namespace+"-"+name, operator.Options{Args: lab.OperatorArgs()})
	s.must(err)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("the log of replica %s ends with:\n%s", name, p.Tail(40))
		}
		_ = p.Kill() // it may have ended by itself
	})
	return p
}

// leads waits until a replica has been elected.
func (s *site) leads(p *kube.Process) {
	s.Helper()
	servers.Eventually(s, p.Name+" leads", func() error {
		if !s.elected(p) {
			return errors.New("it has started no workers")
		}
		return nil
	})
}

// elected says whether a replica has ever begun to work.
func (s *site) elected(p *kube.Process) bool {
	s.Helper()
	log, err := os.ReadFile(filepath.Clean(p.LogFile))
	s.must(err)
	return strings.Contains(string(log), "Starting workers")
}

// The leader is killed in the middle of a rollover: the standby replica, which has done nothing until then,
// takes the lease when it has run out, and ends the rollover.
func TestLeaderKilled(t *testing.T) { alone(t, knot, leaderKilled) }

func leaderKilled(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longWait)
	leader, standby := s.twoReplicas()
	published := s.published()
	before := s.startRenewal()
	last := s.changesFrom(published)
	if s.elected(standby) {
		t.Error("both replicas work")
	}
	s.must(leader.Kill())
	s.shortenWait()
	s.heldUntil(last.Add(longSoak))
	s.settleBeyond(before, false)
	if !s.elected(standby) {
		t.Error("the rollover ended, and the standby replica never led")
	}
	s.verdict()
}

// The leader stands still past its lease, as a machine does that is frozen or swaps. Another replica ends
// the rollover and is in the middle of the next one when the first goes on with what it knew. It must not
// touch anything, and end.
func TestLeaderPausedPastItsLease(t *testing.T) { alone(t, bind, leaderPausedPastItsLease) }

func leaderPausedPastItsLease(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	leader, standby := s.twoReplicas()
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	s.eventuallyQuickly(halfOver.name, func() error { return halfOver.reached(s, before, published) })
	s.must(syscall.Kill(leader.PID(), syscall.SIGSTOP))
	s.leads(standby)
	s.settleBeyond(before, false)

	published = s.published()
	before = s.startRenewal()
	last := s.changesFrom(published)
	holder := s.holder()
	s.must(syscall.Kill(leader.PID(), syscall.SIGCONT))
	select {
	case <-leader.Done():
	case <-time.After(patience):
		t.Fatal("the former leader goes on although another one has its lease")
	}
	// Its events are written by another goroutine: one may come after the word that ends it.
	if end := leader.Tail(10); !strings.Contains(end, "leader election lost") {
		t.Errorf("the former leader ended with: %s", end)
	}
	s.heldUntil(last.Add(caches))
	s.settleBeyond(before, false)
	if now := s.holder(); now != holder {
		t.Errorf("the lease went from %s to %s", holder, now)
	}
	s.verdict()
}

// holder is who has the lease.
func (s *site) holder() string {
	s.Helper()
	lease, err := operator.Leader(s.Context(), s.lab.Cluster)
	s.must(err)
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}
