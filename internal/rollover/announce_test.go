package rollover

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestWhatIsUnsafeIsAnnounced lets the user do what cannot be safe: follow, pass the gate, proceed past a
// deadline. Whenever a sender may then fail, the decision says so.
func TestWhatIsUnsafeIsAnnounced(t *testing.T) {
	announced := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		actions := w.actions()
		maps.Copy(actions, w.edits())
		for _, blinding := range []string{"foreign", "server", "lose status"} {
			delete(actions, blinding) // what is not known cannot be announced
		}
		actions[""] = func(*rapid.T) {}
		actions["edit strategy"] = func(t *rapid.T) {
			w.policy.Strategy = rapid.SampledFrom([]Strategy{Gate, Stage, Follow}).Draw(t, "strategy")
		}
		actions["proceed"] = func(*rapid.T) { w.policy.Proceed = !w.policy.Proceed }
		actions["bypass"] = func(*rapid.T) {
			w.renew()
			w.handOver()
			for i := range w.endpoints {
				w.load(i)
			}
		}
		actions["work"] = func(t *rapid.T) {
			w.sweep()
			w.probe(false)
			if w.mustBeAnnounced(t, w.step(lives)) {
				announced++
			}
		}
		t.Repeat(actions)
	})
	if announced == 0 {
		t.Error("no history was unsafe: nothing was tried")
	}
}

// mustBeAnnounced fails when a sender may fail now and the decision does not say so. It says whether one may.
func (w *world) mustBeAnnounced(t rapid.TB, d Decision) bool {
	problem := w.failing()
	if problem != "" && d.Unsafe == nil {
		t.Fatalf("a sender may fail and nothing is announced: %s", problem)
	}
	return problem != ""
}
