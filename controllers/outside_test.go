package controllers

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// closing is a zone with an update in flight: Close waits for it.
type closing struct {
	*scriptedZone
	began, landed chan struct{}
	patience      time.Duration
}

func (c *closing) Close(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil {
		c.patience = time.Until(deadline)
	}
	close(c.began)
	<-c.landed
}

// TestStopWaitsForUpdates: probes are broken off, an update in flight is waited for, and only then does the part end, after
// which the manager gives the lease back.
func TestStopWaitsForUpdates(t *testing.T) {
	c := &closing{scriptedZone: &scriptedZone{}, began: make(chan struct{}), landed: make(chan struct{})}
	registry, name := newZoneRegistry(), types.NamespacedName{Namespace: "dns", Name: "example"}
	registry.update(name, func(e *zoneEntry) { e.client = c })
	broken := make(chan struct{})
	o := &outside{registry: registry, stop: func() { close(broken) }}
	if !o.NeedLeaderElection() {
		t.Error("it would end what another replica does")
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Start(running) }()
	select {
	case <-c.began:
		t.Fatal("zones are closed while the operator runs")
	case <-time.After(10 * time.Millisecond):
	}
	stop()
	<-c.began
	select {
	case <-broken:
	default:
		t.Error("probes go on while updates are waited for")
	}
	if len(ended) > 0 || c.patience <= 0 || c.patience > updateGrace {
		t.Errorf("an update in flight is waited for %s, ended: %d", c.patience, len(ended))
	}
	if _, ok := registry.get(name); ok {
		t.Error("a reconcile that is under way finds the zone, and may begin another update")
	}
	close(c.landed)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
