package wire_test

import (
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/test/wire"
)

// What is carried out, and told, at each moment.
func TestMoments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		plan               wire.Plan
		done, told, killed bool
	}{
		{"no plan", nil, true, true, false},
		{"a later effect", wire.At(2, wire.After), true, true, false},
		{"before: nobody got it", wire.At(1, wire.Before), false, false, true},
		{"after: it is done, and the operator does not hear of it", wire.At(1, wire.After), true, false, true},
		{"every one", wire.Each(1), true, false, true},
		{"the first of two", wire.Each(2), true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kills, done := 0, false
			e := wire.NewEffects(func() error { kills++; return nil })
			e.Make(c.plan)
			told := e.Do("x", func() { done = true })
			if done != c.done || told != c.told || (kills == 1) != c.killed {
				t.Errorf("done %t, told %t, %d kills", done, told, kills)
			}
			if e.Count() != 1 || len(e.Names()) != 1 {
				t.Errorf("counted %d, named %v", e.Count(), e.Names())
			}
			if c.killed {
				if k := <-e.Deaths; k.N != 1 || k.Effect != "x" {
					t.Errorf("told of %+v", k)
				}
			}
		})
	}
}

// What a life has sent does not come through after its end.
func TestTheDeadDoNothing(t *testing.T) {
	t.Parallel()
	e := wire.NewEffects(func() error { return nil })
	e.Make(wire.At(1, wire.After))
	late := make(chan bool)
	first := e.Do("first", func() {
		go func() { late <- e.Do("late", func() { t.Error("an effect of the dead came through") }) }()
		// It is on its way when the first one ends: it waits for its turn.
		for !e.Waiting() {
			time.Sleep(time.Millisecond)
		}
	})
	if first || <-late {
		t.Error("something was told to the dead")
	}
	<-e.Deaths
	done := false
	if !e.Do("next life", func() { done = true }) || !done {
		t.Error("the next life cannot do anything")
	}
}
