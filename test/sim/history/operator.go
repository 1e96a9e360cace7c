package history

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dane-operator/dane-operator/controllers"
	"github.com/dane-operator/dane-operator/internal/zone"
)

func init() { ctrl.SetLogger(logr.Discard()) }

// task is one object that a reconciler is to look at.
type task struct {
	kind kind
	name types.NamespacedName
}

// operator is one process. When it dies, all that it knows is gone, and nothing reaches it any more.
type operator struct {
	*History
	name  string
	parts *controllers.Parts
	// reconcilers and watches are those of its parts.
	reconcilers map[kind]reconcile.Reconciler
	watches     map[kind][]controllers.Watch
	view        *view
	clock       *operatorClock
	live        bool
	queue       map[task]time.Time
	failed      map[task]int
	// crashIn counts the effects until it dies; with crashAfter the last one is still carried out.
	crashIn    int
	crashAfter bool
	// losing is how many of its next writes fail; with losingDone they are carried out all the same.
	losing     int
	losingDone bool
	// unread says that a read failed in the reconcile under way.
	unread bool
	// darkened says by owner whether the primary did not answer in the newest sweep; unreached by host and address
	// what was not reached by the newest probes.
	darkened  map[string]bool
	probing   sync.Mutex
	unreached map[string]bool
	// old says that it is of an older version.
	old bool
	lag time.Duration

	// With the real zone actors: those of the process, and their connections. severed says that it has none
	// any more; asked is what it could not read when it last asked for an update of an owner.
	actors      []*zone.Actor
	connecting  sync.Mutex
	connections map[*connection]bool
	severed     bool
	asked       map[string]blindness
}

// blindness is what it could not read of late.
func (op *operator) blindness(owner string) blindness {
	op.probing.Lock()
	defer op.probing.Unlock()
	of := op.hostOf(owner)
	b := blindness{objects: op.unread, primary: op.darkened[owner], endpoint: op.unreached[of.name]}
	for _, r := range of.replicas {
		b.endpoint = b.endpoint || op.unreached[r.addr]
	}
	return b
}

// swept notes whether the primary could be read.
func (op *operator) swept(owner string, s zone.Sweep) {
	op.darkened[owner] = !slices.ContainsFunc(s.Answers, func(a zone.Answer) bool { return a.Primary && a.Reachable })
}

// lookedUp notes whether all addresses of a host are known.
func (op *operator) lookedUp(host string, all bool) {
	op.probing.Lock()
	defer op.probing.Unlock()
	op.unreached[host] = !all
}

// crash is what a dying process panics with.
type crash struct{}

// start starts a process whose cache is filled by an API server that is behind.
func (h *History) start(behind time.Duration) *operator {
	h.processes++
	began := h.now
	op := &operator{
		History: h, name: "op" + string(rune('0'+h.processes%10)), live: true, queue: map[task]time.Time{}, failed: map[task]int{}, darkened: map[string]bool{}, unreached: map[string]bool{}, old: h.older, asked: map[string]blindness{}, connections: map[*connection]bool{},
		view: newView(h.store, behind), clock: &operatorClock{of: &h.timeline, ahead: h.clockAhead}, lag: h.between(0, 500*time.Millisecond),
	}
	if h.wire != nil {
		op.clock.WithTicker = clock.RealClock{}
	}
	op.parts = controllers.Assemble(controllers.Surroundings{
		Client: &apiClient{op: op}, Live: &liveReader{op: op}, Events: recorder{op},
		WakeDomain:  func(n types.NamespacedName) { op.wake(task{domains, n}) },
		WakeZone:    func(n types.NamespacedName) { op.wake(task{zones, n}) },
		WakeRequest: func(n types.NamespacedName) { op.wake(task{requests, n}) },
	}, controllers.Options{
		Clock: op.clock, Ahead: func(context.Context) (time.Duration, error) { return op.clock.ahead - h.apiAhead, nil }, Uptime: func() time.Duration { return op.clock.trueTime().Sub(began) }, Prober: &prober{op}, UnknownHistory: unknownHistory, ReportQuiet: reportQuiet, MaxReportHold: maxReportHold, Workers: 1, ParallelProbes: 4,
		NewZoneClient: op.newZoneClient,
		Random:        &keyReader{next: h.newKey},
		Beside:        op.beside,
	})
	op.reconcilers = map[kind]reconcile.Reconciler{domains: op.parts.MailDomains, zones: op.parts.Zones, requests: op.parts.Requests}
	op.watches = map[kind][]controllers.Watch{domains: op.parts.MailDomains.Watches(), zones: op.parts.Zones.Watches()}
	if op.old {
		h.count("process of the older version")
	}
	h.operators = append(h.operators, op)
	h.say(op.name, "starts, with a cache of %s ago", behind)
	for _, k := range []kind{domains, zones, requests} {
		for _, name := range op.view.names(k) {
			op.enqueue(task{k, name}, op.between(time.Millisecond, 100*time.Millisecond))
		}
	}
	for k := range kinds {
		op.catchUp(k)
	}
	return op
}

// beside runs a round of probes. With the real zone actors it waits for one of them.
func (op *operator) beside(round func()) {
	op.later(op.between(20*time.Millisecond, 2*time.Second), func() {
		if op.wire == nil {
			round()
			return
		}
		go round()
	})
}

// wake is what parts of the process wake each other with.
func (op *operator) wake(t task) {
	if op.wire == nil {
		op.enqueue(t, time.Millisecond)
		return
	}
	op.wire.wake(awakening{op, t})
}

// later runs something in the process, unless it has died by then.
func (op *operator) later(d time.Duration, f func()) {
	op.after(d, func() {
		if op.live {
			op.guarded(f)
		}
	})
}

// guarded runs code of the process, which may crash in it.
func (op *operator) guarded(f func()) {
	defer func() {
		if problem := recover(); problem != nil {
			if _, ok := problem.(crash); !ok {
				panic(problem)
			}
			op.die("crashed")
			op.after(op.between(0, 30*time.Second), func() { op.replace() })
		}
	}()
	f()
}

func (op *operator) die(how string) {
	op.live = false
	op.say(op.name, "%s", how)
	if op.wire != nil {
		// What it was about to send may still get out.
		op.after(op.between(0, 500*time.Millisecond), op.sever)
	}
}

// replace starts another process where none is running, unless there shall be none.
func (op *operator) replace() {
	if !op.running() && !op.abandoned {
		op.start(op.staleStart)
	}
}

// enqueue plans a look, unless an earlier one is planned.
func (op *operator) enqueue(t task, in time.Duration) {
	at := op.now.Add(in)
	if have, ok := op.queue[t]; ok && !at.Before(have) {
		return
	}
	op.queue[t] = at
	op.after(in, func() {
		if op.live && op.queue[t].Equal(at) {
			delete(op.queue, t)
			op.guarded(func() { op.reconcile(t) })
		}
	})
}

func (op *operator) reconcile(t task) {
	op.reconciles++
	op.unread = false
	result, err := op.reconcilers[t.kind].Reconcile(context.Background(), ctrl.Request{NamespacedName: t.name})
	switch {
	case err != nil:
		op.failed[t]++
		op.say(op.name, "%s %s: %v", t.kind, t.name.Name, err)
		op.enqueue(t, min(5*time.Millisecond<<min(op.failed[t], 18), 1000*time.Second))
	case result.RequeueAfter > 0:
		delete(op.failed, t)
		op.enqueue(t, result.RequeueAfter)
	default:
		delete(op.failed, t)
	}
}

// heard says that the API server has something new of a kind: the cache shows it after its lag.
func (op *operator) heard(k kind) {
	to := len(op.store.history[k])
	wait := max(op.between(op.lag/2, op.lag+time.Millisecond), op.view.stalled[k].Sub(op.now))
	op.after(wait, func() { op.show(k, to) })
}

// catchUp shows all that the cache does not have yet.
func (op *operator) catchUp(k kind) {
	if op.view.cursor[k] < len(op.store.history[k]) {
		op.heard(k)
	}
}

func (op *operator) show(k kind, to int) {
	switch {
	case !op.live || op.view.cursor[k] >= to:
		return
	case op.now.Before(op.view.stalled[k]):
		op.after(op.view.stalled[k].Sub(op.now), func() { op.show(k, to) })
		return
	}
	for _, s := range op.view.advance(k, to) {
		for _, o := range []client.Object{s.old, s.now} {
			if o != nil {
				op.changed(k, o)
			}
		}
	}
}

// changed enqueues what a changed object concerns.
func (op *operator) changed(k kind, o client.Object) {
	if k == domains || k == zones || k == requests {
		op.enqueue(task{k, client.ObjectKeyFromObject(o)}, time.Millisecond)
	}
	wake := func(of kind, watches []controllers.Watch) {
		for _, w := range watches {
			if _, endpoints := w.Object.(*discoveryv1.EndpointSlice); endpoints || kindOf(w.Object) != k {
				continue
			}
			for _, r := range w.Of(context.Background(), o) {
				op.enqueue(task{of, r.NamespacedName}, time.Millisecond)
			}
		}
	}
	wake(domains, op.watches[domains])
	wake(zones, op.watches[zones])
}

// write is an effect on the API server.
func (op *operator) write(what string, do func() error) error {
	op.writes++
	return op.effect(what, func() error {
		switch {
		case op.now.Before(op.apiAway):
			return apierrors.NewServiceUnavailable("the API server is away")
		case op.losing > 0 && op.losingDone:
			op.losing--
			if err := do(); err != nil {
				return err
			}
			return apierrors.NewTimeoutError("the answer was lost", 1)
		case op.losing > 0:
			op.losing--
			return apierrors.NewTimeoutError("the request was lost", 1)
		}
		return do()
	})
}

// effect is something that the process does to the world; it may die before or after it.
func (op *operator) effect(what string, do func() error) error {
	if op.crashIn == 1 && !op.crashAfter {
		op.say(op.name, "dies before: %s", what)
		panic(crash{})
	}
	err := do()
	if err != nil {
		op.say(op.name, "%s: %v", what, err)
	} else {
		op.say(op.name, "%s", what)
	}
	op.effectMade()
	if op.crashIn > 0 {
		if op.crashIn--; op.crashIn == 0 {
			op.say(op.name, "dies after it")
			panic(crash{})
		}
	}
	return err
}

// read says whether the API server can be read.
func (op *operator) read() error {
	if op.now.Before(op.apiAway) {
		op.unread = true
		return apierrors.NewServiceUnavailable("the API server is away")
	}
	return nil
}

// recorder takes the operator's events.
type recorder struct{ op *operator }

// Eventf implements events.EventRecorder.
func (r recorder) Eventf(_, _ runtime.Object, _, reason, _, note string, args ...any) {
	if r.op.record {
		r.op.say(r.op.name, "event %s: "+note, append([]any{reason}, args...)...)
	}
}
