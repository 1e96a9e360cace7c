package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
)

// api is an API server that answers each request with the next of these errors, and then with success.
type api struct {
	events.EventSink

	mu      sync.Mutex
	errors  []error
	asked   int
	created []*eventsv1.Event
	// away has requests wait for their end.
	away bool
}

func (a *api) Create(ctx context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.away {
		a.away = false
		a.mu.Unlock()
		<-ctx.Done()
		a.mu.Lock()
		return nil, ctx.Err()
	}
	if len(a.errors) > 0 {
		err := a.errors[0]
		a.errors = a.errors[1:]
		if err != nil {
			return nil, err
		}
	}
	a.created = append(a.created, event)
	return event, nil
}

func (a *api) notes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, e := range a.created {
		out = append(out, e.Note)
	}
	slices.Sort(out)
	return out
}

func (a *api) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

type bed struct {
	*testing.T
	*api
	*Writer
	clock *testclock.FakeClock
	// stop stops the writer, and waits for its end.
	stop func()
}

func start(t *testing.T, a *api) *bed {
	b := &bed{T: t, api: a, clock: testclock.NewFakeClock(time.Unix(1e9, 0))}
	var err error
	if b.Writer, err = New(a, b.clock, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Start(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// until waits for something that other goroutines do.
func (b *bed) until(what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("waited in vain until %s; written: %q", what, b.notes())
		}
	}
}

func (b *bed) untilWritten(want ...string) {
	b.Helper()
	b.until(fmt.Sprintf("%q is written", want), func() bool { return slices.Equal(b.notes(), want) })
}

// objectOf is an object in one of its versions.
func objectOf(version string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx1", UID: "0001", ResourceVersion: version}}
}

// say records an event as reconcilers do, and has it taken before the next.
func (b *bed) say(version, reason, note string) {
	event := &eventsv1.Event{Regarding: corev1.ObjectReference{Name: "mx1", ResourceVersion: version}, Type: corev1.EventTypeNormal, Reason: reason, Note: note}
	b.take(event)
}

// TestEventsAreWritten: what a recorder of the library is told arrives as it was said.
func TestEventsAreWritten(t *testing.T) {
	b := start(t, &api{})
	recorder := b.Recorder(scheme.Scheme, "dane-operator")
	related := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "other"}}
	recorder.Eventf(objectOf("1"), related, corev1.EventTypeNormal, "KeyDeployed", "Deploy", "key %s", "ab")
	b.untilWritten("key ab")
	got := b.created[0]
	if got.Namespace != "mail" || got.Reason != "KeyDeployed" || got.Action != "Deploy" || got.Type != corev1.EventTypeNormal ||
		got.Regarding.UID != "0001" || got.Related == nil || got.Related.Name != "other" || got.ReportingController != "dane-operator" {
		t.Errorf("the event is %+v", got)
	}
}

// TestWhatIsNews tells events apart.
func TestWhatIsNews(t *testing.T) {
	b := start(t, &api{})
	b.say("1", "KeyIsNext", "key 1")
	b.untilWritten("key 1")
	for _, row := range []struct {
		reason            string
		wait              time.Duration
		version, of, note string
		news              bool
	}{
		{"the same again", 0, "1", "KeyIsNext", "key 1", false},
		{"the same, shortly before it is forgotten", keptFor - time.Second, "1", "KeyIsNext", "key 1", false},
		{"of another host", 0, "1", "KeyIsNext", "key 2", true},
		{"for another reason", 0, "1", "KeyIsCurrent", "key 1", true},
		{"of a later version", 0, "2", "KeyIsNext", "key 1", true},
		{"long after", time.Second, "1", "KeyIsNext", "key 1", true},
	} {
		b.clock.Step(row.wait)
		before := len(b.notes())
		b.say(row.version, row.of, row.note)
		want := before
		if row.news {
			want++
		}
		b.until(row.reason, func() bool { return len(b.queue) == 0 && len(b.notes()) >= want })
		if got := len(b.notes()); got != want {
			t.Errorf("%s: %d events are written, want %d", row.reason, got, want)
		}
	}
}

// TestDigestsAreForgotten: those that count no more take no memory.
func TestDigestsAreForgotten(t *testing.T) {
	b := start(t, &api{})
	b.until("the ticker is there", b.clock.HasWaiters)
	b.say("1", "A", "old")
	b.clock.Step(keptFor / 2)
	b.say("1", "A", "new")
	known := func() int {
		b.Writer.mu.Lock()
		defer b.Writer.mu.Unlock()
		return len(b.known)
	}
	if known() != 2 {
		t.Fatalf("%d are known", known())
	}
	b.clock.Step(keptFor / 2)
	b.until("the older one is forgotten", func() bool { return known() == 1 })
}

// TestFailures: an API server that does not answer is asked again, and one that refuses is not.
func TestFailures(t *testing.T) {
	resource := schema.GroupResource{Group: "events.k8s.io", Resource: "events"}
	gone := errors.New("connection refused")
	var never []error
	for range maxTries {
		never = append(never, gone)
	}
	for _, row := range []struct {
		reason  string
		errors  []error
		asked   int
		written []string
	}{
		{"it is away for a moment", []error{gone, gone}, 3, []string{"one"}},
		{"it is away for longer than anybody waits", never, maxTries, nil},
		{"it refuses", []error{apierrors.NewForbidden(resource, "", nil)}, 1, nil},
		{"it did not answer the first time, but wrote it", []error{gone, apierrors.NewAlreadyExists(resource, "")}, 2, nil},
	} {
		b := start(t, &api{errors: row.errors})
		b.until("the ticker is there", b.clock.HasWaiters)
		b.say("1", "A", "one")
		for tried := 1; tried < row.asked; tried++ {
			b.until(row.reason, func() bool { return b.requests() == tried && b.clock.Waiters() == 2 })
			b.clock.Step(retryAfter)
		}
		b.until(row.reason, func() bool { return b.requests() == row.asked })
		b.stop()
		if got := b.notes(); b.requests() != row.asked || !slices.Equal(got, row.written) {
			t.Errorf("%s: %d requests, written %q; want %d, %q", row.reason, b.requests(), got, row.asked, row.written)
		}
	}
}

// TestTheEnd: what waits is written before the writer ends, and so is what was being written.
func TestTheEnd(t *testing.T) {
	b := start(t, &api{away: true})
	b.say("1", "A", "broken off")
	b.until("it is being written", func() bool { return b.requests() == 1 })
	b.say("1", "A", "waits")
	b.stop()
	if got, want := b.notes(), []string{"broken off", "waits"}; !slices.Equal(got, want) {
		t.Errorf("written %q, want %q", got, want)
	}
}

// BenchmarkKept takes how much memory an event takes after it was written, here and in the library.
func BenchmarkKept(b *testing.B) {
	const n = 20_000
	for _, row := range []struct {
		name     string
		recorder func(ctx context.Context, sink *count) events.EventRecorder
	}{
		{"here", func(ctx context.Context, sink *count) events.EventRecorder {
			w, err := New(sink, testclock.NewFakeClock(time.Unix(1e9, 0)), logr.Discard())
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = w.Start(ctx) }()
			return w.Recorder(scheme.Scheme, "dane-operator")
		}},
		{"library", func(ctx context.Context, sink *count) events.EventRecorder {
			all := events.NewBroadcaster(sink)
			if err := all.StartRecordingToSinkWithContext(ctx); err != nil {
				b.Fatal(err)
			}
			return all.NewRecorder(scheme.Scheme, "dane-operator")
		}},
	} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				sink := &count{}
				before, recorder := heap(), row.recorder(ctx, sink)
				for i := range n {
					object := objectOf(fmt.Sprint(i))
					object.Name = fmt.Sprintf("mx%d", i)
					recorder.Eventf(object, nil, corev1.EventTypeNormal, "KeyIsNext", "Roll", "%s.example.com: key 0123456789abcdef of Certificate %s is Next now", object.Name, object.Name)
					if i%100 == 99 {
						sink.await(i + 1)
					}
				}
				b.ReportMetric(float64(heap()-before)/n, "B/event")
				runtime.KeepAlive(recorder)
				cancel()
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// count is an API server that counts.
type count struct {
	events.EventSink
	mu sync.Mutex
	n  int
}

func (c *count) Create(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return event, nil
}

func (c *count) await(n int) {
	for {
		c.mu.Lock()
		got := c.n
		c.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
