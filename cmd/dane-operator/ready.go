package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// readiness says at /readyz whether the caches are filled: before that an operator knows of nothing, and a rolling
// update must not end the one before it. The trust anchors were read before it starts. Each replica is ready by itself,
// whether it leads or not.
type readiness struct {
	cache  cache.Cache
	filled atomic.Bool
}

var errNotFilled = errors.New("the caches are not filled yet: the API server has not answered every list")

// Start waits for the caches.
func (r *readiness) Start(ctx context.Context) error {
	if r.cache.WaitForCacheSync(ctx) {
		r.filled.Store(true)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*readiness) NeedLeaderElection() bool { return false }

// check implements healthz.Checker.
func (r *readiness) check(*http.Request) error {
	if !r.filled.Load() {
		return errNotFilled
	}
	return nil
}

// clockCheck says at /readyz that nothing is decided, since the clock of this machine is behind.
type clockCheck struct{ problem atomic.Pointer[error] }

// tell is for controllers.Options.ClockHeld.
func (c *clockCheck) tell(err error) { c.problem.Store(&err) }

// check implements healthz.Checker.
func (c *clockCheck) check(*http.Request) error {
	if err := c.problem.Load(); err != nil {
		return *err
	}
	return nil
}
