package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/servers"
)

// longTTL is more than twice the lab's, so that a wait by the wrong one is seen; longCaches is the time in
// which every cache forgets what it learned with it.
const (
	longTTL    = 5 * time.Second
	longCaches = 2 * longTTL
	shortTTL   = 2 * time.Second
)

// withTTL is an edit of a MailDomain.
func withTTL(ttl time.Duration) func(*v1alpha1.MailDomain) {
	return func(md *v1alpha1.MailDomain) { md.Spec.TLSA.TTL = int32(ttl / time.Second) }
}

// shownTTL is the TTL of the records that the primary shows.
func (s *site) shownTTL() time.Duration {
	s.Helper()
	m, err := servers.Ask(s.primary.Addr, s.owner(), dns.TypeTLSA, false)
	s.must(err)
	for _, rr := range m.Answer {
		if r, ok := rr.(*dns.TLSA); ok {
			return time.Duration(r.Hdr.Ttl) * time.Second
		}
	}
	return 0
}

// ttlChangesFrom waits until the primary shows another TTL, and returns the last instant at which it was
// seen with that of before.
func (s *site) ttlChangesFrom(ttl time.Duration) time.Time {
	s.Helper()
	last := time.Now()
	servers.Eventually(s, "another TTL is published", func() error {
		at := time.Now()
		if s.shownTTL() == ttl {
			last = at
			return errors.New("it is what it was")
		}
		return nil
	})
	return last
}

// A TTL that is lowered right before a renewal does not hurry it: caches hold the old answer for its own TTL.
func TestTTLLoweredBeforeARollover(t *testing.T) { on(t, knot, ttlLoweredBeforeARollover) }

func ttlLoweredBeforeARollover(t *testing.T, m servers.Make) {
	s := gated(t, m, false, withTTL(longTTL))
	s.editDomain(withTTL(shortTTL))
	last := s.ttlChangesFrom(longTTL)
	before := s.startRenewal()
	s.heldUntil(last.Add(longCaches))
	s.settleBeyond(before, false)
	if ttl := s.shownTTL(); ttl != shortTTL {
		t.Errorf("the TTL is %s", ttl)
	}
	s.verdict()
}

// Nor does one that is lowered while the new key waits.
func TestTTLLoweredDuringARollover(t *testing.T) { on(t, bind, ttlLoweredDuringARollover) }

func ttlLoweredDuringARollover(t *testing.T, m servers.Make) {
	s := gated(t, m, false, withTTL(longTTL))
	published := s.published()
	before := s.startRenewal()
	last := s.changesFrom(published)
	s.editDomain(withTTL(shortTTL))
	s.ttlChangesFrom(longTTL)
	s.heldUntil(last.Add(longCaches))
	s.settleBeyond(before, false)
	s.verdict()
}

// A TTL that is raised while the new key waits does not hold that up, since all answers with the new TTL
// have the new key. It holds up the removal of the old one, and the next renewal.
func TestTTLRaisedDuringARollover(t *testing.T) { on(t, powerDNS, ttlRaisedDuringARollover) }

func ttlRaisedDuringARollover(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	published := s.published()
	before := s.startRenewal()
	last := s.changesFrom(published)
	s.editDomain(withTTL(longTTL))
	s.heldUntil(last.Add(caches))
	s.publishedUntil(before, s.servesLast(before).Add(longCaches))
	s.settleBeyond(before, false)

	published = s.published()
	before = s.startRenewal()
	s.heldUntil(s.changesFrom(published).Add(longCaches))
	s.settleBeyond(before, false)
	s.verdict()
}

// servesLast waits until Postfix serves another key, and returns the last instant at which it was seen
// with that of before.
func (s *site) servesLast(key string) time.Time {
	s.Helper()
	last := time.Now()
	servers.Eventually(s, "Postfix serves the new key", func() error {
		at := time.Now()
		if s.postfix.Served() == key {
			last = at
			return errors.New("it serves the old one")
		}
		return nil
	})
	return last
}

// publishedUntil wants the primary to show the record of a key until an instant.
func (s *site) publishedUntil(key string, instant time.Time) {
	s.Helper()
	for time.Now().Before(instant) {
		if !strings.Contains(s.published(), key) && time.Now().Before(instant) {
			s.Fatalf("the record of the old key was removed %s too early", time.Until(instant).Round(time.Millisecond))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
