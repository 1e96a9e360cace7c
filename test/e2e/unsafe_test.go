package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// background is for what is done after a test's own context has ended.
var background = context.Background()

const gate = v1alpha1.GateAnnotation

// cacheTime is the TTL where a cache has to hold the old answer until Postfix serves the new key, and for
// several checks more. That takes an issuance and the late reload.
const cacheTime = 15 * time.Second

func longCached(md *v1alpha1.MailDomain) { md.Spec.TLSA.TTL = int32(cacheTime / time.Second) }

// resolverHolds waits until Postfix's resolver has just learned the records: it will hold them for
// nearly their whole TTL.
func (s *site) resolverHolds() {
	s.Helper()
	servers.Eventually(s, "the resolver has learned the records anew", func() error {
		m, err := servers.Ask(s.unbound.Addr, s.owner(), dns.TypeTLSA, true)
		if err != nil {
			return err
		}
		for _, rr := range m.Answer {
			if left := time.Duration(rr.Header().Ttl) * time.Second; left < cacheTime-time.Second {
				return fmt.Errorf("they are forgotten in %s", left)
			}
		}
		if len(m.Answer) == 0 {
			return errors.New("it knows none")
		}
		return nil
	})
}

// renewUntilBothFail renews when the resolver has just learned the records. On a busy machine the new key
// may still be served only after they are forgotten, and nothing fails then: it is tried again.
func (s *site) renewUntilBothFail() {
	s.Helper()
	for range 4 {
		s.resolverHolds()
		s.renew(false)
		err := s.bothFail()
		if err == nil {
			return
		}
		s.Logf("no failure: %v", err)
	}
}

// Without the policy cert-manager's approver lets the request pass: the operator publishes at once
// and says until when senders may fail. They fail then, and at no other time.
func TestGateBypassed(t *testing.T) { alone(t, bind, gateBypassed) }

func gateBypassed(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls", lateReload).gated(false, longCached)
	s.withoutPolicy()
	watch := s.watchAnnouncements()
	s.renewUntilBothFail()
	s.failuresWereAnnounced(watch, v1alpha1.ReasonGateBypassed)
}

// Follow holds nothing back and says so.
func TestFollowWithANewKey(t *testing.T) { on(t, knot, followWithANewKey) }

func followWithANewKey(t *testing.T, m servers.Make) {
	s := newSite(t, m, "mx1-tls", lateReload)
	s.createZone()
	s.certificate("selfsigned", nil)
	s.domain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyFollow
		withoutStandby(md)
		longCached(md)
	})
	s.settle(false)
	s.judges()
	watch := s.watchAnnouncements()
	s.renewUntilBothFail()
	s.failuresWereAnnounced(watch, v1alpha1.ReasonFollowed)
}

// A judge that cannot fail proves nothing: with nobody at work a renewed key is published too late,
// and both senders must say so; when the operator is back they must be content again.
func TestJudgesTurnRedWhenPublishedTooLate(t *testing.T) {
	alone(t, bind, judgesTurnRedWhenPublishedTooLate)
}

func judgesTurnRedWhenPublishedTooLate(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.withoutPolicy()
	s.must(s.lab.Operator.Kill())
	before := s.startRenewal()
	servers.Eventually(t, "both judges say that the key does not match", func() error { return s.bothFail() })
	s.must(s.lab.Operator.Start())
	s.settleBeyond(before, false)
	time.Sleep(caches)
	green := time.Now()
	s.stopJudges()
	since := s.checksFrom(green)
	for _, name := range judge.Names {
		if len(since[name]) == 0 {
			t.Errorf("%s was not heard again", name)
		}
		for _, c := range since[name] {
			if !c.OK {
				t.Errorf("%s still fails: %s: %s", c.Judge, c.Class, c.Detail)
			}
		}
	}
}

// announcement is what RolloverSafe said at an instant between two; until is zero while the end is not known.
type announcement struct {
	at     time.Time
	read   time.Time
	unsafe bool
	reason string
	until  time.Time
}

var untilPattern = regexp.MustCompile(`\(until ([^)]+)\)`)

// watchAnnouncements notes what RolloverSafe says, every 50 ms. The function that it returns ends
// the watch and gives what was noted.
func (s *site) watchAnnouncements() func() []announcement {
	ctx, cancel := context.WithCancel(s.Context())
	var noted []announcement
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			at := time.Now()
			md, err := s.lab.Domain(ctx, s.lab.Namespace)
			if err != nil {
				continue
			}
			c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
			if c == nil {
				continue
			}
			a := announcement{at: at, read: time.Now(), unsafe: c.Status == metav1.ConditionFalse, reason: c.Reason}
			if m := untilPattern.FindStringSubmatch(c.Message); m != nil {
				a.until, _ = time.Parse(time.RFC3339, m[1])
			}
			noted = append(noted, a)
		}
	}()
	return func() []announcement {
		cancel()
		<-done
		return noted
	}
}

// failuresWereAnnounced ends the judges and wants that both failed, with a mismatch, and only while
// the object said that they may, for the reason given.
func (s *site) failuresWereAnnounced(watch func() []announcement, reason string) {
	s.Helper()
	checks := s.stopJudges()
	windows := s.announcedWindows(watch(), reason)
	failed := map[string]bool{}
	for _, c := range checks {
		switch {
		case c.OK:
		case c.Class != judge.ClassMismatch:
			s.Errorf("%s %s: %s: %s", c.At.Format(stamp), c.Judge, c.Class, c.Detail)
		case !slices.ContainsFunc(windows, func(w window) bool { return w.meets(c) }):
			s.Errorf("%s %s fails outside of what was announced: %s", c.At.Format(stamp), c.Judge, c.Detail)
		default:
			failed[c.Judge] = true
		}
	}
	if err := allOf(failed); err != nil {
		s.Errorf("failures were announced, and did not come: %v", err)
	}
}

const stamp = "15:04:05.000"

// window is a time for which failures were announced. It is over when RolloverSafe is True again, whatever
// was announced; over is zero while it is not.
type window struct{ from, until, over time.Time }

// end is the earlier of the instant announced and the one at which the object says that it is over.
func (w window) end() time.Time {
	if !w.over.IsZero() && w.over.Before(w.until) {
		return w.over
	}
	return w.until
}

// meets says whether some of a check was in the window. unbound counts in whole seconds, and holds an
// answer for up to one more than its TTL.
func (w window) meets(c judge.Check) bool {
	return c.End.After(w.from) && c.At.Before(w.end().Add(time.Second))
}

// endsInTime wants an announced end that is no later than caches allow: no name server shows the records of
// before when it is announced, so that a TTL later they are forgotten. It is told in whole seconds.
func (a announcement) endsInTime(ttl time.Duration) error {
	if latest := a.read.Add(ttl + time.Second); a.until.After(latest) {
		return fmt.Errorf("at %s RolloverSafe says that senders may fail until %s: that is %s more than a TTL",
			a.read.Format(stamp), a.until.Format(stamp), a.until.Sub(a.read)-ttl)
	}
	return nil
}

// announcedWindows are the times for which failures were announced, each from the last look that saw
// none announced.
func (s *site) announcedWindows(noted []announcement, reason string) []window {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
	s.must(err)
	ttl := time.Duration(md.Spec.TLSA.TTL) * time.Second
	var windows []window
	var before announcement
	for _, a := range noted {
		if a.unsafe && !before.unsafe {
			windows = append(windows, window{from: before.at})
		}
		if a.unsafe {
			w := &windows[len(windows)-1]
			if a.until.After(w.until) {
				w.until = a.until
			}
			if err := a.endsInTime(ttl); err != nil && a.until != before.until {
				s.Error(err)
			}
		}
		if !a.unsafe && before.unsafe {
			windows[len(windows)-1].over = a.read
		}
		if a.unsafe && a.reason != reason && a.reason != before.reason {
			s.Errorf("RolloverSafe is False for the reason %s instead of %s", a.reason, reason)
		}
		before = a
	}
	for _, w := range windows {
		s.Logf("announced from %s until %s, over at %s", w.from.Format(stamp), w.until.Format(stamp), w.over.Format(stamp))
		if w.from.IsZero() || w.until.IsZero() {
			s.Error("RolloverSafe did not say from when until when senders may fail")
		}
	}
	return windows
}

// bothFail returns nil when both judges have found a mismatch.
func (s *site) bothFail() error {
	failed := map[string]bool{}
	for _, c := range s.checks.Failed() {
		failed[c.Judge] = failed[c.Judge] || c.Class == judge.ClassMismatch
	}
	return allOf(failed)
}
