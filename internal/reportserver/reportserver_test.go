package reportserver

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/receive"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// indexed makes a fake client that finds MailDomains as the cache does.
type indexed struct{ *fake.ClientBuilder }

func (i indexed) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	i.WithIndex(o, field, f)
	return nil
}

func names(t *testing.T) Names {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.Domain = "example.com"
	md.Spec.MailServers = []v1alpha1.MailServer{{Hostname: "mx1.example.com"}, {Hostname: "mx.shared.example"}}
	slim, err := NamesOnly(md)
	if err != nil {
		t.Fatal(err)
	}
	b := indexed{fake.NewClientBuilder().WithScheme(scheme)}
	if err := IndexNames(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return Names{Reader: b.WithObjects(slim.(client.Object)).Build()}
}

func TestSubject(t *testing.T) {
	n := names(t)
	many := make([]string, 2*maxCandidates)
	for i := range many {
		many[i] = "mx.elsewhere.example"
	}
	for _, c := range []struct {
		why    string
		policy tlsrpt.Policy
		want   string
	}{
		{"the domain of the recipients, as Microsoft writes it", tlsrpt.Policy{Domain: "example.com"}, "example.com"},
		{"the mail host, as Postfix writes it", tlsrpt.Policy{Domain: "mx1.example.com"}, "mx1.example.com"},
		{"nothing but the hosts of the policy", tlsrpt.Policy{MXHosts: []string{"mx.elsewhere.example", "mx1.example.com"}}, "mx1.example.com"},
		{"nothing but the host that failed", tlsrpt.Policy{Failures: []tlsrpt.Failure{{ReceivingMX: "mx.shared.example"}}}, "mx.shared.example"},
		{"somebody else's domain with a host of ours", tlsrpt.Policy{Domain: "other.example", MXHosts: []string{"mx1.example.com"}}, ""},
		{"a name below ours is another", tlsrpt.Policy{Domain: "sub.example.com"}, ""},
		{"nothing at all", tlsrpt.Policy{}, ""},
		{"more hosts than are looked up", tlsrpt.Policy{MXHosts: append(many, "mx1.example.com")}, ""},
	} {
		if got := n.Subject(c.policy); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// TestCounts wants what is counted to be what is kept: policies that are ours, and every session once.
func TestCounts(t *testing.T) {
	registry := prometheus.NewRegistry()
	counts := NewCounts(registry, logr.Discard())
	item := store.Item{
		Report: tlsrpt.Report{Policies: []tlsrpt.Policy{
			{Type: tlsrpt.TLSA, Successful: 10, Failed: 5, Failures: []tlsrpt.Failure{{Result: tlsrpt.TLSAInvalid, Sessions: 3}}},
			{Type: tlsrpt.STS, Successful: 100},
			{Type: tlsrpt.OtherPolicy, Failed: 1, Failures: []tlsrpt.Failure{{Result: tlsrpt.OtherResult, Sessions: 2}}},
		}},
		Subjects: []string{"example.com", "", "mx1.example.com"},
		Origin:   store.Origin{Proof: "sender.example"},
	}
	counts.Observe(receive.Event{Channel: receive.Mail, Outcome: receive.Kept, Item: item})
	counts.Observe(receive.Event{Channel: receive.Mail, Outcome: receive.Known, Item: item})
	counts.Observe(receive.Event{Channel: receive.HTTPS, Outcome: receive.Foreign})
	if n := testutil.CollectAndCount(counts.sessions); n != 4 {
		t.Errorf("%d series of sessions", n)
	}
	for _, c := range []struct {
		why, name, policy, result string
		want                      float64
	}{
		{"those that succeeded", "example.com", "tlsa", "successful", 10},
		{"those that failed", "example.com", "tlsa", "tlsa-invalid", 3},
		{"those of which the report does not tell how they failed", "example.com", "tlsa", "other", 2},
		{"more in detail than in all", "mx1.example.com", "other", "other", 2},
	} {
		if got := testutil.ToFloat64(counts.sessions.WithLabelValues(c.name, c.policy, c.result, "true")); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
	for outcome, want := range map[receive.Outcome]float64{receive.Kept: 1, receive.Known: 1, receive.Foreign: 0} {
		if got := testutil.ToFloat64(counts.reports.WithLabelValues("mail", string(outcome))); got != want {
			t.Errorf("%s: %v, want %v", outcome, got, want)
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

// TestForgetter wants old reports to go at the start, and later ones when they are old.
func TestForgetter(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir()+"/reports.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	clock := testclock.NewFakeClock(time.Unix(1_780_000_000, 0))
	for id, age := range map[string]time.Duration{"old": 48 * time.Hour, "new": time.Hour} {
		item := store.Item{
			Report:   tlsrpt.Report{Organization: "Sender", ID: id, Policies: []tlsrpt.Policy{{Type: tlsrpt.TLSA}}},
			Subjects: []string{"example.com"}, Origin: store.Origin{At: clock.Now().Add(-age)},
		}
		if _, err := s.Add(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- (&Forgetter{Store: s, After: 24 * time.Hour, Clock: clock, Log: logr.Discard()}).Start(ctx)
	}()
	left := func(want int64) {
		t.Helper()
		var got int64 = -1
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && got != want; time.Sleep(5 * time.Millisecond) {
			overview, err := s.Overview(t.Context(), store.Scope{Domain: "example.com"})
			if err != nil {
				t.Fatal(err)
			}
			got = overview.Reports
		}
		if got != want {
			t.Errorf("%d reports are left, want %d", got, want)
		}
	}
	left(1)
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clock.Step(24 * time.Hour)
	left(0)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
