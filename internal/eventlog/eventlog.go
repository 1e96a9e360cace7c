// Package eventlog writes events of Kubernetes, those that people see with kubectl describe, to the API server.
//
// The library makes them, and would write them too. But it keeps each as a whole for six to twelve minutes, to know it
// again when it recurs, 1.1 KB each, and with ten thousand MailDomains several things happen to each at once. Here a digest is
// kept, which takes 90 octets.
package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
)

const (
	// keptFor is how long an event is known: said again within that time of the same version of an object it is no news.
	keptFor = 6 * time.Minute
	// maxWaiting is how many events wait for the API server; more are dropped, and logged.
	maxWaiting = 10_000
	// writers is how many events are written at once.
	writers = 4
	// maxTries and retryAfter are for an API server that does not answer, as the library has them.
	maxTries   = 12
	retryAfter = 10 * time.Second
	// farewell is how long what waits is still written when the operator stops.
	farewell = 5 * time.Second
)

// Sink creates events. It is used by several goroutines.
type Sink interface {
	Create(ctx context.Context, event *eventsv1.Event) (*eventsv1.Event, error)
}

// Writer writes events. It is a runnable of a manager.
type Writer struct {
	sink  Sink
	clock clock.WithTicker
	log   logr.Logger

	broadcaster events.EventBroadcaster
	queue       chan *eventsv1.Event

	mu sync.Mutex
	// known has when an event is forgotten.
	known map[digest]time.Time
}

type digest [16]byte

// New makes a Writer. Events wait until it is started.
func New(sink Sink, c clock.WithTicker, log logr.Logger) (*Writer, error) {
	w := &Writer{
		sink: sink, clock: c, log: log, broadcaster: events.NewBroadcaster(nil),
		queue: make(chan *eventsv1.Event, maxWaiting), known: map[digest]time.Time{},
	}
	if _, err := w.broadcaster.StartEventWatcher(w.take); err != nil {
		return nil, fmt.Errorf("write events: %w", err)
	}
	return w, nil
}

// Recorder makes events in the name of a controller.
func (w *Writer) Recorder(scheme *runtime.Scheme, controller string) events.EventRecorder {
	return w.broadcaster.NewRecorder(scheme, controller)
}

// NeedLeaderElection says that it runs in every replica: those that do not lead have nothing to write.
func (w *Writer) NeedLeaderElection() bool { return false }

// Start writes events until ctx ends, and then what still waits, for a short time.
func (w *Writer) Start(ctx context.Context) error {
	var all sync.WaitGroup
	for range writers {
		all.Go(func() { w.write(ctx) })
	}
	forget := w.clock.NewTicker(keptFor)
	defer forget.Stop()
	for {
		select {
		case <-forget.C():
			w.forget()
		case <-ctx.Done():
			all.Wait()
			return nil
		}
	}
}

// take queues an event that is news.
func (w *Writer) take(object runtime.Object) {
	event, ok := object.(*eventsv1.Event)
	if !ok || !w.isNews(event) {
		return
	}
	select {
	case w.queue <- event:
	default:
		w.log.Info("an event was not written: too many wait for the API server", about(event)...)
	}
}

// isNews says whether an event has not been taken lately, and notes that it has been now.
func (w *Writer) isNews(event *eventsv1.Event) bool {
	key, now := digestOf(event), w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	until, known := w.known[key]
	if known && now.Before(until) {
		return false
	}
	w.known[key] = now.Add(keptFor)
	return true
}

// digestOf tells events apart by all that people read in them, and by the version of the object.
func digestOf(event *eventsv1.Event) digest {
	text, _ := json.Marshal([]any{event.Regarding, event.Related, event.Type, event.Reason, event.Action, event.Note}) // it can be marshalled
	sum := sha256.Sum256(text)
	return digest(sum[:len(digest{})])
}

func (w *Writer) forget() {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := map[digest]time.Time{} // a map does not shrink
	for key, until := range w.known {
		if now.Before(until) {
			kept[key] = until
		}
	}
	w.known = kept
}

// write writes events until ctx ends, and then those that wait, for a short time.
func (w *Writer) write(ctx context.Context) {
	var brokenOff *eventsv1.Event
	for ctx.Err() == nil {
		select {
		case event := <-w.queue:
			if !w.create(ctx, event) {
				brokenOff = event
			}
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if brokenOff != nil {
		w.create(last, brokenOff)
	}
	for {
		select {
		case event := <-w.queue:
			w.create(last, event)
		default:
			return
		}
	}
}

// create writes one event, and says whether it is done with it: it is not when ctx ended first. Where the API server does not
// answer it is tried again; what it refuses is not.
func (w *Writer) create(ctx context.Context, event *eventsv1.Event) (done bool) {
	for try := 1; ; try++ {
		_, err := w.sink.Create(ctx, event)
		var refused *apierrors.StatusError
		switch {
		case err == nil || apierrors.IsAlreadyExists(err): // it was carried out before, and not answered
			return true
		case errors.As(err, &refused):
			w.log.Error(err, "an event was refused", about(event)...)
			return true
		case try == maxTries:
			w.log.Error(err, "an event was not written: the API server does not answer", about(event)...)
			return true
		}
		w.log.V(1).Info("an event could not be written, and is tried again", append(about(event), "error", err.Error())...)
		again := w.clock.NewTimer(retryAfter)
		select {
		case <-again.C():
		case <-ctx.Done():
			again.Stop()
			return false
		}
	}
}

// about is an event in the log.
func about(event *eventsv1.Event) []any {
	return []any{"object", event.Regarding, "type", event.Type, "action", event.Action, "reason", event.Reason, "note", event.Note}
}
