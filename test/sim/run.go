package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dane-operator/dane-operator/test/sim/history"
)

// options say what to run.
type options struct {
	seed            uint64
	histories       int
	verbose, shrink bool
	workers, most   int
	only            []string
	// wire says which histories have the real zone actors: all, none, or every fourth seed.
	wire string
	// keep are the numbers of the faults of each history that are left in; nil leaves all.
	keep []int
}

// run runs histories side by side, each by one worker, and reports in the order of their seeds. It returns
// what they have counted, and how many failed.
func (o options) run(out io.Writer) (sum history.Result, failed int) {
	// A history is short and makes much garbage, and little of it lives at a time: what is allocated here is never touched,
	// and takes no memory, but has the collector come when there are hundreds of megabytes to collect.
	debug.SetGCPercent(400)
	idle := make([]byte, 64<<20)
	defer runtime.KeepAlive(&idle[0])
	results := make([]chan history.Result, o.histories)
	seeds := make(chan int)
	for i := range results {
		results[i] = make(chan history.Result, 1)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range max(o.workers, 1) {
		wg.Go(func() {
			for i := range seeds {
				results[i] <- history.Run(o.plan(i), o.verbose)
			}
		})
	}
	go func() {
		defer close(seeds)
		for i := range results {
			select {
			case seeds <- i:
			case <-stop:
				return
			}
		}
	}()
	start := time.Now()
	ran := 0
	for i := range results {
		r := <-results[i]
		results[i] = nil
		ran++
		sum.Add(r)
		if o.verbose {
			fmt.Fprintln(out, strings.Join(r.Lines, "\n"))
		}
		if r.Violation != nil {
			failed++
			o.report(out, r)
		}
		if failed >= max(o.most, 1) {
			break
		}
	}
	close(stop)
	took := time.Since(start)
	fmt.Fprintf(out, "%s, %d failed: %d renewals (%.0f a second), %d faults, %d checks, %d announced dangers, %d reconciles, %d sweeps, %d updates, %d API writes\n",
		counted(ran), failed, sum.Rollovers, float64(sum.Rollovers)/took.Seconds(), sum.Faults, sum.Checks, sum.Risked, sum.Reconciles, sum.Sweeps, sum.Updates, sum.Writes)
	printSeen(out, sum.Seen)
	wg.Wait()
	return sum, failed
}

// printSeen says how often each thing happened, and in how many histories.
func printSeen(out io.Writer, seen map[string]history.Sighting) {
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(out, "  %-44s %6d times in %d histories\n", what, seen[what].Times, seen[what].Histories)
	}
}

func counted(histories int) string {
	if histories == 1 {
		return "1 history"
	}
	return fmt.Sprintf("%d histories", histories)
}

func (o options) plan(i int) history.Plan {
	p := history.NewPlan(o.seed+uint64(i), o.only) //nolint:gosec // positive
	p.Wire = o.wire == "all" || o.wire != "none" && p.Seed%4 == 3
	if o.keep != nil {
		return p.Keep(o.keep)
	}
	return p
}

// report tells of a failing history, and of the least that it fails with.
func (o options) report(out io.Writer, r history.Result) {
	command := fmt.Sprintf("go -C test run ./sim -seed %d -v", r.Plan.Seed)
	if o.wire == "all" || o.wire == "none" {
		command += " -wire " + o.wire
	}
	if o.only != nil {
		command += " -only " + strings.Join(o.only, ",")
	}
	fmt.Fprintf(out, "FAILED seed %d: %s\n  again with: %s\n", r.Plan.Seed, r.Violation, command)
	if !o.shrink {
		return
	}
	least := history.Shrink(r)
	fmt.Fprintf(out, "  the least that fails: %s\n", least.Violation)
	var numbers []string
	for _, f := range least.Plan.Faults {
		fmt.Fprintf(out, "    %s\n", f)
		numbers = append(numbers, strconv.Itoa(f.Number))
	}
	fmt.Fprintf(out, "  with: %s -keep %s\n", command, strings.Join(numbers, ","))
}

// checkOnly says which family of faults there is not.
func (o options) checkOnly() error {
	for _, family := range o.only {
		if family != "-" && !slices.Contains(history.Families(), family) {
			return fmt.Errorf("-only %q: the families are %s, and - for none", family, strings.Join(history.Families(), ", "))
		}
	}
	return nil
}

// checkKeep says which number the first history does not have.
func (o options) checkKeep() error {
	whole := o
	whole.keep = nil
	plan := whole.plan(0)
	for _, number := range o.keep {
		if !slices.ContainsFunc(plan.Faults, func(f history.Fault) bool { return f.Number == number }) {
			return fmt.Errorf("-keep %d: the history of seed %d has no fault and no renewal of that number", number, o.seed)
		}
	}
	return nil
}
