package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
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

// steadySigner is what status says of a signer, from what it said before and what was seen: signatures that are made for each
// answer are replaced at each look, and what is a little more or less of their time is no news.
func steadySigner(said *v1alpha1.SignerStatus, seen health.Habit) *v1alpha1.SignerStatus {
	if seen.Validity <= 0 {
		return said
	}
	if said != nil && said.Rounds == int32(seen.Rounds) {
		was := habitOf(said)
		near := seen.Validity / 40
		if (was.Left-seen.Left).Abs() < near && (was.Validity-seen.Validity).Abs() < near {
			return said
		}
	}
	return &v1alpha1.SignerStatus{
		RefreshLeft: int64(seen.Left / time.Second), Validity: int64(seen.Validity / time.Second), Rounds: int32(seen.Rounds), LastRound: metav1.NewTime(seen.Round),
	}
}

// knownSigner is what status tells of the signer.
func knownSigner(z *v1alpha1.DNSZone) health.Habit {
	if z.Status.DNSSEC.Signer == nil {
		return health.Habit{}
	}
	return habitOf(z.Status.DNSSEC.Signer)
}

func habitOf(s *v1alpha1.SignerStatus) health.Habit {
	return health.Habit{
		Left: time.Duration(s.RefreshLeft) * time.Second, Validity: time.Duration(s.Validity) * time.Second, Rounds: int(s.Rounds), Round: s.LastRound.Time,
	}
}
