package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/servers"
)

// outage is how long the API server is away: three minutes when every fault is tried, in which leases run out.
func outage() time.Duration {
	if thorough {
		return 3 * time.Minute
	}
	return 5 * time.Second
}

// The API server is away in the middle of a rollover, and past the instant at which the key may be deployed:
// once it stands still with its connections open, and once it is killed and started again. Nothing happens
// meanwhile, and the rollover ends afterwards.
func TestAPIServerAway(t *testing.T) { alone(t, bind, apiServerAway) }

func apiServerAway(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	cluster := s.lab.Cluster
	s.awayInARollover(
		func() { s.must(cluster.PauseAPIServer()) },
		func() { s.must(cluster.ResumeAPIServer()) })
	s.awayInARollover(
		func() { s.must(cluster.KillAPIServer()) },
		func() { s.must(cluster.StartAPIServer(context.WithoutCancel(t.Context()))) })
	s.verdict()
}

// awayInARollover renews, and has the API server away between the publication of the new key and its use.
func (s *site) awayInARollover(goAway, comeBack func()) {
	s.Helper()
	s.showsOne()
	published := s.published()
	before := s.startRenewal()
	s.changesFrom(published)
	s.changesEverywhere(published)
	written := s.published()
	goAway()
	for until := time.Now().Add(outage()); time.Now().Before(until); time.Sleep(tick) {
		if err := s.unchanged(written); err != nil {
			s.Errorf("while the API server is away: %v", err)
			break
		}
	}
	comeBack()
	back := time.Now()
	s.settleBeyond(before, false)
	s.Logf("the rollover ended %s after the API server was back", time.Since(back).Round(time.Second))
}
