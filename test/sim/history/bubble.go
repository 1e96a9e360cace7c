package history

import (
	"testing"
	"testing/synctest"
	"time"
)

// This file lets the real zone actors run in a history. They work on goroutines, with timers and deadlines of their
// own, so that a history with them runs in a bubble of testing/synctest: there all goroutines have one fake clock,
// and it is known when none of them has anything left to do. The history's own goroutine plans and decides as ever;
// it lets the others work only while it waits, and deals with what they have brought in an order that does not depend
// on which of them ran first.

// inBubble runs something with a fake clock that begins with the history.
func inBubble(run func()) {
	// A bubble wants a test. Nothing of it is used.
	synctest.Test(new(testing.T), func(*testing.T) {
		time.Sleep(time.Until(begin))
		run()
	})
}

// bubbleNow is the time in a bubble.
func bubbleNow() time.Time { return time.Now().UTC().Round(0) }

// pass lets the actors work until the next event, or until an instant. What they bring is dealt with at the instant
// at which they bring it.
func (w *wire) pass(until time.Time) {
	h := w.h
	for {
		synctest.Wait()
		h.now = bubbleNow()
		if w.deal() {
			continue
		}
		next := until
		if len(h.queue) > 0 && h.queue[0].at.Before(next) {
			next = h.queue[0].at
		}
		if !h.now.Before(next) {
			return
		}
		timer := time.NewTimer(next.Sub(h.now))
		select {
		case <-timer.C:
		case <-w.bell:
		}
		timer.Stop()
	}
}
