package controllers

import (
	"crypto/x509"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// TestComparisonsAreTheNewest asks in every order for chains, sweeps and names: what is remembered of one question is
// never the answer to another.
func TestComparisonsAreTheNewest(t *testing.T) {
	one, two := chainOf(t, 1), chainOf(t, 2)
	shows := func(chains ...[]*x509.Certificate) *rollover.Sweep {
		s := &rollover.Sweep{}
		for i, c := range chains {
			records, err := tlsa.Associations(c, []tlsa.Parameters{{Usage: 3, Selector: 1, MatchingType: 1}})
			if err != nil {
				t.Fatal(err)
			}
			s.Answers = append(s.Answers, rollover.Answer{Address: string(rune('a' + i)), Reachable: true, Records: records})
		}
		return s
	}
	results := []probe.Result{{Chain: one, End: time.Unix(1, 0)}, {Chain: two, End: time.Unix(2, 0)}}
	sweeps := []*rollover.Sweep{shows(one), shows(one), shows(two), shows(one, two), shows()}
	names := [][]string{{"mx1.example.com", "example.com"}, {"mx2.example.com", "example.com"}}
	remembered, matched, not := &comparisons{}, 0, 0
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test
	for range 500 {
		place, sweep, name := random.IntN(len(results)), sweeps[random.IntN(len(sweeps))], names[random.IntN(len(names))]
		got, want := remembered.compare(place, results[place], sweep, name), (*comparisons)(nil).compare(place, results[place], sweep, name)
		if got.matched != want.matched || got.message != want.message {
			t.Fatalf("chain %d with %v: %t %q is remembered, and it is %t %q", place, sweep, got.matched, got.message, want.matched, want.message)
		}
		if want.matched {
			matched++
		} else {
			not++
		}
	}
	if matched < 50 || not < 50 {
		t.Errorf("%d matched and %d did not: the questions are too much alike", matched, not)
	}
}

// TestKeptProbesRememberComparisons: two looks at a host share what was compared, and a new round of probes begins anew.
func TestKeptProbesRememberComparisons(t *testing.T) {
	found := endpointProbe{results: []probe.Result{{Outcome: probe.Presented, Chain: chainOf(t, 1)}}}
	kept := found.kept()
	first, second, next := kept.parsed(), kept.parsed(), found.kept().parsed()
	if first.compared == nil || first.compared != second.compared {
		t.Error("two looks at one round of probes compare each for itself")
	}
	if next.compared == first.compared {
		t.Error("a new round of probes remembers what another one found")
	}
}
