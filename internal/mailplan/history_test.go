package mailplan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/mailplan"
)

// world is a primary, a secondary that is late, an operator that remembers what it wrote, and somebody else who writes,
// too.
type world struct {
	t       *testing.T
	rand    *rand.Rand
	now     time.Time
	primary []string
	late    []string
	foreign map[string]bool // by the other one, and not taken over
	facts   mailplan.Facts
	own     []string
	log     []string
}

var wishes = []string{`"v=spf1 mx -all"`, `"v=spf1 mx ~all"`, `"v=spf1 ip4:192.0.2.1 -all"`}

var others = []string{token, `"x"`, other, other2, `"v=spf1 mx -all"`, `"v=spf1 " "mx ~all"`}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: now, foreign: map[string]bool{}}
	w.facts = mailplan.Facts{Record: mailplan.SPF, Name: "example.com", Goal: mailplan.Keep, Want: wishes[:1], Validate: true}
	return w
}

func (w *world) say(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// disturb does one thing that nobody asked the operator about.
func (w *world) disturb() {
	switch w.rand.IntN(8) {
	case 0, 1:
		if d := others[w.rand.IntN(len(others))]; !slices.Contains(w.primary, d) {
			w.primary = append(w.primary, d)
			if !slices.Contains(w.own, d) { // what is exactly as we wrote it cannot be told from ours
				w.foreign[d] = true
			}
			w.say("somebody adds %s", d)
		}
	case 2:
		if n := len(w.primary); n > 0 {
			i := w.rand.IntN(n)
			w.say("somebody removes %s", w.primary[i])
			delete(w.foreign, w.primary[i])
			w.primary = slices.Delete(slices.Clone(w.primary), i, i+1)
		}
	case 3:
		n := w.rand.IntN(len(wishes))
		w.facts.Want, w.facts.Goal = wishes[n:n+1], mailplan.Keep
		w.say("wanted: %s", w.facts.Want)
	case 4:
		w.facts.Goal = mailplan.Remove
		w.say("to be removed")
	case 5:
		w.facts.Adopt = w.rand.IntN(4) == 0
		w.say("adopt: %t", w.facts.Adopt)
	case 6:
		w.late = slices.Clone(w.primary)
	case 7:
		w.facts.Suspended = w.rand.IntN(4) == 0
	}
}

// turn is one reconcile: a look, a decision, and what it asks for; crash has the operator end before it writes, and
// unsure has it not see how the update ended.
func (w *world) turn(crash, unsure bool) mailplan.Decision {
	w.now = w.now.Add(time.Minute)
	f := w.facts
	f.Now, f.Own = w.now, w.own
	f.Sweep = sweep(w.primary...)
	f.Sweep.End, f.Sweep.Answers[1].Data = w.now, w.late
	d := mailplan.Decide(f)
	w.own = d.Own
	w.say("%s: own %v, write %t %v", d.State, d.Own, d.Write, d.Records)
	if !d.Write || crash {
		return d
	}
	if w.rand.IntN(3) == 0 && len(w.log) < 100 {
		w.disturb() // between the look and the write
	}
	if !equal(w.primary, d.Expect) {
		w.say("a conflict")
		return d
	}
	w.check(d, f.Adopt)
	w.primary = slices.Clone(d.Records)
	if !unsure {
		w.facts.Stale = false
	}
	return d
}

// check wants what is somebody else's to be there afterwards.
func (w *world) check(d mailplan.Decision, adopt bool) {
	for _, r := range d.Expect {
		gone := !slices.Contains(d.Records, r)
		kind := r != token && r != `"x"`
		switch {
		case gone && w.foreign[r] && (!kind || !adopt):
			w.t.Fatalf("%s is somebody else's, and is gone\n%s", r, join(w.log))
		case gone:
			delete(w.foreign, r)
		case adopt && slices.Contains(d.Own, r):
			delete(w.foreign, r)
		}
	}
}

func join(lines []string) string {
	out := ""
	for _, l := range lines {
		out += l + "\n"
	}
	return out
}

// TestHistories: whatever happens, in whatever order, nothing of somebody else's is changed, and in the end all is as it
// should be and stays so.
func TestHistories(t *testing.T) {
	for seed := range uint64(1000) {
		w := newWorld(t, seed)
		for range 25 {
			w.disturb()
			w.turn(w.rand.IntN(4) == 0, w.rand.IntN(4) == 0)
			w.takenOver()
		}
		w.facts.Suspended = false
		w.say("quiet")
		var d mailplan.Decision
		for range 4 {
			w.late = slices.Clone(w.primary)
			w.log = append(w.log, make([]string, 100)...) // no more disturbance
			d = w.turn(false, false)
		}
		again := w.turn(false, false)
		if again.Write || !equal(again.Own, d.Own) {
			t.Fatalf("seed %d does not come to rest\n%s", seed, join(w.log))
		}
		w.end(seed, d)
	}
}

// takenOver notes what became the operator's by adopt.
func (w *world) takenOver() {
	if w.facts.Adopt {
		for _, d := range w.own {
			delete(w.foreign, d)
		}
	}
}

// end wants the wanted record to be the only one of the kind, or a conflict that there really is.
func (w *world) end(seed uint64, d mailplan.Decision) {
	var kind []string
	theirs := false
	for _, r := range w.primary {
		if r != token && r != `"x"` {
			kind = append(kind, r)
			theirs = theirs || w.foreign[r]
		}
	}
	ok := false
	switch d.State {
	case mailplan.Published:
		ok = len(kind) == 1 && (kind[0] == w.facts.Want[0] || kind[0] == `"v=spf1 " "mx ~all"` && w.facts.Want[0] == wishes[1])
	case mailplan.Conflict:
		ok = theirs && !w.facts.Adopt
	case mailplan.NotManaged:
		ok = w.facts.Goal == mailplan.Remove && d.Gone && len(d.Own) == 0
		for _, r := range kind {
			ok = ok && w.foreign[r]
		}
	}
	if !ok {
		w.t.Fatalf("seed %d ends as %s with %v (foreign %v, wanted %v)\n%s", seed, d.State, kind, w.foreign, w.facts.Want, join(w.log))
	}
}
