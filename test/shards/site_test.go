package shards

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/judge"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
	"github.com/dane-operator/dane-operator/test/ns"
)

const (
	// patience is how long a test waits for what should take seconds, and while how long it watches that nothing happens.
	patience = 3 * time.Minute
	while    = 5 * time.Second
)

// site is a namespace with a zone, whose DNSZone is in shard a.
type site struct {
	*testing.T
	lab  *lab.Lab
	zone *ns.Zone
	// servers are the name servers' addresses.
	servers []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	own := *shared
	own.Namespace = shared.Cluster.Namespace(t.Context(), t)
	s := &site{T: t, lab: &own}
	s.must(own.Client.Create(t.Context(), kube.SelfSignedIssuer(own.Namespace, "selfsigned")))
	var err error
	s.zone, err = ns.NewZone("example.test", "ns1.example.test", "ns2.example.test")
	s.must(err)
	primary, err := s.zone.StartPrimary("127.0.0.1:0")
	s.must(err)
	t.Cleanup(primary.Stop)
	secondary, err := s.zone.StartSecondary("127.0.0.1:0", 200*time.Millisecond)
	s.must(err)
	t.Cleanup(secondary.Stop)
	s.servers = []string{primary.Addr, secondary.Addr}
	_, err = own.CreateZone(t.Context(), "zone", lab.Zone{
		Name: "example.test", Primary: primary.Addr, Servers: s.servers, TSIGName: s.zone.TSIGName, TSIGSecret: s.zone.TSIGSecret, DS: s.zone.DS(),
	}, lab.Fast, func(z *v1alpha1.DNSZone) { z.Labels = map[string]string{label: "a"} })
	s.must(err)
	t.Cleanup(func() { s.release() })
	return s
}

// release has a shard take up what nobody acts for, so that it can be let go.
func (s *site) release() {
	var list v1alpha1.MailDomainList
	if err := s.lab.Client.List(context.Background(), &list, client.InNamespace(s.lab.Namespace)); err != nil {
		s.Error(err)
		return
	}
	for i := range list.Items {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		for _, err := range []error{
			s.lab.Client.Delete(context.Background(), &list.Items[i]), s.lab.Client.Patch(context.Background(), &list.Items[i], patch),
		} {
			if client.IgnoreNotFound(err) != nil {
				s.Error(err)
			}
		}
	}
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// host is a mail server with a Certificate of its name, and the MailDomain for it.
type host struct {
	*site
	name, fqdn, addr string
	port             int32
}

// server starts a mail server that serves what a Certificate issues.
func (s *site) server(name, certificate string) *host {
	s.Helper()
	h := &host{site: s, name: name, fqdn: name + ".example.test"}
	s.must(s.zone.Add(h.fqdn + ". 60 IN A 127.0.0.1"))
	server, err := mail.Start("127.0.0.1:0", func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), certificate+"-tls") }, 200*time.Millisecond)
	s.must(err)
	s.Cleanup(server.Stop)
	h.addr = server.Addr
	_, h.port, err = lab.SplitAddr(server.Addr)
	s.must(err)
	return h
}

func (s *site) certificate(name string, hosts ...string) {
	s.Helper()
	crt := kube.Certificate(s.lab.Namespace, name, "selfsigned", hosts...)
	crt.Spec.SecretName = name + "-tls"
	s.must(s.lab.Client.Create(s.Context(), crt))
}

// domain makes the MailDomain of a host, in a shard.
func (h *host) domain(part, certificate string, edit func(*v1alpha1.MailDomain)) {
	h.Helper()
	md := h.lab.MailDomain(h.name, "example.test", h.fqdn, h.port, lab.Fast, certificate)
	md.Labels = map[string]string{label: part}
	md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	if edit != nil {
		edit(md)
	}
	h.must(h.lab.Client.Create(h.Context(), md))
}

// relabel moves the MailDomain to another shard.
func (h *host) relabel(part string) {
	h.Helper()
	h.patch(fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, label, part))
}

// patch changes the MailDomain.
func (h *host) patch(text string) {
	h.Helper()
	md := &v1alpha1.MailDomain{}
	md.Namespace, md.Name = h.lab.Namespace, h.name
	h.must(h.lab.Client.Patch(h.Context(), md, client.RawPatch(types.MergePatchType, []byte(text))))
}

func (h *host) wait(done func(*v1alpha1.MailDomain) string) *v1alpha1.MailDomain {
	h.Helper()
	md, err := h.lab.WaitDomain(h.Context(), h.name, patience, done)
	h.must(err)
	return md
}

// settle waits until the host is at rest with another key than the one before, and returns its key.
func (h *host) settle(before string) string {
	h.Helper()
	md := h.wait(func(md *v1alpha1.MailDomain) string {
		if key := lab.CurrentKey(md, h.fqdn); key == before {
			return "the key is still the one before"
		}
		return lab.Settled(md, h.fqdn, md.Spec.Rollover.StandbyKey != v1alpha1.StandbyDisabled)
	})
	return lab.CurrentKey(md, h.fqdn)
}

// judged has every answer that a cache may still hold compared with what the host serves, until the test ends.
func (h *host) judged() *judge.Log {
	h.Helper()
	log := &judge.Log{}
	addr, err := netip.ParseAddrPort(h.addr)
	h.must(err)
	judge.StartReplay(h.T, log, judge.ReplayOptions{
		Servers: func() []netip.AddrPort {
			var out []netip.AddrPort
			for _, s := range h.servers {
				out = append(out, netip.MustParseAddrPort(s))
			}
			return out
		},
		Owner: fmt.Sprintf("_%d._tcp.%s.", h.port, h.fqdn), Host: h.fqdn, Addr: addr, Interval: 200 * time.Millisecond,
	})
	return log
}

// faultless wants no check to have failed.
func (h *host) faultless(log *judge.Log) {
	h.Helper()
	checks := log.Checks()
	if len(checks) < 10 {
		h.Errorf("only %d checks were made", len(checks))
	}
	if i := slices.IndexFunc(checks, func(c judge.Check) bool { return !c.OK }); i >= 0 {
		h.Errorf("a sender failed at %s: %s %s", checks[i].At, checks[i].Class, checks[i].Detail)
	}
}

// waiting are the requests of a Certificate that nobody has approved.
func (s *site) waiting(certificate string) []cmapi.CertificateRequest {
	s.Helper()
	requests, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, certificate)
	s.must(err)
	return slices.DeleteFunc(requests, func(cr cmapi.CertificateRequest) bool {
		return util.CertificateRequestHasCondition(&cr, cmapi.CertificateRequestCondition{Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue})
	})
}

// renew starts a renewal, and waits for its request. cert-manager deletes those of before meanwhile.
func (s *site) renew(certificate string) {
	s.Helper()
	next := strconv.Itoa(s.revision(certificate) + 1)
	s.must(s.lab.Renew(s.Context(), s.lab.Namespace, certificate))
	s.eventually(func() string {
		now, err := s.lab.RequestsOf(s.Context(), s.lab.Namespace, certificate)
		if err != nil || !slices.ContainsFunc(now, func(cr cmapi.CertificateRequest) bool {
			return cr.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] == next
		}) {
			return fmt.Sprintf("no request for revision %s of %s: %v", next, certificate, err)
		}
		return ""
	})
}

// revision is how often a Certificate was issued.
func (s *site) revision(certificate string) int {
	s.Helper()
	crt := &cmapi.Certificate{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: certificate}, crt))
	return ptr.Deref(crt.Status.Revision, 0)
}

// held wants the request of a Certificate to wait, for a while.
func (s *site) held(certificate, why string) {
	s.Helper()
	for end := time.Now().Add(while); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if len(s.waiting(certificate)) != 1 {
			s.Fatalf("the request of %s was approved although %s", certificate, why)
		}
	}
}

func (s *site) eventually(check func() string) {
	s.Helper()
	missing := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	s.Fatal(missing)
}
