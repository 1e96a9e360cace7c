// Package cases tries the operator as a whole, with the Go name server and the Go mail server of the
// test kit, in the situations that the judged end-to-end tests leave out: who may write what,
// deletion, foreign records, suspension, several hosts, ports and certificates.
package cases

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
	"github.com/dane-operator/dane-operator/test/operator"
)

// shared is the cluster with cert-manager and the operator; every test has a namespace of its own.
var shared *lab.Lab

// tree is the resolver of the operator: it knows the zones that tests add.
var tree *ns.Tree

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if tree, err = ns.StartTree("127.0.0.1:0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer tree.Stop()
	shared, err = lab.Start(context.Background(), lab.Options{
		Namespace: "shared", Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
		Operator: operator.Options{Args: []string{"--resolvers", tree.Addr}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	for _, f := range atEnd {
		f()
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, shared.Operator.Tail(40))
	}
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// atEnd is done when all tests are over.
var atEnd []func()

// patience is how long a test waits for what should take seconds.
const patience = 2 * time.Minute

// site is a namespace with a zone and a mail server.
type site struct {
	*testing.T
	lab     *lab.Lab
	zone    *ns.Zone
	primary *ns.Server
	servers []string
	// nameServers are both of them.
	nameServers []*ns.Server
	port        int32
}

// newSite starts a zone of a primary and one secondary, and a mail server that serves a Secret.
func newSite(t *testing.T, zoneName, secret string) *site {
	t.Helper()
	own := *shared
	own.Namespace = shared.Cluster.Namespace(t.Context(), t)
	s := &site{T: t, lab: &own}
	s.must(own.Client.Create(t.Context(), kube.SelfSignedIssuer(own.Namespace, "selfsigned")))
	s.startZone(zoneName)
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return own.TLSSecret(context.Background(), secret) }, 200*time.Millisecond)
	s.must(err)
	t.Cleanup(server.Stop)
	_, s.port, err = lab.SplitAddr(server.Addr)
	s.must(err)
	own.AbandonAfter(t, own.Namespace)
	return s
}

func (s *site) startZone(zoneName string) {
	s.Helper()
	zone, err := ns.NewZone(zoneName, "ns1."+zoneName, "ns2."+zoneName)
	s.must(err)
	s.zone = zone
	s.primary, err = zone.StartPrimary("127.0.0.1:0")
	s.must(err)
	s.Cleanup(s.primary.Stop)
	secondary, err := zone.StartSecondary("127.0.0.1:0", 200*time.Millisecond)
	s.must(err)
	s.Cleanup(secondary.Stop)
	s.servers, s.nameServers = []string{s.primary.Addr, secondary.Addr}, []*ns.Server{s.primary, secondary}
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// reach is how the zone is reached.
func (s *site) reach() lab.Zone {
	return lab.Zone{
		Name: s.zone.Name[:len(s.zone.Name)-1], Primary: s.servers[0], Servers: s.servers,
		TSIGName: s.zone.TSIGName, TSIGSecret: s.zone.TSIGSecret, DS: s.zone.DS(),
	}
}

// createZone makes the DNSZone.
func (s *site) createZone(edit ...func(*v1alpha1.DNSZone)) *v1alpha1.DNSZone {
	s.Helper()
	z, err := s.lab.CreateZone(s.Context(), "zone", s.reach(), lab.Fast)
	s.must(err)
	for _, e := range edit {
		e(z)
		s.must(s.lab.Client.Update(s.Context(), z))
	}
	return z
}

// address gives a host the address of the mail server.
func (s *site) address(host string) {
	s.Helper()
	s.must(s.zone.Add(host + ". 60 IN A 127.0.0.1"))
}

// certificate makes a Certificate whose Secret is named after it.
func (s *site) certificate(name string, hosts ...string) {
	s.Helper()
	crt := kube.Certificate(s.lab.Namespace, name, "selfsigned", hosts...)
	crt.Spec.SecretName = name + "-tls"
	s.must(s.lab.Client.Create(s.Context(), crt))
}

// domain makes a MailDomain of one host.
func (s *site) domain(name, host string, edit func(*v1alpha1.MailDomain), certificates ...string) {
	s.Helper()
	md := s.lab.MailDomain(name, "example.test", host, s.port, lab.Fast, certificates...)
	if edit != nil {
		edit(md)
	}
	s.must(s.lab.Client.Create(s.Context(), md))
}

// wait waits until the MailDomain is as done wants it.
func (s *site) wait(name string, done func(*v1alpha1.MailDomain) string) *v1alpha1.MailDomain {
	s.Helper()
	md, err := s.lab.WaitDomain(s.Context(), name, patience, done)
	s.must(err)
	return md
}

// owner is the TLSA owner of a host at the mail server's port.
func (s *site) owner(host string) string { return fmt.Sprintf("_%d._tcp.%s.", s.port, host) }
