package delegation_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	// often is the time from one question to the next.
	often = 100 * time.Millisecond
	// patience is how long an answer is waited for, or asked for again. It is long, so that a failure which a resolver comes to by
	// many tries is told from a machine that is busy: what counts is what the answer says.
	patience = time.Minute
)

// tally counts what the resolver answered.
type tally struct {
	mu                    sync.Mutex
	secure, insecure, bad int
	// worst is the first answer that was neither an address nor the denial, or not secure to a question of after from; zero for no such time.
	worst string
	from  time.Time
	// asked are the questions, first and newest when they were put, gap the longest time from one to the next.
	asked         int
	first, newest time.Time
	gap           time.Duration
	// marks are how many answers had come at each change of DS records.
	marks []int
}

// absent is a name that is not there: the records that a sender would ask for.
const absent = "_25._tcp." + host

// watch asks the resolver ten times a second until stopped, for what is there and for what is not in turn, and judges every answer.
// A question does not wait for the answer to the one before.
func (r *rig) watch() (*tally, func()) {
	t := &tally{}
	r.counted = t
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(often)
		defer tick.Stop()
		for n := 0; ; n++ {
			q := dns.Question{Name: host, Qtype: dns.TypeA}
			if n%2 == 1 {
				q = dns.Question{Name: absent, Qtype: dns.TypeTLSA}
			}
			select {
			case <-done:
				return
			case at := <-tick.C:
				t.asks(at)
				all.Go(func() {
					m, err := r.answer(q)
					t.judge(at, q, m, err)
				})
			}
		}
	})
	return t, sync.OnceFunc(func() { close(done); all.Wait() })
}

// answer is what the resolver answers. A connection that ends without one says nothing of the zone: unbound ends those
// of clients that are slow while it has many.
func (r *rig) answer(q dns.Question) (*dns.Msg, error) {
	for end := time.Now().Add(patience); ; time.Sleep(often) {
		m, err := servers.AskWithin(patience, r.resolver.Addr, q.Name, q.Qtype, true)
		if err == nil || time.Now().After(end) {
			return m, err
		}
	}
}

func (t *tally) asks(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked++; t.asked == 1 {
		t.first = at
	} else {
		t.gap = max(t.gap, at.Sub(t.newest))
	}
	t.newest = at
}

// mustBeSecure says that the answers to all questions from now on have to be.
func (t *tally) mustBeSecure() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = time.Now()
}

// judge takes the answer to a question that was put at a time.
func (t *tally) judge(at time.Time, q dns.Question, m *dns.Msg, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := dns.RcodeSuccess
	if q.Name == absent {
		wanted = dns.RcodeNameError
	}
	switch {
	case err != nil:
		t.fail("no answer: " + err.Error())
	case m.Rcode != wanted || (len(m.Answer) == 0) != (q.Name == absent):
		t.fail(dns.RcodeToString[m.Rcode] + " " + m.String())
	case m.AuthenticatedData:
		t.secure++
	case t.from.IsZero() || at.Before(t.from):
		t.insecure++
	default:
		t.fail("not secure any more: " + m.String())
	}
}

func (t *tally) fail(what string) {
	t.bad++
	if t.worst == "" {
		t.worst = time.Now().Format("15:04:05.000") + " " + what
	}
}

// answered is how many answers have come; the caller holds the lock.
func (t *tally) answered() int { return t.secure + t.insecure + t.bad }

// mark notes that the DS records were changed.
func (t *tally) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, t.answered())
}

// counts are the answers so far.
func (t *tally) counts() (secure, insecure, bad int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.secure, t.insecure, t.bad
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := t.newest.Sub(t.first)
	return fmt.Sprintf("%d questions in %s, %.1f a second, %s between two at the most; %d secure answers, %d insecure, %d bad",
		t.asked, took.Round(time.Second), float64(max(t.asked-1, 0))/max(took.Seconds(), often.Seconds()), t.gap.Round(time.Millisecond), t.secure, t.insecure, t.bad)
}

// verdict is that of a watch that was stopped: no answer may have been bad, and some came before, after and between
// all changes, however slow the machine is.
func (t *tally) verdict(tb testing.TB) {
	tb.Helper()
	tb.Log(t)
	if t.bad > 0 {
		tb.Errorf("%d answers were bad; the first: %s", t.bad, t.worst)
	}
	before := 0
	for i, answered := range append(t.marks, t.answered()) {
		if answered == before {
			tb.Errorf("no answer came between change %d of the DS records and the next: that proves nothing (%v)", i, t.marks)
		}
		before = answered
	}
}
