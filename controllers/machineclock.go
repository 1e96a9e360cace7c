package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dane-operator/dane-operator/internal/clockwatch"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// askClockAgain is how long what the API server said of a clock that is not to be believed counts.
const askClockAgain = 30 * time.Second

// machineClock is the clock that waits are counted by, and what is known of whether it is right. The reconcilers of a process
// share one.
type machineClock struct {
	watch *clockwatch.Watch
	// ahead and held as in Options.
	ahead func(context.Context) (time.Duration, error)
	held  func(error)
	// counts is told whether the clock is behind.
	counts *metrics.Events

	// asking is held by the one that asks, for all.
	asking sync.Mutex
	// refused is why nothing may be decided, by the last comparison, and again the uptime at which the API server is asked anew.
	refused error
	again   time.Duration
	// behind says that it was told last that the clock is behind.
	behind bool
}

// errClockBehind says that the clock of this machine is behind that of the API server. What is noted by it would seem older than it is to
// the next process, so that nothing is decided.
var errClockBehind = errors.New("the clock of this machine is behind the API server's: nothing is decided until the one is set right that is wrong (NTP)")

// read reads the clock, and tells once when it was set forward. Before it is read for the first time, now and then, and whenever it was
// set, it is compared with that of the API server; until that is done nothing is decided, nor while it is behind.
func (c *machineClock) read(ctx context.Context) (clockwatch.Reading, error) {
	if err := c.compare(ctx); err != nil {
		return clockwatch.Reading{}, err
	}
	at := c.watch.Read()
	if at.Leap > 0 {
		logf.FromContext(ctx).Info("the clock of this machine was set forward: waits that had begun begin again", "leap", at.Leap.Round(time.Second).String())
	}
	if !c.steady() {
		return clockwatch.Reading{}, clockwatch.ErrSetMeanwhile
	}
	return at, nil
}

// steady says whether the clock was right when it was last compared, and was not set since.
func (c *machineClock) steady() bool { return c.ahead == nil || c.watch.Compared(false) }

// compare compares the clock, if that has to be done again.
func (c *machineClock) compare(ctx context.Context) error {
	if c.ahead == nil || c.watch.Compared(true) {
		return nil
	}
	if !c.steady() {
		c.asking.Lock()
	} else if !c.asking.TryLock() {
		return nil // it was right, and somebody asks already
	}
	defer c.asking.Unlock()
	if c.watch.Compared(true) {
		return nil
	}
	if c.watch.Uptime() < c.again && (c.refused != nil || c.steady()) {
		return c.refused
	}
	before := c.watch.EvenSince()
	by, err := c.watch.Compare(func() (time.Duration, error) { return c.ahead(ctx) })
	c.again = c.watch.Uptime() + askClockAgain
	c.refused = c.verdict(err)
	c.tell(logf.FromContext(ctx), by, !c.watch.EvenSince().Equal(before))
	return c.refused
}

// verdict says whether nothing may be decided, by the end of a comparison. While the API server does not answer, a clock that was right
// and that nobody has set is believed.
func (c *machineClock) verdict(err error) error {
	switch {
	case err != nil && !c.steady():
		return fmt.Errorf("compare the clock of this machine with that of the API server: %w", err)
	case !c.steady():
		return errClockBehind
	}
	return nil
}

// tell tells of a clock that is behind now or no more, and of one that is ahead. What could not be asked for changes nothing.
func (c *machineClock) tell(log logr.Logger, by time.Duration, anew bool) {
	switch {
	case errors.Is(c.refused, errClockBehind) && !c.behind:
		log.Info(errClockBehind.Error(), "skew", by.Abs().Round(time.Second).String())
	case c.refused != nil:
		return
	case c.behind:
		log.Info("the clock of this machine is no longer behind the API server's: waits that had begun begin again")
	case anew:
		log.Info("the clock of this machine is ahead of the API server's: waits that had begun begin again; set the one right that is wrong", "skew", by.Round(time.Second).String())
		return
	default:
		return
	}
	c.behind = c.refused != nil
	c.counts.ClockBehind(c.behind)
	if c.held != nil {
		c.held(c.refused)
	}
}

// hold is what a reconcile comes to that could not read the clock: one that is behind is looked at again soon, and any other
// failure is one of the reconcile.
func (c *machineClock) hold(err error) (ctrl.Result, error) {
	if errors.Is(err, errClockBehind) {
		return ctrl.Result{RequeueAfter: askClockAgain}, nil
	}
	return ctrl.Result{}, err
}
