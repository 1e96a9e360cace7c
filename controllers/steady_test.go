package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSteadyExpiry: status changes when signatures were renewed, or run out noticeably sooner, and not because another
// record was looked at.
func TestSteadyExpiry(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		reason     string
		said, seen time.Duration // from now; 0 for never
		want       time.Duration
	}{
		{"nothing was said before", 0, 13 * day, 13 * day},
		{"nothing is signed any more", 13 * day, 0, 0},
		{"the same", 13 * day, 13 * day, 13 * day},
		{"a record that was signed a little earlier", 13 * day, 13*day - 11*time.Hour, 13 * day},
		{"and one of more than half a day", 13 * day, 13*day - 13*time.Hour, 13*day - 13*time.Hour},
		{"a record that was signed a little later", 13 * day, 13*day + 23*time.Hour, 13 * day},
		{"all were signed anew", 13 * day, 20 * day, 20 * day},
		{"near is less where little is left", 8 * time.Hour, 6*time.Hour + 59*time.Minute, 6*time.Hour + 59*time.Minute},
		{"and less is still near", 8 * time.Hour, 7*time.Hour + time.Minute, 8 * time.Hour},
		{"it has run out, and nobody has signed anew", -time.Hour, -time.Hour, -time.Hour},
		{"it had run out, and was signed anew", -time.Hour, time.Minute, time.Minute},
	} {
		at := func(d time.Duration) time.Time {
			if d == 0 {
				return time.Time{}
			}
			return now.Add(d)
		}
		var said *metav1.Time
		if c.said != 0 {
			said = &metav1.Time{Time: at(c.said)}
		}
		got := steadyExpiry(said, at(c.seen), now)
		if timeOf(got) != at(c.want) {
			t.Errorf("%s: %v, want %s from now", c.reason, got, c.want)
		}
	}
}
