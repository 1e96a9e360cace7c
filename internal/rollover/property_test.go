package rollover

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// labPolicy is a policy with short times.
func labPolicy() Policy {
	return Policy{
		Strategy: Gate, Parameters: []tlsa.Parameters{p311}, TTL: 30 * time.Second,
		PublishSafety: 5 * time.Second, RetireSafety: 20 * time.Second, DNSSECRequired: true, Sweeps: 2,
		SweepFreshness: 15 * time.Second, TTLFloor: 2 * time.Second, UnknownHistory: 10 * time.Minute,
		ReportQuiet: time.Minute, MaxReportHold: 3 * time.Minute,
		Compromised: map[string]bool{},
	}
}

func drawWorld(t *rapid.T) *world {
	p := labPolicy()
	p.TTL = time.Duration(rapid.IntRange(1, 60).Draw(t, "ttl")) * time.Second
	p.PublishSafety = time.Duration(rapid.IntRange(0, 20).Draw(t, "publishSafety")) * time.Second
	p.RetireSafety = time.Duration(rapid.IntRange(0, 60).Draw(t, "retireSafety")) * time.Second
	p.Sweeps = rapid.IntRange(1, 3).Draw(t, "sweeps")
	if rapid.Bool().Draw(t, "two combinations") {
		p.Parameters = append(p.Parameters, p312)
	}
	var lags []time.Duration
	for range rapid.IntRange(1, 4).Draw(t, "servers") {
		lags = append(lags, time.Duration(rapid.IntRange(0, 40).Draw(t, "lag"))*time.Second)
	}
	return newWorld(p, lags, rapid.IntRange(1, 3).Draw(t, "endpoints"), rapid.Bool().Draw(t, "standby"))
}

// TestInvariantHoldsInRandomHistories drives the rule through random histories. In every second of
// them, every key that an endpoint presents matches every answer that a cache may hold.
func TestInvariantHoldsInRandomHistories(t *testing.T) {
	deployed := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		actions := w.actions()
		maps.Copy(actions, w.edits())
		t.Repeat(actions)
		deployed += w.deployed
	})
	if deployed == 0 {
		t.Error("no history had a rollover in it: nothing was tried")
	}
}

// actions are what may happen, and the check after each of them.
func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":        func(t *rapid.T) { w.mustBeSafe(t) },
		"advance": func(t *rapid.T) { w.advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second) },
		"look": func(t *rapid.T) {
			w.sweep()
			w.probe(rapid.IntRange(0, 5).Draw(t, "unreachable endpoint") == 0)
		},
		"work": func(*rapid.T) { w.sweep(); w.probe(false); w.step(lives) },
		"work for long": func(*rapid.T) {
			for range 30 {
				w.sweep()
				w.probe(false)
				w.step(lives)
				w.advance(5 * time.Second)
			}
		},
		"crash": func(t *rapid.T) {
			w.sweep()
			w.step(crash(rapid.IntRange(1, 3).Draw(t, "point")))
		},
		"renew": func(*rapid.T) { w.renew() },
		"load":  func(t *rapid.T) { w.load(rapid.IntRange(0, len(w.endpoints)-1).Draw(t, "endpoint")) },
		"server": func(t *rapid.T) {
			s := w.servers[rapid.IntRange(0, len(w.servers)-1).Draw(t, "server")]
			s.down = !s.down
		},
		"ttl": func(t *rapid.T) {
			w.policy.TTL = time.Duration(rapid.IntRange(1, 120).Draw(t, "ttl")) * time.Second
		},
		"port": func(*rapid.T) {
			switch {
			case len(w.ports) == 1:
				w.ports = []int32{25, 465}
			case !w.strangers(465):
				w.ports = w.ports[:1]
			}
		},
		"leave or come back": func(*rapid.T) {
			// Records that are not known to be ours stay when the host leaves: who had them put there answers
			// for them.
			if w.policy.Removing || !w.strangers(25) && !w.strangers(465) {
				w.policy.Removing = !w.policy.Removing
			}
		},
		"lose status": func(*rapid.T) {
			if !w.leftBehind() {
				w.forgetAll()
			}
		},
		"foreign": func(t *rapid.T) { w.meddle(t) },
		"report":  func(*rapid.T) { w.reported = w.clock() },
		"leap":    func(t *rapid.T) { w.leap(time.Duration(rapid.IntRange(10, 3600).Draw(t, "leap")) * time.Second) },
	}
}

// strangers says whether records stand in DNS that the operator does not know to be its own.
func (w *world) strangers(port int32) bool {
	owner := ownerAt(port)
	return slices.ContainsFunc(w.servers[0].serves[owner].records, func(r tlsa.Record) bool {
		return !slices.Contains(w.memory.owners[owner].written, r)
	})
}

// leftBehind says whether records stand at a port that has left the spec. Where status is lost too, nothing is
// left that tells of them.
func (w *world) leftBehind() bool {
	for _, s := range w.servers {
		for owner, a := range s.serves {
			if len(a.records) > 0 && !slices.ContainsFunc(w.ports, func(p int32) bool { return ownerAt(p) == owner }) {
				return true
			}
		}
	}
	return false
}

// mustBeSafe fails when a sender may fail, or might have failed in any second before.
func (w *world) mustBeSafe(t rapid.TB) {
	w.check()
	if w.broken != "" {
		t.Fatalf("%s", w.broken)
	}
}

// TestRolloverFinishesOnceFaultsStop lets faults happen, ends them, and wants every renewal done.
func TestRolloverFinishesOnceFaultsStop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			for _, s := range w.servers {
				s.down = rapid.IntRange(0, 4).Draw(t, "down") == 0
			}
			w.sweep()
			w.probe(rapid.Bool().Draw(t, "unreachable"))
			w.step(crash(rapid.IntRange(0, 3).Draw(t, "crash")))
			if rapid.IntRange(0, 5).Draw(t, "renew") == 0 {
				w.renew()
			}
			if rapid.IntRange(0, 7).Draw(t, "leap") == 0 {
				w.leap(time.Duration(rapid.IntRange(10, 3600).Draw(t, "by")) * time.Second)
			}
			if rapid.IntRange(0, 7).Draw(t, "edit") == 0 {
				w.policy.Parameters = rapid.SampledFrom([][]tlsa.Parameters{{p311}, {p312}, {p311, p312}}).Draw(t, "sets")
			}
			w.advance(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
			w.mustBeSafe(t)
		}
		for _, s := range w.servers {
			s.down = false
		}
		w.renew()
		before := w.deployed
		w.workQuietly(t, 300)
		if w.deployed == before || w.requested != "" {
			t.Fatalf("the renewal did not finish; waits: %+v", Decide(w.facts()).Waits)
		}
		final := Decide(w.facts())
		if len(final.Owners[0].Records) == 0 || !final.Published {
			t.Fatalf("nothing is published in the end: %+v", final.Waits)
		}
		for _, k := range final.Keys {
			if k.Role == rolePrevious {
				t.Fatalf("the records of an old key never went: %+v", k)
			}
		}
	})
}

// workQuietly works without faults; endpoints load what the Secret has.
func (w *world) workQuietly(t rapid.TB, steps int) {
	for range steps {
		w.sweep()
		w.probe(false)
		w.step(lives)
		for i := range w.endpoints {
			w.load(i)
		}
		w.advance(3 * time.Second)
		w.mustBeSafe(t)
	}
}
