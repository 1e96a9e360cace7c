package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	zoneName = "example.test"
	mx       = "mx1.example.test"
	// patience is how long a test waits for what should take seconds.
	patience = 2 * time.Minute
	// tick is the time between two checks of a judge.
	tick = 100 * time.Millisecond
	// reload is how late Postfix has a new certificate, as a pod whose Secret the kubelet refreshes.
	reload = 1500 * time.Millisecond
	// resolver is an address of its own, since libc asks port 53 alone.
	resolver = "127.0.0.153"
)

// site is a mail domain with all that belongs to it: namespace, issuers, signed zone, Postfix.
type site struct {
	*testing.T
	lab       *lab.Lab
	primary   *servers.Primary
	bind, nsd *servers.Secondary
	unbound   *servers.Resolver
	postfix   *judge.Postfix
	checks    *judge.Log
	stops     []func()
}

// newSite starts everything but the operator's objects. Postfix serves the Secret of that name.
func newSite(t *testing.T, secret string) *site {
	t.Helper()
	own := *shared
	own.Namespace = shared.Cluster.Namespace(t.Context(), t)
	s := &site{T: t, lab: &own, checks: &judge.Log{}}
	s.must(own.Client.Create(t.Context(), kube.SelfSignedIssuer(own.Namespace, "selfsigned")))
	s.primary = servers.StartBINDPrimary(t, servers.Options{
		Zone: zoneName, Records: []string{"mx1 60 A 127.0.0.1", "@ 60 MX 10 mx1"},
	})
	s.bind = servers.StartBINDSecondary(t, s.primary, "")
	s.nsd = servers.StartNSDSecondary(t, s.primary, "")
	s.unbound = servers.StartUnbound(t, servers.ResolverOptions{
		Address: resolver, Port: 53, Stubs: []servers.Stub{servers.StubOf(s.primary, s.bind, s.nsd)},
	})
	s.postfix = judge.StartPostfix(t, judge.PostfixOptions{
		Hostname: mx, Lag: reload,
		Fetch: func() ([]byte, []byte) { return own.TLSSecret(context.Background(), secret) },
	})
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// authoritative are the addresses of all name servers.
func (s *site) authoritative() []netip.AddrPort {
	return []netip.AddrPort{s.primary.Addr, s.bind.Addr, s.nsd.Addr}
}

func (s *site) port() int32 { return int32(s.postfix.Addr().Port()) }

func (s *site) owner() string { return fmt.Sprintf("_%d._tcp.%s.", s.port(), mx) }

// createZone makes the DNSZone.
func (s *site) createZone() {
	s.Helper()
	z := lab.Zone{
		Name: zoneName, Primary: s.primary.Addr.String(), DS: s.primary.DS,
		TSIGName: s.primary.TSIGName, TSIGSecret: s.primary.TSIGSecret,
	}
	for _, a := range s.authoritative() {
		z.Servers = append(z.Servers, a.String())
	}
	_, err := s.lab.CreateZone(s.Context(), "zone", z, lab.Fast)
	s.must(err)
}

// certificate makes the Certificate mx1 with its Secret mx1-tls.
func (s *site) certificate(issuer string, edit func(*certificateSpec)) {
	s.Helper()
	crt := kube.Certificate(s.lab.Namespace, "mx1", issuer, mx)
	if edit != nil {
		edit(&crt.Spec)
	}
	s.must(s.lab.Client.Create(s.Context(), crt))
}

// domain makes the MailDomain.
func (s *site) domain(edit func(*v1alpha1.MailDomain)) {
	s.Helper()
	md := s.lab.MailDomain("example", zoneName, mx, s.port(), lab.Fast, "mx1")
	if edit != nil {
		edit(md)
	}
	s.must(s.lab.Client.Create(s.Context(), md))
}

// wait waits until the MailDomain is as done wants it.
func (s *site) wait(done func(*v1alpha1.MailDomain) string) *v1alpha1.MailDomain {
	s.Helper()
	md, err := s.lab.WaitDomain(s.Context(), "example", patience, done)
	s.must(err)
	return md
}

// settle waits for rest.
func (s *site) settle(standby bool) *v1alpha1.MailDomain {
	s.Helper()
	return s.wait(func(md *v1alpha1.MailDomain) string { return lab.Settled(md, mx, standby) })
}

// renew starts a renewal, and waits until the host is at rest with another key.
func (s *site) renew(standby bool) *v1alpha1.MailDomain {
	s.Helper()
	before := s.startRenewal()
	return s.settleBeyond(before, standby)
}

// startRenewal starts a renewal and returns the key that it shall replace.
func (s *site) startRenewal() string {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), "example")
	s.must(err)
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, "mx1"))
	return lab.CurrentKey(md, mx)
}

// settleBeyond waits for rest with another key than before, which Postfix must serve.
func (s *site) settleBeyond(before string, standby bool) *v1alpha1.MailDomain {
	s.Helper()
	md := s.wait(func(md *v1alpha1.MailDomain) string {
		if key := lab.CurrentKey(md, mx); key == before {
			return "the old key is still in use; " + conditions(md)
		}
		return lab.Settled(md, mx, standby)
	})
	if served, key := s.postfix.Served(), lab.CurrentKey(md, mx); served != key {
		s.Errorf("Postfix serves %s, and the Current key is %s", served, key)
	}
	return md
}

func conditions(md *v1alpha1.MailDomain) string {
	var b strings.Builder
	for _, c := range md.Status.Conditions {
		fmt.Fprintf(&b, "%s=%s %s %q; ", c.Type, c.Status, c.Reason, c.Message)
	}
	return b.String()
}
