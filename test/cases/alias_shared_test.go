package cases

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
)

// TestPortsWithOneEnd publishes two ports of a host by aliases of one name, and leaves the records there
// when one of the ports leaves the spec.
func TestPortsWithOneEnd(t *testing.T) {
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	second, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
	s.must(err)
	t.Cleanup(second.Stop)
	_, port, err := lab.SplitAddr(second.Addr)
	s.must(err)
	const shared = "tlsa.example.test."
	s.alias(mx, 1, shared)
	leaving := fmt.Sprintf("_%d._tcp.%s.", port, mx)
	s.must(s.zone.Add(leaving + " 1 IN CNAME " + shared))
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		md.Spec.MailServers[0].Ports = append(md.Spec.MailServers[0].Ports, v1alpha1.MailServerPort{Port: port, Protocol: v1alpha1.ProtocolSMTP})
	}, "mx1")
	s.wait("example", settled)
	if n := len(s.tlsa(shared)); n != 2 {
		t.Fatalf("%d records, want 2", n)
	}
	serial := s.serial()
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.MailServers[0].Ports = md.Spec.MailServers[0].Ports[:1] })
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		for _, v := range md.Status.MailServers[0].Versions {
			if v.Owner == leaving {
				return "the port that left is still remembered"
			}
		}
		return settled(md)
	})
	steadily(t, 3*time.Second, func() string {
		if now := s.serial(); now != serial {
			return fmt.Sprintf("the zone was written to: serial %d, want %d", now, serial)
		}
		return ""
	})
}

// TestHostsWithOneEnd publishes the keys of two hosts of a MailDomain at one name, and takes those of one
// out when it leaves.
func TestHostsWithOneEnd(t *testing.T) {
	const mx2, shared = "mx2.example.test", "tlsa.example.test."
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.address(mx2)
	s.certificate("mx1", mx)
	s.certificate("mx2", mx2)
	second, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx2-tls") }, 0)
	s.must(err)
	t.Cleanup(second.Stop)
	_, port, err := lab.SplitAddr(second.Addr)
	s.must(err)
	s.alias(mx, 1, shared)
	s.must(s.zone.Add(fmt.Sprintf("_%d._tcp.%s. 1 IN CNAME %s", port, mx2, shared)))
	s.domain("example", mx, func(md *v1alpha1.MailDomain) {
		other := md.Spec.MailServers[0].DeepCopy()
		other.Hostname, other.Ports[0].Port, other.Certificates[0].Name = mx2, port, "mx2"
		md.Spec.MailServers = append(md.Spec.MailServers, *other)
	}, "mx1")
	both := func(md *v1alpha1.MailDomain) string { return settled(md) + lab.Settled(md, mx2, true) }
	before := s.wait("example", both)
	if n := len(s.tlsa(shared)); n != 4 {
		t.Fatalf("%d records, want 4: two keys in use, two standby keys", n)
	}
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx2"))
	after := s.wait("example", func(md *v1alpha1.MailDomain) string {
		if lab.CurrentKey(md, mx2) == lab.CurrentKey(before, mx2) {
			return "mx2 has its old key"
		}
		return both(md)
	})
	if have := s.tlsa(shared); len(have) != 4 || !slices.Contains(have, lab.CurrentKey(after, mx)) || !slices.Contains(have, lab.CurrentKey(after, mx2)) {
		t.Errorf("records %v after one host has rolled, want four", have)
	}
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.MailServers = md.Spec.MailServers[:1] })
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		if n := len(md.Status.MailServers); n != 1 {
			return fmt.Sprintf("%d hosts in status", n)
		}
		return settled(md)
	})
	if have := s.tlsa(shared); len(have) != 2 || !slices.Contains(have, lab.CurrentKey(after, mx)) {
		t.Errorf("records %v when one host has left, want the two of the other", have)
	}
}

// TestMailDomainsWithOneEnd lets the older one have the name that the aliases of both lead to.
func TestMailDomainsWithOneEnd(t *testing.T) {
	const mx2, shared = "mx2.example.test", "tlsa.example.test."
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.address(mx2)
	s.certificate("mx1", mx)
	s.certificate("mx2", mx2)
	s.alias(mx, 1, shared)
	s.domain("a-first", mx, nil, "mx1")
	first := s.wait("a-first", settled)
	before := s.tlsa(shared)
	second, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx2-tls") }, 0)
	s.must(err)
	t.Cleanup(second.Stop)
	_, s.port, err = lab.SplitAddr(second.Addr)
	s.must(err)
	s.alias(mx2, 1, shared)
	s.domain("b-second", mx2, nil, "mx2")
	s.wait("b-second", stalledBy(v1alpha1.ReasonHostOwnedElsewhere, s.owner(mx2), shared, "a-first"))
	if have := s.tlsa(shared); !slices.Equal(have, before) {
		t.Errorf("records %v, want those of the older alone: %v", have, before)
	}
	s.must(s.lab.Client.Delete(t.Context(), first))
	s.gone("a-first")
	md := s.wait("b-second", func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx2, true) })
	if have := s.tlsa(shared); len(have) != 2 || !slices.Contains(have, lab.CurrentKey(md, mx2)) {
		t.Errorf("records %v, want the two of the one that is left", have)
	}
}
