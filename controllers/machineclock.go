package controllers

import (
	"context"
	"fmt"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/internal/clockwatch"
)

// machineClock is the clock that waits are counted by, and what is known of whether it is right. The reconcilers of a process
// share one.
type machineClock struct {
	watch *clockwatch.Watch
	// ahead as in Options.
	ahead func(context.Context) (time.Duration, error)
}

// read reads the clock, and tells once when it was set forward. Before it is read for the first time it is compared with that of
// the API server; until that is done nothing is decided.
func (c *machineClock) read(ctx context.Context) (clockwatch.Reading, error) {
	if c.ahead != nil && !c.watch.Begun() {
		by, err := c.ahead(ctx)
		if err != nil {
			return clockwatch.Reading{}, fmt.Errorf("compare the clock of this machine with that of the API server: %w", err)
		}
		if c.watch.Begin(by) {
			logf.FromContext(ctx).Info("the clock of this machine is ahead of the API server's: waits that had begun begin again; set one of them right", "leap", by.Round(time.Second).String())
		}
	}
	at := c.watch.Read()
	if at.Leap > 0 {
		logf.FromContext(ctx).Info("the clock of this machine was set forward: waits that had begun begin again", "leap", at.Leap.Round(time.Second).String())
	}
	return at, nil
}
