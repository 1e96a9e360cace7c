package cases

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
	"github.com/dane-operator/dane-operator/test/kube"
	"github.com/dane-operator/dane-operator/test/lab"
)

// handMade makes a certificate as a script would have it, in a Secret, and its record, and gives the record's data.
func (s *site) handMade(secret string) string {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{mx}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	s.must(err)
	private, err := x509.MarshalECPrivateKey(key)
	s.must(err)
	s.must(s.lab.Client.Create(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.lab.Namespace, Name: secret}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
		},
	}))
	parsed, err := x509.ParseCertificate(chain)
	s.must(err)
	data := tlsa.SPKISHA256(parsed.RawSubjectPublicKeyInfo)
	s.must(s.zone.Add(s.owner(mx) + " 2 IN TLSA 3 1 1 " + data))
	return data
}

// matches wants the mail server to present a key that a record which stands there matches.
func (s *site) matches() {
	s.Helper()
	presented, records := s.presented(), s.tlsa(s.owner(mx))
	// What is looked at second may have changed meanwhile; the operator changes the records first.
	if !slices.Contains(records, presented) && !slices.Contains(records, s.presented()) {
		s.Fatalf("the mail server presents %s, and the records are %v", presented, records)
	}
}

// presented is the digest of the key that the mail server presents.
func (s *site) presented() string {
	s.Helper()
	certificate, key := s.lab.TLSSecret(s.Context(), "live")
	pair, err := tls.X509KeyPair(certificate, key)
	s.must(err)
	parsed, err := x509.ParseCertificate(pair.Certificate[0])
	s.must(err)
	return tlsa.SPKISHA256(parsed.RawSubjectPublicKeyInfo)
}

// TestMigrationWithTheKey gives cert-manager the key that a hand-made record is of: the record becomes the
// operator's, and is there all the time.
func TestMigrationWithTheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "live")
	s.address(mx)
	old := s.handMade("live")
	crt := kube.Certificate(s.lab.Namespace, "mx1", "selfsigned", mx)
	crt.Spec.SecretName, crt.Spec.PrivateKey.RotationPolicy = "live", cmapi.RotationPolicyNever
	s.must(s.lab.Client.Create(t.Context(), crt))
	eventually(t, func() string {
		s.matches()
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: crt.Namespace, Name: crt.Name}, crt))
		if !cmutil.CertificateHasCondition(crt, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}) {
			return fmt.Sprintf("the Certificate is not ready: %+v", crt.Status.Conditions)
		}
		return ""
	})
	if key := s.presented(); key != old {
		t.Fatalf("cert-manager made the key %s although it had %s", key, old)
	}
	s.createZone()
	s.domain("example", mx, nil, "mx1")
	md := s.wait("example", func(md *v1alpha1.MailDomain) string { s.matches(); return settled(md) })
	if foreign := md.Status.MailServers[0].ForeignRecords; lab.CurrentKey(md, mx) != old || len(foreign) > 0 {
		t.Errorf("the Current key is %s and foreign are %v, want %s and none", lab.CurrentKey(md, mx), foreign, old)
	}
	eventually(t, func() string {
		s.must(s.lab.Client.Get(t.Context(), types.NamespacedName{Namespace: crt.Namespace, Name: crt.Name}, crt))
		crt.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyAlways
		if err := s.lab.Client.Update(t.Context(), crt); err != nil {
			return err.Error()
		}
		return ""
	})
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		s.matches()
		if lab.CurrentKey(md, mx) == old {
			return "the old key is still in use"
		}
		return settled(md)
	})
	if have := s.tlsa(s.owner(mx)); slices.Contains(have, old) {
		t.Errorf("the record of the old key is left: %v", have)
	}
}

// TestMigrationToAnotherKey leaves the old key where it is: the new one is published beside its record, and issued when
// every cache knows it. The old record goes when somebody asks for that, once no endpoint needs it.
func TestMigrationToAnotherKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "live")
	s.address(mx)
	old := s.handMade("live")
	s.createZone()
	s.domain("example", mx, nil, "mx1")
	s.wait("example", stalled(v1alpha1.ReasonCertificateNotFound))
	crt := kube.Certificate(s.lab.Namespace, "mx1", "selfsigned", mx)
	crt.Annotations = map[string]string{v1alpha1.GateAnnotation: "example"}
	s.must(s.lab.Client.Create(t.Context(), crt))
	var published time.Time // the last instant without the new key's record
	eventually(t, func() string {
		s.matches()
		at := time.Now()
		if have := s.tlsa(s.owner(mx)); len(have) < 2 {
			published = at
			return "the new key is not published"
		}
		return ""
	})
	eventually(t, func() string {
		s.matches()
		if certificate, _ := s.lab.TLSSecret(t.Context(), "mx1-tls"); len(certificate) == 0 {
			return "the certificate is not issued"
		}
		return ""
	})
	if held := time.Since(published); held < 2*time.Duration(lab.Fast.TTL)*time.Second {
		t.Errorf("the certificate was issued %s after its key was published, while caches may hold what was there before", held)
	}
	s.serve("mx1-tls")
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		s.matches()
		return settled(md)
	})
	if have := s.tlsa(s.owner(mx)); !slices.Contains(have, old) {
		t.Errorf("the old record went although nobody asked for that: %v", have)
	}
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.TLSA.ForeignRecords = v1alpha1.ForeignRemove })
	eventually(t, func() string {
		s.matches()
		if have := s.tlsa(s.owner(mx)); slices.Contains(have, old) {
			return "the old record stays: " + strings.Join(have, " ")
		}
		return ""
	})
}

// serve gives the mail server what another Secret holds.
func (s *site) serve(secret string) {
	s.Helper()
	certificate, key := s.lab.TLSSecret(s.Context(), secret)
	live := &corev1.Secret{}
	s.must(s.lab.Client.Get(s.Context(), types.NamespacedName{Namespace: s.lab.Namespace, Name: "live"}, live))
	live.Data = map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}
	s.must(s.lab.Client.Update(s.Context(), live))
}
