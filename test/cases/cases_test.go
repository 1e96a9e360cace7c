package cases

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
)

const mx = "mx1.example.test"

// settled waits for a host at rest with a standby key.
func settled(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, true) }

// stalled waits for a reason of the condition Stalled.
func stalled(reason string) func(*v1alpha1.MailDomain) string {
	return func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason {
			return fmt.Sprintf("Stalled is %+v, want reason %s", c, reason)
		}
		return ""
	}
}

// TestDeletionTakesRecordsOut deletes a MailDomain: records first, then the gate, then the object.
func TestDeletionTakesRecordsOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)
	if n := len(s.tlsa(s.owner(mx))); n != 2 {
		t.Fatalf("%d records before, want 2", n)
	}
	s.must(s.lab.Client.Delete(t.Context(), md))
	last := time.Now() // that the records were seen
	eventually(t, func() string {
		at, records := time.Now(), strings.Join(s.tlsa(s.owner(mx)), " ")
		if records != "" {
			last = at
		}
		return records
	})
	eventually(t, func() string {
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the MailDomain is still there: %v", err)
		}
		return ""
	})
	if held := time.Since(last); held < 2*time.Duration(lab.Fast.TTL)*time.Second {
		t.Errorf("the gate was held for %s after the records were seen last, less than two TTLs: caches may still hold them", held)
	}
	if left := s.tlsa(s.owner(mx)); len(left) != 0 {
		t.Errorf("records are left: %v", left)
	}
	crt := &cmapi.Certificate{}
	s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
	if gate := crt.Annotations[v1alpha1.GateAnnotation]; gate != "" {
		t.Errorf("the Certificate is still gated by %s", gate)
	}
}

// TestDeletionRetain leaves the records.
func TestDeletionRetain(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) { md.Spec.DeletionPolicy = v1alpha1.DeletionRetain }, "mx1")
	md := s.wait("example", settled)
	s.must(s.lab.Client.Delete(t.Context(), md))
	eventually(t, func() string {
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return "the MailDomain is still there"
		}
		return ""
	})
	if left := s.tlsa(s.owner(mx)); len(left) != 2 {
		t.Errorf("%d records are left, want 2", len(left))
	}
}

// TestDeletionWithoutDNS holds the object, says so, and lets go by annotation.
func TestDeletionWithoutDNS(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)
	s.primary.Pause()
	s.must(s.lab.Client.Delete(t.Context(), md))
	md = s.wait("example", func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonDeleting {
			return fmt.Sprintf("Ready is %+v", c)
		}
		return ""
	})
	steadily(t, 5*time.Second, func() string {
		_, err := s.lab.Domain(t.Context(), "example")
		if err != nil {
			return "the MailDomain went although its records stand: " + err.Error()
		}
		return ""
	})
	eventually(t, func() string {
		md, err := s.lab.Domain(t.Context(), "example")
		s.must(err)
		md.Annotations = map[string]string{v1alpha1.AbandonAnnotation: "true"}
		if err := s.lab.Client.Update(t.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, func() string {
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return "the MailDomain is still there"
		}
		return ""
	})
	s.primary.Resume()
	_ = md
}

// TestTwoMailDomainsClaimOneHost lets the older one have it.
func TestTwoMailDomainsClaimOneHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.certificate("other", mx)
	s.domain("a-first", mx, nil, "mx1")
	s.wait("a-first", settled)
	s.domain("b-second", mx, nil, "other")
	s.wait("b-second", stalled(v1alpha1.ReasonHostOwnedElsewhere))
	if n := len(s.tlsa(s.owner(mx))); n != 2 {
		t.Errorf("%d records, want the 2 of the owner alone", n)
	}
	first, err := s.lab.Domain(t.Context(), "a-first")
	s.must(err)
	s.must(s.lab.Client.Delete(t.Context(), first))
	s.wait("b-second", func(md *v1alpha1.MailDomain) string {
		if c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
			return "still stalled: " + c.Message
		}
		return ""
	})
}

// TestZoneOfAnotherNamespace needs a grant, and stops writing when it is revoked.
func TestZoneOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	zoneSpace := s.lab.Cluster.Namespace(t.Context(), t)
	s.lab.AbandonAfter(t, zoneSpace)
	mailSpace := s.lab.Namespace
	s.lab.Namespace = zoneSpace
	z := s.createZone()
	s.lab.Namespace = mailSpace
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers[0].ZoneRef = &v1alpha1.ZoneReference{Name: "zone", Namespace: zoneSpace}
	}, "mx1")
	s.wait("example", stalled(v1alpha1.ReasonNotGranted))
	if n := len(s.tlsa(s.owner(mx))); n != 0 {
		t.Fatalf("%d records were written without a grant", n)
	}
	s.setGrants(z, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantAll}, Hostnames: []v1alpha1.GrantHostname{mx}})
	s.wait("example", settled)
	s.setGrants(z, v1alpha1.ZoneGrant{Namespaces: v1alpha1.GrantNamespaces{From: v1alpha1.GrantSame}})
	s.wait("example", stalled(v1alpha1.ReasonNotGranted))
	if n := len(s.tlsa(s.owner(mx))); n != 2 {
		t.Errorf("%d records after the grant was revoked, want the 2 that stood there", n)
	}
}

func (s *site) setGrants(z *v1alpha1.DNSZone, grants ...v1alpha1.ZoneGrant) {
	s.Helper()
	eventually(s.T, func() string {
		s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: z.Namespace, Name: z.Name}, z))
		z.Spec.Grants = grants
		if err := s.lab.Client.Update(s.Context(), z); err != nil {
			return err.Error()
		}
		return ""
	})
}

// TestForeignRecordsAreKept lists records of somebody else, and leaves them where they are.
func TestForeignRecordsAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	foreign := strings.Repeat("ab", 32)
	s.must(s.zone.Add(s.owner(mx) + " 2 IN TLSA 3 1 1 " + foreign))
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)
	if have := s.tlsa(s.owner(mx)); !slices.Contains(have, foreign) || len(have) != 3 {
		t.Errorf("records %v, want the foreign one and our two", have)
	}
	if listed := md.Status.MailServers[0].ForeignRecords; len(listed) != 1 || !strings.Contains(listed[0], foreign) {
		t.Errorf("foreignRecords %v, want the one", listed)
	}
	s.must(s.lab.Client.Delete(t.Context(), md))
	eventually(t, func() string {
		if have := s.tlsa(s.owner(mx)); len(have) != 1 || have[0] != foreign {
			return fmt.Sprintf("records after deletion %v, want the foreign one alone", have)
		}
		return ""
	})
}

// TestSuspendedHoldsARenewal neither writes nor approves, says what is held up, and goes on afterwards.
func TestSuspendedHoldsARenewal(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)
	key := lab.CurrentKey(md, mx)
	s.suspend(true)
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonSuspended || !strings.Contains(c.Message, "mx1") {
			return fmt.Sprintf("Ready is %+v, want it to say that the renewal of mx1 is held up", c)
		}
		return ""
	})
	steadily(t, 3*time.Second, func() string {
		requests, err := s.lab.RequestsOf(t.Context(), s.lab.Namespace, "mx1")
		s.must(err)
		for _, r := range requests {
			for _, c := range r.Status.Conditions {
				if r.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] == "2" && c.Type == cmapi.CertificateRequestConditionApproved {
					return "the request was approved while suspended"
				}
			}
		}
		return ""
	})
	s.suspend(false)
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx) == key {
			return "the old key is still in use"
		}
		return settled(md)
	})
}

func (s *site) suspend(on bool) {
	s.Helper()
	eventually(s.T, func() string {
		md, err := s.lab.Domain(s.Context(), "example")
		s.must(err)
		md.Spec.Suspend = on
		if err := s.lab.Client.Update(s.Context(), md); err != nil {
			return err.Error()
		}
		return ""
	})
}

// TestServingSecretOfSomebodyElse is refused, and left as it is.
func TestServingSecretOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "live")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.Strategy = v1alpha1.StrategyStage
		md.Spec.MailServers[0].Certificates[0].ServingSecretName = "mx1-tls"
	}, "mx1")
	s.wait("example", stalled(v1alpha1.ReasonServingSecretConflict))
}
