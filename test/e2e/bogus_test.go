package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/servers"
)

// TestBelowAPrivateRoot: what becomes of published records when the way from the root to their zone breaks, first far
// above and then right above it. The cluster is its own, since the operator has to be told of the root.
func TestBelowAPrivateRoot(t *testing.T) {
	t.Parallel()
	tr := plant(t)
	s := newSiteWith(t, servers.Knot, "mx1-tls", siteOptions{tree: tr, primary: tr.grown}).gated(false)
	s.turnsBogus()
	s.turnsInsecure()
}

// strangeDS is the DS record of no key.
var strangeDS = "1 13 2 " + strings.Repeat("AB", 32)

// turnsBogus breaks the chain of trust under published records. Senders defer mail then, and say why as the conditions
// do. Nothing in DNS is touched, and a renewal that begins meanwhile gets no further than its request. When the parent
// is mended it goes on to its end, and from the first delivery on none fails.
func (s *site) turnsBogus() {
	s.Helper()
	tr, apex := s.tree, zoneName+"."
	published := s.published()
	servers.Eventually(s, "the judges have made enough checks to judge by", s.judged)
	s.sendersSay(v1alpha1.SenderDANE, mx)

	broke := time.Now()
	tr.entered(tr.root, "test.", strangeDS)
	s.looksAgain()
	s.turns(v1alpha1.ReasonBogus, "zone test.: server "+tr.resolver.Addr.String()+": test. DNSKEY: ", "the fault is in the zone test., above "+apex)
	before := s.startRenewal()
	s.frozen(published)

	tr.entered(tr.parent, apex, strangeDS)
	tr.entered(tr.root, "test.", tr.parent.DS)
	s.turns(v1alpha1.ReasonBogus, "."+zoneName+" (127.", "): "+apex+" DNSKEY: no key of the zone matches a DS record at its parent", "the parent zone test. is to blame: have it replace the DS records of "+apex)
	s.sendersSay(v1alpha1.SenderUndeliverable, "the MX lookup of "+zoneName+" is bogus")
	s.deferred()
	s.frozen(published)
	if s.approved() {
		s.Error("the request was approved while the zone was bogus")
	}

	tr.entered(tr.parent, apex, s.primary.DS)
	servers.Eventually(s, "Postfix's resolver validates the zone again", s.resolves)
	green := time.Now()
	s.settleBeyond(before, false)
	s.sendersSay(v1alpha1.SenderDANE, mx)
	s.verdictBut(func(c judge.Check) bool {
		return c.Judge == "postfix" && c.Class == judge.ClassUnreachable && c.End.After(broke) && c.At.Before(green)
	})
}

// looksAgain has the operator look at the zone when no cache holds what was before, as it does when the spec is another:
// by itself it looks at one that is well once in five minutes.
func (s *site) looksAgain() {
	s.Helper()
	time.Sleep(caches)
	s.editZone(func(z *v1alpha1.DNSZone) {
		if z.Spec.Propagation.Interval != "300ms" {
			z.Spec.Propagation.Interval = "300ms"
			return
		}
		z.Spec.Propagation.Interval = "301ms"
	})
}

// turns waits until the DNSZone and the MailDomain say that the zone is not secure, for a reason and with all parts of
// a message.
func (s *site) turns(reason string, parts ...string) {
	s.Helper()
	servers.Eventually(s, fmt.Sprintf("the zone is %s, with %q", reason, parts), func() error {
		c := meta.FindStatusCondition(s.zone().Status.Conditions, v1alpha1.ConditionDNSSECSecure)
		if c == nil || c.Status != metav1.ConditionFalse || c.Reason != reason {
			return fmt.Errorf("DNSSECSecure of the DNSZone is %+v", c)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Errorf("%q does not say %q", c.Message, part)
			}
		}
		return nil
	})
	s.says(v1alpha1.ConditionDNSSECSecure, append([]string{reason + ": "}, parts...)...)
}

// frozen wants every name server to show the same records for longer than a rollover would take, the request of the
// renewal to wait all the time, and the MailDomain to say for what.
func (s *site) frozen(published string) {
	s.Helper()
	s.heldUntil(time.Now().Add(2*caches), func() error {
		var errs []error
		for _, at := range s.authoritative() {
			if shown, err := s.shownBy(at); err != nil || shown != published {
				errs = append(errs, fmt.Errorf("%s shows %q in place of %q (%v)", at, shown, published, err))
			}
		}
		return errors.Join(errs...)
	})
	s.wait(func(md *v1alpha1.MailDomain) string {
		if n := md.Status.NextTransition; n == nil || !strings.Contains(n.Action, "not Secure") && !strings.Contains(n.Action, "until the zone is Secure") {
			return fmt.Sprintf("nextTransition to say that it waits for the zone; it is %+v", n)
		}
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRecordsPublished)
		if c == nil || c.Status != metav1.ConditionTrue {
			return fmt.Sprintf("RecordsPublished to be True still; it is %+v", c)
		}
		return ""
	})
}

// sendersSay waits until status has a verdict of senders, with a part of its message. One that keeps mail away makes
// the MailDomain unready.
func (s *site) sendersSay(verdict v1alpha1.SenderVerdict, part string) {
	s.Helper()
	s.wait(func(md *v1alpha1.MailDomain) string {
		v := md.Status.MailServers[0].SenderView
		if v == nil || v.Verdict != verdict || !strings.Contains(v.Message, part) {
			return fmt.Sprintf("senderView to be %s and to say %q; it is %+v", verdict, part, v)
		}
		if ready := meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionReady); verdict == v1alpha1.SenderUndeliverable && ready {
			return "Ready to be False; " + conditions(md)
		}
		return ""
	})
}

// deferred wants every check of Postfix that begins now to end with a lookup that failed, as of mail that is deferred,
// while the sender that does not validate still finds what matches.
func (s *site) deferred() {
	s.Helper()
	from := time.Now()
	servers.Eventually(s, "each judge has made enough checks", func() error {
		for name, checks := range s.checksFrom(from) {
			for _, c := range checks {
				if failed := c.Class == judge.ClassUnreachable && strings.Contains(c.Detail, "try again"); failed != (name == "postfix") || c.OK == failed {
					s.Fatalf("%s: %s: %s", name, c.Class, c.Detail)
				}
			}
		}
		for _, name := range judge.Names {
			if n := len(s.checksFrom(from)[name]); n < enough {
				return fmt.Errorf("%s has made %d", name, n)
			}
		}
		return nil
	})
}
