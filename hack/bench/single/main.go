// Program single measures one change on an idle system: the time from the call of zone.Actor.Publish
// until its result, which says that the primary shows exactly the wanted RRset, against one update and
// one read-back written by hand, on one connection opened for the two. Both take turns on one server.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/hack/bench/harness"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// target is the most that a change may take, as a multiple of the bare one.
const target = 2.0

func main() {
	name := flag.String("server", "BIND", "make of the primary: BIND, Knot or PowerDNS")
	changes := flag.Int("changes", 200, "changes by each")
	flag.Parse()
	server, err := harness.ParseMake(*name)
	if err == nil {
		err = harness.Run("single", func(t testing.TB) { run(t, server, *changes) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "single:", err)
		os.Exit(1)
	}
}

func run(t testing.TB, server servers.Make, changes int) {
	primary := servers.StartPrimary(t, server, servers.Options{Caches: true, Threads: runtime.NumCPU()})
	actor := harness.StartActor(t, primary, zone.Options{})
	const warm = 10
	var bare, writer []time.Duration
	for i := range warm + changes {
		turns := []func(){
			func() { bare = append(bare, byHand(t, primary, fmt.Sprintf("_25._tcp.bare%d.%s", i, primary.Zone))) },
			func() {
				writer = append(writer, byActor(t, actor, fmt.Sprintf("_25._tcp.writer%d.%s", i, primary.Zone)))
			},
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			turn()
		}
	}
	bare, writer = bare[warm:], writer[warm:]
	fmt.Printf("%s, one signed zone, %d changes each\n%8s %12s %12s %7s\n", server, changes, "", "writer", "bare", "ratio")
	for _, q := range []struct {
		name string
		at   float64
	}{{"median", 0.5}, {"p99", 0.99}} {
		w, b := quantile(writer, q.at), quantile(bare, q.at)
		fmt.Printf("%8s %12s %12s %7.2f\n", q.name, w.Round(time.Microsecond), b.Round(time.Microsecond), w.Seconds()/b.Seconds())
	}
	if quantile(writer, 0.5).Seconds() > target*quantile(bare, 0.5).Seconds() {
		fmt.Printf("the target of %.0fx is missed\n", target)
	}
}

func quantile(of []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// byHand writes one owner and reads it back.
func byHand(t testing.TB, p *servers.Primary, owner string) time.Duration {
	records := harness.Records(owner)
	start := time.Now()
	b, err := harness.DialBare(p)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Update([]string{owner}, records, harness.TTL); err != nil {
		t.Fatal(err)
	}
	if n, err := b.ReadBack(owner); err != nil || n != len(records) {
		t.Fatalf("read back %s: %d records, %v", owner, n, err)
	}
	return time.Since(start)
}

// byActor publishes one owner and waits for the result.
func byActor(t testing.TB, a *zone.Actor, owner string) time.Duration {
	result := make(chan zone.Result, 1)
	start := time.Now()
	a.Publish(zone.Change{Owner: owner, Want: harness.Records(owner), TTL: harness.TTL}, func(r zone.Result) { result <- r })
	r := <-result
	took := time.Since(start)
	if r.Class != zone.Applied {
		t.Fatalf("the writer ended with %s: %s", r.Class, r.Message)
	}
	return took
}
