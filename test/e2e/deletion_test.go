package e2e

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// A MailDomain that is deleted takes its records with it. A new key would harm until every cache has
// forgotten them: a renewal is held until then, and let go afterwards.
func TestDeletionRemovesTheRecords(t *testing.T) { on(t, knot, deletionRemovesTheRecords) }

func deletionRemovesTheRecords(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	servers.Eventually(s, "the judges have made enough checks to judge by", s.judged)
	s.delete()
	s.removedUnderARenewal()
}

// removedUnderARenewal renews while the records are taken out, and judges that to the end.
func (s *site) removedUnderARenewal() {
	s.Helper()
	before := s.startRenewal()
	last := s.lastShown()
	s.heldUntil(last.Add(caches))
	s.gone()
	servers.Eventually(s, "Postfix serves the renewed key", func() error {
		if s.postfix.Served() == before {
			return errors.New("it serves the old one")
		}
		return nil
	})
	servers.Eventually(s, "no sender finds records any more", s.bothFindNothing)
	s.verdictBut(func(c judge.Check) bool { return c.Class == judge.ClassNoDANE && c.End.After(last) })
}

// bothFindNothing returns nil when the newest check of each judge found no records.
func (s *site) bothFindNothing() error {
	nothing := map[string]bool{}
	for _, c := range s.checks.Checks() {
		nothing[c.Judge] = c.Class == judge.ClassNoDANE
	}
	return allOf(nothing)
}

// With Retain the records stay, and match what is served, when the MailDomain has gone.
func TestDeletionRetainsTheRecords(t *testing.T) { on(t, bind, deletionRetainsTheRecords) }

func deletionRetainsTheRecords(t *testing.T, m servers.Make) {
	s := gated(t, m, true, func(md *v1alpha1.MailDomain) { md.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	published := s.published()
	s.delete()
	s.gone()
	s.keepsPublished(published)
	if crt := s.issued(1); crt.Annotations[gate] != "" {
		t.Errorf("the Certificate is still gated by %s", crt.Annotations[gate])
	}
	s.verdict()
}

// keepsPublished wants the records to stay what they are, for longer than any cache holds them.
func (s *site) keepsPublished(records string) {
	s.Helper()
	for until := time.Now().Add(2 * caches); time.Now().Before(until); time.Sleep(tick) {
		if now := s.published(); now != records {
			s.Fatalf("the primary shows\n%s\ninstead of\n%s", now, records)
		}
	}
}

// While DNS cannot be reached the MailDomain stays and says why, and holds the renewal. It goes on by itself
// when DNS is back.
func TestDeletionWaitsForDNS(t *testing.T) { on(t, powerDNS, deletionWaitsForDNS) }

func deletionWaitsForDNS(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.primary.Stop()
	s.deletionWaits()
	s.primary.Start()
	s.removedUnderARenewal()
}

// deletionWaits deletes the MailDomain while the primary is away, and wants it to stay and to say so.
func (s *site) deletionWaits() {
	s.Helper()
	s.delete()
	s.says(v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, s.primary.Addr.String(), v1alpha1.AbandonAnnotation)
	for until := time.Now().Add(2 * caches); time.Now().Before(until); time.Sleep(tick) {
		if _, err := s.lab.Domain(s.Context(), s.lab.Namespace); err != nil {
			s.Fatalf("the MailDomain went although its records stand: %v", err)
		}
	}
}

// Where DNS does not come back, the MailDomain is let go by annotation. Its records stay, and senders go by them.
func TestDeletionAbandonsTheRecords(t *testing.T) { on(t, knot, deletionAbandonsTheRecords) }

func deletionAbandonsTheRecords(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	published := s.published()
	s.primary.Stop()
	s.deletionWaits()
	s.editDomain(func(md *v1alpha1.MailDomain) { md.Annotations = map[string]string{v1alpha1.AbandonAnnotation: "true"} })
	s.gone()
	s.primary.Start()
	s.keepsPublished(published)
	s.verdict()
}

func (s *site) delete() {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
	s.must(err)
	s.must(s.lab.Client.Delete(s.Context(), md))
}

// gone waits until the MailDomain has gone.
func (s *site) gone() {
	s.Helper()
	servers.Eventually(s, "the MailDomain is gone", func() error {
		if _, err := s.lab.Domain(s.Context(), s.lab.Namespace); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("it is still there"), err)
		}
		return nil
	})
}
