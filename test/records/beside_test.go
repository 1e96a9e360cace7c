package records

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/servers"
)

const (
	reports = "reports.test"
	// atMX1 is where mx1 has its own record for reports, and agreedAt where reports.test agrees to take those of DMARC.
	atMX1    = "_smtp._tls.mx1." + domain
	agreedAt = domain + "._report._dmarc." + reports
)

// Records beside the domain: a mail server of one's own has one for reports, and the other zone of one's own agrees to take
// those of DMARC before the DMARC record says that they go there. With the MailDomain all of it goes.
func TestRecordsBesideTheDomain(t *testing.T) {
	other := servers.StartBINDPrimary(t, servers.Options{Zone: reports, Grants: []string{fmt.Sprintf("grant tlsa-key name %s. TXT;", agreedAt)}})
	s := newSite(t, other)
	s.primary.Admin("delete _dmarc." + apex + " TXT")
	_, err := s.lab.CreateZone(t.Context(), "reports", lab.Zone{
		Name: reports, Primary: other.Addr.String(), Servers: []string{other.Addr.String()}, TSIGName: other.TSIGName, TSIGSecret: other.TSIGSecret, DS: other.DS,
	}, lab.Fast)
	s.must(err)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}, Spec: v1alpha1.MailDomainSpec{
		Domain: domain,
		MailServers: []v1alpha1.MailServer{
			{Hostname: "mx1." + domain, Certificates: []v1alpha1.CertificateReference{{Name: "mx1"}}}, {Hostname: "mx2." + domain},
		},
		TLSReporting: &v1alpha1.TLSReportingSpec{RUA: []v1alpha1.TLSReportURI{"mailto:tlsrpt@example.net"}, MailServers: v1alpha1.TLSReportMailServersEnabled},
		DMARC:        &v1alpha1.DMARCSpec{Policy: v1alpha1.DMARCNone, RUA: []v1alpha1.DMARCReportURI{"mailto:dmarc@" + reports}},
	}}
	s.must(s.lab.Client.Create(t.Context(), md))
	_, err = s.lab.WaitDomain(t.Context(), "example", patience, func(md *v1alpha1.MailDomain) string {
		for name, record := range map[string]v1alpha1.MailRecord{
			"_smtp._tls." + domain: v1alpha1.RecordTLSRPT, atMX1: v1alpha1.RecordTLSRPT, agreedAt: v1alpha1.RecordDMARCReport, "_dmarc." + domain: v1alpha1.RecordDMARC,
		} {
			if r := md.Status.RecordAt(record, name); r == nil || r.State != v1alpha1.MailRecordPublished {
				return fmt.Sprintf("%s at %s is %+v", record, name, r)
			}
		}
		return ""
	})
	s.must(err)
	s.shows(atMX1+".", dns.TypeTXT, tlsrpt)
	s.shows("_smtp._tls.mx2."+apex, dns.TypeTXT)
	s.shows("_dmarc."+apex, dns.TypeTXT, `"v=DMARC1; p=none; rua=mailto:dmarc@reports.test"`)
	agreement := func() []string {
		out, err := answers(other.Addr, agreedAt+".", dns.TypeTXT)
		s.must(err)
		return out
	}
	if got := agreement(); len(got) != 1 || got[0] != `"v=DMARC1"` {
		t.Errorf("at %s there stands %v", agreedAt, got)
	}

	s.must(s.lab.Client.Delete(t.Context(), md))
	servers.Eventually(t, "the MailDomain is gone", func() error {
		if _, err := s.lab.Domain(t.Context(), "example"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%v)", err)
		}
		return nil
	})
	s.shows(atMX1+".", dns.TypeTXT)
	if got := agreement(); len(got) > 0 {
		t.Errorf("after all there stands %v at %s", got, agreedAt)
	}
}
