package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
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

var errNotYet = errors.New("not both of them yet")

// cacheTime is the TTL where a cache has to hold the old answer until Postfix serves the new key. That
// takes reload and an issuance.
const cacheTime = 12 * time.Second

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

// Without the policy cert-manager's approver lets the request pass: the operator publishes at once
// and says until when senders may fail. They fail then, and at no other time.
func TestGateBypassed(t *testing.T) {
	s := gated(t, false, longCached)
	s.withoutPolicy()
	watch := s.watchAnnouncements()
	s.resolverHolds()
	s.renew(false)
	s.failuresWereAnnounced(watch, v1alpha1.ReasonGateBypassed)
}

// Follow holds nothing back and says so.
func TestFollowWithANewKey(t *testing.T) {
	s := newSite(t, "mx1-tls")
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
	s.resolverHolds()
	s.renew(false)
	s.failuresWereAnnounced(watch, v1alpha1.ReasonFollowed)
}

// A judge that cannot fail proves nothing: with nobody at work a renewed key is published too late,
// and both senders must say so; when the operator is back they must be content again.
func TestJudgesTurnRedWhenPublishedTooLate(t *testing.T) {
	s := gated(t, false)
	s.withoutPolicy()
	s.must(s.lab.Operator.Kill())
	before := s.startRenewal()
	servers.Eventually(t, "both judges say that the key does not match", func() error { return s.bothFail() })
	s.must(s.lab.Operator.Start())
	s.settleBeyond(before, false)
	time.Sleep(caches)
	green := time.Now()
	for _, c := range s.stopJudges() {
		if c.At.After(green) && !c.OK {
			t.Errorf("%s still fails: %s: %s", c.Judge, c.Class, c.Detail)
		}
	}
}

// announcement is what RolloverSafe said at an instant; until is zero while the end is not known.
type announcement struct {
	at     time.Time
	safe   bool
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
			md, err := s.lab.Domain(ctx, "example")
			if err != nil {
				continue
			}
			c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
			if c == nil {
				continue
			}
			a := announcement{at: time.Now(), safe: c.Status == metav1.ConditionTrue, reason: c.Reason}
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
	from, until := s.announcedWindow(watch(), reason)
	s.Logf("announced from %s until %s", from.Format(stamp), until.Format(stamp))
	failed := map[string]int{}
	for _, c := range checks {
		switch {
		case c.OK:
		case c.Class != judge.ClassMismatch:
			s.Errorf("%s %s: %s: %s", c.At.Format(stamp), c.Judge, c.Class, c.Detail)
		case c.At.Before(from) || c.At.After(until):
			s.Errorf("%s %s fails outside of what was announced: %s", c.At.Format(stamp), c.Judge, c.Detail)
		default:
			failed[c.Judge]++
		}
	}
	for _, name := range []string{"postfix", "libssl"} {
		if failed[name] == 0 {
			s.Errorf("%s did not fail although it was announced that senders may", name)
		}
	}
}

const stamp = "15:04:05.000"

// announcedWindow is the time for which failures were announced. Its end is said in whole seconds,
// rounded up, and a check that began before it may end after it.
func (s *site) announcedWindow(noted []announcement, reason string) (from, until time.Time) {
	s.Helper()
	for _, a := range noted {
		if a.safe {
			continue
		}
		if a.reason != reason {
			s.Errorf("RolloverSafe is False for the reason %s instead of %s", a.reason, reason)
		}
		if from.IsZero() {
			from = a.at
		}
		if a.until.After(until) {
			until = a.until
		}
	}
	if from.IsZero() || until.IsZero() {
		s.Fatalf("RolloverSafe never said from when until when senders may fail")
	}
	return from, until.Add(500 * time.Millisecond)
}

// bothFail returns nil when both judges have found a mismatch.
func (s *site) bothFail() error {
	failed := map[string]bool{}
	for _, c := range s.checks.Failed() {
		failed[c.Judge] = failed[c.Judge] || c.Class == judge.ClassMismatch
	}
	if !failed["postfix"] || !failed["libssl"] {
		return errNotYet
	}
	return nil
}
