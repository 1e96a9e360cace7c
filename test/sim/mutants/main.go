// Command mutants breaks the product in the ways that list.go names, one at a time, and says whether the
// simulator notices, or else the test that is named there. One that nothing notices is a hole in the tests; the
// command fails then. Nothing of the repository is changed: the compiler is told to read the broken file in place
// of the one that stands there.
//
//	go -C test run ./sim/mutants -histories 60
//	go -C test run ./sim/mutants -by tests -run "TTL|sweep"
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

func main() {
	histories := flag.Int("histories", 60, "how many histories each mutant runs")
	only := flag.String("run", "", "try the mutants alone whose name this regular expression finds")
	from := flag.Int("from", 1, "begin with the mutant of this number, to go on with a run that was broken off")
	by := flag.String("by", "both", "who is to notice: sim, tests, or both, the second if the first does not")
	root := flag.String("root", "..", "the repository")
	flag.Parse()
	survivors, err := tryAll(*root, *only, *from, judges{histories: *histories, sim: *by != "tests", tests: *by != "sim"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if survivors > 0 {
		os.Exit(1)
	}
}

func tryAll(root, only string, from int, by judges) (survivors int, err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "dane-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := by.unbroken(root, dir, slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !wanted.MatchString(m.name) })); err != nil {
		return 0, err
	}
	tried, start := 0, time.Now()
	bySim, broken := 0, 0
	for i, m := range mutants {
		if i+1 < from || !wanted.MatchString(m.name) {
			continue
		}
		tried++
		began := time.Now()
		v, err := by.try(root, dir, m)
		if err != nil {
			// The others are tried all the same.
			fmt.Printf("%2d %-48s       NOT TRIED: %v\n", i+1, m.name, err)
			broken++
			continue
		}
		if v.bySim {
			bySim++
		}
		if v.killer == "" {
			survivors++
			v.killer = "SURVIVED: " + m.why
		}
		fmt.Printf("%2d %-48s %3.0fs  %s\n", i+1, m.name, time.Since(began).Seconds(), v.killer)
	}
	fmt.Printf("%d mutants, %d killed (%d by the simulator), %d survived; took %s\n", tried, tried-survivors-broken, bySim, survivors, time.Since(start).Round(time.Second))
	if broken > 0 {
		return survivors, fmt.Errorf("%d mutants could not be tried", broken)
	}
	return survivors, nil
}
