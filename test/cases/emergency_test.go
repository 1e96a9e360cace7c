package cases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/servers"
)

// edit changes the MailDomain "example", again if somebody else did meanwhile.
func (s *site) edit(change func(*v1alpha1.MailDomain)) {
	s.Helper()
	eventually(s.T, func() string {
		md, err := s.lab.Domain(s.Context(), "example")
		s.must(err)
		change(md)
		if err := s.lab.Client.Update(s.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
}

// TestEmergency leaves a compromised key for the standby key at once, drops its record as soon as no
// endpoint presents it, and never uses it again.
func TestEmergency(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.RetireSafety = "1h" // a routine retirement would outlast the test
	}, "mx1")
	before := s.wait("example", settled)
	lost, standby := lab.CurrentKey(before, mx), lab.Keys(before, mx, v1alpha1.RoleNext)[0].SPKISHA256
	s.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.CompromisedKeys = []v1alpha1.SPKIDigest{v1alpha1.SPKIDigest(lost)}
	})
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx) != standby {
			return "the standby key is not in use"
		}
		return settled(md)
	})
	if slices.Contains(s.tlsa(s.owner(mx)), lost) {
		t.Error("the record of the compromised key still stands")
	}
	if missing := lab.Condition(after, v1alpha1.ConditionRolloverSafe, metav1.ConditionTrue); missing != "" {
		t.Error(missing)
	}
	// The standby key that is made next may be compromised too: it is replaced before it is used.
	next := lab.Keys(after, mx, v1alpha1.RoleNext)[0].SPKISHA256
	s.edit(func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.CompromisedKeys = append(md.Spec.Rollover.CompromisedKeys, v1alpha1.SPKIDigest(next))
	})
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		keys := lab.Keys(md, mx, v1alpha1.RoleNext)
		if len(keys) != 1 || keys[0].SPKISHA256 == next {
			return "the compromised standby key is still there"
		}
		if slices.Contains(s.tlsa(s.owner(mx)), next) {
			return "its record still stands"
		}
		return settled(md)
	})
}

// TestUnreachableEndpointHoldsRemoval keeps the old key's records for as long as nobody can say what
// the endpoint presents, however long retireSafety is over, and says so.
func TestUnreachableEndpointHoldsRemoval(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "none")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	fetch := func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }
	// It comes back at its port, which nobody may take meanwhile.
	server, err := mail.Start(fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t, "127.0.0.1")), fetch, 0)
	s.must(err)
	_, s.port, err = lab.SplitAddr(server.Addr)
	s.must(err)
	s.domain("example", mx, nil, "mx1")
	before := s.wait("example", settled)
	old := lab.CurrentKey(before, mx)
	server.Stop()
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if len(lab.Keys(md, mx, v1alpha1.RolePrevious)) == 0 {
			return "no key is Previous yet"
		}
		return waitsInMessage(md, v1alpha1.ConditionRolloverInProgress, "could not be reached")
	})
	steadily(t, 6*time.Second, func() string { // retireSafety is three seconds
		if !slices.Contains(s.tlsa(s.owner(mx)), old) {
			return "the old record went although nobody knows what is presented"
		}
		return ""
	})
	server, err = mail.Start(server.Addr, fetch, 0)
	s.must(err)
	t.Cleanup(server.Stop)
	s.wait("example", settled)
	if slices.Contains(s.tlsa(s.owner(mx)), old) {
		t.Error("the old record stays although every endpoint presents the new key")
	}
}

// waitsInMessage returns what is missing for a condition's message to hold a text.
func waitsInMessage(md *v1alpha1.MailDomain, kind, text string) string {
	for _, c := range md.Status.Conditions {
		if c.Type == kind && strings.Contains(c.Message, text) {
			return ""
		}
	}
	return fmt.Sprintf("no condition %s says %q: %+v", kind, text, md.Status.Conditions)
}

// TestDeadline lets a held renewal go early where the user wants that, says for how long senders may
// fail, and holds it where the user wants that.
func TestDeadline(t *testing.T) {
	t.Parallel()
	for _, action := range []v1alpha1.DeadlineAction{v1alpha1.DeadlineHold, v1alpha1.DeadlineProceed} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "example.test", "mx1-tls")
			s.createZone()
			s.address(mx)
			s.certificate("mx1", mx)
			s.domain("example", mx, func(md *v1alpha1.MailDomain) {
				md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
				md.Spec.Rollover.PublishSafety = "1h" // the caches are waited for longer than the test lasts
				md.Spec.Rollover.Deadline = v1alpha1.DeadlineSpec{BeforeExpiry: "2160h", Action: action}
			}, "mx1")
			md := s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
			old := lab.CurrentKey(md, mx)
			s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
			if action == v1alpha1.DeadlineProceed {
				s.wait("example", func(md *v1alpha1.MailDomain) string {
					if lab.CurrentKey(md, mx) == old {
						return "the old key is still in use"
					}
					return waitsWith(md, v1alpha1.ConditionRolloverSafe, v1alpha1.ReasonDeadlineProceeded)
				})
				return
			}
			s.wait("example", func(md *v1alpha1.MailDomain) string {
				return waitsInMessage(md, v1alpha1.ConditionRolloverInProgress, "until no cache holds records without it")
			})
			steadily(t, 4*time.Second, func() string {
				crt := &cmapi.Certificate{}
				s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
				if *crt.Status.Revision > 1 {
					return "the renewal was let go"
				}
				return ""
			})
		})
	}
}
