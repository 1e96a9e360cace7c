package controllers

import (
	"slices"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/delegation"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// This file tells the parent of changes (RFC 9859): every target that it names, each until it has acknowledged.

const (
	// notifyAgain is how long after a target did not acknowledge it is told again: twice as long after each time, and
	// notifyLast at the most.
	notifyAgain = time.Minute
	notifyLast  = time.Hour
)

// toldTarget is what became of telling one target.
type toldTarget struct {
	// notice is what it was told last.
	notice []string
	at     time.Time
	// failures are the times in a row that it did not acknowledge that, failed how the last one ended; it is told again at
	// next.
	failures int
	failed   zone.Result
	next     time.Time
}

// toldOf is the target after it was told.
func (t toldTarget) toldOf(notice []string, got zone.Result, now time.Time) toldTarget {
	if !slices.Equal(t.notice, notice) {
		t.failures = 0
	}
	t.notice, t.at = notice, got.At
	if got.Class == zone.Applied {
		t.failures, t.failed, t.next = 0, zone.Result{}, time.Time{}
		return t
	}
	t.failures++
	t.failed = got
	t.next = now.Add(min(notifyAgain<<min(t.failures-1, 10), notifyLast))
	return t
}

// due says whether a target is to be told now.
func (t toldTarget) due(notice []string, now time.Time) bool {
	return !slices.Equal(t.notice, notice) || t.failures > 0 && !now.Before(t.next)
}

// targetsDue are the targets to be told now of a change that the parent is to hear of. What an earlier process has told
// all of them counts.
func targetsDue(z *v1alpha1.DNSZone, w delegationWork, now time.Time) []zone.NotifyTarget {
	d := w.decision
	if d == nil || w.acted || !w.look.foreign {
		return nil
	}
	about := notice(d)
	if d.Action == delegation.Keep && d.Reason != delegation.InitialNotAccepted || slices.Equal(notifiedOf(z, w), about) {
		return nil
	}
	var out []zone.NotifyTarget
	for _, to := range w.look.targets {
		if w.told[to].due(about, now) {
			out = append(out, to)
		}
	}
	return out
}

// notice is what a notification is about, for telling it from the one before.
func notice(d *delegation.Decision) []string {
	if d.Action == delegation.Remove {
		return []string{"removal"}
	}
	return presentedDS(d.Asked)
}

// notifyParent tells the targets: every server of the zone agrees on the request by now.
func (r *DNSZoneReconciler) notifyParent(z *v1alpha1.DNSZone, w delegationWork, targets []zone.NotifyTarget) {
	own, take := r.begin(z, w, true)
	if own == nil {
		return
	}
	about, ends := notice(w.decision), make([]zone.Result, len(targets))
	var all sync.WaitGroup
	all.Add(len(targets))
	for i, to := range targets {
		own.NotifyParent(to, func(got zone.Result) { ends[i] = got; all.Done() })
	}
	go func() {
		all.Wait()
		take(func(work *delegationWork) { work.notedTold(targets, ends, about, r.Clock.Now()) })
	}()
}

// notedTold notes what became of telling targets. Those that the parent does not name any more are forgotten.
func (w *delegationWork) notedTold(targets []zone.NotifyTarget, ends []zone.Result, about []string, now time.Time) {
	told := map[zone.NotifyTarget]toldTarget{}
	for _, to := range w.look.targets {
		told[to] = w.told[to]
	}
	for i, to := range targets {
		told[to] = told[to].toldOf(about, ends[i], now)
	}
	w.told = told
	w.noteHeard(about)
}

// noteHeard notes that the parent was told once every target that it names has acknowledged, and until then why one has not.
func (w *delegationWork) noteHeard(about []string) {
	heard, at := len(w.look.targets) > 0, time.Time{}
	w.failed = zone.Result{}
	for _, to := range w.look.targets {
		t := w.told[to]
		heard = heard && t.failures == 0 && slices.Equal(t.notice, about)
		at = later(at, t.at)
		if t.failures > 0 && slices.Equal(t.notice, about) && w.failed.Class == "" {
			w.failed = t.failed
		}
	}
	if heard {
		w.notified = &delegationStamp{about, at}
		return
	}
	// Some may have heard of it: should the zone ask again for what all were told before, that is news to them.
	w.notified = &delegationStamp{}
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
