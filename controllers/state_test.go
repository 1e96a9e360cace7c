package controllers

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
)

// TestStatusTime: what status keeps is never earlier than what was seen, or a wait would end early.
func TestStatusTime(t *testing.T) {
	whole := time.Date(2026, 11, 29, 12, 0, 1, 0, time.UTC)
	for _, row := range []struct {
		reason   string
		at, want time.Time
	}{
		{"a whole second stays", whole, whole},
		{"a fraction is rounded up", whole.Add(-time.Second + time.Nanosecond), whole},
		{"also the last one", whole.Add(-time.Nanosecond), whole},
	} {
		if got := statusTime(row.at); !got.Time.Equal(row.want) {
			t.Errorf("%s: %s, want %s", row.reason, got, row.want)
		}
	}
	if statusTime(time.Time{}) != nil {
		t.Error("no time is some time")
	}
}

// TestVersionsOutliveARestart: what status keeps of a version says as much as the version did; but for when one that still stands was
// last seen, which changes with each sweep, and on which nothing rests.
func TestVersionsOutliveARestart(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	const owner = "_25._tcp.mx1.example.com."
	closed := rollover.Version{
		Owner: owner, Records: storedRecords([]string{"3 1 1 " + keyA}), TTL: time.Hour, FirstSeen: at, LastSeen: at.Add(time.Minute),
	}
	open := closed
	open.Open, open.AbsentSince, open.AbsentSweeps = true, at.Add(time.Second), 2
	stands := open
	stands.LastSeen = time.Time{}
	fraction := closed
	fraction.TTL = time.Hour - time.Millisecond
	for _, row := range []struct {
		reason    string
		put, want rollover.Version
	}{
		{"one that is gone: caches are waited for from when it was last served", closed, closed},
		{"one that stands", open, stands},
		{"a TTL is rounded up", fraction, closed},
	} {
		back := versionStatus(row.put)
		got := versionsOf(&v1alpha1.MailServerStatus{Versions: []v1alpha1.VersionStatus{back}}, owner)
		same := slices.EqualFunc(got, []rollover.Version{row.want}, func(a, b rollover.Version) bool {
			return a.TTL == b.TTL && a.FirstSeen.Equal(b.FirstSeen) && a.LastSeen.Equal(b.LastSeen) && a.Open == b.Open &&
				a.AbsentSince.Equal(b.AbsentSince) && a.AbsentSweeps == b.AbsentSweeps && slices.Equal(presentations(a.Records), presentations(b.Records))
		})
		if !same {
			t.Errorf("%s: %+v came back as %+v", row.reason, row.put, got)
		}
	}
}

// TestCopiesWhatMayBeServed: with strategy Stage a chain goes to the Secret that the server mounts when the rule lets its key be served.
func TestCopiesWhatMayBeServed(t *testing.T) {
	chain := chainOf(t, 1)
	id := spkiOfChain(chain)
	issued := &corev1.Secret{Data: map[string][]byte{corev1.TLSCertKey: []byte("new")}}
	for _, row := range []struct {
		reason string
		edit   func(*hostRun)
		copied bool
	}{
		{"caches know its key", func(*hostRun) {}, true},
		{"caches know another key", func(h *hostRun) { h.decision.Deploy = []string{keyA} }, false},
		{"caches know none", func(h *hostRun) { h.decision.Deploy = nil }, false},
		{"it is served already", func(h *hostRun) { h.certs[0].serving = issued }, false},
		{"nothing is issued", func(h *hostRun) { h.certs[0].issued = nil }, false},
		{"the host is being taken out of DNS", func(h *hostRun) { h.removing = true }, false},
		{"the MailDomain is suspended", func(h *hostRun) { h.facts.Policy.Suspended = true }, false},
		{"the gate holds certificates, not Secrets", func(h *hostRun) { h.facts.Policy.Strategy = rollover.Gate }, false},
	} {
		h := &hostRun{certs: []*certificateFacts{{current: chain, issued: issued, keys: []rollover.Key{{ID: id, SPKI: id}}}}}
		h.facts.Policy.Strategy, h.decision.Deploy = rollover.Stage, []string{id}
		row.edit(h)
		if copied := len(h.copies()) == 1; copied != row.copied {
			t.Errorf("%s: copied is %t", row.reason, copied)
		}
	}
}
