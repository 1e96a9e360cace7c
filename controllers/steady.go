package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// steadyFor is the most that a time in status may be later than what was seen.
const steadyFor = 12 * time.Hour

// steadyExpiry is what status says of when signatures run out, from what it said before and what was seen now. Each record
// of a zone has a time of its own, and each look covers others of them: what is near what was said is no news, and an
// object at rest is not written. Near is a part of the time that is left, and half a day at the most, or twice that where
// what was seen is later. The metric has what was seen.
func steadyExpiry(said *metav1.Time, seen, now time.Time) *metav1.Time {
	if said == nil || seen.IsZero() || !said.After(now) {
		return statusTime(seen)
	}
	near := min(said.Sub(now)/8, steadyFor)
	if seen.Before(said.Add(-near)) || seen.After(said.Add(2*near)) {
		return statusTime(seen)
	}
	return said
}
