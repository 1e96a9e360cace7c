package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/servers"
)

// nameOfPrimary is what the primary's certificate says; clientTLS the Secret of the operator's, with ca.crt.
const nameOfPrimary, clientTLS = "ns1.example.test", "dane-operator-tls"

// Updates go over TLS to a primary whose certificate is of a CA of its own, and that wants one of its clients.
// Each thing that is wrong with spec.update.tls is told; when nothing is, a key rolls over.
func TestUpdatesOverTLS(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, servers.BIND, "mx1-tls", siteOptions{primary: overTLS})
	s.createZone(func(z *v1alpha1.DNSZone) { s.updatesOverTLS(z) })
	for _, row := range []struct {
		reason string
		edit   func(*v1alpha1.UpdateTLS)
		is     string
		says   string
	}{
		{"a Secret that is not there", func(u *v1alpha1.UpdateTLS) { u.CABundleSecretRef.Name = "nowhere" },
			v1alpha1.ReasonSecretNotFound, "spec.update.tls.caBundleSecretRef"},
		{"a Secret without the key", func(u *v1alpha1.UpdateTLS) { u.CABundleSecretRef.Key = "bundle.pem" },
			v1alpha1.ReasonSecretNotFound, `"bundle.pem"`},
		{"the roots of the system", func(u *v1alpha1.UpdateTLS) { u.CABundleSecretRef = nil },
			v1alpha1.ReasonUnreachable, "certificate signed by unknown authority"},
		{"the address of the nameserver for its name", func(u *v1alpha1.UpdateTLS) { u.ServerName = "" },
			v1alpha1.ReasonUnreachable, "cannot validate certificate for 127.0.0.1"},
		{"another name", func(u *v1alpha1.UpdateTLS) { u.ServerName = "ns2.example.test" },
			v1alpha1.ReasonUnreachable, "not ns2.example.test"},
		{"no certificate for a primary that wants one", func(u *v1alpha1.UpdateTLS) { u.ClientCertSecretRef = nil },
			v1alpha1.ReasonUnreachable, "spec.update.tls.clientCertSecretRef"},
	} {
		s.editZone(func(z *v1alpha1.DNSZone) {
			s.updatesOverTLS(z)
			row.edit(z.Spec.Update.TLS)
		})
		s.zoneIs(row.is, row.says)
		t.Logf("%s: %s", row.reason, meta.FindStatusCondition(s.zone().Status.Conditions, v1alpha1.ConditionUpdatesAccepted).Message)
	}
	s.editZone(s.updatesOverTLS)
	s.zoneIs(v1alpha1.ReasonAccepted, "")

	s.certificate("selfsigned", nil)
	s.domain(withoutStandby)
	s.settle(false)
	s.judges()
	s.rollsWithoutStandbyKey()
}

// updatesOverTLS is what docs/bind.md shows.
func (s *site) updatesOverTLS(z *v1alpha1.DNSZone) {
	z.Spec.Update.Nameserver = s.primary.TLS.String()
	z.Spec.Update.Protocol = v1alpha1.UpdateTLSProtocol
	z.Spec.Update.TLS = &v1alpha1.UpdateTLS{
		ServerName:          nameOfPrimary,
		CABundleSecretRef:   &v1alpha1.CABundleReference{Name: clientTLS},
		ClientCertSecretRef: &v1alpha1.SecretReference{Name: clientTLS},
	}
}

// overTLS gives a primary a certificate, and the operator one in Secret clientTLS, all of one CA.
func overTLS(s *site, o *servers.Options) {
	s.Helper()
	s.must(s.lab.CreateCAIssuer(s.Context(), s.lab.Namespace, "dns"))
	for name, row := range map[string]struct {
		host  string
		usage cmapi.KeyUsage
	}{
		"primary":       {nameOfPrimary, cmapi.UsageServerAuth},
		"dane-operator": {"dane-operator.example.test", cmapi.UsageClientAuth},
	} {
		certificate := kube.Certificate(s.lab.Namespace, name, "dns", row.host)
		certificate.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageDigitalSignature, row.usage}
		s.must(s.lab.Client.Create(s.Context(), certificate))
		_, err := s.lab.WaitIssued(s.Context(), s.lab.Namespace, name, 1)
		s.must(err)
	}
	dir := s.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		s.must(os.WriteFile(path, text, 0o600))
		return path
	}
	certificate, key := s.lab.TLSSecret(s.Context(), "primary-tls")
	authority, _ := s.lab.TLSSecret(s.Context(), "dns-ca")
	o.TLSCert, o.TLSKey, o.TLSClientCA = write("tls.crt", certificate), write("tls.key", key), write("ca.crt", authority)
}

// zoneIs waits until the DNSZone, as it is now, says of its updates what it should.
func (s *site) zoneIs(reason, says string) {
	s.Helper()
	servers.Eventually(s, fmt.Sprintf("UpdatesAccepted is %s and says %q", reason, says), func() error {
		z := s.zone()
		c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionUpdatesAccepted)
		switch {
		case c == nil || c.ObservedGeneration != z.Generation:
			return errors.New("it says nothing yet")
		case c.Reason != reason || !strings.Contains(c.Message, says):
			return fmt.Errorf("it is %s %s: %s", c.Status, c.Reason, c.Message)
		}
		return nil
	})
}
