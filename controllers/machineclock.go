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

// read reads the clock, and tells once when it was set forward. Before it is read for the first time, and whenever it was set, it is
// compared with that of the API server; until that is done nothing is decided.
func (c *machineClock) read(ctx context.Context) (clockwatch.Reading, error) {
	if c.ahead != nil && !c.watch.Compared() {
		var by time.Duration
		differ, err := c.watch.Compare(func() (_ time.Duration, err error) {
			by, err = c.ahead(ctx)
			return by, err
		})
		if err != nil {
			return clockwatch.Reading{}, fmt.Errorf("compare the clock of this machine with that of the API server: %w", err)
		}
		if differ {
			logf.FromContext(ctx).Info(differing(by), "skew", by.Abs().Round(time.Second).String())
		}
	}
	at := c.watch.Read()
	if at.Leap > 0 {
		logf.FromContext(ctx).Info("the clock of this machine was set forward: waits that had begun begin again", "leap", at.Leap.Round(time.Second).String())
	}
	return at, nil
}

// differing tells of a clock that is so much ahead of that of the API server.
func differing(ahead time.Duration) string {
	if ahead < 0 {
		return "the clock of this machine is behind the API server's, whose time is used, and waits that had begun before this process begin again: set the one right that is wrong"
	}
	return "the clock of this machine is ahead of the API server's, and waits that had begun begin again: set the one right that is wrong"
}
