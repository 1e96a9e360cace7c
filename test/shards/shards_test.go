package shards

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
)

// The tests stop operators that they share, and run one after the other.

// stopped stops an operator until it is started again, at the latest when the test ends.
func (s *site) stopped(p *kube.Process) (again func()) {
	s.Helper()
	s.must(p.Stop())
	again = func() {
		if !p.Running() {
			if err := p.Start(); err != nil {
				s.Error(err)
			}
		}
	}
	s.Cleanup(again)
	return again
}

// TestEachRollsItsOwn: in one namespace and one zone each host rolls over by its own operator, and the request of one whose
// operator is away waits for it, whatever the other one does.
func TestEachRollsItsOwn(t *testing.T) {
	s := newSite(t)
	one, two := s.server("one", "one"), s.server("two", "two")
	s.certificate("one", one.fqdn)
	s.certificate("two", two.fqdn)
	one.domain("a", "one", nil)
	two.domain("b", "two", nil)
	firstOne, firstTwo := one.settle(""), two.settle("")
	logs := []func(){}
	for _, h := range []*host{one, two} {
		log := h.judged()
		logs = append(logs, func() { h.faultless(log) })
	}

	again := s.stopped(second)
	s.renew("one")
	s.renew("two")
	one.settle(firstOne)
	s.held("two", "the operator that acts for its MailDomain is away")
	again()
	two.settle(firstTwo)

	// The DNSZone is the first operator's: that it is away is in no way of the other.
	again = s.stopped(shared.Operator)
	beforeTwo := lab.CurrentKey(two.wait(func(*v1alpha1.MailDomain) string { return "" }), two.fqdn)
	s.renew("two")
	two.settle(beforeTwo)
	again()
	for _, check := range logs {
		check()
	}
}

// TestLabelMovesInMidRollover: a rollover that one operator has begun is ended by the other, with the key that it began with,
// and no sender fails.
func TestLabelMovesInMidRollover(t *testing.T) {
	s := newSite(t)
	h := s.server("moves", "moves")
	s.certificate("moves", h.fqdn)
	h.domain("a", "moves", func(md *v1alpha1.MailDomain) { md.Spec.Rollover.PublishSafety = "1h" })
	before, issued := h.settle(""), s.revision("moves")
	log := h.judged()
	s.renew("moves")
	begun := ""
	h.wait(func(md *v1alpha1.MailDomain) string {
		next := lab.Keys(md, h.fqdn, v1alpha1.RoleNext)
		if len(next) != 1 || next[0].Visibility == v1alpha1.VisibilityHidden {
			return fmt.Sprintf("the next key is not published yet: %+v", next)
		}
		begun = next[0].SPKISHA256
		return ""
	})
	h.relabel("b")
	s.held("moves", "caches may not know its key for an hour")
	h.patch(`{"spec":{"rollover":{"publishSafety":"1s"}}}`)
	after := h.settle(before)
	if after != begun {
		t.Errorf("it ended with key %s, and had begun with %s", after, begun)
	}
	if now := s.revision("moves"); now != issued+1 {
		t.Errorf("it was issued %d times in the rollover, want once", now-issued)
	}
	h.faultless(log)
}

// TestSelectedByNobody: a MailDomain that no operator acts for is left wholly alone, and its requests wait; one that acts for
// it again goes on.
func TestSelectedByNobody(t *testing.T) {
	s := newSite(t)
	h := s.server("nobodys", "nobodys")
	s.certificate("nobodys", h.fqdn)
	h.domain("a", "nobodys", nil)
	before := h.settle("")
	h.relabel("nobody")
	was := h.wait(func(*v1alpha1.MailDomain) string { return "" })
	records := fmt.Sprint(s.zone.Records())
	s.renew("nobodys")
	s.held("nobodys", "no operator acts for its MailDomain")
	now := h.wait(func(*v1alpha1.MailDomain) string { return "" })
	if now.ResourceVersion != was.ResourceVersion || fmt.Sprint(s.zone.Records()) != records {
		t.Errorf("it was worked on: %+v", now)
	}
	h.relabel("b")
	h.settle(before)
}

// TestCertificateOfBoth: what MailDomains of both operators name is approved by neither, which both say, and a host that was
// not there before is not begun; with one label it goes on.
func TestCertificateOfBoth(t *testing.T) {
	s := newSite(t)
	one, two := s.server("first", "both"), s.server("later", "both")
	s.certificate("both", one.fqdn, two.fqdn)
	one.domain("a", "both", nil)
	before := one.settle("")
	two.domain("b", "both", nil)
	stalled := func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonCertificateHeldElsewhere {
			return fmt.Sprintf("Stalled is %+v", c)
		}
		return ""
	}
	one.wait(stalled)
	if md := two.wait(stalled); len(md.Status.MailServers) > 0 && len(md.Status.MailServers[0].OwnRecords) > 0 {
		t.Errorf("the later one was begun: %+v", md.Status.MailServers)
	}
	s.renew("both")
	s.held("both", "a MailDomain of each operator names the Certificate")
	two.relabel("a")
	one.settle(before)
	two.settle("")
}
