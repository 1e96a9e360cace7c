package e2e

import (
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/wire"
)

// The operator is killed at the effects that it has outside itself: each update that reached the primary, and
// each write to the API server. What it leaves is what a renewal without a crash leaves, and
// then it rests. Two of them at once come to the same.
func TestKilledAtEffects(t *testing.T) {
	withoutSharedOperator(t)
	for _, way := range strategies {
		if way.seldom && !thorough {
			continue
		}
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			crashes(newWatched(t, way))
		})
	}
	t.Run("two leaders", func(t *testing.T) {
		t.Parallel()
		twoLeaders(newWatched(t, strategies[0]))
	})
}

// life is how many effects the operator gets as far as. After a crash it may have to store what it has seen,
// and then what it is about to write, before it writes that: lives of fewer effects need not end.
const life = 3

// fewest is how many effects a renewal has at the least.
const fewest = 8

// crashes kills the operator over and over in a first publication and in a renewal: a crash in the middle of a
// recovery is tried so as well.
func crashes(w *watched) {
	w.begin(wire.Each(life))
	n := w.renewal(nil)
	w.remember()
	w.Logf("a renewal without a crash had %d effects", n)
	if n < fewest {
		w.Fatalf("a renewal had %d effects: they are not counted", n)
	}
	if w.renewal(wire.Each(life)) < life {
		w.Errorf("a renewal ended before the operator was killed")
	}
	w.endsAsWithout()
	w.rests()
	if thorough {
		w.eachPoint("crash points", n, points)
		w.eachPoint("pairs of crash points", n, pairs)
	}
	w.conclude()
}

// points are before an effect, and after it.
func points(k int) []wire.Plan {
	return []wire.Plan{wire.At(k, wire.Before), wire.At(k, wire.After)}
}

// pairs are an effect with the first of the next life, and with the second of it: what is done after a crash is not finished either.
func pairs(k int) []wire.Plan {
	return []wire.Plan{
		wire.Twice(k, 1, wire.After, wire.Before), wire.Twice(k, 1, wire.Before, wire.After),
		wire.Twice(k, 2, wire.After, wire.After), wire.Twice(k, 2, wire.Before, wire.Before),
	}
}

// eachPoint kills the operator in a renewal, by the plans for the effect of each number in turn, up to the last one. How
// many there are differs by a few: n is how many one renewal had, and what ends before is tried again, as long as
// others may have more.
func (w *watched) eachPoint(what string, n int, plans func(k int) []wire.Plan) {
	w.Helper()
	const again = 3
	tried := 0
	for k := 1; ; k++ {
		for i, plan := range plans(k) {
			short := 0
			for w.renewal(plan) < k {
				if short++; k > n || short > again {
					w.Logf("%d %s were tried, up to effect %d", tried, what, k-1)
					if k <= 2*n/3 {
						w.Errorf("no renewal had %d effects, where one had %d", k, n)
					}
					return
				}
			}
			tried++
			w.endsAsWithout()
			w.rests()
			if w.Failed() {
				w.Fatalf("%s: it was killed at effect %d (%d)", what, k, i+1)
			}
		}
	}
}

// twoLeaders has two operators at work that know nothing of each other, one of which then learns of nothing
// that happens for the length of a renewal, and of all of it at once afterwards. A lease keeps that off,
// and nothing may rest on it. A third one, whose clock is behind that of the API server, does nothing at all.
func twoLeaders(w *watched) {
	w.begin(nil)
	w.renewal(nil)
	w.remember()

	second, through, theirs := w.another("second", time.Hour, "ahead of the API server's")
	third, _, nothing := w.another("third", -time.Hour, "behind the API server's: nothing is decided")

	w.renewal(nil)
	w.endsAsWithout()
	through.HoldWatches(true)
	w.renewal(nil)
	w.endsAsWithout()
	through.HoldWatches(false)
	w.endsAsWithout()
	if !second.Running() {
		w.Errorf("the second operator has ended: %s", second.Tail(10))
	}
	if did := nothing.Names(); len(did) > 0 || !third.Running() {
		w.Errorf("the third operator, whose clock is behind, runs: %t; it did %v", third.Running(), did)
	}
	w.must(third.Kill())
	// As long as there are two, each puts its own look at the zone into the status of the DNSZone.
	w.must(second.Kill())
	w.endsAsWithout()
	w.rests()
	w.Logf("the second operator had %d effects", len(theirs.Names()))
	w.conclude()
}
