package zone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// publishAll queues changes together, so that they go in full batches, and gathers the results.
func publishAll(t *testing.T, cfg Config, changes []Change) map[string]Result {
	t.Helper()
	a := startActor(t, cfg, quick())
	var mu sync.Mutex
	out := map[string]Result{}
	var wg sync.WaitGroup
	wg.Add(len(changes))
	// The actor cannot begin before everything is queued.
	hold, held := make(chan struct{}), make(chan struct{})
	a.post(func(*state) { close(held); <-hold })
	<-held
	for _, c := range changes {
		a.Publish(c, func(r Result) {
			mu.Lock()
			defer mu.Unlock()
			out[c.Owner] = r
			wg.Done()
		})
	}
	close(hold)
	wg.Wait()
	return out
}

func manyChanges(n int) []Change {
	out := make([]Change, n)
	for i := range out {
		out[i] = first(i)
	}
	return out
}

func rrsetsIn(m *dns.Msg) int {
	n := 0
	for _, rr := range m.Ns {
		if rr.Header().Class == dns.ClassANY {
			n++
		}
	}
	return n
}

func TestBatches(t *testing.T) {
	s := newFakeServer(t).startTCP()
	for owner, r := range publishAll(t, testConfig(s), manyChanges(120)) {
		if r.Class != Applied {
			t.Errorf("%s: %s %s", owner, r.Class, r.Message)
		}
	}
	var sizes []int
	for _, m := range s.sent() {
		sizes = append(sizes, rrsetsIn(m))
	}
	if !slices.Equal(sizes, []int{50, 50, 20}) {
		t.Errorf("120 owners went in messages of %v RRsets", sizes)
	}
	if s.most.Load() != 1 {
		t.Errorf("%d messages were in flight at once", s.most.Load())
	}
}

func TestBadMembersFailAlone(t *testing.T) {
	bad := map[string]bool{ownerName(3): true, ownerName(31): true, ownerName(49): true}
	cases := []struct {
		reason string
		server func(*fakeServer)
		want   Class
	}{
		{"REFUSED for the message is for its bad members alone", func(s *fakeServer) {
			s.refuse = func(owner string) int { return codeIf(bad[owner], dns.RcodeRefused) }
		}, NotPermitted},
		{"NOTZONE likewise", func(s *fakeServer) {
			s.refuse = func(owner string) int { return codeIf(bad[owner], dns.RcodeNotZone) }
		}, NotInZone},
		{"FORMERR likewise", func(s *fakeServer) {
			s.refuse = func(owner string) int { return codeIf(bad[owner], dns.RcodeFormatError) }
		}, Malformed},
		{"SERVFAIL likewise: Knot fails what goes with a bad update", func(s *fakeServer) {
			s.refuse = func(owner string) int { return codeIf(bad[owner], dns.RcodeServerFailure) }
		}, ServerFailure},
		{"BADKEY likewise: Knot says so when an ACL does not match one owner", func(s *fakeServer) {
			s.misbehave = func(m *dns.Msg) fault {
				for _, rr := range m.Ns {
					if m.Opcode == dns.OpcodeUpdate && bad[rr.Header().Name] {
						return replyBadKey
					}
				}
				return behave
			}
		}, BadKeyOrACL},
		{"a prerequisite that fails does not say which", func(s *fakeServer) {
			var once sync.Once
			s.misbehave = func(m *dns.Msg) fault {
				if m.Opcode == dns.OpcodeUpdate {
					once.Do(func() {
						for owner := range bad {
							s.set(rrs(owner, []tlsa.Record{record(999)}, time.Hour)...)
						}
					})
				}
				return behave
			}
		}, Conflict},
		{"a prerequisite that fails although the records look right is found by halving", func(s *fakeServer) {
			s.refuse = func(owner string) int { return codeIf(bad[owner], dns.RcodeYXRrset) }
		}, Conflict},
		{"aliases are left out before anything is sent", func(s *fakeServer) {
			for owner := range bad {
				s.rr(owner + " 60 CNAME other." + testZone)
			}
		}, OwnerIsAlias},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			c.server(s)
			s.startTCP()
			for owner, r := range publishAll(t, testConfig(s), manyChanges(50)) {
				want := Applied
				if bad[owner] {
					want = c.want
				}
				if r.Class != want {
					t.Errorf("%s: %s %s, want %s", owner, r.Class, r.Message, want)
				}
				if bad[owner] && !strings.Contains(r.Message, owner) {
					t.Errorf("%s is not named: %s", owner, r.Message)
				}
			}
			if n := len(s.sent()); n > 40 {
				t.Errorf("%d messages for 50 owners with 3 bad ones", n)
			}
		})
	}
}

// With many bad members there are more messages to send than halving is given.
func TestManyBadMembersFailAlone(t *testing.T) {
	bad := map[string]bool{}
	for i := 0; i < 50; i += 2 {
		bad[ownerName(i)] = true
	}
	for reason, code := range map[string]int{"REFUSED": dns.RcodeRefused, "SERVFAIL": dns.RcodeServerFailure, "YXRRSET": dns.RcodeYXRrset} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			s.refuse = func(owner string) int { return codeIf(bad[owner], code) }
			s.startTCP()
			for owner, r := range publishAll(t, testConfig(s), manyChanges(50)) {
				if bad[owner] != (r.Class != Applied) || bad[owner] && !strings.Contains(r.Message, owner) {
					t.Errorf("%s, which is refused %t: %s %s", owner, bad[owner], r.Class, r.Message)
				}
			}
			if n := len(s.sent()); n > maxSplits+BatchSize {
				t.Errorf("%d messages for 50 owners", n)
			}
		})
	}
}

// A server that falls silent while one member after the other is tried costs one timeout, not fifty.
func TestSilenceEndsTheSearchForBadMembers(t *testing.T) {
	s := newFakeServer(t)
	updates := 0
	s.misbehave = func(m *dns.Msg) fault {
		if m.Opcode != dns.OpcodeUpdate {
			return behave
		}
		if updates++; updates > 3 {
			return noReply
		}
		return replyServfail
	}
	s.startTCP()
	for owner, r := range publishAll(t, testConfig(s), manyChanges(50)) {
		if r.Class != Unreachable && r.Class != ServerFailure || !r.Retryable || r.Message == "" {
			t.Errorf("%s: %+v", owner, r)
		}
	}
	if n := len(s.sent()); n != 4 {
		t.Errorf("%d messages, the fourth of which nobody answered", n)
	}
}

func codeIf(yes bool, code int) int {
	if yes {
		return code
	}
	return 0
}

func TestServerThatRefusesEverythingIsNotFlooded(t *testing.T) {
	s := newFakeServer(t)
	s.misbehave = always(replyRefused)
	s.startTCP()
	for owner, r := range publishAll(t, testConfig(s), manyChanges(50)) {
		if r.Class != NotPermitted {
			t.Errorf("%s: %s", owner, r.Class)
		}
	}
	if n := len(s.sent()); n > maxSplits+BatchSize {
		t.Errorf("%d messages", n)
	}
}

func TestGroupCommit(t *testing.T) {
	s := newFakeServer(t)
	s.gate = make(chan struct{})
	s.startTCP()
	opts := quick()
	opts.UpdateTimeout = 20 * time.Second
	a := startActor(t, testConfig(s), opts)
	results := make(chan Result, 31)
	a.Publish(first(0), func(r Result) { results <- r })
	for s.inFlight.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	// The first message is in flight and held by the server: the next thirty gather.
	for i := 1; i <= 30; i++ {
		a.Publish(first(i), func(r Result) { results <- r })
	}
	awaitReady(t, a, s, 30)
	close(s.gate)
	for range 31 {
		if r := wait(t, results); r.Class != Applied {
			t.Fatalf("%s: %s", r.Class, r.Message)
		}
	}
	sent := s.sent()
	if len(sent) != 2 || rrsetsIn(sent[1]) != 30 || s.most.Load() != 1 {
		t.Errorf("%d messages, the last of %d RRsets, %d at once", len(sent), rrsetsIn(sent[len(sent)-1]), s.most.Load())
	}
}

// awaitReady waits until the owners of so many changes have been looked at, while one message is in flight.
func awaitReady(t *testing.T, a *Actor, server *fakeServer, want int) {
	t.Helper()
	for ready := 0; ready != want; {
		is := make(chan int)
		a.post(func(s *state) { is <- len(s.publishing.ready) })
		if ready = <-is; server.inFlight.Load() != 1 {
			t.Fatalf("%d messages are in flight", server.inFlight.Load())
		}
	}
}

// While a message is in flight the owners of the next are looked at, and nothing more is sent.
func TestNextMessageIsReadyAndWaits(t *testing.T) {
	s := newFakeServer(t)
	s.gate = make(chan struct{})
	s.startTCP()
	opts := quick()
	opts.UpdateTimeout = 20 * time.Second
	a := startActor(t, testConfig(s), opts)
	results := make(chan Result, 2)
	for i := range 2 {
		a.Publish(first(i), func(r Result) { results <- r })
		for s.inFlight.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	awaitReady(t, a, s, 1)
	close(s.gate)
	for range 2 {
		if r := wait(t, results); r.Class != Applied {
			t.Errorf("%s: %s", r.Class, r.Message)
		}
	}
	if n := s.most.Load(); n != 1 || len(s.sent()) != 2 {
		t.Errorf("%d of %d messages at once", n, len(s.sent()))
	}
}

func TestQueuedChangeIsReplaced(t *testing.T) {
	cases := []struct {
		reason string
		later  Change
		want   Class
	}{
		{"an equal change shares the message and the result", first(1), Applied},
		{"another change takes the place of the earlier", Change{Owner: ownerName(1), Want: []tlsa.Record{record(5)}, TTL: time.Hour}, Conflict},
	}
	for _, c := range cases {
		s := newFakeServer(t)
		s.gate = make(chan struct{})
		s.startTCP()
		opts := quick()
		opts.UpdateTimeout = 20 * time.Second
		a := startActor(t, testConfig(s), opts)
		a.Publish(first(0), func(Result) {})
		for s.inFlight.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		earlier, later := make(chan Result, 2), make(chan Result, 2)
		a.Publish(first(1), func(r Result) { earlier <- r })
		a.Publish(c.later, func(r Result) { later <- r })
		close(s.gate)
		if got := wait(t, earlier); got.Class != c.want {
			t.Errorf("%s: the earlier ended with %s", c.reason, got.Class)
		}
		if got := wait(t, later); got.Class != Applied || len(s.sent()) != 2 {
			t.Errorf("%s: the later ended with %s after %d messages", c.reason, got.Class, len(s.sent()))
		}
		if got := records(s.get(ownerName(1), dns.TypeTLSA)); !slices.Equal(got, c.later.Want) {
			t.Errorf("%s: %v stands there", c.reason, got)
		}
	}
}

func TestClose(t *testing.T) {
	s := newFakeServer(t)
	s.gate = make(chan struct{})
	s.startTCP()
	opts := quick()
	opts.UpdateTimeout = 20 * time.Second
	a := NewActor(testConfig(s), opts)
	inFlight, queued := make(chan Result, 1), make(chan Result, 1)
	a.Publish(first(0), func(r Result) { inFlight <- r })
	for s.inFlight.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	a.Publish(first(1), func(r Result) { queued <- r })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		a.Close(context.Background())
	}()
	if r := wait(t, queued); r.Class != Unreachable || !r.Retryable {
		t.Errorf("what was queued ended with %s", r.Class)
	}
	close(s.gate)
	if r := wait(t, inFlight); r.Class != Applied {
		t.Errorf("the message in flight was not waited for: %s %s", r.Class, r.Message)
	}
	<-closed
	late := make(chan string, 4)
	a.Publish(first(2), func(r Result) { late <- string(r.Class) })
	a.Sweep(ownerName(2), func(s Sweep) { late <- fmt.Sprint(s.Answers[0].Reachable) })
	a.Addresses("mx."+testZone, func(Address) { late <- "addresses" })
	a.Check(func(Health) { late <- "check" })
	for range 4 {
		wait(t, late)
	}
	a.Close(context.Background())
}

func TestCloseGivesUpWhenTold(t *testing.T) {
	s := newFakeServer(t)
	s.gate = make(chan struct{})
	s.startTCP()
	opts := quick()
	opts.UpdateTimeout = time.Hour
	a := NewActor(testConfig(s), opts)
	result := make(chan Result, 1)
	a.Publish(first(0), func(r Result) { result <- r })
	for s.inFlight.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.Close(ctx)
	if r := wait(t, result); r.Class != Unreachable {
		t.Errorf("got %s: %s", r.Class, r.Message)
	}
	close(s.gate)
}
