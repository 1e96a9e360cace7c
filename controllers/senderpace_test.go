package controllers

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

func TestSenderPace(t *testing.T) {
	run := func(intervals ...v1alpha1.Duration) *domainRun {
		r := &domainRun{md: &v1alpha1.MailDomain{}}
		for _, interval := range intervals {
			z := &v1alpha1.DNSZone{}
			z.Spec.Propagation.Interval = interval
			r.hosts = append(r.hosts, &hostRun{zone: z})
		}
		r.hosts = append(r.hosts, &hostRun{}) // one that no DNSZone covers
		return r
	}
	for _, row := range []struct {
		reason     string
		run        *domainRun
		domains    int
		soon, idle time.Duration
	}{
		{"the defaults", run("10s"), 1, time.Minute, 15 * time.Minute},
		{"no zone at all", run(), 1, time.Minute, 15 * time.Minute},
		{"of two zones the quicker", run("20s", "10s"), 1, time.Minute, 15 * time.Minute},
		{"a lab", run("100ms"), 1, 2 * time.Second, 30 * time.Second},
		{"a slow zone is looked at within the hour", run("10m"), 1, time.Hour, time.Hour},
		{"up to nine hundred cost no more than one each in its time", run("10s"), 900, time.Minute, 15 * time.Minute},
		{"ten thousand share one look a second", run("10s"), 10_000, time.Minute, 10_000 * time.Second},
	} {
		if p := senderPaceOf(row.run, row.domains); p.soon != row.soon || p.idle != row.idle {
			t.Errorf("%s: soon %s, idle %s; want %s and %s", row.reason, p.soon, p.idle, row.soon, row.idle)
		}
	}
}

func TestSenderDue(t *testing.T) {
	p := senderPace{key: hostKey{domain: types.NamespacedName{Namespace: "mail", Name: "example"}}, soon: time.Minute, idle: 15 * time.Minute}
	for _, row := range []struct {
		reason string
		looks  int
		ago    time.Duration
		due    time.Duration
	}{
		{"a change", 0, 0, time.Minute},
		{"a change, some time ago", 0, 50 * time.Second, 10 * time.Second},
		{"the second look after it", 1, 0, 2 * time.Minute},
		{"the fourth", 3, 0, 8 * time.Minute},
		{"a look that is overdue", 1, 3 * time.Minute, -time.Minute},
	} {
		if due := p.due(paceNow, paceNow.Add(-row.ago), row.looks); due != row.due {
			t.Errorf("%s: due in %s, want %s", row.reason, due, row.due)
		}
	}
	for _, looks := range []int{4, 5, senderRests} {
		if due := p.due(paceNow, paceNow, looks); due <= 0 || due > p.idle {
			t.Errorf("at rest after %d looks: due in %s, want within %s", looks, due, p.idle)
		}
	}
}

// TestSendersAtRestAreSpread: however many MailDomains are seen at once after a start, no second has more
// than its share of looks for long.
func TestSendersAtRestAreSpread(t *testing.T) {
	const domains = 5000
	run := &domainRun{md: &v1alpha1.MailDomain{}}
	minutes := map[int]int{}
	for i := range domains {
		run.md.Name = fmt.Sprintf("domain-%d", i)
		due := senderPaceOf(run, domains).due(paceNow, paceNow, senderRests)
		minutes[int(due/time.Minute)]++
	}
	for minute, n := range minutes {
		if n > 100 {
			t.Errorf("%d looks in minute %d, want about 60", n, minute)
		}
	}
}

func TestBelieved(t *testing.T) {
	view := func(v v1alpha1.SenderVerdict, message string) *v1alpha1.SenderViewStatus {
		return &v1alpha1.SenderViewStatus{Verdict: v, Message: message}
	}
	dane, weak, other, lost := view(v1alpha1.SenderDANE, ""), view(v1alpha1.SenderOpportunistic, "a"), view(v1alpha1.SenderOpportunistic, "b"), view(v1alpha1.SenderUndeliverable, "c")
	for _, row := range []struct {
		reason               string
		known, doubted, seen *v1alpha1.SenderViewStatus
		believed             bool
	}{
		{"the first view", nil, nil, weak, true},
		{"a first failure may be the operator's own start", nil, nil, lost, false},
		{"it was seen before", nil, lost, lost, true},
		{"what is better is news at once", lost, nil, weak, true},
		{"what is worse is not", dane, nil, weak, false},
		{"the second time it is", dane, weak, weak, true},
		{"in other words too", dane, weak, other, true},
		{"something else that is worse is seen for the first time", dane, weak, lost, false},
		{"the same verdict in other words", weak, nil, other, false},
		{"those words again", weak, other, other, true},
	} {
		if got := believed(row.known, row.doubted, *row.seen); got != row.believed {
			t.Errorf("%s: believed %t", row.reason, got)
		}
	}
}

// TestSendersTakeTurns: many looks that are due at once begin one after the other, and never more than there
// are slots for.
func TestSendersTakeTurns(t *testing.T) {
	w := newSenderWatch(Options{}, nil, nil)
	domains := make([]senderDomain, 3*senderLooks)
	var waits []time.Duration
	for i := range domains {
		waits = append(waits, w.admit(&domains[i], paceNow))
	}
	for i, wait := range waits {
		if want := time.Duration(i) * senderGap; wait != want {
			t.Errorf("number %d waits %s, want %s", i, wait, want)
		}
	}
	begun := 1 // the first
	for i := range domains[1:] {
		if w.admit(&domains[i+1], paceNow.Add(waits[i+1])) == 0 {
			begun++
		}
	}
	if begun != senderLooks {
		t.Errorf("%d looks are under way at once, want %d", begun, senderLooks)
	}
	late := &domains[len(domains)-1]
	if wait := w.admit(late, paceNow.Add(time.Hour)); wait <= 0 || wait > time.Minute {
		t.Errorf("one that found no slot comes again in %s", wait)
	}
	<-w.slots
	if wait := w.admit(late, paceNow.Add(2*time.Hour)); wait != 0 {
		t.Errorf("with a slot it waits %s", wait)
	}
	for i := range 2 { // both were admitted before
		<-w.slots
		if wait := w.admit(&domains[i], paceNow.Add(3*time.Hour)); wait != time.Duration(i)*senderGap {
			t.Errorf("number %d waits %s the next time", i, wait)
		}
	}
}
