package main

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/sim/history"
)

// defaultHistories take about 40 seconds of one core.
const defaultHistories = 80

// seenAlways is what happens in the default histories: a kind of fault that came to nothing would go unnoticed.
var seenAlways = []string{
	"Secret deleted", "announced: DeadlineProceeded", "announced: Followed", "announced: GateBypassed", "approved past the gate", "changed for a while: edit-additional-records", "changed for a while: edit-deadline", "changed for a while: edit-dnssec", "changed for a while: edit-foreign-records", "changed for a while: edit-ports", "changed for a while: edit-probe-mode",
	"clock of another machine", "clock of the API server", "clock set back", "clock set forward", "change of strategy Gate to Stage", "change of strategy Stage to Gate", "deadline Hold", "deadline Proceed", "compromise taken back",
	"deletion, Remove", "deletion, Retain", "foreign record", "foreign record removed", "foreign records are to go for good", "host leaves", "host with two Certificates", "key compromised", "killed for ever", "made anew", "next key that does not fit", "our record removed", "parameter sets edited",
	"process of the older version", "records held by reports", "report of failures", "second MailDomain", "serving Secret deleted", "standby Secret deleted", "standby Secret restored", "standby key of type ECDSA", "standby key of type RSA",
	"status lost", "status restored", "strategy Follow", "strategy Gate", "strategy Stage", "suspended", "two leaders", "type of key changed",
	"update at a second port", "update ends: Applied", "update ends: Conflict",
}

// TestNoHistoryBreaksAPromise runs a fixed number of seeds; SIM_HISTORIES runs more.
func TestNoHistoryBreaksAPromise(t *testing.T) {
	o := options{histories: defaultHistories, workers: 2, most: 5, shrink: true}
	if text := os.Getenv("SIM_HISTORIES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		o.histories = n
	}
	var out bytes.Buffer
	sum, failed := o.run(&out)
	t.Log(out.String())
	for _, what := range seenAlways {
		if o.histories >= defaultHistories && failed == 0 && sum.Seen[what].Times == 0 {
			t.Errorf("not seen to happen: %s", what)
		}
	}
	if failed > 0 {
		t.Errorf("%d histories broke a promise", failed)
	}
}

// TestSameSeedSameHistory: a failing seed can be looked at again, line by line.
func TestSameSeedSameHistory(t *testing.T) {
	for _, seed := range []uint64{3, 11, 14} {
		p := options{seed: seed}.plan(0)
		first, again := history.Run(p, true), history.Run(p, true)
		if len(first.Lines) < 100 || first.Rollovers == 0 || first.Faults == 0 {
			t.Errorf("seed %d: little happens: %d lines, %d rollovers, %d faults", seed, len(first.Lines), first.Rollovers, first.Faults)
		}
		if len(again.Lines) != len(first.Lines) {
			t.Errorf("seed %d: %d lines, and then %d", seed, len(first.Lines), len(again.Lines))
		}
		for i := range first.Lines {
			if i >= len(again.Lines) || first.Lines[i] != again.Lines[i] {
				t.Errorf("seed %d: line %d differs:\n%s\n%s", seed, i, first.Lines[i], strings.Join(again.Lines[min(i, len(again.Lines)):min(i+1, len(again.Lines))], ""))
				break
			}
		}
	}
}

// TestPlanKeepsTheRest: what is left out of a plan changes nothing of the other faults.
func TestPlanKeepsTheRest(t *testing.T) {
	p := history.NewPlan(14, nil)
	kept := p.Keep([]int{1, 3})
	if want := []history.Fault{p.Faults[1], p.Faults[3]}; !slices.Equal(kept.Faults, want) {
		t.Errorf("%v, want %v", kept.Faults, want)
	}
}

// TestShrinkFindsTheLeast shrinks a history that fails by a break of the world itself: the operator is killed,
// and a person approves the next request past the gate. Only these two and the renewal matter.
func TestShrinkFindsTheLeast(t *testing.T) {
	broken, found := history.Result{}, false
	for seed := uint64(1); !found && seed < 20; seed++ {
		p := history.NewPlan(seed, []string{"-"})
		p.Faults = append([]history.Fault{{At: p.Faults[0].At - 1, Name: "bypass-untold", Number: 1000}}, p.Faults...)
		broken = history.Run(p, false)
		found = broken.Violation != nil
	}
	if !found {
		t.Fatal("a request that nobody gates breaks no promise: the oracle sees nothing")
	}
	least := history.Shrink(broken)
	if n := len(least.Plan.Faults); n > 3 || least.Violation == nil || least.Violation.Promise != broken.Violation.Promise {
		t.Errorf("%d faults are left, and %v: %v", n, least.Violation, least.Plan.Faults)
	}
}

// TestStatusLostWhileDeleting: a MailDomain whose status goes while it is being deleted holds the gate, and itself,
// until its records are out of DNS and of caches.
func TestStatusLostWhileDeleting(t *testing.T) {
	lost := 0
	for seed := uint64(1); seed <= 12; seed++ {
		p := options{seed: seed, only: []string{"-"}, wire: "none"}.plan(0)
		p.Faults = append(p.Faults, history.Fault{At: 15 * time.Minute, Name: "delete-domain", B: 1, Number: 1000}, history.Fault{At: 15*time.Minute + 2*time.Second, Name: "lose-status", Number: 1001})
		r := history.Run(p, false)
		lost += r.Seen["status lost during deletion"].Times
		if r.Violation != nil {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
	}
	if lost < 6 {
		t.Errorf("the status was lost %d times", lost)
	}
}

// TestKilledForEver: the operator is killed at any moment of a renewal, and never started again.
func TestKilledForEver(t *testing.T) {
	for seed := uint64(1); seed <= 24; seed++ {
		p := options{seed: seed, only: []string{"-"}, wire: "none"}.plan(0)
		renewed := p.Faults[0].At
		p.Faults = append(p.Faults, history.Fault{At: renewed + time.Duration(seed*seed)*time.Second, Name: "abandoned", Number: 1000}) //nolint:gosec // small
		slices.SortFunc(p.Faults, func(a, b history.Fault) int { return int(a.At - b.At) })
		r := history.Run(p, false)
		if r.Violation != nil || r.Seen["killed for ever"].Times != 1 {
			t.Errorf("seed %d: %v; killed %d times", seed, r.Violation, r.Seen["killed for ever"].Times)
		}
	}
}

// TestAnotherTypeOfKeyInARenewal: what cert-manager, or the operator, has set aside is of no use any more.
func TestAnotherTypeOfKeyInARenewal(t *testing.T) {
	unfit, standby := 0, 0
	for seed := uint64(1); seed <= 24; seed++ {
		p := options{seed: seed, only: []string{"-"}, wire: "none"}.plan(0)
		for n, minute := range []time.Duration{10, 130} {
			at := minute * time.Minute
			p.Faults = append(p.Faults, history.Fault{At: at, Name: "renew", Number: 1000 + 2*n}, history.Fault{At: at + time.Duration(seed)*time.Second, Name: "edit-key-type", Number: 1001 + 2*n}) //nolint:gosec // small
		}
		slices.SortStableFunc(p.Faults, func(a, b history.Fault) int { return int(a.At - b.At) })
		r := history.Run(p, false)
		unfit += r.Seen["next key that does not fit"].Times
		standby += r.Seen["standby key of type ECDSA"].Times
		if r.Violation != nil {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
	}
	if unfit < 6 || standby < 3 {
		t.Errorf("a next key did not fit %d times, a standby key was made anew %d times", unfit, standby)
	}
}
