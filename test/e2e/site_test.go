package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

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
	tick = 200 * time.Millisecond
	// reload is how late Postfix has a new certificate, as a pod whose Secret the kubelet refreshes.
	reload = 1500 * time.Millisecond
	// late is for tests in which something has to be seen before Postfix has the new certificate.
	late = 5 * time.Second
)

// site is a mail domain with all that belongs to it: namespace, issuers, signed zone, Postfix.
type site struct {
	*testing.T
	lab     *lab.Lab
	primary *servers.Primary
	// other is a secondary of another make than the primary's and NSD.
	other, nsd *servers.Secondary
	unbound    *servers.Resolver
	postfix    *judge.Postfix
	checks     *judge.Log
	stops      []func()
	// algorithms are the lists of signature algorithms by which the judge that replays asks for a chain
	// each; empty: openssl's own.
	algorithms []string
	// from is the revision that the Certificate had when a renewal was started last.
	from int
	// mounted is the name of the Secret that Postfix serves.
	mounted atomic.Value
	// tree is what the zone is delegated in; nil for a zone with a trust anchor of its own.
	tree *tree
}

// siteOptions say what a site has that others have not.
type siteOptions struct {
	// primary changes what the primary is like, when the namespace is there.
	primary func(*site, *servers.Options)
	// beside are Secrets whose chains Postfix serves beside the first.
	beside  []string
	postfix []func(*judge.PostfixOptions)
	// tree has the zone delegated in it; the installation, and the resolver of the senders, are those of the tree.
	tree *tree
}

// newSite starts everything but the operator's objects, with a primary of a make. Postfix serves the
// Secret of that name. When the test ends, the operator runs and has nothing left to do for it.
func newSite(t *testing.T, m servers.Make, secret string, edits ...func(*judge.PostfixOptions)) *site {
	t.Helper()
	return newSiteWith(t, m, secret, siteOptions{postfix: edits})
}

// newSiteBeside is newSite with Secrets whose chains Postfix serves beside the first.
func newSiteBeside(t *testing.T, m servers.Make, secret string, beside []string, edits ...func(*judge.PostfixOptions)) *site {
	t.Helper()
	return newSiteWith(t, m, secret, siteOptions{beside: beside, postfix: edits})
}

// newSiteWith is newSite with options.
func newSiteWith(t *testing.T, m servers.Make, secret string, with siteOptions) *site {
	t.Helper()
	own := *shared
	if with.tree != nil {
		own = *with.tree.lab
	}
	own.Namespace = own.Cluster.Namespace(t.Context(), t)
	s := &site{T: t, lab: &own, checks: &judge.Log{}, tree: with.tree}
	s.must(own.Client.Create(t.Context(), kube.SelfSignedIssuer(own.Namespace, "selfsigned")))
	s.startPrimary(m, with.primary)
	s.other = otherSecondary[m](t, s.primary, "")
	s.nsd = servers.StartNSDSecondary(t, s.primary, "")
	s.startResolver()
	s.startPostfix(secret, with)
	own.AbandonAfter(t, own.Namespace)
	t.Cleanup(s.revive) // earlier than the above, which takes a running operator
	return s
}

func (s *site) startPrimary(m servers.Make, edit func(*site, *servers.Options)) {
	s.Helper()
	options := servers.Options{Zone: zoneName, Records: []string{"mx1 60 A 127.0.0.1", "@ 60 MX 10 mx1"}}
	if edit != nil {
		edit(s, &options)
	}
	s.primary = servers.StartPrimary(s, m, options)
}

// startResolver starts a resolver that knows the zone and its trust anchor; in a tree there is one, which finds it.
func (s *site) startResolver() {
	s.Helper()
	if s.tree != nil {
		s.unbound = s.tree.resolver
		s.tree.delegate(s)
		return
	}
	s.unbound = servers.StartUnbound(s, servers.ResolverOptions{
		Address: servers.PublicAddress(s).String(), Port: 53, Stubs: []servers.Stub{servers.StubOf(s.primary, s.other, s.nsd)},
	})
}

func (s *site) startPostfix(secret string, with siteOptions) {
	s.Helper()
	fetch := func(secret string) ([]byte, []byte) { return s.lab.TLSSecret(background, secret) }
	s.mount(secret)
	options := judge.PostfixOptions{Hostname: mx, Lag: reload, Fetch: func() ([]byte, []byte) {
		return fetch(s.mounted.Load().(string))
	}}
	for _, b := range with.beside {
		options.Others = append(options.Others, func() ([]byte, []byte) { return fetch(b) })
	}
	for _, edit := range with.postfix {
		edit(&options)
	}
	s.postfix = judge.StartPostfix(s, options)
}

// mount has Postfix serve another Secret, when it reloads.
func (s *site) mount(secret string) { s.mounted.Store(secret) }

// otherSecondary starts a secondary that is neither of the primary's make nor NSD.
var otherSecondary = map[servers.Make]func(testing.TB, *servers.Primary, string) *servers.Secondary{
	servers.BIND:     servers.StartKnotSecondary,
	servers.Knot:     servers.StartBINDSecondary,
	servers.PowerDNS: servers.StartKnotSecondary,
}

// revive starts the operator again if the test has killed it and then failed: the tests that follow need it.
func (s *site) revive() {
	if s.lab.Operator.Running() {
		return
	}
	if err := s.lab.Operator.Kill(); err != nil {
		s.Error(err) // it was not the test that ended it
	}
	if err := s.lab.Operator.Start(); err != nil {
		s.Error(err)
	}
}

// lateReload is an edit for newSite.
func lateReload(o *judge.PostfixOptions) { o.Lag = late }

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// authoritative are the addresses of all name servers.
func (s *site) authoritative() []netip.AddrPort {
	return []netip.AddrPort{s.primary.Addr, s.other.Addr, s.nsd.Addr}
}

func (s *site) port() int32 { return int32(s.postfix.Addr().Port()) }

func (s *site) owner() string { return ownerOf(mx, int(s.port())) }

// ownerOf is where the TLSA records of a host and port stand.
func ownerOf(host string, port int) string { return fmt.Sprintf("_%d._tcp.%s.", port, host) }

// createZone makes the DNSZone.
func (s *site) createZone(edits ...func(*v1alpha1.DNSZone)) {
	s.Helper()
	z := lab.Zone{
		Name: zoneName, Primary: s.primary.Addr.String(), DS: s.primary.DS,
		TSIGName: s.primary.TSIGName, TSIGSecret: s.primary.TSIGSecret,
	}
	for _, a := range s.authoritative() {
		z.Servers = append(z.Servers, a.String())
	}
	if s.tree != nil { // its servers, and how to validate it, are to be found
		z.DS, z.Servers, z.Primary = "", nil, servers.AtPort53(s.tree.at["ns1"]).String()
	}
	_, err := s.lab.CreateZone(s.Context(), "zone", z, lab.Fast, edits...)
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

// domain makes the MailDomain. It is called as its namespace is: what cert-manager logs of a refusal
// has the name of the MailDomain alone.
func (s *site) domain(edit func(*v1alpha1.MailDomain)) {
	s.Helper()
	md := s.lab.MailDomain(s.lab.Namespace, zoneName, mx, s.port(), lab.Fast, "mx1")
	if edit != nil {
		edit(md)
	}
	s.must(s.lab.Client.Create(s.Context(), md))
}

// wait waits until the MailDomain is as done wants it.
func (s *site) wait(done func(*v1alpha1.MailDomain) string) *v1alpha1.MailDomain {
	s.Helper()
	md, err := s.lab.WaitDomain(s.Context(), s.lab.Namespace, patience, done)
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
	before := s.beforeRenewal()
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, "mx1"))
	return before
}

// beforeRenewal notes where a renewal starts from, and returns the key that it shall replace.
func (s *site) beforeRenewal() string {
	s.Helper()
	md, err := s.lab.Domain(s.Context(), s.lab.Namespace)
	s.must(err)
	s.from = s.revisionOf("mx1")
	return lab.CurrentKey(md, mx)
}

// revisionOf a Certificate; 0 before its first issuance.
func (s *site) revisionOf(certificate string) int {
	s.Helper()
	crt := &cmapi.Certificate{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: certificate}, crt))
	return ptr.Deref(crt.Status.Revision, 0)
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
