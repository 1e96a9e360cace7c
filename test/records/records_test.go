// Package records runs the whole operator against a real API server, BIND as a primary and NSD as a secondary, and has it
// keep the records of a mail domain beside TLSA: among records of others, which stay as they are.
package records

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/operator"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	domain = "example.test"
	apex   = domain + "."
	// policyAddress is where the policy host is: it has the port of HTTPS for itself.
	policyAddress = "127.0.0.77"
	patience      = 3 * time.Minute

	token    = `"site-verification=1  2"`
	mx1      = "10 mx1.example.test."
	mx2      = "20 mx2.example.test."
	spf      = `"v=spf1 ip4:192.0.2.0/24 include:_spf.example.test -all"`
	theirSPF = `"v=spf1 a ~all"`
	dmarc    = `"v=DMARC1; p=none; rua=mailto:dmarc@example.test"`
	theirs   = `"v=DMARC1; p=reject"`
	tlsrpt   = `"v=TLSRPTv1; rua=mailto:tlsrpt@example.net;"`
)

// site is a mail domain with all that belongs to it.
type site struct {
	*testing.T
	lab       *lab.Lab
	primary   *servers.Primary
	secondary *servers.Secondary
	// folder has the certificate of the policy host, and its key.
	folder string
}

// grants are those of docs/mail-records.md, beside the one for TLSA records.
var grants = []string{
	"grant tlsa-key wildcard *.example.test. TLSA;", "grant tlsa-key name example.test. MX TXT;", "grant tlsa-key name _smtp._tls.example.test. TXT;",
	"grant tlsa-key name _mta-sts.example.test. TXT;", "grant tlsa-key name _dmarc.example.test. TXT;",
	"grant tlsa-key name _smtp._tls.mx1.example.test. TXT;",
}

func newSite(t *testing.T, beside ...*servers.Primary) *site {
	t.Helper()
	s := &site{T: t}
	s.primary = servers.StartBINDPrimary(t, servers.Options{Grants: grants, Records: []string{
		"@ 300 TXT " + token, "_dmarc 60 TXT " + theirs, `_spf 60 TXT "v=spf1 ip4:198.51.100.1 -all"`,
		"mx1 60 A 127.0.0.1", "mx2 60 A 127.0.0.1", "mta-sts 60 A " + policyAddress,
	}})
	s.secondary = servers.StartNSDSecondary(t, s.primary, "")
	stubs := []servers.Stub{servers.StubOf(s.primary, s.secondary)}
	for _, p := range beside {
		stubs = append(stubs, servers.StubOf(p))
	}
	unbound := servers.StartUnbound(t, servers.ResolverOptions{Stubs: stubs, Extra: []string{"cache-max-negative-ttl: 1"}})
	s.certificate()
	api := kube.ForTest(t, kube.Options{Dir: t.TempDir()})
	s.lab = &lab.Lab{Cluster: api, Namespace: "mail"}
	s.must(api.EnsureNamespace(t.Context(), "mail"))
	process, err := operator.Start(t.Context(), api, operator.Options{
		Args: append(lab.OperatorArgs(), "--resolvers", unbound.Addr.String()), Env: []string{"SSL_CERT_FILE=" + filepath.Join(s.folder, "tls.crt")},
	})
	s.must(err)
	s.lab.Operator = process
	s.servePolicies()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(process.Tail(40))
		}
	})
	s.createZone()
	return s
}

func (s *site) createZone() {
	s.Helper()
	_, err := s.lab.CreateZone(s.Context(), "zone", lab.Zone{
		Name: domain, Primary: s.primary.Addr.String(), Servers: []string{s.primary.Addr.String(), s.secondary.Addr.String()},
		TSIGName: s.primary.TSIGName, TSIGSecret: s.primary.TSIGSecret, DS: s.primary.DS,
	}, lab.Fast)
	s.must(err)
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// certificate makes one for the policy host, and a file with the CA that vouches for it.
func (s *site) certificate() {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mta-sts." + domain}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	s.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	s.folder = s.TempDir()
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		s.must(os.WriteFile(filepath.Join(s.folder, file), pem.EncodeToMemory(block), 0o600))
	}
}

// servePolicies has the report receiver serve the policies of MTA-STS, with the rights of its account.
func (s *site) servePolicies() {
	s.Helper()
	_, err := operator.Reports(s.Context(), s.lab.Cluster, "reports", operator.Options{Args: []string{
		"--database", filepath.Join(s.TempDir(), "reports.db"), "--tls-cert-dir", s.folder, "--https-bind-address", net.JoinHostPort(policyAddress, "443"),
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0",
	}})
	s.must(err)
}

func (s *site) createDomain() {
	s.Helper()
	ten, twenty := int32(10), int32(20)
	s.must(s.lab.Client.Create(s.Context(), &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}, Spec: v1alpha1.MailDomainSpec{
		Domain: domain,
		MailServers: []v1alpha1.MailServer{
			{Hostname: "mx1." + domain, Preference: &ten, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}},
			{Hostname: "mx2." + domain, Preference: &twenty, Probe: v1alpha1.ProbeSpec{Mode: v1alpha1.ProbeDisabled}},
		},
		MX:           &v1alpha1.MXSpec{Policy: v1alpha1.MXManage},
		TLSReporting: &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:tlsrpt@example.net"}},
		MTASTS:       &v1alpha1.MTASTSSpec{Mode: v1alpha1.MTASTSEnforce},
		SPF:          &v1alpha1.SPFSpec{Mechanisms: []v1alpha1.SPFMechanism{"ip4:192.0.2.0/24", "include:_spf." + domain}, All: v1alpha1.SPFFail},
		DMARC:        &v1alpha1.DMARCSpec{Policy: v1alpha1.DMARCNone, RUA: []v1alpha1.DMARCReportURI{"mailto:dmarc@" + domain}},
	}}))
}

// becomes waits until the records are in these states.
func (s *site) becomes(states map[v1alpha1.MailRecord]v1alpha1.MailRecordState) *v1alpha1.MailDomain {
	s.Helper()
	md, err := s.lab.WaitDomain(s.Context(), "example", patience, func(md *v1alpha1.MailDomain) string {
		for record, want := range states {
			got := md.Status.Record(record)
			if got == nil || got.State != want {
				return fmt.Sprintf("%s: want %s, got %+v", record, want, got)
			}
		}
		return ""
	})
	s.must(err)
	return md
}

// answers are the records of a name at one address, as they stand in a zone file, sorted.
func answers(at netip.AddrPort, name string, kind uint16) ([]string, error) {
	m, err := servers.Ask(at, name, kind, false)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rr := range m.Answer {
		if rr.Header().Rrtype != kind {
			continue // its signature
		}
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	return out, nil
}

// shows wants both servers to show records, and no others.
func (s *site) shows(name string, kind uint16, want ...string) {
	s.Helper()
	slices.Sort(want)
	for _, at := range []netip.AddrPort{s.primary.Addr, s.secondary.Addr} {
		got, err := answers(at, name, kind)
		if err != nil || !slices.Equal(got, want) {
			s.Errorf("%s shows %v at %s (%v), want %v", at, got, name, err, want)
		}
	}
}

// edit changes the spec.
func (s *site) edit(change func(*v1alpha1.MailDomainSpec)) {
	s.Helper()
	servers.Eventually(s, "the MailDomain is changed", func() error {
		md, err := s.lab.Domain(s.Context(), "example")
		if err != nil {
			return err
		}
		change(&md.Spec)
		return s.lab.Client.Update(s.Context(), md)
	})
}

// All five records appear at every server beside what is there; what is somebody else's is told, and replaced when that is
// asked for; and what goes in the end is what the operator has written, and nothing else.
func TestRecordsOfAMailDomain(t *testing.T) {
	s := newSite(t)
	s.createDomain()
	const published = v1alpha1.MailRecordPublished
	md := s.becomes(map[v1alpha1.MailRecord]v1alpha1.MailRecordState{
		v1alpha1.RecordMX: published, v1alpha1.RecordTLSRPT: published, v1alpha1.RecordSPF: published, v1alpha1.RecordMTASTS: published,
		v1alpha1.RecordDMARC: v1alpha1.MailRecordConflict,
	})
	s.shows(apex, dns.TypeMX, mx1, mx2)
	s.shows(apex, dns.TypeTXT, token, spf)
	s.shows("_smtp._tls."+apex, dns.TypeTXT, tlsrpt)
	s.shows("_mta-sts."+apex, dns.TypeTXT, md.Status.Record(v1alpha1.RecordMTASTS).Wanted...)
	s.shows("_dmarc."+apex, dns.TypeTXT, theirs)
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionMailRecordsPublished)
	if c == nil || c.Reason != v1alpha1.ReasonRecordConflict || !strings.Contains(c.Message, "v=DMARC1; p=reject") {
		t.Errorf("the condition is %+v", c)
	}

	s.edit(func(spec *v1alpha1.MailDomainSpec) { spec.DMARC.Adopt = true })
	md = s.becomes(map[v1alpha1.MailRecord]v1alpha1.MailRecordState{v1alpha1.RecordDMARC: published})
	s.shows("_dmarc."+apex, dns.TypeTXT, dmarc)
	if !meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionMailRecordsPublished) {
		t.Errorf("the conditions are %+v", md.Status.Conditions)
	}

	// The operator begins anew and writes nothing; then somebody adds a second SPF record.
	before := s.serial()
	s.must(s.lab.Operator.Kill())
	s.must(s.lab.Operator.Start())
	s.primary.Admin(`add example.test. 300 TXT "v=spf1 a ~all"`)
	s.becomes(map[v1alpha1.MailRecord]v1alpha1.MailRecordState{v1alpha1.RecordSPF: v1alpha1.MailRecordConflict})
	s.shows(apex, dns.TypeTXT, token, spf, theirSPF)
	if after := s.serial(); after != before+1 {
		t.Errorf("the zone has changed %d times, once by hand", after-before)
	}

	md.Name = "example"
	s.must(s.lab.Client.Delete(t.Context(), md))
	servers.Eventually(t, "the MailDomain is gone", func() error {
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%v)", err)
		}
		return nil
	})
	s.shows(apex, dns.TypeMX)
	s.shows(apex, dns.TypeTXT, token, theirSPF)
	for _, name := range []string{"_smtp._tls.", "_mta-sts.", "_dmarc."} {
		s.shows(name+apex, dns.TypeTXT)
	}
}

// serial is that of the primary.
func (s *site) serial() uint32 {
	s.Helper()
	m, err := servers.Ask(s.primary.Addr, apex, dns.TypeSOA, false)
	if err != nil || len(m.Answer) == 0 {
		s.Fatalf("the SOA record: %v", err)
	}
	return m.Answer[0].(*dns.SOA).Serial
}
