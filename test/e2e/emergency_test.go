package e2e

import (
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// longRetirement is longer than a test lasts: only a compromised key is dropped earlier.
func longRetirement(md *v1alpha1.MailDomain) { md.Spec.Rollover.RetireSafety = "1h" }

// shortenRetirement lets a key go that longRetirement has held.
func (s *site) shortenRetirement() {
	s.Helper()
	s.editDomain(func(md *v1alpha1.MailDomain) { md.Spec.Rollover.RetireSafety = lab.Fast.RetireSafety })
}

// A compromised key is left for the standby key at once, and its record goes as soon as no endpoint
// presents it, and not before.
func TestEmergencyWithStandbyKey(t *testing.T) { on(t, powerDNS, emergencyWithStandbyKey) }

func emergencyWithStandbyKey(t *testing.T, m servers.Make) {
	s := gated(t, m, true, longRetirement)
	md, err := s.lab.Domain(t.Context(), s.lab.Namespace)
	s.must(err)
	lost, standby := lab.CurrentKey(md, mx), lab.Keys(md, mx, v1alpha1.RoleNext)[0].SPKISHA256
	watch := s.watchAnnouncements()
	s.compromised(lost)
	s.dropsWhenUnserved(lost)
	md = s.wait(func(md *v1alpha1.MailDomain) string {
		if key := lab.CurrentKey(md, mx); key != standby {
			return "the standby key " + standby + " to be in use instead of " + key + "; " + conditions(md)
		}
		return lab.Settled(md, mx, true)
	})
	if next := lab.Keys(md, mx, v1alpha1.RoleNext)[0].SPKISHA256; next == lost || strings.Contains(s.published(), lost) {
		t.Error("the compromised key is still there")
	}
	s.staysSafe(watch)
	s.verdict()
}

// Without a standby key the emergency waits for the caches like every rollover, and says so: a sender that
// cannot deliver is no help against a lost key.
func TestEmergencyWithoutStandbyKey(t *testing.T) { on(t, bind, emergencyWithoutStandbyKey) }

func emergencyWithoutStandbyKey(t *testing.T, m servers.Make) {
	s := gated(t, m, false, longRetirement)
	lost, published := s.beforeRenewal(), s.published()
	watch := s.watchAnnouncements()
	s.compromised(lost)
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.dropsWhenUnserved(lost)
	s.settleBeyond(lost, false)
	s.staysSafe(watch)
	s.verdict()
}

// compromised lists a key as compromised.
func (s *site) compromised(key string) {
	s.Helper()
	s.editDomain(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(key)}
	})
}

// dropsWhenUnserved waits until the record of a key is gone, and wants that Postfix did not serve it any more.
func (s *site) dropsWhenUnserved(key string) {
	s.Helper()
	var served string
	servers.Eventually(s, "the record of the compromised key is gone", func() error {
		served = s.postfix.Served() // asked for first: Postfix is not earlier than it seems
		return s.lacks(key)
	})
	if served == key {
		s.Error("the record went while Postfix served the key")
	}
}
