package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/kube"
)

// namespace of everything: the hardest case for whoever lists a namespace for one object.
const namespace = "mail"

// parallel is how many objects are written at once.
const parallel = 16

// forEach runs f for every host, parallel at a time, and returns the first error.
func forEach(hosts []*host, f func(*host) error) error {
	work := make(chan *host)
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	for range parallel {
		wg.Go(func() {
			for h := range work {
				if err := f(h); err != nil {
					once.Do(func() { failed = err })
				}
			}
		})
	}
	for _, h := range hosts {
		work <- h
	}
	close(work)
	wg.Wait()
	return failed
}

// createZones makes the DNSZones and the Secret of their key.
func (w *world) createZones(ctx context.Context) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tsig"},
		StringData: map[string]string{"secret": w.bind.secret},
	}
	if err := w.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("create the TSIG Secret: %w", err)
	}
	for _, name := range w.bind.zones {
		zone := &v1alpha1.DNSZone{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.ReplaceAll(name, ".", "-")},
			Spec: v1alpha1.DNSZoneSpec{
				Zone: name,
				Update: v1alpha1.UpdateSpec{
					Nameserver: w.nameservers()[0], TSIGKeyName: tsigName,
					TSIGSecretSecretRef: &v1alpha1.SecretKeyReference{Name: secret.Name, Key: "secret"},
				},
				Nameservers: v1alpha1.NameserversSpec{Discovery: v1alpha1.DiscoveryStatic},
				Propagation: v1alpha1.PropagationSpec{Interval: duration(w.flags.interval), Delay: "0s", TTLFloor: "1s"},
				DNSSEC:      v1alpha1.ZoneDNSSECSpec{TrustAnchors: []v1alpha1.TrustAnchor{v1alpha1.TrustAnchor(w.bind.ds[name])}},
			},
		}
		for _, a := range w.nameservers() {
			zone.Spec.Nameservers.Addresses = append(zone.Spec.Nameservers.Addresses, v1alpha1.ServerAddress(a))
		}
		if err := w.Client.Create(ctx, zone); err != nil {
			return fmt.Errorf("create the DNSZone %s: %w", name, err)
		}
	}
	return nil
}

func duration(d time.Duration) v1alpha1.Duration { return v1alpha1.Duration(d.String()) }

// createHost makes what a host has after years of use: its Certificate as cert-manager leaves it after
// an issuance, the Secret, the fulfilled request, and the MailDomain.
func (w *world) createHost(ctx context.Context, h *host) error {
	p, err := newPair()
	if err != nil {
		return err
	}
	if err := w.ca.issue(p, h.name); err != nil {
		return err
	}
	h.current, h.revision = p, 1
	if err := h.serve(p); err != nil {
		return err
	}
	crt := certificate(h)
	if err := w.Client.Create(ctx, crt); err != nil {
		return fmt.Errorf("create Certificate %s: %w", h.object, err)
	}
	crt.Status = certificateStatus(p, 1)
	if err := w.Client.Status().Update(ctx, crt); err != nil {
		return fmt.Errorf("write the status of Certificate %s: %w", h.object, err)
	}
	h.mu.Lock()
	h.renewal = &renewal{uid: crt.UID}
	h.mu.Unlock()
	if err := w.Client.Create(ctx, tlsSecret(h, p)); err != nil {
		return fmt.Errorf("create the Secret of %s: %w", h.object, err)
	}
	request, err := w.createRequest(ctx, h, p, 1, "")
	if err != nil {
		return err
	}
	if err := w.fulfil(ctx, request, p, true); err != nil {
		return err
	}
	if err := w.Client.Create(ctx, w.mailDomain(h)); err != nil {
		return fmt.Errorf("create MailDomain %s: %w", h.object, err)
	}
	return nil
}

func certificate(h *host) *cmv1.Certificate {
	crt := kube.Certificate(namespace, h.object, "bench", h.name)
	crt.Spec.PrivateKey.Encoding = cmv1.PKCS8
	return crt
}

func certificateStatus(p *pair, revision int) cmv1.CertificateStatus {
	now := metav1.Now()
	return cmv1.CertificateStatus{
		Revision: &revision, NotBefore: &metav1.Time{Time: p.notBefore}, NotAfter: &metav1.Time{Time: p.expiry},
		RenewalTime: &metav1.Time{Time: p.notBefore.Add(life * 2 / 3)},
		Conditions: []cmv1.CertificateCondition{{
			Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, Reason: "Ready", LastTransitionTime: &now,
			Message: "Certificate is up to date and has not expired", ObservedGeneration: 1,
		}},
	}
}

func tlsSecret(h *host, p *pair) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: h.object + "-tls",
			Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"},
			Annotations: map[string]string{
				cmv1.CertificateNameKey: h.object, cmv1.AltNamesAnnotationKey: h.name, cmv1.IssuerNameAnnotationKey: "bench",
				cmv1.IssuerKindAnnotationKey: cmv1.IssuerKind, cmv1.IssuerGroupAnnotationKey: "cert-manager.io",
			},
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: p.certPEM, corev1.TLSPrivateKeyKey: p.keyPEM},
	}
}

// owner is the reference that cert-manager puts on what it makes for a Certificate.
func (h *host) owner() []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(
		&metav1.ObjectMeta{Name: h.object, UID: h.uid()}, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))}
}

// createRequest makes a CertificateRequest as cert-manager's requestmanager does.
func (w *world) createRequest(ctx context.Context, h *host, p *pair, revision int, keySecret string) (*cmv1.CertificateRequest, error) {
	text, err := p.request(h.name)
	if err != nil {
		return nil, err
	}
	cr := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: requestName(h, revision), OwnerReferences: h.owner(),
			Annotations: map[string]string{
				cmv1.CertificateNameKey:                        h.object,
				cmv1.CertificateRequestRevisionAnnotationKey:   strconv.Itoa(revision),
				cmv1.CertificateRequestPrivateKeyAnnotationKey: keySecret,
			},
		},
		Spec: cmv1.CertificateRequestSpec{
			Request: text, IssuerRef: kube.IssuerRef("bench"), Duration: &metav1.Duration{Duration: life},
			Usages: []cmv1.KeyUsage{cmv1.UsageDigitalSignature, cmv1.UsageKeyEncipherment},
		},
	}
	if revision > 1 {
		// cert-manager copies the annotations of the Certificate, which the operator gates.
		cr.Annotations[v1alpha1.GateAnnotation] = h.object
	}
	if err := w.Client.Create(ctx, cr); err != nil {
		return nil, fmt.Errorf("create CertificateRequest %s: %w", cr.Name, err)
	}
	return cr, nil
}

func requestName(h *host, revision int) string { return fmt.Sprintf("%s-%d", h.object, revision) }

// fulfil writes the certificate into the status of a request, as an issuer does.
func (w *world) fulfil(ctx context.Context, cr *cmv1.CertificateRequest, p *pair, approve bool) error {
	base := cr.DeepCopy()
	now := metav1.Now()
	add := func(kind cmv1.CertificateRequestConditionType, reason, message string) {
		cr.Status.Conditions = append(cr.Status.Conditions, cmv1.CertificateRequestCondition{
			Type: kind, Status: cmmeta.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: &now,
		})
	}
	if approve {
		add(cmv1.CertificateRequestConditionApproved, "cert-manager.io", "Certificate request has been approved by cert-manager.io")
	}
	add(cmv1.CertificateRequestConditionReady, cmv1.CertificateRequestReasonIssued, "Certificate fetched from issuer successfully")
	cr.Status.Certificate, cr.Status.CA = p.certPEM, w.ca.pem
	if err := w.Client.Status().Patch(ctx, cr, client.MergeFrom(base)); err != nil {
		return fmt.Errorf("fulfil CertificateRequest %s: %w", cr.Name, err)
	}
	return nil
}

func (w *world) mailDomain(h *host) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: h.object},
		Spec: v1alpha1.MailDomainSpec{
			Domain: fmt.Sprintf("d%d.example", h.index),
			MailServers: []v1alpha1.MailServer{{
				Hostname:     h.name,
				Ports:        []v1alpha1.MailServerPort{{Port: w.mail.port, Protocol: v1alpha1.ProtocolSMTP}},
				Certificates: []v1alpha1.CertificateReference{{Name: h.object}},
			}},
			TLSA: v1alpha1.TLSASpec{TTL: int32(w.flags.ttl / time.Second)}, //nolint:gosec // seconds
			Rollover: v1alpha1.RolloverSpec{
				PublishSafety: duration(w.flags.publishSafety), RetireSafety: duration(w.flags.retireSafety),
			},
		},
	}
	if h.held {
		md.Spec.Rollover.StandbyKey = v1alpha1.StandbyDisabled
	}
	return md
}
