package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// underAuthority makes a chain with the certificate of its authority.
func underAuthority(t *testing.T) []*x509.Certificate {
	t.Helper()
	authority, key := newKey(t), newKey(t)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"mx1.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	return []*x509.Certificate{signed(t, leaf, ca, &key.PublicKey, authority), signed(t, ca, ca, &authority.PublicKey, authority)}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return crt
}

// TestKeysHaveRecordsOfSetsThatLeave: as long as keys are remembered with records of their authority, new ones have such too,
// though the spec wants none. A chain without its authority is no fault then.
func TestKeysHaveRecordsOfSetsThatLeave(t *testing.T) {
	ofKey, ofAuthority := tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, tlsa.Parameters{Usage: 2, Selector: 1, MatchingType: 1}
	chain := underAuthority(t)
	records, err := tlsa.Associations(chain, []tlsa.Parameters{ofKey, ofAuthority, {Usage: 3, Selector: 0, MatchingType: 1}})
	if err != nil {
		t.Fatal(err)
	}
	h := &hostRun{previous: &v1alpha1.MailServerStatus{Keys: []v1alpha1.KeyStatus{{Records: presentations(records)}}}}
	if got := h.leavingAuthorities([]tlsa.Parameters{ofKey, ofAuthority}); len(got) != 0 {
		t.Errorf("%v leaves, and the spec has it", got)
	}
	if got := (&hostRun{}).leavingAuthorities(nil); len(got) != 0 {
		t.Errorf("%v leaves, and nothing is remembered", got)
	}
	wanted := []tlsa.Parameters{ofKey}
	leaving := h.leavingAuthorities(wanted)
	if !slices.Equal(leaving, []tlsa.Parameters{ofAuthority}) {
		t.Fatalf("%v leaves", leaving)
	}
	for _, row := range []struct {
		reason string
		build  func(b *keyBuilder)
		want   []tlsa.Parameters
	}{
		{"a certificate", func(b *keyBuilder) { b.chain(rollover.StageDeployed, chain) }, []tlsa.Parameters{ofAuthority}},
		{"a request: its issuer is that of the certificate in use", func(b *keyBuilder) {
			b.facts.current = chain
			b.spki(rollover.StageRequested, somePublic(t, elliptic.P256()))
		}, []tlsa.Parameters{ofAuthority}},
		{"a certificate without its authority", func(b *keyBuilder) { b.chain(rollover.StageDeployed, chain[:1]) }, nil},
		{"a request after one without", func(b *keyBuilder) {
			b.facts.current = chain[:1]
			b.spki(rollover.StageRequested, somePublic(t, elliptic.P256()))
		}, nil},
	} {
		b := keyBuilder{facts: &certificateFacts{}, sets: parameterSets{wanted: wanted, leaving: leaving}, name: "mx1"}
		row.build(&b)
		if len(b.facts.keys) != 1 || len(b.facts.problems) != 0 || !slices.Equal(parametersIn(b.facts.keys[0].Records), wanted) || !slices.Equal(parametersIn(b.facts.keys[0].Leaving), row.want) {
			t.Errorf("%s: %+v, problems %v", row.reason, b.facts.keys, b.facts.problems)
		}
	}
}

// TestNewKeysHaveRecordsOfSetsThatLeave reads a Certificate that is being renewed: what the status remembers of the key in use
// says of which sets the next one has records.
func TestNewKeysHaveRecordsOfSetsThatLeave(t *testing.T) {
	ofKey, ofAuthority := tlsa.Parameters{Usage: 3, Selector: 1, MatchingType: 1}, tlsa.Parameters{Usage: 2, Selector: 1, MatchingType: 1}
	chain := underAuthority(t)
	records, err := tlsa.Associations(chain, []tlsa.Parameters{ofKey, ofAuthority})
	if err != nil {
		t.Fatal(err)
	}
	issued, _ := request(t)
	for _, c := range chain {
		issued.Status.Certificate = append(issued.Status.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	issued.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: cmapi.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: cmapi.CertificateRequestReasonIssued}}
	next, _ := request(t)
	next.Name, next.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] = "mx-2", "2"
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx", UID: "mx-uid"}}
	api := fakeClient(t, crt, issued, next)
	md := &v1alpha1.MailDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "example"}}
	md.Spec.Rollover.Strategy = v1alpha1.StrategyGate
	md.Spec.TLSA.Parameters = []v1alpha1.TLSAParameters{"3 1 1"}
	for _, row := range []struct {
		reason     string
		remembered []tlsa.Record
		want       []tlsa.Parameters
	}{
		{"the key in use has a record of its authority", records, []tlsa.Parameters{ofAuthority}},
		{"no cache holds such a record any more", records[1:], nil},
	} {
		h := &hostRun{
			server:   v1alpha1.MailServer{Hostname: "mx1.example.com", Certificates: []v1alpha1.CertificateReference{{Name: "mx"}}},
			previous: &v1alpha1.MailServerStatus{Keys: []v1alpha1.KeyStatus{{Records: presentations(row.remembered)}}},
		}
		if err := (&MailDomainReconciler{}).readCertificates(t.Context(), &domainRun{md: md}, h, keyReader{cached: api, live: api}); err != nil {
			t.Fatal(err)
		}
		if len(h.certs) != 1 || len(h.certs[0].keys) != 2 || len(h.certs[0].problems) != 0 {
			t.Fatalf("%s: %+v", row.reason, h.certs)
		}
		for _, k := range h.certs[0].keys {
			if got := parametersIn(k.Leaving); !slices.Equal(got, row.want) || !slices.Equal(parametersIn(k.Records), []tlsa.Parameters{ofKey}) {
				t.Errorf("%s: key %s, %s, has records of %v, want %v beside those of the spec: %v", row.reason, k.SPKI, k.Stage, got, row.want, k.Records)
			}
		}
	}
}
