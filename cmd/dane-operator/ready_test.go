package main

import (
	"context"
	"errors"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// filling is a cache that is filled when it is told to be.
type filling struct {
	cache.Cache
	filled chan struct{}
}

func (f filling) WaitForCacheSync(ctx context.Context) bool {
	select {
	case <-f.filled:
		return true
	case <-ctx.Done():
		return false
	}
}

// TestReadiness wants /readyz to say no until the caches are filled, and when they never are.
func TestReadiness(t *testing.T) {
	caches := filling{filled: make(chan struct{})}
	r := &readiness{cache: caches}
	ended := make(chan error)
	go func() { ended <- r.Start(t.Context()) }()
	if r.check(nil) == nil {
		t.Error("it is ready before the caches are filled")
	}
	close(caches.filled)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.check(nil); err != nil {
		t.Errorf("the caches are filled: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	never := &readiness{cache: filling{filled: make(chan struct{})}}
	if err := never.Start(stopped); err != nil || never.check(nil) == nil {
		t.Errorf("the operator stopped before the caches were filled: %v, ready %v", err, never.check(nil))
	}
	if never.NeedLeaderElection() {
		t.Error("a replica that stands by is not ready")
	}
}

// TestClockCheck: as long as nothing is decided because of the clock, the operator is not ready.
func TestClockCheck(t *testing.T) {
	var c clockCheck
	behind := errors.New("behind")
	for _, want := range []error{nil, behind, nil} {
		if want != nil || c.problem.Load() != nil {
			c.tell(want)
		}
		if got := c.check(nil); !errors.Is(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
