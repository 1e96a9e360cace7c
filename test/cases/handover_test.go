package cases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
)

// verified waits until ServersVerified has a status.
func verified(status metav1.ConditionStatus, reason string) func(*v1alpha1.MailDomain) string {
	return func(md *v1alpha1.MailDomain) string {
		c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionServersVerified)
		if c == nil || c.Status != status || c.Reason != reason {
			return fmt.Sprintf("ServersVerified is %+v, want %s %s", c, status, reason)
		}
		return ""
	}
}

// TestHostOfOthersIsChecked lists a host without certificates: what it presents is compared with its
// records, and nothing is written for it.
func TestHostOfOthersIsChecked(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.domain("customer", mx, nil)
	s.wait("customer", verified(metav1.ConditionUnknown, v1alpha1.ReasonNothingPublished))
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", settled)
	md := s.wait("customer", verified(metav1.ConditionTrue, v1alpha1.ReasonVerified))
	if missing := lab.Condition(md, v1alpha1.ConditionReady, metav1.ConditionTrue); missing != "" {
		t.Error(missing)
	}
	host := md.Status.MailServers[0]
	if len(host.Endpoints) != 1 || len(host.Records) != 2 || len(host.Keys) != 0 || len(host.OwnRecords) != 0 {
		t.Errorf("the status of the host is %+v", host)
	}
	if slices.Contains(md.Finalizers, v1alpha1.Finalizer) {
		t.Error("it holds a finalizer for records that are not its own")
	}
	s.must(s.lab.Client.Delete(t.Context(), md))
	if n := len(s.tlsa(s.owner(mx))); n != 2 {
		t.Errorf("%d records when the customer has gone, want 2", n)
	}
}

// TestPortThatLeaves takes the records of a port out that the spec does not name any more.
func TestPortThatLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	second, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
	s.must(err)
	t.Cleanup(second.Stop)
	_, port, err := lab.SplitAddr(second.Addr)
	s.must(err)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers[0].Ports = append(md.Spec.MailServers[0].Ports, v1alpha1.MailServerPort{Port: port, Protocol: v1alpha1.ProtocolSMTP})
	}, "mx1")
	s.wait("example", settled)
	leaving := fmt.Sprintf("_%d._tcp.%s.", port, mx)
	if n := len(s.tlsa(leaving)); n != 2 {
		t.Fatalf("%d records at the second port, want 2", n)
	}
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.MailServers[0].Ports = md.Spec.MailServers[0].Ports[:1] })
	eventually(t, func() string { return strings.Join(s.tlsa(leaving), " ") })
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		for _, v := range md.Status.MailServers[0].Versions {
			if v.Owner == leaving {
				return "it is still remembered"
			}
		}
		return settled(md)
	})
	if n := len(s.tlsa(s.owner(mx))); n != 2 {
		t.Errorf("%d records at the first port, want 2", n)
	}
}

// TestCertificateThatLeavesTheSpec holds a renewal that waits at the gate until no cache has the records
// of the host, although nothing names the Certificate any more.
func TestCertificateThatLeavesTheSpec(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
		md.Spec.Rollover.PublishSafety = "20s"
	}, "mx1")
	s.wait("example", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, false) })
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	eventually(t, func() string {
		if n := len(s.tlsa(s.owner(mx))); n != 2 {
			return fmt.Sprintf("%d records, want those of both keys", n)
		}
		return ""
	})
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.MailServers[0].Certificates = nil })
	last := time.Now() // with the records in DNS
	eventually(t, func() string {
		at := time.Now()
		have := strings.Join(s.tlsa(s.owner(mx)), " ")
		if have != "" {
			last = at
		}
		return have
	})
	issued := func() bool {
		crt := &cmapi.Certificate{}
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
		return *crt.Status.Revision > 1
	}
	eventually(t, func() string {
		if !issued() {
			return "the renewal is held for ever"
		}
		return ""
	})
	if held := time.Since(last); held < 20*time.Second {
		t.Errorf("the renewal was let go %s after the records went, while caches had them", held)
	}
}

// TestHandOver moves a host and its Certificate from one MailDomain to another: the records stay.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", settled)
	before := s.tlsa(s.owner(mx))
	s.domain("heir", mx, nil, "mx1")
	s.wait("heir", stalled(v1alpha1.ReasonHostOwnedElsewhere))
	s.must(s.lab.Client.Delete(t.Context(), md))
	eventually(t, func() string {
		if have := s.tlsa(s.owner(mx)); !slices.Equal(have, before) {
			t.Fatalf("records are %v, want %v all the while", have, before)
		}
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return "the old MailDomain is still there"
		}
		return ""
	})
	s.wait("heir", settled)
	if have := s.tlsa(s.owner(mx)); !slices.Equal(have, before) {
		t.Errorf("records are %v, want %v", have, before)
	}
	crt := &cmapi.Certificate{}
	eventually(t, func() string {
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "mx1"}, crt))
		if gate := crt.Annotations[v1alpha1.GateAnnotation]; gate != "heir" {
			return "the Certificate is gated by " + gate
		}
		return ""
	})
}
