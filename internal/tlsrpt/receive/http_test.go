package receive

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

const report = `{"organization-name": "Sender", "report-id": "1",
 "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
 "policies": [{"policy": {"policy-type": "tlsa", "policy-domain": "example.com", "policy-string": ["3 1 1 aa"]},
  "summary": {"total-successful-session-count": 10, "total-failure-session-count": 0}}]}`

// keeper keeps in memory; while err is set it fails.
type keeper struct {
	mu    sync.Mutex
	items []store.Item
	err   error
}

func (k *keeper) Add(_ context.Context, i store.Item) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return false, k.err
	}
	for _, old := range k.items {
		if old.Report.ID == i.Report.ID && old.Origin.Proof == i.Origin.Proof {
			return false, nil
		}
	}
	k.items = append(k.items, i)
	return true, nil
}

// rig is an intake that knows example.com, and what it saw.
type rig struct {
	*keeper
	*Intake
	clock    *testclock.FakeClock
	outcomes []Outcome
	reasons  []error
}

func newRig() *rig {
	r := &rig{keeper: &keeper{}, clock: testclock.NewFakeClock(time.Unix(1_780_000_000, 0))}
	var mu sync.Mutex
	r.Intake = NewIntake(Intake{
		Keeper: r.keeper, Clock: r.clock,
		Subject: func(p tlsrpt.Policy) string {
			if p.Domain == "example.com" {
				return p.Domain
			}
			return ""
		},
		Observe: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			r.outcomes, r.reasons = append(r.outcomes, e.Outcome), append(r.reasons, e.Err)
		},
	}, 2)
	return r
}

var generous = Limits{PerSource: 1000, SourceBurst: 1000, All: 1000, AllBurst: 1000}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func post(h http.Handler, kind, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/tlsrpt", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPosted(t *testing.T) {
	get := func(r *http.Request) { r.Method = http.MethodGet }
	unknownLength := func(r *http.Request) { r.ContentLength = -1 }
	for _, c := range []struct {
		why, kind, body string
		change          func(*http.Request)
		status          int
		outcome         Outcome
	}{
		{"as RFC 8460 says", "application/tlsrpt+gzip", packed(t, report), nil, 200, Kept},
		{"not packed", "application/tlsrpt+json", report, nil, 200, Kept},
		{"named otherwise, as some do", "application/gzip; charset=binary", packed(t, report), nil, 200, Kept},
		{"packed, and called JSON", "application/tlsrpt+json", packed(t, report), nil, 200, Kept},
		{"about somebody else: not for its sender to know", "application/tlsrpt+json", strings.Replace(report, "example.com", "example.net", 1), nil, 200, Foreign},
		{"nobody said what it is", "", report, nil, 415, Malformed},
		{"a form", "application/x-www-form-urlencoded", report, nil, 415, Malformed},
		{"no report", "application/tlsrpt+json", "{}", nil, 400, Malformed},
		{"a bomb", "application/tlsrpt+gzip", packed(t, strings.Repeat(" ", tlsrpt.MaxSize+1)), nil, 413, TooLarge},
		{"too long, and says so", "application/tlsrpt+json", strings.Repeat(" ", tlsrpt.MaxPacked+1), nil, 413, TooLarge},
		{"too long, and does not say so", "application/tlsrpt+json", strings.Repeat(" ", tlsrpt.MaxPacked+1), unknownLength, 413, TooLarge},
		{"not posted", "application/tlsrpt+json", report, get, 405, ""},
	} {
		r := newRig()
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		w := post(NewHandler(r.Intake, generous, nil), c.kind, c.body, change)
		got := Outcome("")
		if len(r.outcomes) > 0 {
			got = r.outcomes[0]
		}
		if w.Code != c.status || got != c.outcome {
			t.Errorf("%s: %d %s, want %d %s: %s", c.why, w.Code, got, c.status, c.outcome, w.Body)
		}
	}
}

func TestPostedAgain(t *testing.T) {
	r := newRig()
	h := NewHandler(r.Intake, generous, nil)
	for range 2 {
		if w := post(h, "application/tlsrpt+json", report); w.Code != 200 {
			t.Error(w.Code)
		}
	}
	if len(r.items) != 1 || r.outcomes[1] != Known {
		t.Errorf("kept %d times, %v", len(r.items), r.outcomes)
	}
	if from := r.items[0].Origin; from.Source != "192.0.2.1" || from.Proof != "" || !from.At.Equal(r.clock.Now()) {
		t.Errorf("its origin is %+v", from)
	}
}

// Where a report cannot be kept its sender is asked to come again, and told nothing of why.
func TestKeeperFails(t *testing.T) {
	r := newRig()
	r.err = errors.New("disk full on /data")
	w := post(NewHandler(r.Intake, generous, nil), "application/tlsrpt+json", report)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "disk") || r.outcomes[0] != Failed {
		t.Errorf("%d %v %s %v", w.Code, w.Header(), w.Body, r.outcomes)
	}
}

// unread is a body that must not be read.
type unread struct{ *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.Error("the body is read")
	return 0, io.EOF
}

// What is refused for its source, its type or its length is refused before it is read.
func TestRefusedUnread(t *testing.T) {
	r := newRig()
	h := NewHandler(r.Intake, Limits{PerSource: 1, SourceBurst: 3, All: 100, AllBurst: 100}, nil)
	for _, c := range []struct {
		why, kind string
		length    int64
		status    int
	}{
		{"a form", "application/x-www-form-urlencoded", 9, 415},
		{"too long, and says so", "application/tlsrpt+gzip", tlsrpt.MaxPacked + 1, 413},
		{"no type", "", 9, 415},
		{"the fourth at once", "application/tlsrpt+gzip", 9, 429},
	} {
		w := post(h, c.kind, "", func(q *http.Request) { q.Body, q.ContentLength = io.NopCloser(unread{t}), c.length })
		if w.Code != c.status || w.Header().Get("Connection") != "close" || (c.status == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %d %v", c.why, w.Code, w.Header())
		}
	}
}

// One source that floods is refused before its reports are read; others are not, until all together are too many.
func TestFlood(t *testing.T) {
	r := newRig()
	h := NewHandler(r.Intake, Limits{PerSource: 1, SourceBurst: 2, All: 100, AllBurst: 5}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	from := func(address string) int {
		return post(h, "application/tlsrpt+json", report, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "1.2.3.4, "+address) }).Code
	}
	for i, c := range []struct {
		why, from string
		status    int
	}{
		{"the first", "2001:db8::1", 200},
		{"the second", "2001:db8::2", 200},
		{"a third from the same network", "2001:db8::3", 429},
		{"whatever it says before the address that the proxy saw", "2001:db8::4", 429},
		{"another source", "198.51.100.1", 200},
		{"a proxy that hides who it is for counts as itself", "192.0.2.9", 200},
		{"the last that all together may", "198.51.100.2", 200},
		{"all together are too many", "198.51.100.3", 429},
	} {
		if got := from(c.from); got != c.status {
			t.Errorf("%d, %s: %d, want %d", i, c.why, got, c.status)
		}
	}
	r.clock.SetTime(r.clock.Now().Add(time.Second))
	if got := from("2001:db8::1"); got != 200 {
		t.Errorf("a second later: %d", got)
	}
}

func TestClient(t *testing.T) {
	h := NewHandler(newRig().Intake, generous, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for _, c := range []struct{ why, remote, forwarded, want string }{
		{"no proxy", "192.0.2.1:99", "", "192.0.2.1"},
		{"a header of somebody who is no proxy of ours", "192.0.2.1:99", "198.51.100.1", "192.0.2.1"},
		{"one proxy", "10.0.0.1:99", "198.51.100.1", "198.51.100.1"},
		{"what stands before the first proxy's word is anybody's", "10.0.0.1:99", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		{"two proxies", "10.0.0.1:99", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"a proxy that says nonsense", "10.0.0.1:99", "unknown", "10.0.0.1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:99", "::ffff:198.51.100.1", "198.51.100.1"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := h.client(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
}

// However many sources there are, so many alone are remembered.
func TestSourcesAreBounded(t *testing.T) {
	q := newQuota(generous, testclock.NewFakePassiveClock(time.Unix(0, 0)))
	for i := range 3 * maxSources {
		q.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(q.sources) != maxSources || q.recent.Len() != maxSources {
		t.Errorf("%d and %d sources are remembered", len(q.sources), q.recent.Len())
	}
}

// What is being received is held in so much memory and no more: who finds no room is asked to come again.
func TestRoomIsBounded(t *testing.T) {
	r := newRig()
	free, err := r.room(context.Background(), maxWaiting)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(r.Intake, generous, nil)
	hurried := func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	}
	if w := post(h, "application/tlsrpt+json", report, hurried); w.Code != 503 || w.Header().Get("Retry-After") == "" || r.outcomes[0] != Limited {
		t.Errorf("without room: %d %v", w.Code, r.outcomes)
	}
	free()
	if w := post(h, "application/tlsrpt+json", report); w.Code != 200 {
		t.Errorf("with room again: %d", w.Code)
	}
}

// One source that sends slowly does not take the room of others.
func TestSlowSourceLeavesRoom(t *testing.T) {
	r := newRig()
	h := NewHandler(r.Intake, generous, nil)
	slow := netip.MustParseAddr("192.0.2.1")
	var frees []func()
	for range 2 * maxHeld / tlsrpt.MaxPacked {
		if free, ok := h.quota.hold(slow, tlsrpt.MaxPacked); ok {
			frees = append(frees, free)
		}
	}
	if len(frees) != maxHeld/tlsrpt.MaxPacked {
		t.Errorf("it holds %d reports", len(frees))
	}
	if w := post(h, "application/tlsrpt+json", report); w.Code != 429 {
		t.Errorf("another of its own: %d", w.Code)
	}
	if w := post(h, "application/tlsrpt+json", report, func(r *http.Request) { r.RemoteAddr = "192.0.2.2:1" }); w.Code != 200 {
		t.Errorf("another source's: %d", w.Code)
	}
	frees[0]()
	if w := post(h, "application/tlsrpt+json", report); w.Code != 200 {
		t.Errorf("once it let go of one: %d", w.Code)
	}
}
