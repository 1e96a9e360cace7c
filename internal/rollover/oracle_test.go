package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// This file says what senders would do in the little world of model_test.go. It shares no logic with the
// rule.

// keyDigits is how long the name of a key is.
const keyDigits = 64

// recordsOfKey are the records of a key: the data of a made-up digest carries its name. Every third key
// has a chain without its issuer, and therefore no record of usage 2.
func recordsOfKey(key string, params []tlsa.Parameters) []tlsa.Record {
	var out []tlsa.Record
	for _, p := range params {
		if p.Usage == tlsa.UsageDANETA && strings.HasPrefix(key, "00") && strings.ContainsAny(key[keyDigits-1:], "369cf") {
			continue
		}
		data := key
		if p.MatchingType == tlsa.MatchingSHA512 {
			data = key + key
		}
		out = append(out, tlsa.Record{Parameters: p, Data: data})
	}
	return tlsa.Normalize(out)
}

func keyOf(r tlsa.Record) string { return r.Data[:keyDigits] }

// serialOfKey is the serial number of the one certificate of a key.
func serialOfKey(key string) string { return "5e" + key[keyDigits-4:] }

// cachedAnswer is an answer that the longest-lived cache of the world holds: until fresh by its TTL, and
// until stale where caches stand behind caches.
type cachedAnswer struct {
	answerSet
	port         int32
	fresh, stale time.Time
	// forgotten are its records that the operator had forgotten when it was cached.
	forgotten []tlsa.Record
}

// remember keeps an answer in the caches: as long as they may, and as long again in what stands behind
// them (RFC 7671 section 8.1 says two TTLs), be its TTL never so short.
func (w *world) remember(port int32, a answerSet) {
	if len(a.records) > 0 {
		ttl := max(a.ttl, w.policy.TTLFloor)
		forgotten := slices.DeleteFunc(slices.Clone(a.records), func(r tlsa.Record) bool { return !w.forgotten[r] })
		w.cached[fmt.Sprint(port, a.id())] = cachedAnswer{a, port, w.now.Add(ttl), w.now.Add(2 * ttl), forgotten}
	}
}

// check notes the first cached answer that some key does not match which is presented.
func (w *world) check() {
	for id, c := range w.cached {
		if w.now.After(c.stale) {
			delete(w.cached, id)
			continue
		}
		if problem := w.failure(c); problem != "" && w.broken == "" {
			w.broken = fmt.Sprintf("a cache may hold %s for port %d until %s: %s", c.id(), c.port, c.stale.Sub(w.now), problem)
		}
	}
}

// failing is a failure that some fresh cache makes now.
func (w *world) failing() string {
	for _, c := range w.cached {
		if problem := w.failure(c); problem != "" && !w.now.After(c.fresh) {
			return c.id() + ": " + problem
		}
	}
	return ""
}

// failure says which sender fails that holds an answer; empty when none does. What foreign writers do to
// us is not among it.
func (w *world) failure(c cachedAnswer) string {
	for _, key := range w.endpoints {
		if p, ok := w.lacksCombination(c, key); ok {
			return fmt.Sprintf("for %s it does not match key %s", p, key)
		}
		if !holds(agile(c.records), key) && !w.foreignFault(c.records, key) {
			return fmt.Sprintf("who prefers SHA-512 finds no match for key %s", key)
		}
	}
	for key := range w.others {
		others := slices.DeleteFunc(slices.Clone(c.records), func(r tlsa.Record) bool { return !w.stranger(keyOf(r)) })
		if holds(agile(others), key) && !holds(agile(c.records), key) {
			return fmt.Sprintf("who prefers SHA-512 finds no match for key %s, which lives elsewhere", key)
		}
	}
	return ""
}

// lacksCombination finds a combination that the key has no record of. One that keys which live elsewhere
// have alone is none of ours, nor one of which the operator had forgotten all records when the answer was cached: it took
// them for those of others.
func (w *world) lacksCombination(c cachedAnswer, key string) (tlsa.Parameters, bool) {
	for _, r := range c.records {
		same := slices.DeleteFunc(slices.Clone(c.records), func(o tlsa.Record) bool { return o.Parameters != r.Parameters })
		ours := slices.ContainsFunc(same, func(o tlsa.Record) bool {
			return !w.stranger(keyOf(o)) && !w.forgotten[o] && !slices.Contains(c.forgotten, o)
		})
		if ours && !holds(same, key) {
			return r.Parameters, true
		}
	}
	return tlsa.Parameters{}, false
}

func (w *world) stranger(key string) bool {
	_, elsewhere := w.others[key]
	return elsewhere || w.foreign[key] || strings.HasPrefix(key, elsewherePrefix)
}

// agile are the records that a sender uses who knows every combination (RFC 7671 section 9).
func agile(records []tlsa.Record) []tlsa.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r tlsa.Record) bool {
		return r.MatchingType == tlsa.MatchingSHA256 && slices.ContainsFunc(records, func(o tlsa.Record) bool {
			return o.MatchingType == tlsa.MatchingSHA512 && o.Usage == r.Usage && o.Selector == r.Selector
		})
	})
}

func holds(records []tlsa.Record, key string) bool {
	return slices.ContainsFunc(records, func(r tlsa.Record) bool { return keyOf(r) == key })
}

// foreignFault says that without what others have written there, a sender would find a match for a key.
func (w *world) foreignFault(records []tlsa.Record, key string) bool {
	return holds(agile(slices.DeleteFunc(slices.Clone(records), func(r tlsa.Record) bool {
		return w.foreign[keyOf(r)] && keyOf(r) != key
	})), key)
}

// reportsMeddle says what a report of failures has changed that it must not: it may keep records of a key that is gone,
// for so long, and lead to nothing else.
func reportsMeddle(f Facts, d Decision) string {
	f.FailureReported = time.Time{}
	without := Decide(f)
	for _, id := range without.Deploy {
		if !slices.Contains(d.Deploy, id) {
			return "without a report key " + id + " would be deployed"
		}
	}
	for i, o := range without.Owners {
		for _, r := range o.Records {
			if !slices.Contains(d.Owners[i].Records, r) && len(o.Records) <= MaxRecords {
				return "without a report there would be " + r.String()
			}
		}
		for _, r := range d.Owners[i].Records {
			previous := slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.Role == rolePrevious && slices.Contains(k.Records, r) })
			if !slices.Contains(o.Records, r) && !previous {
				return "for a report there is " + r.String()
			}
		}
	}
	for _, k := range d.Keys {
		if k.HeldUntil.After(k.RemovableAt.Add(f.Policy.MaxReportHold)) || !k.HeldUntil.IsZero() && f.Policy.Compromised[k.SPKI] {
			return fmt.Sprintf("key %s is held until %s", k.ID, k.HeldUntil)
		}
	}
	return ""
}
