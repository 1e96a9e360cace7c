package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// tally counts what the judging sender found in one act. What comes before and after the acts has no
// name.
type tally struct {
	act string
	// checks are comparisons of a key that the server presented with an answer that a cache may hold.
	checks, mismatches int
	// verified and unreachable are connections made while a cache may hold an answer: those whose key
	// matched every one, and those that came to nothing.
	verified, unreachable int
}

// total adds the acts up.
func total(found []tally) tally {
	var sum tally
	for _, a := range found {
		sum.checks += a.checks
		sum.mismatches += a.mismatches
		sum.verified += a.verified
		sum.unreachable += a.unreachable
	}
	return sum
}

// verdict says why the demo has failed; nil when it has not. A server that cannot be reached harms no
// check, and so an act proves nothing unless its connections came about for the most part.
func verdict(found []tally) error {
	sum := total(found)
	switch {
	case sum.checks == 0:
		return errors.New("the sender could check nothing")
	case sum.mismatches > 0:
		return errors.New("the sender met a key that some cached answer does not match")
	}
	for _, a := range found {
		if a.act != "" && a.verified <= a.unreachable {
			return fmt.Errorf("%s: the sender verified the server %d times and could not reach it %d times, which proves nothing",
				a.act, a.verified, a.unreachable)
		}
	}
	return nil
}

// finish writes what was found, in the line that everybody looks at, and returns the verdict.
func finish(out io.Writer, found []tally) error {
	sum := total(found)
	fmt.Fprintln(out)
	if sum.unreachable > 0 {
		fmt.Fprintf(out, "%d times the sender had records and could not reach the server, which tells nothing of the records\n", sum.unreachable)
	}
	fmt.Fprintf(out, "%d sender checks, %d mismatches\n", sum.checks, sum.mismatches)
	return verdict(found)
}

// exitCode tells of an error, and is what the demo ends with.
func exitCode(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "demo: "+err.Error())
	return 1
}

// actName is the title of an act without what it is about.
func actName(step string) string {
	name, _, _ := strings.Cut(step, ":")
	return name
}
