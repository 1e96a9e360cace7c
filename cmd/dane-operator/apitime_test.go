package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
)

// TestAheadOf: by how much a clock is ahead is known by what an API server says of its own, and never too much.
func TestAheadOf(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, int(700*time.Millisecond), time.UTC)
	for _, c := range []struct {
		reason   string
		api      time.Time
		header   string
		at, most time.Duration
	}{
		{"the same", now, "", -time.Second, 0},
		{"an hour ahead", now.Add(-time.Hour), "", time.Hour - time.Second, time.Hour},
		{"an hour behind", now.Add(time.Hour), "", -time.Hour, -time.Hour + time.Second},
		{"nobody can know", now.Add(-time.Hour), "not a date", 0, 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/version" || r.Header.Get("Authorization") != "Bearer token" {
				t.Errorf("%s: %s is asked for, with %q", c.reason, r.URL, r.Header.Get("Authorization"))
			}
			w.Header().Set("Date", c.api.Format(http.TimeFormat))
			if c.header != "" {
				w.Header().Set("Date", c.header)
			}
		}))
		ahead, err := aheadOf(&rest.Config{Host: server.URL, BearerToken: "token"}, testclock.NewFakePassiveClock(now), apiTimeLimit)(t.Context())
		server.Close()
		if err != nil || ahead < c.at || ahead > c.most {
			t.Errorf("%s: %s, %v; want %s to %s", c.reason, ahead, err, c.at, c.most)
		}
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	if _, err := aheadOf(&rest.Config{Host: silent.URL}, clock.RealClock{}, time.Millisecond)(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that does not answer is waited for: %v", err)
	}
	if _, err := aheadOf(&rest.Config{Host: "http://127.0.0.1:1"}, clock.RealClock{}, apiTimeLimit)(t.Context()); err == nil {
		t.Error("a server that cannot be reached is said to have the right time")
	}
}

// TestSureLead: what may be the time that an answer took, or the part of the second that it does not tell, is no lead.
func TestSureLead(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		reason          string
		asked, answered time.Duration // after at
		want            time.Duration
	}{
		{"within the second", 200 * time.Millisecond, 700 * time.Millisecond, 0},
		{"it was asked before, and took long to answer", -9 * time.Second, 200 * time.Millisecond, 0},
		{"it answered at once, and the answer took long", 200 * time.Millisecond, 9 * time.Second, 0},
		{"asked after that second had passed: ahead", 5 * time.Second, 9 * time.Second, 4 * time.Second},
		{"answered before that second began: behind", -9 * time.Second, -5 * time.Second, -5 * time.Second},
	} {
		if got := sureLead(at.Add(c.asked), at.Add(c.answered), at); got != c.want {
			t.Errorf("%s: %s, want %s", c.reason, got, c.want)
		}
	}
}
