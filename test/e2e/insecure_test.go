package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

// turnsInsecure has the zone's signer ask for the removal of the DS records (RFC 8078 section 4), with published
// records in the zone. Nothing comes of it until that is allowed. Then every server of the parent proves that there are
// none, the zone is Insecure, senders go on without DANE, and the records are left as they are, with a renewal held,
// until the MailDomain is deleted.
func (s *site) turnsInsecure() {
	s.Helper()
	tr := s.tree
	_, err := s.lab.CreateZone(s.Context(), "parent", lab.Zone{
		Name: "test", Primary: servers.AtPort53(tr.at["parent1"]).String(), TSIGName: tr.parent.TSIGName, TSIGSecret: tr.parent.TSIGSecret,
	}, lab.Fast)
	s.must(err)
	s.editZone(func(z *v1alpha1.DNSZone) {
		z.Spec.DNSSEC.Delegation = &v1alpha1.DelegationSpec{ParentZoneRef: &v1alpha1.ZoneReference{Name: "parent"}}
	})
	published := s.published()
	s.primary.PublishCDS(servers.CDSForRemoval)
	s.delegationIs(metav1.ConditionFalse, v1alpha1.ReasonDeleteNotAllowed, "spec.dnssec.delegation.allowDelete: true")
	s.checks = &judge.Log{}
	s.judges()
	for until := time.Now().Add(2 * caches); time.Now().Before(until); time.Sleep(tick) {
		if err := tr.entersBy(s.primary.DS); err != nil {
			s.Fatalf("the removal was not allowed: %v", err)
		}
	}
	s.delegationIs(metav1.ConditionFalse, v1alpha1.ReasonDeleteNotAllowed)

	allowed := time.Now()
	s.editZone(func(z *v1alpha1.DNSZone) { z.Spec.DNSSEC.Delegation.AllowDelete = true })
	servers.Eventually(s, "no server of the parent has a DS record", func() error { return tr.entersBy() })
	s.delegationIs(metav1.ConditionTrue, v1alpha1.ReasonDSInSync)
	if d := s.zone().Status.DNSSEC.Delegation; d == nil || len(d.SyncedDS) > 0 || d.SyncedAt == nil || len(d.ParentDS) > 0 {
		s.Errorf("status says of the removal: %+v", d)
	}
	s.looksAgain()
	s.turns(v1alpha1.ReasonInsecure, zoneName+". DS: the parent zone test. proves that it has no DS record of "+zoneName+".")
	if z := s.zone().Status.DNSSEC; z.State != v1alpha1.DNSSECStateInsecure || len(z.DS) > 0 {
		s.Errorf("the zone is %s, with the DS records %v", z.State, z.DS)
	}
	s.sendersSay(v1alpha1.SenderOpportunistic, "is insecure")
	s.startRenewal()
	s.frozen(published)
	servers.Eventually(s, "Postfix delivers without DANE", func() error {
		checks := s.checksFrom(allowed)["postfix"]
		if len(checks) == 0 || checks[len(checks)-1].Class != judge.ClassNoDANE {
			return errors.New("it does not")
		}
		return nil
	})
	s.verdictBut(func(c judge.Check) bool {
		return c.Judge == "postfix" && c.Class == judge.ClassNoDANE && c.End.After(allowed)
	})

	s.delete()
	servers.Eventually(s, "the records are taken out of the insecure zone", func() error { return s.noneShown() })
	s.gone()
}

// entersBy returns an error while a server of test. gives other DS records of the site's zone.
func (tr *tree) entersBy(want ...string) error {
	for _, at := range []netip.AddrPort{tr.parent.Addr, tr.parentSecondary.Addr} {
		m, err := servers.Ask(at, zoneName, dns.TypeDS, false)
		if err != nil {
			return err
		}
		var got []string
		for _, rr := range m.Answer {
			if ds, ok := rr.(*dns.DS); ok {
				got = append(got, fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest)))
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s has the DS records %v, not %v", at, got, want)
		}
	}
	return nil
}

// noneShown returns an error while a server of the zone shows TLSA records.
func (s *site) noneShown() error {
	for _, at := range s.authoritative() {
		if shown, err := s.shownBy(at); err != nil || shown != "" {
			return fmt.Errorf("%s shows %q (%v)", at, shown, err)
		}
	}
	return nil
}

// delegationIs waits until DelegationInSync is so, with all parts of a message.
func (s *site) delegationIs(status metav1.ConditionStatus, reason string, parts ...string) {
	s.Helper()
	servers.Eventually(s, "DelegationInSync is "+reason, func() error {
		z := s.zone()
		c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegationInSync)
		if c == nil || c.ObservedGeneration != z.Generation || c.Status != status || c.Reason != reason {
			return fmt.Errorf("it is %+v", c)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Errorf("%q does not say %q", c.Message, part)
			}
		}
		return nil
	})
}
