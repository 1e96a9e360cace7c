package controllers

import (
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/health"
)

// TestHabitOutlivesAProcess: status tells the next process when the signer makes signatures anew.
func TestHabitOutlivesAProcess(t *testing.T) {
	b := newZoneBed(t)
	h := b.secureZone("1")
	h.Signer = health.Habit{Left: 5 * 24 * time.Hour, Validity: 14 * 24 * time.Hour, Rounds: 2, Round: b.clock.Now().Truncate(time.Second)}
	b.look(h)
	said := b.zone().Status.DNSSEC.Signer
	if said == nil || said.RefreshLeft != 5*86400 || said.Validity != 14*86400 || said.Rounds != 2 {
		t.Fatalf("status.dnssec.signer: %+v", said)
	}
	if got := b.clients[0].configs; len(got) != 1 || got[0].Signer != (health.Habit{}) {
		t.Errorf("a status of its own makes no other configuration: %+v", got)
	}
	b.restart()
	b.reconcile()
	b.reconcile()
	if got := b.clients[1].configs; len(got) != 1 || !got[0].Signer.Round.Equal(h.Signer.Round) || got[0].Signer.Left != h.Signer.Left || got[0].Signer.Validity != h.Signer.Validity || got[0].Signer.Rounds != 2 {
		t.Errorf("the next process is told %+v", got)
	}
}

func TestSteadySigner(t *testing.T) {
	const day = 24 * time.Hour
	said := &v1alpha1.SignerStatus{RefreshLeft: 5 * 86400, Validity: 14 * 86400, Rounds: 3}
	for _, c := range []struct {
		reason string
		said   *v1alpha1.SignerStatus
		seen   health.Habit
		left   time.Duration
	}{
		{"nothing is known", nil, health.Habit{}, 0},
		{"nothing was seen by this process", said, health.Habit{}, 5 * day},
		{"the first time", nil, health.Habit{Left: 4 * day, Validity: 14 * day, Rounds: 1}, 4 * day},
		{"a little less is no news", said, health.Habit{Left: 5*day - 8*time.Hour, Validity: 14 * day, Rounds: 3}, 5 * day},
		{"noticeably less", said, health.Habit{Left: 5*day - 9*time.Hour, Validity: 14 * day, Rounds: 3}, 5*day - 9*time.Hour},
		{"another validity", said, health.Habit{Left: 5 * day, Validity: 30 * day, Rounds: 1}, 5 * day},
	} {
		got := steadySigner(c.said, c.seen)
		if (got == nil) != (c.left == 0) || got != nil && time.Duration(got.RefreshLeft)*time.Second != c.left {
			t.Errorf("%s: %+v", c.reason, got)
		}
		if got != nil && c.seen.Rounds > 0 && got.Rounds != int32(c.seen.Rounds) {
			t.Errorf("%s: %+v", c.reason, got)
		}
	}
}
