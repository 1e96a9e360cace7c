package zone

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

func record(n int) tlsa.Record {
	return tlsa.Record{Parameters: tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, Data: fmt.Sprintf("%064x", n)}
}

func ownerName(n int) string { return fmt.Sprintf("_25._tcp.mx%d.%s", n, testZone) }

func testConfig(s *fakeServer) Config {
	return Config{
		Zone: testZone, Primary: s.addr, Protocol: TCP,
		TSIG:    &TSIG{Name: testKey, Algorithm: "HMACSHA256", Secret: testSecret},
		Anchors: []*dns.DS{s.ds()},
	}
}

// quick keeps the patience of tests short; it says nothing of how fast anything is.
func quick() Options {
	return Options{UpdateTimeout: 400 * time.Millisecond, QueryTimeout: 400 * time.Millisecond, ReadBackFor: 600 * time.Millisecond}
}

func startActor(t *testing.T, cfg Config, opts Options) *Actor {
	t.Helper()
	a := NewActor(cfg, opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a.Close(ctx)
	})
	return a
}

func publish(t *testing.T, a *Actor, c Change) Result {
	t.Helper()
	ch := make(chan Result, 1)
	a.Publish(c, func(r Result) { ch <- r })
	return wait(t, ch)
}

func sweepOf(t *testing.T, a *Actor, owner string) Sweep {
	t.Helper()
	ch := make(chan Sweep, 1)
	a.Sweep(owner, func(s Sweep) { ch <- s })
	return wait(t, ch)
}

func wait[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came back")
		panic("unreachable")
	}
}

func first(n int) Change {
	return Change{Owner: ownerName(n), Want: []tlsa.Record{record(n)}, TTL: time.Hour}
}

func TestPublishChangeRemove(t *testing.T) {
	s := newFakeServer(t).startTCP()
	a := startActor(t, testConfig(s), quick())
	one, two := record(1), record(2)
	steps := []struct {
		reason string
		change Change
		want   Class
		sent   int
	}{
		{"a first publication is an RRset where there was none", Change{Owner: ownerName(1), Want: []tlsa.Record{one}, TTL: time.Hour}, Applied, 1},
		{"what is there already needs no update", Change{Owner: ownerName(1), Want: []tlsa.Record{one}, TTL: time.Hour}, Unchanged, 1},
		{"a second record is added to what was expected", Change{Owner: ownerName(1), Expect: []tlsa.Record{one}, Want: []tlsa.Record{two, one}, TTL: time.Hour}, Applied, 2},
		{"another TTL alone is a change", Change{Owner: ownerName(1), Expect: []tlsa.Record{one, two}, Want: []tlsa.Record{one, two}, TTL: time.Minute}, Applied, 3},
		{"a stale expectation is refused and nothing is sent", Change{Owner: ownerName(1), Expect: []tlsa.Record{one}, Want: []tlsa.Record{two}, TTL: time.Minute}, Conflict, 3},
		{"removal is an update to nothing", Change{Owner: ownerName(1), Expect: []tlsa.Record{two, one}, TTL: time.Minute}, Applied, 4},
		{"what is gone need not be removed", Change{Owner: ownerName(1), TTL: time.Minute}, Unchanged, 4},
		{"an upper-case owner is the same owner", Change{Owner: strings.ToUpper(ownerName(1)), Want: []tlsa.Record{one}, TTL: time.Minute}, Applied, 5},
	}
	for _, step := range steps {
		got := publish(t, a, step.change)
		if got.Class != step.want || len(s.sent()) != step.sent {
			t.Fatalf("%s: got %s after %d updates (%s), want %s after %d", step.reason, got.Class, len(s.sent()), got.Message, step.want, step.sent)
		}
		if !got.CurrentKnown || got.At.IsZero() {
			t.Errorf("%s: what stands at the primary is not reported", step.reason)
		}
	}
}

func TestSweepSeesEveryServer(t *testing.T) {
	primary, secondary := newFakeServer(t).startTCP(), newFakeServer(t)
	secondary.dnskey, secondary.signer = primary.dnskey, primary.signer
	secondary.set(primary.dnskey)
	secondary.startTCP()
	cfg := testConfig(primary)
	cfg.Static = append(cfg.Static, secondary.addrPort())
	a := startActor(t, cfg, quick())
	if r := publish(t, a, first(1)); r.Class != Applied {
		t.Fatal(r.Message)
	}
	got := sweepOf(t, a, ownerName(1))
	if len(got.Answers) != 2 {
		t.Fatalf("want one answer a server, got %+v", got.Answers)
	}
	for _, answer := range got.Answers {
		if !answer.Reachable || !answer.Signed || answer.Message != "" {
			t.Errorf("%s: %+v", answer.Address, answer)
		}
		if isPrimary := answer.Address == primary.addr; answer.Primary != isPrimary {
			t.Errorf("%s: primary is %t", answer.Address, answer.Primary)
		} else if isPrimary != (len(answer.Records) == 1) {
			t.Errorf("%s: %v", answer.Address, answer.Records)
		}
	}
}
