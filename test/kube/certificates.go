package kube

import (
	"context"
	"fmt"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// issueTimeout is generous: an issuance takes about 0.3 s on a machine with nothing else to do.
const issueTimeout = time.Minute

// IssuerRef names an Issuer with kind and group, which cert-manager's webhook would fill in.
func IssuerRef(name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Name: name, Kind: cmv1.IssuerKind, Group: "cert-manager.io"}
}

// SelfSignedIssuer is an Issuer whose every certificate is its own trust anchor.
func SelfSignedIssuer(namespace, name string) *cmv1.Issuer {
	return &cmv1.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}},
	}
}

// CreateCAIssuer makes an Issuer that signs with a CA of its own, and waits until it is ready. The CA
// is a Certificate called NAME-ca, in a Secret of that name, signed by an Issuer called NAME-root.
// Somebody has to approve the request for the CA: it is made while no policy holds it.
func (c *Cluster) CreateCAIssuer(ctx context.Context, namespace, name string) error {
	root, ca := name+"-root", name+"-ca"
	authority := Certificate(namespace, ca, root)
	authority.Spec.CommonName = name
	authority.Spec.IsCA = true
	issuer := &cmv1.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: ca}}},
	}
	for _, object := range []client.Object{SelfSignedIssuer(namespace, root), authority, issuer} {
		if err := c.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("make the CA issuer %s: %w", name, err)
		}
	}
	return c.WaitFor(ctx, issuer, issueTimeout, func() string {
		for _, condition := range issuer.Status.Conditions {
			if condition.Type == cmv1.IssuerConditionReady && condition.Status == cmmeta.ConditionTrue {
				return ""
			}
		}
		return fmt.Sprintf("Ready=True; conditions: %v", issuer.Status.Conditions)
	})
}

// Certificate is a Certificate for hostnames with an ECDSA P-256 key that changes at every renewal
// and a life of 90 days. Its Secret is called NAME-tls, unless the name ends in -ca. Change what the
// test needs changed before it is created.
func Certificate(namespace, name, issuer string, hostnames ...string) *cmv1.Certificate {
	secret := name + "-tls"
	if len(hostnames) == 0 {
		secret = name
	}
	return &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: cmv1.CertificateSpec{
			SecretName: secret,
			DNSNames:   hostnames,
			IssuerRef:  IssuerRef(issuer),
			Duration:   &metav1.Duration{Duration: 90 * 24 * time.Hour},
			PrivateKey: &cmv1.CertificatePrivateKey{
				Algorithm:      cmv1.ECDSAKeyAlgorithm,
				Size:           256,
				Encoding:       cmv1.PKCS1,
				RotationPolicy: cmv1.RotationPolicyAlways,
			},
		},
	}
}

// WaitIssued waits until a Certificate of the given revision or a later one is in its Secret, and
// returns the Certificate.
func (c *Cluster) WaitIssued(ctx context.Context, namespace, name string, revision int) (*cmv1.Certificate, error) {
	certificate := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := c.WaitFor(ctx, certificate, issueTimeout, func() string {
		switch {
		case certificate.Status.Revision == nil || *certificate.Status.Revision < revision:
			return fmt.Sprintf("revision %d; conditions: %v", revision, certificate.Status.Conditions)
		case IsIssuing(certificate):
			return "the end of the issuance"
		case !cmutil.CertificateHasCondition(certificate, cmv1.CertificateCondition{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionTrue}):
			return fmt.Sprintf("Ready=True; conditions: %v", certificate.Status.Conditions)
		}
		return ""
	})
	return certificate, err
}

// IsIssuing says whether an issuance of the Certificate is under way.
func IsIssuing(certificate *cmv1.Certificate) bool {
	return cmutil.CertificateHasCondition(certificate,
		cmv1.CertificateCondition{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue})
}

// Renew starts a renewal, as cmctl renew does: it sets Issuing to True in the status.
func (c *Cluster) Renew(ctx context.Context, namespace, name string) error {
	certificate := &cmv1.Certificate{}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, certificate); err != nil {
			return err
		}
		cmutil.SetCertificateCondition(certificate, certificate.Generation, cmv1.CertificateConditionIssuing,
			cmmeta.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered")
		return c.Client.Status().Update(ctx, certificate)
	})
	if err != nil {
		return fmt.Errorf("start a renewal of Certificate %s/%s: %w", namespace, name, err)
	}
	return nil
}

// Approve sets Approved to True on a CertificateRequest, as cmctl approve does.
func (c *Cluster) Approve(ctx context.Context, namespace, name string) error {
	request := &cmv1.CertificateRequest{}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, request); err != nil {
			return err
		}
		cmutil.SetCertificateRequestCondition(request, cmv1.CertificateRequestConditionApproved,
			cmmeta.ConditionTrue, "ApprovedByTest", "approved by the test")
		return c.Client.Status().Update(ctx, request)
	})
	if err != nil {
		return fmt.Errorf("approve CertificateRequest %s/%s: %w", namespace, name, err)
	}
	return nil
}

// RequestsOf are the CertificateRequests of a Certificate.
func (c *Cluster) RequestsOf(ctx context.Context, namespace, certificate string) ([]cmv1.CertificateRequest, error) {
	var all cmv1.CertificateRequestList
	if err := c.Client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list CertificateRequests of %s: %w", namespace, err)
	}
	var own []cmv1.CertificateRequest
	for _, request := range all.Items {
		if request.Annotations[cmv1.CertificateNameKey] == certificate {
			own = append(own, request)
		}
	}
	return own, nil
}
