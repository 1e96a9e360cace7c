// Command sim runs simulated histories of the whole system (test/sim/history): many seeds, or one in full.
//
//	go -C test run ./sim -histories 10000
//	go -C test run ./sim -seed 17 -v
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/test/sim/history"
)

func main() {
	// The product's libraries have flags of their own, which are not for here.
	flag.CommandLine = flag.NewFlagSet("sim", flag.ExitOnError)
	o := options{}
	flag.Uint64Var(&o.seed, "seed", 0, "the seed of one history, or of the first of several")
	flag.IntVar(&o.histories, "histories", 1, "how many histories to run, with one seed after the other")
	flag.BoolVar(&o.verbose, "v", false, "print the timeline of each history")
	flag.BoolVar(&o.shrink, "shrink", true, "leave out of a failing history what it fails without")
	flag.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many histories run at a time")
	flag.IntVar(&o.most, "failures", 5, "how many failing seeds end the run")
	flag.StringVar(&o.wire, "wire", "some", "histories with the real zone actors and DNS messages: some (every fourth seed), all or none")
	profile := flag.String("cpuprofile", "", "a file for a CPU profile, for go tool pprof")
	only := flag.String("only", "", "families of faults to draw from: "+strings.Join(history.Families(), ", ")+"; - for none (default all)")
	flag.Func("keep", "the numbers of the faults and renewals that are left in, as the timeline has them", func(text string) error {
		for number := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(number)
			if err != nil {
				return err
			}
			o.keep = append(o.keep, n)
		}
		return nil
	})
	_ = flag.CommandLine.Parse(os.Args[1:]) // ends the program when it fails
	if !slices.Contains([]string{"some", "all", "none"}, o.wire) {
		fmt.Fprintf(os.Stderr, "sim: -wire %q: it is some, all or none\n", o.wire)
		os.Exit(2)
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
		if err := o.checkOnly(); err != nil {
			fmt.Fprintln(os.Stderr, "sim: "+err.Error())
			os.Exit(2)
		}
	}
	if err := o.checkKeep(); err != nil {
		fmt.Fprintln(os.Stderr, "sim: "+err.Error())
		os.Exit(2)
	}
	stop, err := startProfile(*profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim: "+err.Error())
		os.Exit(2)
	}
	start := time.Now()
	_, failed := o.run(os.Stdout)
	stop()
	fmt.Printf("took %s\n", time.Since(start).Round(time.Millisecond))
	if failed > 0 {
		os.Exit(1)
	}
}

// startProfile begins a CPU profile, if a file is named for it, and returns what ends it.
func startProfile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name) //nolint:gosec // named by the user
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}
