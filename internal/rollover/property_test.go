package rollover

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

var (
	p311 = tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}
	p312 = tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 2}
)

// labPolicy is a policy with short times.
func labPolicy() Policy {
	return Policy{
		Strategy: Gate, Parameters: []tlsa.Parameters{p311}, TTL: 30 * time.Second,
		PublishSafety: 5 * time.Second, RetireSafety: 20 * time.Second, DNSSECRequired: true, Sweeps: 2,
		SweepFreshness: 15 * time.Second, TTLFloor: 2 * time.Second, UnknownHistory: 10 * time.Minute,
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

// TestInvariantHoldsInRandomHistories drives the rule through random histories. After every action,
// every key that an endpoint presents matches every answer that a cache may hold.
func TestInvariantHoldsInRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"":        func(t *rapid.T) { w.mustBeSafe(t) },
			"advance": func(t *rapid.T) { w.advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second) },
			"look": func(t *rapid.T) {
				w.sweep()
				w.probe(rapid.IntRange(0, 5).Draw(t, "unreachable endpoint") == 0)
			},
			"work": func(*rapid.T) { w.sweep(); w.probe(false); w.step(lives); w.mustBeSafe(t) },
			"crash": func(t *rapid.T) {
				w.sweep()
				w.step(crash(rapid.IntRange(1, 3).Draw(t, "point")))
			},
			"renew": func(*rapid.T) { w.renew() },
			"load":  func(t *rapid.T) { w.endpoints[rapid.IntRange(0, len(w.endpoints)-1).Draw(t, "endpoint")] = w.secret },
			"server": func(t *rapid.T) {
				s := w.servers[rapid.IntRange(0, len(w.servers)-1).Draw(t, "server")]
				s.down = !s.down
			},
			"ttl": func(t *rapid.T) {
				w.policy.TTL = time.Duration(rapid.IntRange(1, 120).Draw(t, "ttl")) * time.Second
			},
			"lose status": func(*rapid.T) { w.memory = operatorMemory{}; w.forgetProcess() },
			"foreign": func(*rapid.T) {
				foreign := recordsOfKey(w.newKey(), w.policy.Parameters[:1])
				if have := w.servers[0].serves; len(have.records) > 0 && len(have.records) < 8 {
					w.update(have.records, answerSet{tlsa.Normalize(append(foreign, have.records...)), have.ttl})
				}
			},
		})
	})
}

// mustBeSafe fails when a sender may fail.
func (w *world) mustBeSafe(t rapid.TB) {
	if problem := w.violation(); problem != "" {
		t.Fatalf("%s", problem)
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
			w.advance(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
			w.mustBeSafe(t)
		}
		for _, s := range w.servers {
			s.down = false
		}
		w.renew()
		before := w.deployed
		for range 300 {
			w.sweep()
			w.probe(false)
			w.step(lives)
			for i := range w.endpoints {
				w.endpoints[i] = w.secret
			}
			w.advance(3 * time.Second)
			w.mustBeSafe(t)
		}
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
