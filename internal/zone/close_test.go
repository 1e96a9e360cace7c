package zone

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// offline dials nobody.
func offline(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }

// callUntil asks an actor for this and that until told to stop, and counts calls and answers.
func callUntil(a *Actor, stop *atomic.Bool, calls, answers, twice *atomic.Int64) {
	for i := 0; !stop.Load(); i++ {
		for calls.Load()-answers.Load() > 100 && !stop.Load() {
			runtime.Gosched()
		}
		var answered atomic.Int32
		said := func() {
			answers.Add(1)
			if answered.Add(1) > 1 {
				twice.Add(1)
			}
		}
		calls.Add(1)
		switch i % 4 {
		case 0:
			a.Publish(first(i), func(Result) { said() })
		case 1:
			a.Sweep(ownerName(i), func(Sweep) { said() })
		case 2:
			a.Check(func(Health) { said() })
		case 3:
			a.Addresses("mx."+testZone, func(Address) { said() })
		}
	}
}

// Whatever is asked for while the actor closes is answered, once.
func TestEveryCallDuringCloseIsAnsweredOnce(t *testing.T) {
	cfg := Config{Zone: testZone, Primary: "192.0.2.1:53"}
	for range 250 {
		a := NewActor(cfg, Options{Dial: offline})
		var stop atomic.Bool
		var calls, answers, twice atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() { callUntil(a, &stop, &calls, &answers, &twice) })
		}
		for calls.Load() < 20 {
			time.Sleep(10 * time.Microsecond)
		}
		for range 2 {
			callers.Go(func() {
				a.Close(context.Background())
				a.Configure(cfg)
				stop.Store(true)
			})
		}
		callers.Wait()
		for until := time.Now().Add(10 * time.Second); answers.Load() < calls.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%d calls, %d answers: somebody waits for ever", calls.Load(), answers.Load())
			}
		}
		if twice.Load() > 0 {
			t.Fatalf("%d calls were answered twice", twice.Load())
		}
	}
}

// What was posted between the end of the queue and the end of the actor finds a usable state.
func TestShutLeavesAUsableState(t *testing.T) {
	a := NewActor(Config{Zone: testZone}, Options{Dial: offline})
	s := &state{cfg: &Config{Zone: testZone}}
	a.shut(s)
	a.enqueue(s, first(1), func(Result) {})
	s.soon.add(ownerName(1), func(Sweep) {})
	if len(s.publishing.queue) != 1 || len(s.soon.order) != 1 {
		t.Errorf("%+v", s)
	}
	a.Close(context.Background())
}
