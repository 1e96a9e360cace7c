package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/guard"
)

const (
	// senderLooks is how many MailDomains are looked at at once.
	senderLooks = 8
	// never is for what nobody waits for: the reconciler comes back by itself.
	never = time.Hour
)

// senderWatch finds out what senders do with mail for the hosts of MailDomains, outside the reconcile
// workers, and keeps it. Status holds the same for the next process. A nil one finds nothing out.
type senderWatch struct {
	// newResolver gives what looks up from trust anchors, anew for each look, or is nil.
	newResolver func([]dnssec.Anchor) senderview.Resolver
	// patience is how long one question may take.
	patience time.Duration
	// trust are the operator's trust anchors; nil for those of the public root.
	trust    *Trust
	clock    clock.PassiveClock
	observer *observer
	wake     func(types.NamespacedName)
	guard    *guard.Guard
	// slots are taken by looks, places by questions.
	slots, places chan struct{}
	// ctx ends when stop is called: the operator stops.
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	domains map[types.NamespacedName]*senderDomain
	// next is when the next look may begin that has no turn yet.
	next time.Time
}

// senderDomain is what is known of one MailDomain.
type senderDomain struct {
	hosts []senderHost
	// mark stands for what the views depend on, as far as it is known here.
	mark uint64
	// since is the end of the last look, or the change since which looks are counted.
	since time.Time
	looks int
	// turn is when a look that is due may begin; zero when none is.
	turn time.Time
	// cancel breaks off the look that is under way; nil when none is.
	cancel context.CancelFunc
}

// senderHost is what is known of one host: the view that is believed in, and one that was seen once.
type senderHost struct {
	name           string
	known, doubted *v1alpha1.SenderViewStatus
}

func newSenderWatch(o Options, obs *observer, wake func(types.NamespacedName)) *senderWatch {
	ctx, stop := context.WithCancel(context.Background())
	w := &senderWatch{
		newResolver: o.NewResolver, trust: o.Trust, clock: o.Clock, observer: obs, wake: wake, guard: o.Guard,
		patience: dnssec.MaxLookup, slots: make(chan struct{}, senderLooks), places: make(chan struct{}, senderQuestions),
		ctx: ctx, stop: stop, domains: map[types.NamespacedName]*senderDomain{},
	}
	if w.trust == nil {
		w.trust = RootTrust()
	}
	return w
}

func (w *senderWatch) enabled() bool { return w != nil && w.newResolver != nil }

// statusOf is what status says of a host: what this process knows, else what was stored.
func (w *senderWatch) statusOf(h *hostRun) *v1alpha1.SenderViewStatus {
	if !w.enabled() || senderPort(h.server) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.domains[h.key.domain]; d != nil {
		for _, host := range d.hosts {
			if host.name == h.key.host && host.known != nil {
				return host.known
			}
		}
	}
	if h.previous == nil {
		return nil
	}
	return h.previous.SenderView
}

// look begins a look when one is due, and says when to ask again.
func (w *senderWatch) look(run *domainRun) time.Duration {
	if !w.enabled() {
		return never
	}
	job := w.jobOf(run)
	if len(job.targets) == 0 {
		w.forget(job.name)
		return never
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.note(job, run)
	p := senderPaceOf(run, len(w.domains))
	if d.cancel != nil {
		return p.soon
	}
	if wait := p.due(run.now, d.since, d.looks); wait > 0 {
		return wait
	}
	if wait := w.admit(d, run.now); wait > 0 {
		return wait
	}
	ctx, cancel := context.WithCancel(w.ctx)
	d.cancel = cancel
	d.looks++
	go w.run(ctx, d, job)
	return p.due(run.now, run.now, d.looks)
}

// note takes over what a run knows of a MailDomain; the lock is held. One that status has views of rests;
// otherwise a first look comes soon, as it does after a change.
func (w *senderWatch) note(job senderJob, run *domainRun) *senderDomain {
	d := w.domains[job.name]
	if d == nil {
		d = &senderDomain{mark: job.mark, since: run.now, looks: senderRests}
		w.domains[job.name] = d
	}
	if !slices.EqualFunc(d.hosts, job.targets, func(h senderHost, t senderTarget) bool { return h.name == t.host }) {
		d.resume(job.targets, run)
	}
	if d.mark != job.mark {
		d.mark = job.mark
		d.changed(run.now)
	}
	return d
}

// resume makes the hosts those of a job: what is known of them stays, or is taken from status.
func (d *senderDomain) resume(targets []senderTarget, run *domainRun) {
	before := d.hosts
	d.hosts = nil
	for _, t := range targets {
		host := senderHost{name: t.host}
		for _, h := range run.hosts {
			if h.key.host == t.host && h.previous != nil && h.previous.SenderView != nil {
				stored := *h.previous.SenderView
				host.known = &stored
			}
		}
		for _, b := range before {
			if b.name == t.host {
				host = b
			}
		}
		if host.known == nil {
			d.changed(run.now)
		}
		d.hosts = append(d.hosts, host)
	}
}

// changed has it looked at soon. Changes one after the other do not put that off.
func (d *senderDomain) changed(now time.Time) {
	if d.looks > 0 {
		d.since, d.looks = now, 0
	}
}

// admit gives a look that is due its turn, and says how long it waits for it: zero when it may begin, and has
// a slot. The lock is held.
func (w *senderWatch) admit(d *senderDomain, now time.Time) time.Duration {
	if d.turn.IsZero() {
		w.queue(d, now)
	}
	if wait := d.turn.Sub(now); wait > 0 {
		return wait
	}
	select {
	case w.slots <- struct{}{}:
		d.turn = time.Time{}
		return 0
	default: // it goes to the end of the line, which holds no goroutine
		w.queue(d, now.Add(senderGap))
		return d.turn.Sub(now)
	}
}

func (w *senderWatch) queue(d *senderDomain, at time.Time) {
	if w.next.After(at) {
		at = w.next
	}
	d.turn, w.next = at, at.Add(senderGap)
}

// run looks, with a slot.
func (w *senderWatch) run(ctx context.Context, d *senderDomain, job senderJob) {
	defer func() { <-w.slots }()
	var found map[string]v1alpha1.SenderViewStatus // of a look that panicked nothing is known
	w.guard.Do(guard.Senders, func() { found = job.look(ctx, w.askerOf(job), w.observer, w.clock.Now) }, "maildomain", job.name)
	w.guard.Do(guard.Senders, func() { w.end(d, job, found) }, "maildomain", job.name)
}

// end takes over what was found of hosts. The others stay as they were.
func (w *senderWatch) end(d *senderDomain, job senderJob, found map[string]v1alpha1.SenderViewStatus) {
	if w.ended(d, job, found) {
		w.wake(job.name)
	}
}

// ended is end, and says whether there is news.
func (w *senderWatch) ended(d *senderDomain, job senderJob, found map[string]v1alpha1.SenderViewStatus) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.domains[job.name] != d {
		return false // it was forgotten
	}
	d.cancel()
	d.cancel, d.since = nil, w.clock.Now()
	return d.take(found)
}

// take says whether there is news: a view that status lacks, or one that is to be seen again soon.
func (d *senderDomain) take(found map[string]v1alpha1.SenderViewStatus) bool {
	news := false
	for i := range d.hosts {
		h := &d.hosts[i]
		seen, ok := found[h.name]
		switch {
		case !ok:
		case h.known != nil && *h.known == seen:
			h.doubted = nil
		case believed(h.known, h.doubted, seen):
			h.known, h.doubted, news = &seen, nil, true
		default:
			if h.doubted == nil {
				d.looks = 0
			}
			h.doubted, news = &seen, true
		}
	}
	return news
}

// forget drops a MailDomain, and breaks off the look at it.
func (w *senderWatch) forget(name types.NamespacedName) {
	if !w.enabled() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.domains[name]; d != nil && d.cancel != nil {
		d.cancel()
	}
	delete(w.domains, name)
}

// count is how many hosts have each verdict; the empty one counts those of which nothing is known.
func (w *senderWatch) count() map[v1alpha1.SenderVerdict]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[v1alpha1.SenderVerdict]int{}
	for _, d := range w.domains {
		for _, h := range d.hosts {
			if h.known == nil {
				out[""]++
			} else {
				out[h.known.Verdict]++
			}
		}
	}
	return out
}
