// Program publish measures how fast the operator's writer (zone.Actor) publishes many TLSA owners of
// one signed zone, against the bare limit of the same server: a tight loop of updates of 50 RRsets on
// one connection, written by hand. Both take turns, each with owners that are new to the zone, so that
// the zone grows for both alike.
//
// The writer does more for its time than the loop, and all of it is measured: it guards each owner by a
// prerequisite, and reads every RRset and TTL back. The loop believes NOERROR, which servers say to updates
// that they ignore. Before a change of an owner that no sweep has just seen the writer looks what stands
// there; the operator sweeps each owner before it decides what to publish, so this does too, before the time
// is taken. With -cold it does not, and the look is measured as well.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/hack/bench/harness"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// target is the least share of the bare limit that the writer should reach.
const target = 0.8

type options struct {
	server         string
	owners, rounds int
	threads        int
	cold           bool
	cpuProfile     string
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "BIND", "make of the primary: BIND, Knot or PowerDNS")
	flag.IntVar(&o.owners, "owners", 1000, "TLSA owners to publish in each turn, two records each")
	flag.IntVar(&o.rounds, "rounds", 3, "turns of each")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads that BIND works with; by itself it takes one for each processor")
	flag.BoolVar(&o.cold, "cold", false, "publish without a sweep before: the writer then looks at each owner first")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the writer's turns to this file")
	flag.Parse()
	server, err := harness.ParseMake(o.server)
	if err == nil {
		err = harness.Run("publish", func(t testing.TB) { run(t, server, o) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// bench is one server and the two that write to it.
type bench struct {
	t       testing.TB
	primary *servers.Primary
	actor   *zone.Actor
	o       options
	// retries of both, for want of a server that takes everything.
	retries int
}

func run(t testing.TB, server servers.Make, o options) {
	primary := servers.StartPrimary(t, server, servers.Options{Threads: o.threads, Caches: true})
	b := &bench{t: t, primary: primary, actor: harness.StartActor(t, primary, zone.Options{}), o: o}
	// The first messages find everything cold.
	b.bare("warm-bare", 2*zone.BatchSize)
	b.writer("warm-writer", 2*zone.BatchSize)
	if o.cpuProfile != "" {
		b.profile()
	}
	var bare, writer []time.Duration
	fmt.Printf("%s, one signed zone, %d owners a turn\n%6s %14s %14s %7s\n", server, o.owners, "round", "writer/s", "bare/s", "ratio")
	for i := range o.rounds {
		turns := []func(){
			func() { bare = append(bare, b.bare(fmt.Sprintf("bare-%d", i), o.owners)) },
			func() { writer = append(writer, b.writer(fmt.Sprintf("writer-%d", i), o.owners)) },
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			turn()
		}
		b.print(fmt.Sprint(i+1), o.owners, writer[i], bare[i])
	}
	b.print("all", o.owners*o.rounds, sum(writer), sum(bare))
	if b.retries > 0 {
		fmt.Printf("%d times the server failed at what it was asked, and was asked again\n", b.retries)
	}
	ratios := make([]float64, o.rounds)
	for i := range ratios {
		ratios[i] = bare[i].Seconds() / writer[i].Seconds()
	}
	slices.Sort(ratios)
	fmt.Printf("%6s %37.2f\n", "median", ratios[len(ratios)/2])
	if ratio := sum(bare).Seconds() / sum(writer).Seconds(); ratio < target {
		fmt.Printf("the target of %.1f is missed\n", target)
	}
}

func (b *bench) profile() {
	b.t.Helper()
	f, err := os.Create(b.o.cpuProfile)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bench) print(round string, owners int, writer, bare time.Duration) {
	fmt.Printf("%6s %14.0f %14.0f %7.2f\n", round, float64(owners)/writer.Seconds(), float64(owners)/bare.Seconds(), bare.Seconds()/writer.Seconds())
}

func sum(of []time.Duration) time.Duration {
	var out time.Duration
	for _, d := range of {
		out += d
	}
	return out
}

func (b *bench) names(turn string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("_25._tcp.mx%d-%s.%s", i, turn, b.primary.Zone)
	}
	return out
}

// bare publishes by the hand-written loop.
func (b *bench) bare(turn string, n int) time.Duration {
	owners, records := b.names(turn, n), harness.Records(turn)
	start := time.Now()
	loop, err := harness.DialBare(b.primary)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		b.retries += loop.Retries
		loop.Close()
	}()
	for batch := range slices.Chunk(owners, zone.BatchSize) {
		if err := loop.Update(batch, records, harness.TTL); err != nil {
			b.t.Fatal(err)
		}
	}
	return time.Since(start)
}

// writer publishes by the actor, until every result is there.
func (b *bench) writer(turn string, n int) time.Duration {
	owners, records := b.names(turn, n), harness.Records(turn)
	results, retry := make(chan zone.Result, n), make(chan string, n)
	if !b.o.cold {
		b.sweep(owners)
	}
	start := time.Now()
	publish := func(owner string) {
		b.actor.Publish(zone.Change{Owner: owner, Want: records, TTL: harness.TTL}, func(r zone.Result) {
			if r.Retryable {
				retry <- owner
				return
			}
			results <- r
		})
	}
	for _, owner := range owners {
		publish(owner)
	}
	for done := 0; done < n; {
		select {
		case r := <-results:
			if r.Class != zone.Applied && r.Class != zone.Unchanged {
				b.t.Fatalf("the writer ended with %s: %s", r.Class, r.Message)
			}
			done++
		case owner := <-retry:
			b.retries++
			publish(owner)
		}
	}
	return time.Since(start)
}

// sweep looks at the owners as the operator does before it decides.
func (b *bench) sweep(owners []string) {
	done := make(chan zone.Sweep, len(owners))
	for _, owner := range owners {
		b.actor.Sweep(owner, func(s zone.Sweep) { done <- s })
	}
	for range owners {
		for _, a := range (<-done).Answers {
			if !a.Signed {
				b.t.Fatalf("a sweep found: %s", a.Message)
			}
		}
	}
}
