package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// retiring is a host where key b has taken the place of key a, whose records may go at the time returned.
func retiring(t *testing.T, sets ...tlsa.Parameters) (*scene, time.Time) {
	s := newScene(t)
	if len(sets) > 0 {
		s.wants(sets...)
	}
	s.settle()
	s.now = s.now.Add(72 * time.Hour)
	s.settle()
	s.policy.ReportQuiet, s.policy.MaxReportHold = 48*time.Hour, 7*24*time.Hour
	s.requests("b")
	s.now = s.now.Add(3 * time.Hour)
	s.settle()
	s.deploys("b", "a")
	gone := s.now
	d := s.settle()
	i := slices.IndexFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") })
	if i < 0 || d.Keys[i].RemovableAt.Sub(gone) < 24*time.Hour {
		t.Fatalf("key a is not on its way out: %+v", d.Keys)
	}
	s.shows(firstOwner, "a", "b")
	return s, d.Keys[i].RemovableAt
}

// TestReportsHoldRemoval: how long reports of failures keep records that could go, and whose.
func TestReportsHoldRemoval(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		why string
		// reports say when one comes, from when the records may go; every is how often more come after the first.
		first, every time.Duration
		change       func(*scene)
		// until is when the records go.
		until time.Duration
	}{
		{why: "one that came the moment before", first: -time.Second, until: 48*hour - time.Second},
		{why: "one that came some time before", first: -40 * hour, until: 8 * hour},
		{why: "one that came long before", first: -50 * hour, until: 0},
		{why: "they come for a while", first: -hour, every: 24 * hour, until: 7 * 24 * hour},
		{why: "one after the other for ever", first: -hour, every: hour, until: 7 * 24 * hour},
		{why: "a key that was given up", first: -hour, every: hour, until: -hour, change: func(s *scene) {
			s.policy.Compromised = map[string]bool{digest("a"): true}
		}},
		{why: "nobody probes it", first: -hour, until: 47 * hour, change: func(s *scene) { s.policy.ProbeDisabled = true }},
	} {
		s, removable := retiring(t)
		if c.change != nil {
			c.change(s)
		}
		var went time.Time
		for at := removable.Add(-hour); at.Before(removable.Add(8 * 24 * hour)); at = at.Add(hour / 2) {
			since := at.Sub(removable.Add(c.first))
			if since >= 0 {
				s.reported = removable.Add(c.first)
				if c.every > 0 {
					s.reported = s.reported.Add(since.Truncate(c.every))
				}
			}
			d := s.at(at)
			if slices.ContainsFunc(d.Owners[0].Records, func(k tlsa.Record) bool { return keyOf(k) == digest("a") }) {
				continue
			}
			went = at
			break
		}
		if late := went.Sub(removable.Add(c.until)); went.IsZero() || late < 0 || late > hour/2 {
			t.Errorf("%s: the records go %s after they could, want %s", c.why, went.Sub(removable), c.until)
		}
		d := s.settle()
		s.shows(firstOwner, "b")
		if slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") }) {
			t.Errorf("%s: the key is never forgotten: %+v", c.why, d.Keys)
		}
	}
}

// TestHoldIsTold: while a hold lasts, it is waited for in words, and its end is known; records stay as they are.
func TestHoldIsTold(t *testing.T) {
	s, removable := retiring(t)
	s.reported = removable.Add(-time.Hour)
	d := s.at(removable.Add(time.Hour))
	until := s.reported.Add(48 * time.Hour)
	s.held(d, "c", WaitReports, "senders report failures", short(digest("a")))
	i := slices.IndexFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") })
	if i < 0 || !d.Keys[i].HeldUntil.Equal(until) || !d.Next.Equal(until) || d.Owners[0].Write {
		t.Errorf("held until %+v, next at %s", d.Keys, d.Next)
	}
	s.reported = time.Time{} // a person has put it aside
	if d := s.work(); !d.Owners[0].Write {
		t.Errorf("put aside, the report still holds: %+v", d.Keys)
	}
	s.shows(firstOwner, "b")
	if d := s.work(); slices.ContainsFunc(d.Keys, func(k KeyState) bool { return k.SPKI == digest("a") }) {
		t.Errorf("its records have gone, and the key is still remembered: %+v", d.Keys)
	}
}

// TestHoldIsInNobodysWay: a new key is deployed while records are held as it would be otherwise, and where there is no
// room for more records, or a parameter set comes or goes, the hold ends.
func TestHoldIsInNobodysWay(t *testing.T) {
	s, removable := retiring(t)
	s.reported = removable
	s.at(removable.Add(time.Hour))
	s.requests("c")
	s.now = s.now.Add(3 * time.Hour)
	if d := s.settle(); !slices.Contains(d.Deploy, digest("c")) {
		t.Errorf("key c waits: %+v", d.Waits)
	}
	s.shows(firstOwner, "a", "b", "c")

	full, removable := retiring(t)
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "d"} {
		full.policy.Additional = append(full.policy.Additional, recordsOfKey(digest(name), full.policy.Parameters)...)
	}
	full.reported = removable
	full.at(removable.Add(time.Hour))
	if n := len(full.servers[0].shows[firstOwner].records); n != MaxRecords {
		t.Fatalf("%d records", n)
	}
	full.requests("c")
	full.now = full.now.Add(3 * time.Hour)
	if d := full.settle(); !slices.Contains(d.Deploy, digest("c")) {
		t.Errorf("where there is no room, key c waits: %+v", d.Waits)
	}

	other, removable := retiring(t)
	other.reported = removable
	other.at(removable.Add(time.Hour))
	other.wants(p311, p312)
	if d := other.settle(); slices.ContainsFunc(d.Waits, func(w Wait) bool { return w.Code == WaitReports }) {
		t.Errorf("a key without the new set is held: %+v", d.Waits)
	}
}

// TestHoldOfAFormerSet: a key with records of a set that has left the policy is not held. It would make that set ours, and
// a new key wait for ever where others publish records of it.
func TestHoldOfAFormerSet(t *testing.T) {
	s, removable := retiring(t, p311, p301)
	s.reported = removable
	s.at(removable.Add(-time.Hour))
	s.wants(p311)
	s.settle()
	s.at(removable.Add(3 * time.Hour))
	s.settle()
	others := recordsOfKey(digest("e"), []tlsa.Parameters{p301})
	s.write(firstOwner, answerSet{tlsa.Normalize(append(others, s.servers[0].shows[firstOwner].records...)), s.policy.TTL})
	s.settle()
	s.requests("c")
	s.now = s.now.Add(3 * time.Hour)
	if d := s.settle(); !slices.Contains(d.Deploy, digest("c")) {
		t.Errorf("key c waits: %+v", d.Waits)
	}
}
