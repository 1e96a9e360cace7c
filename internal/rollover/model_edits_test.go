package rollover

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// elsewherePrefix begins the names of keys that live elsewhere.
const elsewherePrefix = "ee"

func (w *world) keyElsewhere() string {
	w.keys++
	return fmt.Sprintf(elsewherePrefix+"%062x", w.keys)
}

// drawSets draws some parameter sets, at least one of usage 3, which Gate needs.
func drawSets(t *rapid.T, label string) []tlsa.Parameters {
	return rapid.SampledFrom([][]tlsa.Parameters{
		{p311}, {p312}, {p311, p312}, {p311, p211}, {p312, p211}, {p311, p312, p211},
	}).Draw(t, label)
}

// edits are what a user may do to the spec, at any time.
func (w *world) edits() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"edit parameters": func(t *rapid.T) { w.policy.Parameters = drawSets(t, "sets") },
		"edit safety": func(t *rapid.T) {
			w.policy.PublishSafety = time.Duration(rapid.IntRange(0, 60).Draw(t, "publishSafety")) * time.Second
			w.policy.RetireSafety = time.Duration(rapid.IntRange(0, 60).Draw(t, "retireSafety")) * time.Second
			w.policy.Sweeps = rapid.IntRange(1, 3).Draw(t, "sweeps")
		},
		"edit strategy": func(*rapid.T) {
			if w.policy.Strategy == Gate {
				w.policy.Strategy = Stage
			} else {
				w.policy.Strategy = Gate
			}
		},
		"edit suspend":    func(*rapid.T) { w.policy.Suspended = !w.policy.Suspended },
		"edit additional": func(t *rapid.T) { w.editAdditional(t) },
		"edit compromised": func(t *rapid.T) {
			key := rapid.SampledFrom([]string{w.secret, w.requested, w.standby}).Draw(t, "key")
			if w.policy.Compromised[key] {
				delete(w.policy.Compromised, key)
			} else if key != "" {
				w.policy.Compromised[key] = true
			}
		},
	}
}

// editAdditional lists the records of a key that lives elsewhere, or takes it out: it is presented from
// then on, and no longer.
func (w *world) editAdditional(t *rapid.T) {
	if len(w.policy.Additional) > 0 {
		for _, r := range w.policy.Additional {
			delete(w.others, keyOf(r))
		}
		w.policy.Additional = nil
		return
	}
	key, sets := w.keyElsewhere(), drawSets(t, "additional")
	if w.takenForAnother(sets) {
		return
	}
	w.policy.Additional = recordsOfKey(key, sets)
	if w.wellCovered(sets) {
		w.others[key] = true
	}
}

// takenForAnother says whether a SHA-512 of one key that lives elsewhere would be taken for that of another one, which has SHA-256
// alone: the digests do not tell. The model keeps away from that (docs/reliability.md, open points).
func (w *world) takenForAnother(sets []tlsa.Parameters) bool {
	return slices.Contains(sets, p312) && !slices.Contains(sets, p311) && len(w.foreign)+len(w.others) > 0
}

// wellCovered says whether records of these sets help senders where the owners stand as they do: no SHA-512
// stands there without one among them. Otherwise who added them broke them.
func (w *world) wellCovered(sets []tlsa.Parameters) bool {
	if slices.Contains(sets, p312) || !slices.Contains(sets, p311) {
		return slices.Contains(sets, p312)
	}
	for _, s := range w.servers {
		for _, a := range s.serves {
			if hasSHA512(a) {
				return false
			}
		}
		for _, a := range s.pending {
			if hasSHA512(a.answerSet) {
				return false
			}
		}
	}
	return true
}

func hasSHA512(a answerSet) bool {
	return slices.ContainsFunc(a.records, func(r tlsa.Record) bool { return r.MatchingType == tlsa.MatchingSHA512 })
}

// meddle lets somebody else write records of a key that he serves, beside ours.
func (w *world) meddle(t *rapid.T) {
	owner := ownerAt(rapid.SampledFrom(w.ports).Draw(t, "port"))
	key, sets := w.keyElsewhere(), drawSets(t, "foreign")
	have := w.servers[0].serves[owner]
	if len(have.records) == 0 || len(have.records) > 7 || w.policy.Removing || w.takenForAnother(sets) {
		return
	}
	w.foreign[key] = true
	if w.wellCovered(sets) && len(w.ports) == 1 {
		w.others[key] = true
	}
	w.update(owner, have.records, answerSet{tlsa.Normalize(append(recordsOfKey(key, sets), have.records...)), have.ttl})
}
