package door

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	testclock "k8s.io/utils/clock/testing"
)

// scripted is an API server that knows two tokens.
type scripted struct {
	asked int
	// may is the only path and verb that the owner of the token "reader" may do.
	may     string
	failing error
}

func (s *scripted) Authenticate(_ context.Context, token string) (authenticationv1.UserInfo, bool, error) {
	s.asked++
	return authenticationv1.UserInfo{Username: token}, token == "reader" || token == "other", s.failing
}

func (s *scripted) Authorize(_ context.Context, user authenticationv1.UserInfo, a Access) (bool, error) {
	return user.Username == "reader" && a.Verb+" "+a.Path == s.may, s.failing
}

type bed struct {
	*testing.T
	*scripted
	clock *testclock.FakePassiveClock
	door  *Door
	http.Handler
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{T: t, scripted: &scripted{may: "get /metrics"}, clock: testclock.NewFakePassiveClock(time.Unix(1e9, 0))}
	b.door = New(b.scripted, b.clock)
	var err error
	b.Handler, err = b.door.Filter(logr.Discard(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the metrics") }))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get is the status of a request, which must go with the body.
func (b *bed) get(method, path, authorization string) int {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "the metrics") != (w.Code == http.StatusOK) {
		b.Errorf("%s %s by %q: status %d with %q", method, path, authorization, w.Code, w.Body)
	}
	return w.Code
}

func TestWhoMayScrape(t *testing.T) {
	for _, row := range []struct {
		reason, method, path, authorization string
		want                                int
	}{
		{"nobody", "GET", "/metrics", "", http.StatusUnauthorized},
		{"a password is no token", "GET", "/metrics", "Basic cmVhZGVyOg==", http.StatusUnauthorized},
		{"no token after the word", "GET", "/metrics", "Bearer ", http.StatusUnauthorized},
		{"a word alone", "GET", "/metrics", "reader", http.StatusUnauthorized},
		{"a token that nobody has", "GET", "/metrics", "Bearer made-up", http.StatusUnauthorized},
		{"a token without an end", "GET", "/metrics", "Bearer " + strings.Repeat("x", longestToken+1), http.StatusUnauthorized},
		{"somebody who may not", "GET", "/metrics", "Bearer other", http.StatusForbidden},
		{"who may", "GET", "/metrics", "Bearer reader", http.StatusOK},
		{"in other letters, as RFC 9110 section 11.1 has it", "GET", "/metrics", "bearer reader", http.StatusOK},
		{"who may something else", "POST", "/metrics", "Bearer reader", http.StatusForbidden},
		{"or elsewhere", "GET", "/debug", "Bearer reader", http.StatusForbidden},
	} {
		if got := newBed(t).get(row.method, row.path, row.authorization); got != row.want {
			t.Errorf("%s: %d, want %d", row.reason, got, row.want)
		}
	}
}

// TestAnswersCountForAWhile: not each scrape asks the API server, a right that was taken away ends, and what was asked
// of one path counts for no other.
func TestAnswersCountForAWhile(t *testing.T) {
	b := newBed(t)
	for _, step := range []struct {
		reason, path, may string
		after             time.Duration
		want, asked       int
	}{
		{"asked for the first time", "/metrics", "get /metrics", 0, http.StatusOK, 1},
		{"another path", "/debug", "get /metrics", 0, http.StatusForbidden, 2},
		{"the right is taken away, and the answer counts", "/metrics", "", admittedFor - time.Second, http.StatusOK, 2},
		{"until it has run out", "/metrics", "", time.Second, http.StatusForbidden, 3},
		{"the right is given again, and the answer counts", "/metrics", "get /metrics", refusedFor - time.Second, http.StatusForbidden, 3},
		{"until it has run out", "/metrics", "get /metrics", time.Second, http.StatusOK, 4},
	} {
		b.clock.SetTime(b.clock.Now().Add(step.after))
		b.may = step.may
		if got := b.get("GET", step.path, "Bearer reader"); got != step.want || b.asked != step.asked {
			t.Errorf("%s: %d, want %d; %d questions, want %d", step.reason, got, step.want, b.asked, step.asked)
		}
	}
}

// TestTokensWithoutEnd: whoever makes tokens up takes no memory, and no place of those who have one, for ever.
func TestTokensWithoutEnd(t *testing.T) {
	b := newBed(t)
	flood := func() {
		for i := range 2 * maxKept {
			if got := b.get("GET", "/metrics", fmt.Sprintf("Bearer made-up-%d", i)); got != http.StatusUnauthorized {
				t.Fatal(got)
			}
		}
	}
	flood()
	if n := len(b.door.kept); n != maxKept {
		t.Errorf("%d answers are kept, want %d", n, maxKept)
	}
	if got := b.get("GET", "/metrics", "Bearer reader"); got != http.StatusOK {
		t.Errorf("who may gets %d", got)
	}
	b.clock.SetTime(b.clock.Now().Add(refusedFor))
	before := b.asked
	for range 2 {
		if got := b.get("GET", "/metrics", "Bearer reader"); got != http.StatusOK {
			t.Errorf("who may gets %d", got)
		}
	}
	if b.asked != before+1 {
		t.Errorf("%d questions: there was no room when the others had run out", b.asked-before)
	}
}

// TestAPIServerAway: who cannot be asked about gets nothing, and it counts for no later request.
func TestAPIServerAway(t *testing.T) {
	b := newBed(t)
	b.failing = errors.New("no API server")
	if got := b.get("GET", "/metrics", "Bearer reader"); got != http.StatusInternalServerError {
		t.Errorf("without an API server: %d", got)
	}
	b.failing = nil
	if got := b.get("GET", "/metrics", "Bearer reader"); got != http.StatusOK {
		t.Errorf("with one again: %d", got)
	}
	// Who waits for his turn does so only as long as the request lasts.
	for range maxAsking {
		b.door.asking <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	r.Header.Set("Authorization", "Bearer other")
	if b.ServeHTTP(w, r); w.Code != http.StatusInternalServerError {
		t.Errorf("who has gone: %d", w.Code)
	}
}
